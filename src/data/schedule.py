"""Which samples each step of a run takes, on every rank. All of it is arithmetic."""
from dataclasses import dataclass
from math import ceil

from src.model_utils.errors import UNetError


@dataclass(frozen=True)
class Schedule:
    """The steps of a run.

    An epoch passes ``repeat`` times over ``samples`` training samples and takes as many whole batches as they give; the
    rest is dropped. A position counts samples from the start of the run, dropped ones included: position p belongs to
    pass p // samples.

    Attributes:
        samples: number of training samples.
        repeat: passes that make one epoch.
        epochs: epochs of the run.
        batch_size: samples a step on each rank.
        group_size: number of ranks.
        steps: steps of the run, which may end inside its last epoch; 0 takes all steps of the epochs.
    """
    samples: int
    repeat: int
    epochs: int
    batch_size: int
    group_size: int = 1
    steps: int = 0

    def __post_init__(self) -> None:
        if self.steps_per_epoch == 0:
            ranks = f" on {self.group_size} ranks" if self.group_size > 1 else ""
            raise UNetError(f"a batch of {self.batch_size}{ranks} is larger than the {self.samples} training samples "
                            f"times repeat {self.repeat}; lower batch_size or raise repeat")

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.samples * self.repeat // (self.batch_size * self.group_size)

    @property
    def images_per_step(self) -> int:
        """Samples a step, of all ranks together."""
        return self.batch_size * self.group_size

    @property
    def total_steps(self) -> int:
        """Steps of the run."""
        return self.steps or self.steps_per_epoch * self.epochs

    def epoch_and_step(self, done: int) -> tuple[int, int]:
        """Return (epoch, step in the epoch) of the last of ``done`` >= 1 steps, both counted from 1."""
        epoch, step = divmod(done - 1, self.steps_per_epoch)
        return epoch + 1, step + 1

    def positions(self, step: int, rank: int = 0) -> range:
        """Return the positions of the samples that ``rank`` takes in ``step`` (from 0)."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        start = (epoch * self.samples * self.repeat
                 + (step_in_epoch * self.group_size + rank) * self.batch_size)
        return range(start, start + self.batch_size)


def make_schedule(samples: int, passes: int, repeat: int, batch_size: int, group_size: int = 1,
                  option: str = "epochs", steps: int = 0) -> Schedule:
    """Make the Schedule of ``passes`` over the data.

    As in the model zoo, a run has floor(passes / repeat) epochs of ``repeat`` passes each; but with ``steps``, as many
    as these steps take.

    Args:
        samples: number of training samples.
        passes: passes over the data in the whole run.
        repeat: passes that make one epoch.
        batch_size: samples a step on each rank.
        group_size: number of ranks.
        option: name of the option that sets ``passes``, for the error.
        steps: steps of the run; 0 goes by ``passes``.

    Raises:
        UNetError: the run is shorter than one epoch, or a batch is larger than an epoch.
    """
    if steps:
        per_epoch = Schedule(samples, repeat, 1, batch_size, group_size).steps_per_epoch
        return Schedule(samples, repeat, ceil(steps / per_epoch), batch_size, group_size, steps)
    if passes < repeat:
        raise UNetError(f"{option} {passes} is less than repeat {repeat}, so the run would have no step; {option} "
                        f"counts passes over the data, {repeat} of which make one epoch: raise {option} or lower "
                        f"repeat")
    return Schedule(samples, repeat, passes // repeat, batch_size, group_size)
