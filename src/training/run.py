"""Training: builds the network, the training step and the callbacks, and runs them."""
import logging
import shlex
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from mindspore import Tensor, amp, nn
from mindspore.train.loss_scale_manager import FixedLossScaleManager

from src.cpu_ops import choose_backend
from src.data.dataset_check import check_dataset
from src.data.pipeline import training_pipeline
from src.data.samples import create_samples, entries
from src.data.schedule import make_schedule
from src.data.splits import write_splits
from src.model_utils import memory
from src.model_utils.config import options_to_resume_with
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import CONFIG_YAML, DATASET_JSON, SPLITS_JSON, remove_leftovers
from src.model_utils.lock import FolderLock
from src.model_utils.ranks import Ranks
from src.model_utils.runtime import start_runtime
from src.networks.registry import NetworkSpec, build_network, check_sizes
from src.report.history import History
from src.training import checkpoint
from src.training.callbacks.checkpoint import CheckpointSaver
from src.training.callbacks.evaluation import EvalCallBack
from src.training.callbacks.log import EpochLossTimeMonitor, StepLossTimeMonitor
from src.training.callbacks.profiler import StepProfiler
from src.training.callbacks.progress_bar import LiveLine, on_terminal
from src.training.callbacks.records import HistoryWriter, ProgressPicture, ReportWriter
from src.training.callbacks.tensorboard import TensorBoardLog
from src.training.checkpoint_files import checkpoint_folder
from src.training.losses import build_loss
from src.training.lr_schedule import build_learning_rate, learning_rates
from src.training.step import AccumulatedStep
from src.training.trainer import Trainer

logger = logging.getLogger("unet")

# What the schedule says better: the steps that come of them.
SCHEDULE_OPTIONS = {"epochs", "distribute_epochs", "distribute_batchsize"}


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
    runtime = start_runtime(config)
    ranks = Ranks(runtime.rank, runtime.group_size)
    with ExitStack() as held:
        with ranks.reporting_failure():
            network, trainer, samples, validation = build(config, runtime, ranks)
            if runtime.rank == 0:
                held.enter_context(FolderLock(config.output_path))
            start_from_checkpoint(config, network, trainer)
            if trainer.folder == checkpoint_folder(config, runtime.rank):
                remove_leftovers(trainer.folder)
            if runtime.rank == 0:
                fill_output_folder(config, samples, validation)
        check_same_step(trainer)
        held.callback(trainer.close)
        return run(config, trainer, samples, runtime, interrupted)


def build(config, runtime, ranks):
    """Everything that a run needs: (network, Trainer, TrainingSamples, ValidationSamples)."""
    samples, validation = create_samples(config)
    schedule = make_schedule(config, len(samples), runtime.group_size)
    check_sizes(config.model_name, samples.image_shape[1:], samples.label_shape[1:], config.image_size)
    if config.run_eval and len(validation) == 0:
        raise UNetError("run_eval is True, but there is no validation image; lower split, or put images into val/")
    amp_level = resolve_amp_level(config.amp_level, runtime.device)
    network = build_network(NetworkSpec.from_config(config), choose_backend(config, runtime.device, amp_level))
    loss = build_loss(config, samples.class_counts)
    train_network = build_train_network(config, network, loss, schedule.total_steps, amp_level)
    folder = checkpoint_folder(config, 0 if config.is_save_on_master else runtime.rank)
    callbacks = build_callbacks(config, network, samples, validation, runtime, folder, schedule)
    return (network, Trainer(train_network, schedule, callbacks, describe(config, schedule, samples.scale()), folder,
                             ranks), samples, validation)


def fill_output_folder(config, samples, validation):
    """Write what is known before the first step: options, split, and what the data set looks like."""
    output = Path(config.output_path)
    remove_leftovers(output)
    # The file is there to resume with, not to transfer once more.
    config.replace(transfer_training=False).save(output / CONFIG_YAML)
    write_splits(output / SPLITS_JSON, entries(samples, config.data_path), entries(validation, config.data_path))
    if config.check_dataset:
        check_dataset(samples, validation, output / DATASET_JSON, quick=True)


def check_same_step(trainer):
    """Raise UNetError unless all ranks go on behind the same step: servers may not share their checkpoints."""
    steps = trainer.ranks.values(trainer.step)
    if len(set(steps)) > 1:
        found = first_few([f"{step:.0f}" for step in steps], 16)
        raise UNetError(f"the ranks would resume after different steps: {found}; "
                        f"give all of them the same checkpoint with --resume_ckpt, or output_path on a shared disk")


def describe(config, schedule, scale):
    """What makes two runs the same run, for the checkpoints; prediction takes ``scale`` from there too."""
    options = {name: getattr(config, name) for name in options_to_resume_with() if name not in SCHEDULE_OPTIONS}
    return {**options, "samples": schedule.samples,
            "repeat": schedule.repeat, "batch_size": schedule.batch_size, "group_size": schedule.group_size,
            "total_steps": schedule.total_steps, "scale": scale}


def _what_to_raise(config, trainer):
    """The option that ended the run."""
    if not trainer.finished:
        return "early_stop_patience"
    return "distribute_epochs" if config.run_distribute else "epochs"


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


def run(config, trainer, samples, runtime, interrupted):
    """Run the steps that are left, with the lines that users know around them."""
    schedule = trainer.schedule
    logger.info("%s on %s: %d training images, %d steps of %d images in %d epochs", config.model_name, runtime.device,
                len(samples), schedule.total_steps, schedule.images_per_step, schedule.epochs)
    trainer.begin()
    if trainer.over:
        logger.info("nothing is left to train: step %d of %d is done; raise %s to go on", trainer.step,
                    schedule.total_steps, _what_to_raise(config, trainer))
        trainer.end()
        return trainer
    if trainer.step:
        logger.info("continuing behind step %d, epoch %d", trainer.step, trainer.epoch_and_step[0])
    batches = training_pipeline(samples, schedule, runtime.rank, trainer.step,
                                num_parallel_workers=config.num_parallel_workers)
    if config.context_mode == "graph":
        compile_step(trainer.train_network, *(Tensor(np.zeros((schedule.batch_size, *shape), np.float32))
                                              for shape in (samples.image_shape, samples.label_shape)))
    logger.info("============== Starting Training ==============")
    trainer.run(batches, interrupted)
    if trainer.over:
        logger.info("============== End Training ==============")
    else:
        logger.info("stopped behind step %d of %d; to go on: %s --resume=True --resume_ckpt=auto", trainer.step,
                    schedule.total_steps, _same_run(config))
    logger.info("peak memory: %.2f GB", memory.peak_memory_gb())
    return trainer


def _same_run(config):
    """The command that takes up this run, but for its options on resuming."""
    output = shlex.quote(config.output_path)
    options = shlex.quote(str(Path(config.output_path) / CONFIG_YAML))
    if config.run_distribute:
        return f"the same launcher with CONFIG_PATH {options} and --output_path={output}"
    return f"python train.py --config_path={options}"


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


def compile_step(train_network, images, labels):
    """Compile the training graph ahead of the first step, so that the steps' times are their own.

    Args:
        train_network (Cell): what build_train_network gives.
        images, labels (Tensor): a batch, of which the shapes alone count.
    """
    started = time.perf_counter()
    train_network.set_train()
    train_network.compile(images, labels)
    memory.release_free_memory()
    logger.info("training graph compiled in %.1f s", time.perf_counter() - started)


def build_callbacks(config, network, samples, validation, runtime, folder, schedule):
    """What happens beside the steps, in this order: log, evaluate, record, save."""
    if config.early_stop_patience and not config.run_eval:
        raise UNetError("early_stop_patience counts evaluations, and run_eval is False; set run_eval to True")
    is_live = runtime.rank == 0 and on_terminal()
    callbacks = [StepLossTimeMonitor(0 if is_live else config.log_interval), EpochLossTimeMonitor()]
    if runtime.rank == 0 and config.run_eval:
        train_samples = samples.as_validation(validation.keep_label_size) if config.eval_train else None
        callbacks.append(EvalCallBack(config, network, validation, folder, train_samples))
    if runtime.rank == 0:
        callbacks += build_records(config, runtime.device, schedule)
    if is_live:
        callbacks.append(LiveLine(schedule.images_per_step))
    if runtime.rank == 0 or not config.is_save_on_master:
        callbacks.append(CheckpointSaver(folder, config.model_name, config.save_checkpoint_steps,
                                         config.keep_checkpoint_max))
    if config.enable_profiling:
        callbacks.append(StepProfiler(Path(config.output_path) / "profile" / f"rank_{runtime.rank}", runtime.device))
    return callbacks


def build_records(config, device, schedule):
    """What writes down the course of the run."""
    output = Path(config.output_path)
    history = History(output)
    rates = learning_rates(build_learning_rate(config, schedule.total_steps), schedule.total_steps)
    records = [HistoryWriter(history, rates, schedule.images_per_step), ProgressPicture(output, history)]
    if config.run_eval:
        records.append(ReportWriter(config, device))
    if config.tensorboard:
        records.append(TensorBoardLog(output / "tensorboard", history))
    return records
