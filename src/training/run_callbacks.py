"""The callbacks of a run, as the options say."""
from functools import partial
from typing import Any

from src.data.data_options import class_names
from src.data.samples import TrainingSamples, ValidationSamples
from src.data.schedule import Schedule
from src.evaluation.scores import Scores
from src.model_utils.config import Config
from src.model_utils.files import PROFILE
from src.model_utils.runtime import Runtime
from src.report.drawing import ClassDrawer
from src.report.gallery import Gallery
from src.report.history import History
from src.tiling.predictor import Windows
from src.training.callbacks.callback import Callback
from src.training.callbacks.checkpoint import CheckpointSaver
from src.training.callbacks.diagnosis import Diagnosis
from src.training.callbacks.evaluation import Evaluator
from src.training.callbacks.log import EpochLog, StepLog
from src.training.callbacks.profiler import StepProfiler
from src.training.callbacks.progress_bar import LiveLine, on_terminal
from src.training.callbacks.records import HistoryWriter, ProgressPicture, ReportWriter
from src.training.callbacks.tensorboard import TensorBoardLog
from src.training.evaluation import EvaluationPlan
from src.training.lr_schedule import WarmupCosine, rate_of_step
from src.training.run_folder import RunFolder, saving_folder


def build_evaluation(config: Config, folder: RunFolder, network: Any, samples: TrainingSamples,
                     validation: ValidationSamples) -> list[Callback]:
    """Build the callback that evaluates, if run_eval says so."""
    if not config.run_eval:
        return []
    train_samples = samples.as_validation(validation.keep_label_size) if config.eval_train else None
    drawer = ClassDrawer(folder, config.color, config.num_classes) if config.show_eval else None
    is_native = validation.transform.geometry is None
    windows = Windows.for_mindspore(config, samples.areas()) if is_native else None
    return [Evaluator(network, validation, EvaluationPlan.from_config(config), train_samples, drawer, windows)]


def build_records(config: Config, folder: RunFolder, device: str, learning_rate: float | WarmupCosine,
                  images_per_step: int, samples: TrainingSamples, validation: ValidationSamples) -> list[Callback]:
    """Build the callbacks that write the records of a run into the output folder, and say what may be wrong."""
    history = History(folder)
    records: list[Callback] = [HistoryWriter(history, rate_of_step(learning_rate), images_per_step),
                               ProgressPicture(folder, history)]
    if config.run_eval:
        records.append(ReportWriter(partial(write_report, config, folder, device)))
        records.append(Diagnosis(folder, history, validation, len(samples.indices), class_names(config),
                                 samples.scale))
    if config.tensorboard:
        records.append(TensorBoardLog(folder, history))
    return records


def write_report(config: Config, folder: RunFolder, device: str, model: str, scores: Scores, gallery: Gallery) -> None:
    """Write report.html about an evaluation; ``model`` says which weights were evaluated."""
    from src.report import page  # matplotlib takes a second to load

    page.write_report(config, page.ReportInput("train.py", model, device, scores, gallery), folder)


def build_callbacks(config: Config, runtime: Runtime, schedule: Schedule, folder: RunFolder,
                    observers: list[Callback]) -> list[Callback]:
    """Build the list of callbacks, each of which acts on an event before the next one does.

    Args:
        config (Config): options.
        runtime (Runtime): device and rank.
        schedule (Schedule): steps of the run.
        folder (RunFolder): the output folder.
        observers (list[Callback]): the callbacks that evaluate and record, only on rank 0. They come before
            CheckpointSaver, so a checkpoint holds the result of an evaluation after the same step.
    """
    is_live = runtime.rank == 0 and on_terminal()
    callbacks = [StepLog(0 if is_live else config.log_interval), EpochLog(), *observers]
    if is_live:
        callbacks.append(LiveLine(schedule.images_per_step))
    if runtime.rank == 0 or not config.is_save_on_master:
        callbacks.append(CheckpointSaver(saving_folder(config, runtime.rank), config.model_name,
                                         config.save_checkpoint_steps, config.keep_checkpoint_max,
                                         config.save_best_ckpt, config.save_checkpoint_minutes,
                                         not config.is_save_on_master, folder))
    if config.enable_profiling:
        callbacks.append(StepProfiler(folder.output / PROFILE / f"rank_{runtime.rank}", runtime.device))
    return callbacks
