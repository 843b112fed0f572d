"""enable_profiling: MindSpore's profile of a few steps of a run."""
import logging
from pathlib import Path
from typing import Any

from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

from src.model_utils.files import make_folder, writing
from src.training.callbacks.callback import Callback
from src.training.trainer import Trainer

logger = logging.getLogger("unet")

# The first steps of a run also fill caches and start threads.
WARM_UP = 2
STEPS = 3

# The host's activity everywhere, and that of the device if it is not the host.
ACTIVITIES = {"Ascend": [ProfilerActivity.CPU, ProfilerActivity.NPU],
              "GPU": [ProfilerActivity.CPU, ProfilerActivity.GPU], "CPU": [ProfilerActivity.CPU]}


class StepProfiler(Callback):
    """Profiles ``STEPS`` steps after the first ``WARM_UP`` steps of this start, and logs where the profile is.

    Args:
        folder (Path): folder of the profile; each process has its own.
        device (str): Ascend, GPU or CPU.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.device = folder, device
        self.seen = 0
        self.profiler: Any = None

    def on_step_end(self, trainer: Trainer) -> None:
        self.seen += 1
        if self.seen == WARM_UP + STEPS:
            self._stop(trainer)

    def on_save(self, trainer: Trainer) -> None:
        # Not in on_step_end: the work of other callbacks there is not part of a step.
        if self.seen == WARM_UP and not trainer.finished:
            with writing(self.folder):
                make_folder(self.folder)
            self.profiler = profile(start_profile=False, activities=ACTIVITIES[self.device],
                                    on_trace_ready=tensorboard_trace_handler(str(self.folder)))
            self.profiler.start()

    def on_train_end(self, trainer: Trainer) -> None:
        if self.profiler:
            self._stop(trainer)
        elif self.seen <= WARM_UP:
            logger.warning("WARNING: nothing was profiled; the run had %d steps, and the first %d are left out",
                           self.seen, WARM_UP)

    def _stop(self, trainer: Trainer) -> None:
        before = set(self.folder.glob("*"))
        self.profiler.stop()
        self.profiler = None
        made = sorted(set(self.folder.glob("*")) - before) or sorted(before)[-1:]
        # MindSpore reports its own errors only in its log.
        if not made or not any(made[-1].rglob("*.*")):
            logger.warning("WARNING: MindSpore wrote no profile into %s; GLOG_v=2 shows its log", self.folder)
            return
        first = trainer.step - (self.seen - WARM_UP) + 1
        logger.info("profile of the steps %d to %d of the run: %s", first, trainer.step, made[-1])
