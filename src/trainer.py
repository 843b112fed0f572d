"""Training: builds the optimizer, the training step and the callbacks, and runs them."""
import logging
import shlex
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from mindspore import Tensor, amp, nn
from mindspore.train.loss_scale_manager import FixedLossScaleManager

from src import checkpoint
from src.accumulation import AccumulatedStep
from src.callbacks import CheckpointSaver, EpochLossTimeMonitor, StepLossTimeMonitor
from src.checkpoint import checkpoint_folder
from src.cpu_ops import choose_layers
from src.data.check import check_dataset
from src.data.pipeline import training_pipeline
from src.data.samples import create_samples, entries
from src.data.schedule import make_schedule
from src.data.splits import write_splits
from src.eval_callback import EvalCallBack
from src.loss import build_loss
from src.lr_schedule import build_learning_rate
from src.model_utils import runtime
from src.model_utils.errors import UNetError
from src.model_utils.files import remove_leftovers
from src.model_utils.lock import FolderLock
from src.networks import build_network, check_sizes

logger = logging.getLogger("unet")

# Options that make another run of a run, beside its steps.
WHAT_COUNTS = ("model_name", "seed", "dataset", "image_size", "crop", "cross_valid_ind", "split", "splits",
               "train_augment", "augmentation", "input_range", "train_crop", "augment_rot90", "augment_elastic",
               "lr", "lr_schedule", "warmup_steps", "min_lr", "weight_decay", "accumulate_steps", "loss",
               "class_weights", "border_weight", "ds_weights")


class Trainer:
    """One training run: the training step, its data, and how far it has come.

    Attributes:
        train_network (nn.Cell): the compiled step: (images, labels) -> loss; holds network and optimizer.
        schedule (Schedule): steps of the run.
        callbacks (list[Callback]): what happens beside the steps.
        about (dict): what the run depends on, for the checkpoints.
        folder (Path): where the checkpoints are.
        step (int): steps done.
        loss (float): loss of the last step.
        wait_seconds, step_seconds (float): time of the last step spent waiting for its batch, and computing.
    """

    def __init__(self, train_network, schedule, callbacks, about, folder):
        self.train_network = train_network
        self.schedule = schedule
        self.callbacks = callbacks
        self.about = about
        self.folder = folder
        self.step = 0
        self.loss = None
        self.wait_seconds = self.step_seconds = 0.0

    @property
    def epoch_and_step(self):
        """(epoch, step in the epoch) of the last step, both from 1."""
        return self.schedule.epoch_and_step(self.step)

    @property
    def at_epoch_end(self):
        """Whether the last step was the last of its epoch."""
        return self.epoch_and_step[1] == self.schedule.steps_per_epoch

    @property
    def finished(self):
        """Whether all steps of the schedule are done."""
        return self.step >= self.schedule.total_steps

    def state(self):
        """All that a checkpoint has to hold besides network and optimizer.

        The position in the data follows from the step and the seed.
        """
        return {**self.about, "step": self.step,
                "callbacks": {type(callback).__name__: callback.state() for callback in self.callbacks}}

    def restore(self, state):
        """Take up a run where ``state`` was taken."""
        self.step = state["step"]
        for callback in self.callbacks:
            callback.restore(state.get("callbacks", {}).get(type(callback).__name__, {}))
        for key, value in self.about.items():
            if key in state and state[key] != value:
                logger.warning("WARNING: %s was %s and is %s now; the run will not be what it would have been without "
                               "the stop", key, state[key], value)

    def run(self, batches, interrupted):
        """Train on ``batches`` (those from ``step`` on) to the end of the schedule, or until ``interrupted()``.

        Raises:
            UNetError: a damaged image, or a loss that is not finite.
        """
        iterator = batches.create_tuple_iterator(num_epochs=1)
        while not self.finished and not interrupted():
            started = time.perf_counter()
            images, labels = self._next_batch(iterator)
            self.wait_seconds = time.perf_counter() - started
            # Evaluation in a callback leaves the network in evaluation mode.
            self.train_network.set_train()
            self.loss = float(self.train_network(images, labels).asnumpy())
            self.step_seconds = time.perf_counter() - started - self.wait_seconds
            self.step += 1
            self._notify("on_step_end")
            if self.at_epoch_end:
                self._notify("on_epoch_end")
            self._notify("on_step_done")
        self.end()

    def end(self):
        """Do what is left to do at the end of a run, or of its last step."""
        if self.step:
            self._notify("on_train_end")

    def _notify(self, event):
        for callback in self.callbacks:
            getattr(callback, event)(self)

    @staticmethod
    def _next_batch(iterator):
        try:
            return next(iterator)
        except RuntimeError as error:
            raise _reader_error(error) or error from None


def _reader_error(error):
    """The UNetError that a reader raised inside the pipeline; MindSpore passes it on as text alone."""
    marker = f"{UNetError.__name__}: "
    lines = [line for line in str(error).splitlines() if marker in line]
    return UNetError(lines[-1].split(marker, 1)[1]) if lines else None


def train(config, interrupted=lambda: False):
    """Train the network that the options name.

    Args:
        config (Config): options.
        interrupted (callable): asked after each step whether to stop.

    Returns:
        Trainer: after the run.

    Raises:
        UNetError: options or data that do not fit together, a folder that cannot be written; see the message.
    """
    if config.resume and config.transfer_training:
        raise UNetError("resume and transfer_training are both True; resume continues a run, transfer_training starts "
                        "a new one from its weights")
    place = runtime.start(config)
    samples, validation = create_samples(config)
    schedule = make_schedule(config, len(samples), place.group_size)
    check_sizes(config, samples.image_shape[1:], samples.label_shape[1:])
    if config.run_eval and len(validation) == 0:
        raise UNetError("run_eval is True, but there is no validation image; lower split, or put images into val/")
    amp_level = resolve_amp_level(config.amp_level, place.device)
    network = build_network(config, choose_layers(config.cpu_ops, place.device, config.context_mode, amp_level))
    loss = build_loss(config, samples.class_counts)
    train_network = build_train_network(config, network, loss, schedule.total_steps, amp_level)
    trainer = Trainer(train_network, schedule, build_callbacks(config, network, samples, validation, place),
                      describe(config, schedule, samples.scale()), checkpoint_folder(config))
    with FolderLock(config.output_path) if place.rank == 0 else nullcontext():
        start_from_checkpoint(config, network, trainer)
        if place.rank == 0:
            for folder in (Path(config.output_path), trainer.folder):
                remove_leftovers(folder)
            # The file is there to resume with, not to transfer once more.
            config.replace(transfer_training=False).save(Path(config.output_path) / "config.yaml")
            write_splits(Path(config.output_path) / "splits.json", entries(samples, config.data_path),
                         entries(validation, config.data_path))
            if config.check_dataset:
                check_dataset(samples, validation, Path(config.output_path) / "dataset.json", quick=True)
        return run(config, trainer, samples, place, interrupted)


def describe(config, schedule, scale):
    """What makes two runs the same run, for the checkpoints; prediction takes ``scale`` from there too."""
    return {**{key: getattr(config, key) for key in WHAT_COUNTS}, "samples": schedule.samples,
            "repeat": schedule.repeat, "batch_size": schedule.batch_size, "group_size": schedule.group_size,
            "total_steps": schedule.total_steps, "scale": scale}


def start_from_checkpoint(config, network, trainer):
    """Resume a run or transfer weights, where the options ask for it."""
    if config.transfer_training:
        checkpoint.transfer(network, config.resume_ckpt, config.filter_weight)
    elif config.resume:
        path = config.resume_ckpt
        if path == "auto":
            path = checkpoint.newest_whole(trainer.folder, config.model_name)
            if path is None:
                logger.warning("WARNING: no whole checkpoint in %s; the run starts at its beginning", trainer.folder)
                return
        trainer.restore(checkpoint.resume(trainer.train_network, network, path))


def run(config, trainer, samples, place, interrupted):
    """Run the steps that are left, with the lines that users know around them."""
    schedule = trainer.schedule
    images = schedule.batch_size * schedule.group_size
    logger.info("%s on %s: %d training images, %d steps of %d images in %d epochs", config.model_name, place.device,
                len(samples), schedule.total_steps, images, schedule.epochs)
    if trainer.finished:
        logger.info("nothing is left to train: step %d of %d is done; raise epochs to go on", trainer.step,
                    schedule.total_steps)
        trainer.end()
        return trainer
    if trainer.step:
        logger.info("continuing behind step %d, epoch %d", trainer.step, trainer.epoch_and_step[0])
    batches = training_pipeline(samples, schedule, place.rank, trainer.step,
                                num_parallel_workers=config.num_parallel_workers)
    compile_step(trainer.train_network, schedule.batch_size, samples, config.context_mode)
    logger.info("============== Starting Training ==============")
    trainer.run(batches, interrupted)
    if trainer.finished:
        logger.info("============== End Training ==============")
    else:
        logger.info("stopped behind step %d of %d; to go on: python train.py --config_path=%s --resume=True "
                    "--resume_ckpt=auto", trainer.step, schedule.total_steps,
                    shlex.quote(str(Path(config.output_path) / "config.yaml")))
    logger.info("peak memory: %.2f GB", runtime.peak_memory_gb())
    return trainer


def resolve_amp_level(option, device):
    """The level of mixed precision: ``auto`` is float16 on Ascend, and float32 where float16 is no faster."""
    if option != "auto":
        return option
    return "O3" if device == "Ascend" else "O0"


def build_train_network(config, network, loss, total_steps, amp_level):
    """Network, loss and Adam as one training step: (images, labels) -> loss; in parts with accumulate_steps."""
    if config.loss_scale != config.FixedLossScaleManager:
        raise UNetError(f"loss_scale {config.loss_scale} and FixedLossScaleManager {config.FixedLossScaleManager} "
                        f"differ; the gradients would be scaled by one and unscaled by the other")
    optimizer = nn.Adam(network.trainable_params(), learning_rate=build_learning_rate(config, total_steps),
                        weight_decay=config.weight_decay, loss_scale=config.loss_scale)
    manager = FixedLossScaleManager(config.FixedLossScaleManager, drop_overflow_update=False)
    step = amp.build_train_network(network, optimizer, loss, level=amp_level, loss_scale_manager=manager)
    return step if config.accumulate_steps == 1 else AccumulatedStep(step, config.accumulate_steps)


def compile_step(train_network, batch_size, samples, context_mode):
    """Compile the training graph ahead of the first step, so that the steps' times are their own."""
    if context_mode != "graph":
        return
    started = time.perf_counter()
    train_network.set_train()
    train_network.compile(Tensor(np.zeros((batch_size, *samples.image_shape), np.float32)),
                          Tensor(np.zeros((batch_size, *samples.label_shape), np.float32)))
    logger.info("training graph compiled in %.1f s", time.perf_counter() - started)


def build_callbacks(config, network, samples, validation, place):
    """What happens beside the steps, in this order: log, evaluate, save."""
    callbacks = [StepLossTimeMonitor(config.log_interval), EpochLossTimeMonitor()]
    if place.rank == 0:
        folder = checkpoint_folder(config, place.rank)
        if config.run_eval:
            train_samples = samples.as_validation(validation.keep_label_size) if config.eval_train else None
            callbacks.append(EvalCallBack(config, network, validation, folder, train_samples))
        callbacks.append(CheckpointSaver(folder, config.model_name, config.save_checkpoint_steps,
                                         config.keep_checkpoint_max))
    return callbacks
