"""Training: builds the network, the training step and the callbacks, and runs them."""
import logging
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from src.cpu_ops import choose_backend
from src.data.data_options import class_names
from src.data.dataset_check import LISTS_ALL, Findings, check_not_empty, find_faults, raise_faults
from src.data.fingerprint import fingerprint
from src.data.input_options import GEOMETRY
from src.data.location import data_root
from src.data.pipeline import training_batches
from src.data.samples import TrainingSamples, ValidationSamples, create_samples, entries
from src.data.schedule import Schedule, make_schedule
from src.data.splits import write_splits
from src.data.trained_geometry import TrainedGeometry
from src.model_utils import memory
from src.model_utils.config import Config
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import (
    CLASS_COUNTS_JSON,
    CONFIG_YAML,
    DATASET_JPG,
    DATASET_JSON,
    SPLITS_JSON,
    OptionalFile,
    remove_leftovers,
)
from src.model_utils.lock import FolderLock
from src.model_utils.options import NATIVE
from src.model_utils.ranks import Ranks
from src.model_utils.runtime import Runtime, seed, start_runtime
from src.model_utils.schema import options_that_stay
from src.networks.dropout import DropoutKeys
from src.networks.registry import NetworkSpec, build_network, check_sizes
from src.report.dataset_pictures import write_pictures
from src.training.checkpoint_files import checkpoint_folder
from src.training.class_weights import class_weights
from src.training.losses import LossOptions, build_loss
from src.training.lr_schedule import WarmupCosine, build_learning_rate
from src.training.next_commands import say_how_to_predict, say_how_to_train_on, start_command
from src.training.run_callbacks import build_callbacks, build_evaluation, build_records
from src.training.run_folder import RunFolder, saving_folder
from src.training.run_length import as_trial, check_length, epochs_option, fit, is_settled, warn_of_ignored
from src.training.start import Start, bring_best, bring_history, find_place, load_start, stored_length
from src.training.step import AccumulatedStep, build_step, compile_step
from src.training.trainer import Trainer
from src.training.trial import try_out
from src.training.weight_average import WeightAverage

logger = logging.getLogger("unet")

# Options that set the number of steps. The identity of a run holds that number instead.
SCHEDULE_OPTIONS = {"epochs", "total_steps", "distribute_epochs", "distribute_batchsize"}


def train(config: Config, interrupted: Callable[[], object] = lambda: False, began: float | None = None) -> Trainer:
    """Train a network as the options say.

    Args:
        config (Config): options.
        interrupted (callable): called after each step; a true value stops the run.
        began (float): time.monotonic() from which on minutes count; None counts from now on.

    Returns:
        Trainer: after the run.

    Raises:
        UNetError: options or data that do not fit together, or a folder that cannot be written; the message says which.
    """
    began = time.monotonic() if began is None else began
    check_options(config)
    runtime = start_runtime(config)
    ranks = Ranks(runtime.rank, runtime.group_size)
    with ExitStack() as held:
        with ranks.reporting_failure():
            config, start, folder = find_place(config, runtime, ranks)
            config = stored_length(config, start)
            samples, validation = create_samples(config)
            check_not_empty(samples, validation, config)
            findings = None
            if config.check_dataset and runtime.rank == 0:
                findings = find_faults(samples, validation, class_names(config), quick=True)
                raise_faults(findings.faults, LISTS_ALL)
            # The option auto is settled by the data, and stored as such.
            config = config.replace(normalize=samples.transform.normalization.mode)
            settled = is_settled(config)
            network, trainer = build(config if settled else as_trial(config), folder, runtime, ranks, samples,
                                     validation)
            if runtime.rank == 0:
                held.enter_context(FolderLock(config.output_path))
                folder.check()
            load_start(start, config, network, trainer)
            held.callback(folder.close)
            if trainer.folder == checkpoint_folder(config.output_path, config.checkpoint_path, runtime.rank):
                remove_leftovers(trainer.folder)
            if runtime.rank == 0:
                fill_output_folder(config, folder, start, samples, validation, findings)
                bring_history(start, folder)
                if config.save_best_ckpt and bring_best(start, trainer):
                    folder.take_over()
        check_same_run(trainer)
        if not settled:
            costs = try_out(trainer, samples, config)
            del network, trainer        # before their successors take as much memory
            with ranks.reporting_failure():
                used = float(ranks.values(time.monotonic() - began).max())
                schedule = build_schedule(as_trial(config), len(samples), runtime.group_size)
                try:
                    config = config.replace(**fit(config, costs, schedule, used))
                except UNetError:       # too few minutes
                    if start.run is None:
                        folder.forget_name()
                    raise
                seed(config)
                network, trainer = build(config, folder, runtime, ranks, samples, validation)
                load_start(start, config, network, trainer)
                if runtime.rank == 0:
                    config.save(Path(folder) / CONFIG_YAML, with_start=False)
        held.callback(trainer.close)
        return run(config, trainer, samples, runtime, interrupted)


def check_options(config: Config) -> None:
    """Raise UNetError for options that contradict each other."""
    check_length(config)
    warn_of_ignored(config)
    if config.early_stop_patience and not config.run_eval:
        raise UNetError("early_stop_patience counts evaluations, and run_eval is False; set run_eval to True")
    if config.loss_scale != config.FixedLossScaleManager:
        raise UNetError(f"loss_scale {config.loss_scale} and FixedLossScaleManager {config.FixedLossScaleManager} "
                        f"differ; the gradients would be scaled by one and unscaled by the other")


def build(config: Config, run_folder: RunFolder, runtime: Runtime, ranks: Ranks, samples: TrainingSamples,
          validation: ValidationSamples) -> tuple[Any, Trainer]:
    """Build what a run needs besides its samples: the network and its Trainer."""
    schedule = build_schedule(config, len(samples), runtime.group_size)
    size = samples.image_shape[1:]
    check_sizes(config.model_name, size, samples.label_shape[1:],
                list(size) if config.image_size == NATIVE else config.image_size)
    if config.run_eval and len(validation) == 0:
        raise UNetError("run_eval is True, but there is no validation image; lower split, or put images into val/")
    amp_level = resolve_amp_level(config.amp_level, runtime.device)
    network = build_network(NetworkSpec.from_config(config), choose_backend(config, runtime.device, amp_level))
    loss = build_loss(LossOptions.from_config(config), class_weights(config, samples, ranks))
    learning_rate = build_learning_rate(config.lr_schedule, config.lr, schedule.total_steps, config.warmup_steps,
                                        config.min_lr)
    dropout = DropoutKeys(network, config.seed, runtime.rank)
    train_network = build_train_network(config, network, loss, learning_rate, amp_level, dropout)
    observers = []
    if runtime.rank == 0:
        observers += build_evaluation(config, run_folder, network, samples, validation)
        observers += build_records(config, run_folder, runtime.device, learning_rate, schedule.images_per_step,
                                   samples, validation)
    callbacks = build_callbacks(config, runtime, schedule, run_folder, observers)
    identity = {"run": run_folder.run, **run_identity(config, schedule, samples, runtime.device, amp_level)}
    average = WeightAverage(network, config.ema_decay) if config.ema_decay else None
    trainer = Trainer(train_network, schedule, callbacks, identity, saving_folder(config, runtime.rank), dropout, ranks,
                      average)
    return network, trainer


def build_schedule(config: Config, samples: int, group_size: int) -> Schedule:
    """Build the schedule of a run over ``samples`` training samples on ``group_size`` ranks.

    Raises:
        UNetError: no whole epoch, or a batch larger than an epoch.
    """
    option = epochs_option(config)
    batch_size = (config.run_distribute and config.distribute_batchsize) or config.batch_size
    return make_schedule(samples, getattr(config, option), config.repeat, batch_size * config.accumulate_steps,
                         group_size, option, config.total_steps)


def fill_output_folder(config: Config, folder: RunFolder, start: Start, samples: TrainingSamples,
                       validation: ValidationSamples, findings: Findings | None) -> None:
    """Write the files that are known before the first step: the options, the split, and the check of the data set."""
    remove_leftovers(config.output_path)
    output = Path(folder)
    config.save(output / CONFIG_YAML, with_start=False)
    root = data_root(config.dataset, config.data_path)
    write_splits(output / SPLITS_JSON, entries(samples, root), entries(validation, root))
    if samples.class_counts:
        samples.class_counts.save(output / CLASS_COUNTS_JSON)
    if findings:
        findings.save(output / DATASET_JSON)
        OptionalFile().write(write_pictures, output / DATASET_JPG, samples, validation, config.color)
    folder.write_name(start.checkpoint)       # with its name the folder is taken; data that are refused take none


def check_same_run(trainer: Trainer) -> None:
    """Raise UNetError unless all ranks resume one run after one step. Servers may not share their checkpoints."""
    steps = trainer.ranks.values(trainer.step)
    if len(set(steps)) > 1:
        found = first_few([f"{step:.0f}" for step in steps], 16)
        raise UNetError(f"the ranks would resume after different steps: {found}; give all of them the same checkpoint "
                        f"with --resume_ckpt, or output_path on a shared disk")
    if len(set(trainer.ranks.values(zlib.crc32(trainer.identity["run"].encode())))) > 1:
        raise UNetError("the ranks would resume different runs; give all of them the same checkpoint with "
                        "--resume_ckpt")


def run_identity(config: Config, schedule: Schedule, samples: TrainingSamples, device: str,
                 amp_level: str) -> dict[str, Any]:
    """Return what the course of a run depends on. Checkpoints store it; prediction takes scale and geometry from there.
    """
    geometry = TrainedGeometry(config.dataset, samples.transform.geometry, samples.areas())
    options = {name: getattr(config, name) for name in options_that_stay("same") if name not in SCHEDULE_OPTIONS}
    return {**options, "device_target": device, "amp_level": amp_level, "samples": schedule.samples,
            "repeat": schedule.repeat, "batch_size": schedule.batch_size, "group_size": schedule.group_size,
            "total_steps": schedule.total_steps, "scale": samples.scale(), GEOMETRY: geometry.as_dict(),
            "class_names": class_names(config),
            "data_fingerprint": fingerprint(samples, data_root(config.dataset, config.data_path))}


def run(config: Config, trainer: Trainer, samples: TrainingSamples, runtime: Runtime,
        interrupted: Callable[[], object]) -> Trainer:
    """Run the steps that are left, and log the start and the end of the run."""
    schedule = trainer.schedule
    patches = f", {samples.per_image} patches of each" if samples.per_image > 1 else ""
    logger.info("%s on %s: %d training images%s, %d steps of %d images in %d epochs", config.model_name, runtime.device,
                len(samples.indices), patches, schedule.total_steps, schedule.images_per_step, schedule.epochs)
    logger.info("dataset length is: %d", schedule.steps_per_epoch)
    trainer.begin()
    if trainer.over:
        say_how_to_train_on(config, trainer)
        trainer.end()
        return trainer
    if trainer.step:
        logger.info("resuming after step %d, epoch %d", trainer.step, trainer.epoch_and_step[0])
    batches = training_batches(samples, schedule, runtime.rank, trainer.step, config.num_parallel_workers)
    if config.context_mode == "graph":
        compile_step(trainer.train_network, *(Tensor(np.zeros((schedule.batch_size, *shape), np.float32))
                                              for shape in (samples.image_shape, samples.label_shape)))
    logger.info("============== Starting Training ==============")
    trainer.run(batches, interrupted)
    if trainer.over:
        logger.info("============== End Training ==============")
        say_how_to_predict(config, trainer)
    elif trainer.step == 0:
        logger.info("stopped before the first step")
    else:
        logger.info("stopped after step %d of %d; resume with: %s --resume=True --resume_ckpt=auto", trainer.step,
                    schedule.total_steps, start_command(config))
    logger.info("peak memory: %.2f GB", memory.peak_memory_gb())
    return trainer


def resolve_amp_level(option: str, device: str) -> str:
    """Return the level of mixed precision. ``auto`` is float16 on Ascend, and float32 where float16 is no faster."""
    if option != "auto":
        return option
    return "O3" if device == "Ascend" else "O0"


def build_train_network(config: Config, network: Any, loss: Any, learning_rate: float | WarmupCosine,
                        amp_level: str, dropout: DropoutKeys) -> Any:
    """Build the training step of network, loss and Adam: (images, labels) -> loss; in parts with accumulate_steps."""
    optimizer = nn.Adam(network.trainable_params(), learning_rate=learning_rate, weight_decay=config.weight_decay,
                        loss_scale=config.loss_scale)
    step = build_step(network, optimizer, loss, amp_level, config.FixedLossScaleManager)
    return step if config.accumulate_steps == 1 else AccumulatedStep(step, config.accumulate_steps, dropout)
