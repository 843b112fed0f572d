"""What a run builds from its options."""
import pytest

from src.data.samples import create_samples
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training.run import build, build_schedule, check_options
from tests.support.data import write_pairs


def test_the_schedule_of_one_process_and_of_ranks():
    config = parse_options(["--epochs=400", "--repeat=400", "--batch_size=16"], "")
    assert build_schedule(config, 24, 1).total_steps == 600
    config = config.replace(run_distribute=True, distribute_epochs=1600)
    assert build_schedule(config, 24, 8).total_steps == 300
    config = config.replace(distribute_batchsize=3)
    assert build_schedule(config, 24, 8).steps_per_epoch == 400


def test_parts_of_a_batch_are_one_step():
    config = parse_options(["--epochs=400", "--repeat=400", "--batch_size=8", "--accumulate_steps=2"], "")
    assert build_schedule(config, 24, 1).total_steps == 600


def test_the_error_names_the_option_that_is_too_small():
    config = parse_options(["--epochs=100", "--distribute_epochs=50", "--repeat=400"], "")
    with pytest.raises(UNetError, match="^epochs 100 is less than repeat 400"):
        build_schedule(config, 24, 1)
    with pytest.raises(UNetError, match="^distribute_epochs 50 is less than repeat 400"):
        build_schedule(config.replace(run_distribute=True), 24, 2)


@pytest.mark.parametrize("argv, part", [
    (["--early_stop_patience=2", "--run_eval=False"], "early_stop_patience counts evaluations, and run_eval is False"),
    (["--loss_scale=512"], "loss_scale 512.0 and FixedLossScaleManager 1024.0 differ")])
def test_options_that_contradict_each_other(argv, part):
    with pytest.raises(UNetError, match=part):
        check_options(parse_options(argv, ""))


def test_one_image_cannot_be_split(tmp_path):
    write_pairs(tmp_path, ["a"])
    config = parse_options(["--dataset=folders", f"--data_path={tmp_path}", "--num_channels=3"], "")
    with pytest.raises(UNetError, match="the data set has 1, and split 0.8 rounds down to none"):
        build(config, None, None, None, *create_samples(config))
