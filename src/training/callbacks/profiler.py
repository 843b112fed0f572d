"""enable_profiling: MindSpore's profile of a few steps of a run."""
import logging

from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

from src.training.callbacks.callback import Callback

logger = logging.getLogger("unet")

# The first steps of a run also fill caches and start threads.
WARM_UP = 2
STEPS = 3

# The host's side is worth seeing everywhere; the device's own where there is one.
ACTIVITIES = {"Ascend": [ProfilerActivity.CPU, ProfilerActivity.NPU],
              "GPU": [ProfilerActivity.CPU, ProfilerActivity.GPU], "CPU": [ProfilerActivity.CPU]}


class StepProfiler(Callback):
    """Profiles ``STEPS`` steps, behind the first ``WARM_UP`` that it sees, and says where the profile is.

    Args:
        folder (Path): where to; each process has one of its own.
        device (str): Ascend, GPU or CPU.
    """

    def __init__(self, folder, device):
        self.folder, self.device = folder, device
        self.seen, self.profiler = 0, None

    def on_step_end(self, trainer):
        self.seen += 1
        if self.seen == WARM_UP + STEPS:
            self._stop(trainer)

    def on_step_done(self, trainer):
        # Here, and not at the end of the step: what other callbacks do then is not the step's.
        if self.seen == WARM_UP and not trainer.finished:
            self.profiler = profile(start_profile=False, activities=ACTIVITIES[self.device],
                                    on_trace_ready=tensorboard_trace_handler(str(self.folder)))
            self.profiler.start()

    def on_train_end(self, trainer):
        if self.profiler:
            self._stop(trainer)
        elif self.seen <= WARM_UP:
            logger.warning("WARNING: nothing was profiled; the run had %d steps, and the first %d are left out",
                           self.seen, WARM_UP)

    def _stop(self, trainer):
        before = set(self.folder.glob("*"))
        self.profiler.stop()
        self.profiler = None
        made = sorted(set(self.folder.glob("*")) - before) or sorted(before)[-1:]
        # MindSpore reports its own faults in its log alone.
        if not made or not any(made[-1].rglob("*.*")):
            logger.warning("WARNING: MindSpore wrote no profile into %s; GLOG_v=2 shows its log", self.folder)
            return
        first = trainer.step - (self.seen - WARM_UP) + 1
        logger.info("profile of the steps %d to %d of the run: %s", first, trainer.step, made[-1])
