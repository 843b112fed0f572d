"""Training: builds the optimizer, the training step and the callbacks, and runs them."""
import logging
import time
from pathlib import Path

import numpy as np
from mindspore import Tensor, amp, nn
from mindspore.train.loss_scale_manager import FixedLossScaleManager

from src.callbacks import CheckpointSaver, EpochLossTimeMonitor, StepLossTimeMonitor
from src.checkpoint import checkpoint_folder
from src.cpu_ops import choose_layers
from src.data.pipeline import training_pipeline
from src.data.samples import create_samples
from src.data.schedule import make_schedule
from src.eval_callback import EvalCallBack
from src.loss import build_loss
from src.lr_schedule import build_learning_rate
from src.model_utils import runtime
from src.model_utils.errors import UNetError
from src.networks import build_network, output_size

logger = logging.getLogger("unet")


class Trainer:
    """One training run: the training step, its data, and how far it has come.

    Attributes:
        network (nn.Cell): the network that is trained.
        train_network (nn.Cell): the compiled step: (images, labels) -> loss; holds the optimizer.
        schedule (Schedule): steps of the run.
        step (int): steps done.
        loss (float): loss of the last step.
        wait_seconds, step_seconds (float): time of the last step spent waiting for its batch, and computing.
        stop_requested (bool): set by a callback to end the run after this step.
    """

    def __init__(self, network, train_network, schedule, batches, callbacks):
        self.network = network
        self.train_network = train_network
        self.schedule = schedule
        self.batches = batches
        self.callbacks = callbacks
        self.step = 0
        self.loss = None
        self.wait_seconds = self.step_seconds = 0.0
        self.stop_requested = False

    @property
    def epoch_and_step(self):
        """(epoch, step in the epoch) of the last step, both from 1."""
        return self.schedule.epoch_and_step(self.step)

    def run(self):
        """Train to the end of the schedule, or until a callback asks to stop.

        Raises:
            UNetError: a damaged image, or a loss that is not finite.
        """
        batches = self.batches.create_tuple_iterator(num_epochs=1)
        while self.step < self.schedule.total_steps and not self.stop_requested:
            started = time.perf_counter()
            images, labels = self._next_batch(batches)
            self.wait_seconds = time.perf_counter() - started
            # Evaluation in a callback leaves the network in evaluation mode.
            self.train_network.set_train()
            self.loss = float(_loss_of(self.train_network(images, labels)).asnumpy())
            self.step_seconds = time.perf_counter() - started - self.wait_seconds
            self.step += 1
            self._notify("on_step_end")
            if self.epoch_and_step[1] == self.schedule.steps_per_epoch:
                self._notify("on_epoch_end")
        self._notify("on_train_end")

    def _notify(self, event):
        for callback in self.callbacks:
            getattr(callback, event)(self)

    @staticmethod
    def _next_batch(batches):
        try:
            return next(batches)
        except RuntimeError as error:
            raise _reader_error(error) or error from None


def _reader_error(error):
    """The UNetError that a reader raised inside the pipeline; MindSpore passes it on as text alone."""
    marker = f"{UNetError.__name__}: "
    lines = [line for line in str(error).splitlines() if marker in line]
    return UNetError(lines[-1].split(marker, 1)[1]) if lines else None


def _loss_of(outputs):
    """With a loss scale the step gives (loss, overflow, scale)."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def train(config):
    """Train the network that the options name.

    Returns:
        Trainer: after the run.

    Raises:
        UNetError: options or data that do not fit together; see the message.
    """
    place = runtime.start(config)
    samples, validation = create_samples(config)
    schedule = make_schedule(config, len(samples), place.group_size)
    check_sizes(config, samples)
    if config.run_eval and len(validation) == 0:
        raise UNetError("run_eval is True, but there is no validation image; lower split, or put images into val/")
    network = build_network(config, choose_layers(config.cpu_ops, place.device, config.context_mode))
    train_network = build_train_network(config, network, schedule, place.device)
    config.save(Path(config.output_path) / "config.yaml")
    logger.info("%s on %s: %d training and %d validation images, %d steps of %d images in %d epochs",
                config.model_name, place.device, len(samples), len(validation), schedule.total_steps,
                schedule.batch_size * schedule.group_size, schedule.epochs)
    batches = training_pipeline(samples, schedule, place.rank, num_parallel_workers=config.num_parallel_workers)
    compile_step(train_network, schedule.batch_size, samples, config.context_mode)
    trainer = Trainer(network, train_network, schedule, batches, build_callbacks(config, network, validation, place))
    logger.info("============== Starting Training ==============")
    trainer.run()
    logger.info("============== End Training ==============")
    logger.info("peak memory: %.2f GB", runtime.peak_memory_gb())
    return trainer


def check_sizes(config, samples):
    """Hold the sizes of the samples against the network.

    Raises:
        UNetError: the network cannot take the image, or gives logits of another size than the label.
    """
    image_size, label_size = samples.image_shape[1:], samples.label_shape[1:]
    logits_size = output_size(config.model_name, image_size)
    if logits_size != label_size:
        margins = [size - result for size, result in zip(image_size, logits_size)]
        crop = [side - margin for side, margin in zip(config.image_size, margins)]
        advice = f"set crop to {crop}" if any(margins) else "set crop to None"
        raise UNetError(f"{config.model_name} makes {logits_size[0]}x{logits_size[1]} logits of {image_size[0]}x"
                        f"{image_size[1]} images (height x width), but the labels are {label_size[0]}x{label_size[1]}; "
                        f"{advice}")


def build_train_network(config, network, schedule, device):
    """Network, loss and Adam as one training step: (images, labels) -> loss, or (loss, overflow, scale)."""
    if config.loss_scale != config.FixedLossScaleManager:
        raise UNetError(f"loss_scale {config.loss_scale} and FixedLossScaleManager {config.FixedLossScaleManager} "
                        f"differ; the gradients would be scaled by one and unscaled by the other")
    optimizer = nn.Adam(network.trainable_params(), learning_rate=build_learning_rate(config, schedule.total_steps),
                        weight_decay=config.weight_decay, loss_scale=config.loss_scale)
    level = config.amp_level
    if level == "auto":
        level = "O3" if device == "Ascend" else "O0"
    manager = FixedLossScaleManager(config.FixedLossScaleManager, drop_overflow_update=False)
    return amp.build_train_network(network, optimizer, build_loss(config), level=level, loss_scale_manager=manager)


def compile_step(train_network, batch_size, samples, context_mode):
    """Compile the training graph ahead of the first step, so that the steps' times are their own."""
    if context_mode != "graph":
        return
    started = time.perf_counter()
    train_network.set_train()
    train_network.compile(Tensor(np.zeros((batch_size, *samples.image_shape), np.float32)),
                          Tensor(np.zeros((batch_size, *samples.label_shape), np.float32)))
    logger.info("training graph compiled in %.1f s", time.perf_counter() - started)


def build_callbacks(config, network, validation, place):
    """What happens beside the steps, in this order: log, evaluate, save."""
    callbacks = [StepLossTimeMonitor(config.log_interval), EpochLossTimeMonitor()]
    if place.rank == 0:
        folder = checkpoint_folder(config, place.rank)
        if config.run_eval:
            callbacks.append(EvalCallBack(config, network, validation, folder))
        callbacks.append(CheckpointSaver(folder, config.model_name, config.save_checkpoint_steps,
                                         config.keep_checkpoint_max))
    return callbacks
