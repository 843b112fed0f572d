"""The commands that a run ends with: to predict, to train on, to resume."""
import logging
import shlex
from pathlib import Path

from src.model_utils.config import Config
from src.model_utils.files import CONFIG_YAML
from src.training.checkpoint_files import BEST, checkpoint_name
from src.training.run_length import epochs_option
from src.training.trainer import Trainer

logger = logging.getLogger("unet")


def say_how_to_predict(config: Config, trainer: Trainer) -> None:
    """Log the command that predicts by the best checkpoint of the run, or by its last one."""
    best = trainer.folder / BEST
    path = best if best.is_file() else trainer.folder / checkpoint_name(config.model_name, *trainer.epoch_and_step)
    output = Path(config.output_path)
    logger.info("to predict: python predict.py --config_path=%s --checkpoint_file_path=%s --data_path=IMAGES "
                "--output_path=%s%s", *(shlex.quote(str(part)) for part in (output / CONFIG_YAML, path,
                                                                           output / "predicted")),
                " --objects=True" * config.has_rim)


def say_how_to_train_on(config: Config, trainer: Trainer) -> None:
    """Log how to make a run longer that is over, and how to begin a new one with its weights."""
    longer = "total_steps" if config.total_steps else epochs_option(config)
    option = longer if trainer.finished else "early_stop_patience"
    value = 2 * getattr(config, option)
    logger.info("nothing is left to train: step %d of %d is done; raise %s to train longer", trainer.step,
                trainer.schedule.total_steps, option)
    command = start_command(config)
    logger.info("to train on: %s --resume=True --resume_ckpt=auto --%s=%d; for a new run that begins with its weights: "
                "%s --transfer_training=True --resume_ckpt=%s '--filter_weight=[]'", command, option, value, command,
                shlex.quote(str(trainer.folder / checkpoint_name(config.model_name, *trainer.epoch_and_step))))


def start_command(config: Config) -> str:
    """Return the command that starts this run again, without the options that resume it."""
    output = shlex.quote(config.output_path)
    options = shlex.quote(str(Path(config.output_path) / CONFIG_YAML))
    if config.run_distribute:
        return f"the same launcher with CONFIG_PATH {options} and --output_path={output}"
    given = config.start_arguments(leave_out=("resume", "resume_ckpt", "transfer_training", "overwrite"))
    return " ".join(["python train.py", f"--config_path={options}", *map(shlex.quote, given)])
