"""Each option in turn is changed when a run resumes: either a warning or an error says so, or the run is the same."""
import logging
import shutil

import pytest
from mindspore import nn

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.schema import load_schema
from src.training import run, run_callbacks

# Four steps with a checkpoint after each; the second half is done again.
ARGV = ["--dataset=folders", "--num_channels=3", "--image_size=[48,32]", "--batch_size=2", "--repeat=1", "--epochs=1",
        "--save_checkpoint_steps=1", "--context_mode=pynative", "--lr=0.001", "--run_eval=True", "--eval_steps=2"]

# Values for options whose next value is not a number or a choice.
VALUES = {"image_size": "[32,32]", "crop": "[16,16]", "input_range": "[0,1]", "color": "[[9,9,9]]",
          "splits": "{splits}", "eval_metrics": "[iou]", "monitor": "iou", "ds_weights": "[1,2,3,4]",
          "class_weights": "[1,2]", "loss": "dice", "split": "0.5", "checkpoint_path": "elsewhere",
          "data_path": "{copy}", "channels": "[2,1,0]", "normalize_percentiles": "[2,98]", "ignore_index": "7",
          "mask_invert": "True", "class_values": "[0,255]", "foreground_patches": "0.5",
          "augment_scale": "[0.7,1.4]", "object_threshold": "0.6", "object_seed_threshold": "0.6",
          "dynamic": "True", "ema_decay": "0.5"}
# They say what to start from; an option that starts several processes; and one that is given here for each run.
NOT_CHANGED = {"resume", "resume_ckpt", "transfer_training", "overwrite", "run_distribute", "output_path"}


class TinyNetwork(nn.Cell):
    """A convolution instead of a U-Net, where the network does not matter."""

    def __init__(self, channels, classes):
        super().__init__()
        self.final = nn.Conv2d(channels, classes, 3, weight_init="normal")

    def construct(self, x):
        return self.final(x)


def another(option, given):
    """A value that the option does not have yet, as on the command line."""
    if option.name in VALUES:
        return VALUES[option.name]
    if option.choices:
        return next(choice for choice in option.choices if choice not in (given, "auto"))
    if isinstance(given, bool):
        return not given
    if isinstance(given, int | float):
        return given + 1
    return "something"


@pytest.fixture(scope="module")
def whole(nuclei, tmp_path_factory):
    """A run that nothing stops: its options, its weights, and its checkpoint in the middle. Nothing is drawn."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(nuclei, folder / "copy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "build_network", lambda spec, layers: TinyNetwork(spec.num_channels, spec.num_classes))
        patch.setattr(run_callbacks, "write_report", lambda *args: None)
        patch.setattr("src.report.figures.progress_png", lambda curves: b"")
        argv = [*ARGV, f"--data_path={nuclei}"]
        weights = weights_of(run.train(parse_options([*argv, f"--output_path={folder / 'out'}"], "")))
        (middle,) = folder.glob("out/checkpoint/ckpt_0/*-1_2.ckpt")
        shutil.copy(folder / "out" / "splits.json", folder)
        yield [*argv, "--resume=True", f"--resume_ckpt={middle}"], weights, folder


def weights_of(trainer):
    assert trainer.step == 4
    return {parameter.name: parameter.asnumpy().tobytes() for parameter in trainer.train_network.get_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in load_schema() if name not in NOT_CHANGED])
def test_a_changed_option_is_told_or_changes_nothing(whole, tmp_path, caplog, monkeypatch, name):
    argv, weights, folder = whole
    monkeypatch.chdir(tmp_path)
    option = load_schema()[name]
    value = str(another(option, getattr(parse_options(argv, ""), name))).format(copy=folder / "copy",
                                                                                splits=folder / "splits.json")
    argv = [*argv, f"--output_path={tmp_path / 'out'}", f"--{name}={value}"]
    config = parse_options(argv, "")
    assert getattr(config, name) != getattr(parse_options(whole[0], ""), name)
    caplog.set_level(logging.INFO, "unet")
    try:
        trainer = run.train(config)
    except UNetError as error:
        assert "\n" not in str(error)
        return
    told = [line for line in caplog.messages if "the run will not be what it would have been" in line]
    assert not told or option.resume == "same"
    if not told:
        assert weights_of(trainer) == weights, caplog.messages
