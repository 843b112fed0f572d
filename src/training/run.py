"""Training: builds the network, the training step and the callbacks, and runs them."""
import logging
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, amp, nn
from mindspore.train.loss_scale_manager import FixedLossScaleManager

from src.cpu_ops import choose_backend
from src.data.dataset_check import check_dataset
from src.data.pipeline import training_pipeline
from src.data.samples import TrainingSamples, ValidationSamples, create_samples, entries
from src.data.schedule import Schedule, make_schedule
from src.data.splits import write_splits
from src.evaluation.scores import Scores
from src.model_utils import memory
from src.model_utils.config import Config, options_that_stay
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import CONFIG_YAML, DATASET_JSON, SPLITS_JSON, remove_leftovers
from src.model_utils.lock import FolderLock
from src.model_utils.ranks import Ranks
from src.model_utils.runtime import Runtime, start_runtime
from src.networks.registry import NetworkSpec, build_network, check_sizes
from src.report.gallery import Gallery
from src.report.history import History
from src.training import checkpoint
from src.training.callbacks.callback import Callback
from src.training.callbacks.checkpoint import CheckpointSaver
from src.training.callbacks.evaluation import EvalCallBack
from src.training.callbacks.log import EpochLossTimeMonitor, StepLossTimeMonitor
from src.training.callbacks.profiler import StepProfiler
from src.training.callbacks.progress_bar import LiveLine, on_terminal
from src.training.callbacks.records import HistoryWriter, ProgressPicture, ReportWriter
from src.training.callbacks.tensorboard import TensorBoardLog
from src.training.checkpoint_files import checkpoint_folder
from src.training.evaluation import EvaluationPlan
from src.training.losses import LossOptions, build_loss
from src.training.lr_schedule import WarmupCosine, build_learning_rate, learning_rates
from src.training.step import AccumulatedStep, compile_step
from src.training.trainer import Trainer

logger = logging.getLogger("unet")

# Options that set the number of steps. The identity of a run holds that number instead.
SCHEDULE_OPTIONS = {"epochs", "distribute_epochs", "distribute_batchsize"}


def train(config: Config, interrupted: Callable[[], object] = lambda: False) -> Trainer:
    """Train a network as the options say.

    Args:
        config (Config): options.
        interrupted (callable): called after each step; a true value stops the run.

    Returns:
        Trainer: after the run.

    Raises:
        UNetError: options or data that do not fit together, or a folder that cannot be written; the message says which.
    """
    check_options(config)
    runtime = start_runtime(config)
    ranks = Ranks(runtime.rank, runtime.group_size)
    with ExitStack() as held:
        with ranks.reporting_failure():
            network, trainer, samples, validation = build(config, runtime, ranks)
            if runtime.rank == 0:
                held.enter_context(FolderLock(config.output_path))
            start_from_checkpoint(config, network, trainer)
            if trainer.folder == checkpoint_folder(config.output_path, config.checkpoint_path, runtime.rank):
                remove_leftovers(trainer.folder)
            if runtime.rank == 0:
                fill_output_folder(config, samples, validation)
        check_same_step(trainer)
        held.callback(trainer.close)
        return run(config, trainer, samples, runtime, interrupted)


def check_options(config: Config) -> None:
    """Raise UNetError for options that contradict each other."""
    if config.resume and config.transfer_training:
        raise UNetError("resume and transfer_training are both True; resume continues a run, transfer_training starts "
                        "a new one from its weights")
    if config.early_stop_patience and not config.run_eval:
        raise UNetError("early_stop_patience counts evaluations, and run_eval is False; set run_eval to True")
    if config.loss_scale != config.FixedLossScaleManager:
        raise UNetError(f"loss_scale {config.loss_scale} and FixedLossScaleManager {config.FixedLossScaleManager} "
                        f"differ; the gradients would be scaled by one and unscaled by the other")


def build(config: Config, runtime: Runtime, ranks: Ranks) -> tuple[Any, Trainer, TrainingSamples, ValidationSamples]:
    """Build what a run needs: the network, its Trainer, and the samples for training and validation."""
    samples, validation = create_samples(config)
    schedule = build_schedule(config, len(samples), runtime.group_size)
    check_sizes(config.model_name, samples.image_shape[1:], samples.label_shape[1:], config.image_size)
    if config.run_eval and len(validation) == 0:
        raise UNetError("run_eval is True, but there is no validation image; lower split, or put images into val/")
    amp_level = resolve_amp_level(config.amp_level, runtime.device)
    network = build_network(NetworkSpec.from_config(config), choose_backend(config, runtime.device, amp_level))
    loss = build_loss(LossOptions.from_config(config), samples.class_counts)
    learning_rate = build_learning_rate(config.lr_schedule, config.lr, schedule.total_steps, config.warmup_steps,
                                        config.min_lr)
    train_network = build_train_network(config, network, loss, learning_rate, amp_level)
    folder = checkpoint_folder(config.output_path, config.checkpoint_path,
                               0 if config.is_save_on_master else runtime.rank)
    observers = []
    if runtime.rank == 0:
        observers += build_evaluation(config, network, samples, validation)
        observers += build_records(config, runtime.device, learning_rate, schedule)
    callbacks = build_callbacks(config, runtime, schedule, folder, observers)
    identity = run_identity(config, schedule, samples.scale(), runtime.device, amp_level)
    return network, Trainer(train_network, schedule, callbacks, identity, folder, ranks), samples, validation


def epochs_option(config: Config) -> str:
    """Return the name of the option that sets the length of the run."""
    return "distribute_epochs" if config.run_distribute else "epochs"


def build_schedule(config: Config, samples: int, group_size: int) -> Schedule:
    """Build the schedule of a run over ``samples`` training samples on ``group_size`` ranks.

    Raises:
        UNetError: no whole epoch, or a batch larger than an epoch.
    """
    option = epochs_option(config)
    batch_size = (config.run_distribute and config.distribute_batchsize) or config.batch_size
    return make_schedule(samples, getattr(config, option), config.repeat, batch_size * config.accumulate_steps,
                         group_size, option)


def fill_output_folder(config: Config, samples: TrainingSamples, validation: ValidationSamples) -> None:
    """Write the files that are known before the first step: the options, the split, and the check of the data set."""
    output = Path(config.output_path)
    remove_leftovers(output)
    # This file serves to resume the run, so it must not transfer again.
    config.replace(transfer_training=False).save(output / CONFIG_YAML)
    write_splits(output / SPLITS_JSON, entries(samples, config.data_path), entries(validation, config.data_path))
    if config.check_dataset:
        check_dataset(samples, validation, output / DATASET_JSON, quick=True)


def check_same_step(trainer: Trainer) -> None:
    """Raise UNetError unless all ranks resume after the same step. Servers may not share their checkpoints."""
    steps = trainer.ranks.values(trainer.step)
    if len(set(steps)) > 1:
        found = first_few([f"{step:.0f}" for step in steps], 16)
        raise UNetError(f"the ranks would resume after different steps: {found}; give all of them the same checkpoint "
                        f"with --resume_ckpt, or output_path on a shared disk")


def run_identity(config: Config, schedule: Schedule, scale: float, device: str, amp_level: str) -> dict[str, Any]:
    """Return what the course of a run depends on. Checkpoints store it, and prediction takes ``scale`` from there."""
    options = {name: getattr(config, name) for name in options_that_stay("same") if name not in SCHEDULE_OPTIONS}
    return {**options, "device_target": device, "amp_level": amp_level, "samples": schedule.samples,
            "repeat": schedule.repeat, "batch_size": schedule.batch_size, "group_size": schedule.group_size,
            "total_steps": schedule.total_steps, "scale": scale}


def start_from_checkpoint(config: Config, network: Any, trainer: Trainer) -> None:
    """Resume a run or transfer weights, if the options say so."""
    if config.transfer_training:
        checkpoint.transfer(network, config.resume_ckpt, config.filter_weight)
    elif config.resume:
        path = config.resume_ckpt
        if path == "auto":
            path = checkpoint.newest_readable(trainer.folder, config.model_name)
            if path is None:
                logger.warning("WARNING: no whole checkpoint in %s; the run starts at its beginning", trainer.folder)
                return
        trainer.restore(checkpoint.resume(trainer.train_network, network, path))


def run(config: Config, trainer: Trainer, samples: TrainingSamples, runtime: Runtime,
        interrupted: Callable[[], object]) -> Trainer:
    """Run the steps that are left, and log the start and the end of the run."""
    schedule = trainer.schedule
    logger.info("%s on %s: %d training images, %d steps of %d images in %d epochs", config.model_name, runtime.device,
                len(samples), schedule.total_steps, schedule.images_per_step, schedule.epochs)
    trainer.begin()
    if trainer.over:
        logger.info("nothing is left to train: step %d of %d is done; raise %s to train longer", trainer.step,
                    schedule.total_steps, epochs_option(config) if trainer.finished else "early_stop_patience")
        trainer.end()
        return trainer
    if trainer.step:
        logger.info("resuming after step %d, epoch %d", trainer.step, trainer.epoch_and_step[0])
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
        logger.info("stopped after step %d of %d; resume with: %s --resume=True --resume_ckpt=auto", trainer.step,
                    schedule.total_steps, _start_command(config))
    logger.info("peak memory: %.2f GB", memory.peak_memory_gb())
    return trainer


def _start_command(config: Config) -> str:
    """Return the command that starts this run again, without the options that resume it."""
    output = shlex.quote(config.output_path)
    options = shlex.quote(str(Path(config.output_path) / CONFIG_YAML))
    if config.run_distribute:
        return f"the same launcher with CONFIG_PATH {options} and --output_path={output}"
    return f"python train.py --config_path={options}"


def resolve_amp_level(option: str, device: str) -> str:
    """Return the level of mixed precision. ``auto`` is float16 on Ascend, and float32 where float16 is no faster."""
    if option != "auto":
        return option
    return "O3" if device == "Ascend" else "O0"


def build_train_network(config: Config, network: Any, loss: Any, learning_rate: float | WarmupCosine,
                        amp_level: str) -> Any:
    """Build the training step of network, loss and Adam: (images, labels) -> loss; in parts with accumulate_steps."""
    optimizer = nn.Adam(network.trainable_params(), learning_rate=learning_rate, weight_decay=config.weight_decay,
                        loss_scale=config.loss_scale)
    manager = FixedLossScaleManager(config.FixedLossScaleManager, drop_overflow_update=False)
    step = amp.build_train_network(network, optimizer, loss, level=amp_level, loss_scale_manager=manager)
    return step if config.accumulate_steps == 1 else AccumulatedStep(step, config.accumulate_steps)


# ---- callbacks


def build_evaluation(config: Config, network: Any, samples: TrainingSamples,
                     validation: ValidationSamples) -> list[Callback]:
    """Build the callback that evaluates, if run_eval says so."""
    if not config.run_eval:
        return []
    train_samples = samples.as_validation(validation.keep_label_size) if config.eval_train else None
    return [EvalCallBack(network, validation, EvaluationPlan.from_config(config), train_samples)]


def build_records(config: Config, device: str, learning_rate: float | WarmupCosine,
                  schedule: Schedule) -> list[Callback]:
    """Build the callbacks that write the records of a run into the output folder."""
    output = Path(config.output_path)
    history = History(output)
    rates = learning_rates(learning_rate, schedule.total_steps)
    records: list[Callback] = [HistoryWriter(history, rates, schedule.images_per_step),
                               ProgressPicture(output, history)]
    if config.run_eval:
        records.append(ReportWriter(partial(write_report, config, device)))
    if config.tensorboard:
        records.append(TensorBoardLog(output / "tensorboard", history))
    return records


def write_report(config: Config, device: str, model: str, scores: Scores, gallery: Gallery) -> None:
    """Write report.html about an evaluation; ``model`` says which weights were evaluated."""
    from src.report import page  # matplotlib takes a second to load

    page.write_report(config, page.ReportInput("train.py", model, device, scores, gallery))


def build_callbacks(config: Config, runtime: Runtime, schedule: Schedule, folder: Path,
                    observers: list[Callback]) -> list[Callback]:
    """Build the list of callbacks, each of which acts on an event before the next one does.

    Args:
        config (Config): options.
        runtime (Runtime): device and rank.
        schedule (Schedule): steps of the run.
        folder (Path): folder of the checkpoints.
        observers (list[Callback]): the callbacks that evaluate and record, only on rank 0. They come before
            CheckpointSaver, so a checkpoint holds the result of an evaluation after the same step.
    """
    is_live = runtime.rank == 0 and on_terminal()
    callbacks = [StepLossTimeMonitor(0 if is_live else config.log_interval), EpochLossTimeMonitor(), *observers]
    if is_live:
        callbacks.append(LiveLine(schedule.images_per_step))
    if runtime.rank == 0 or not config.is_save_on_master:
        callbacks.append(CheckpointSaver(folder, config.model_name, config.save_checkpoint_steps,
                                         config.keep_checkpoint_max, config.save_best_ckpt))
    if config.enable_profiling:
        callbacks.append(StepProfiler(Path(config.output_path) / "profile" / f"rank_{runtime.rank}", runtime.device))
    return callbacks
