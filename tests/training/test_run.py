"""What a run builds from its options."""
import pytest

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training.run import build_schedule, check_options, train
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
    write_pairs(tmp_path / "data", ["a"])
    config = parse_options(["--dataset=folders", f"--data_path={tmp_path / 'data'}", "--num_channels=3",
                            "--device_target=CPU", f"--output_path={tmp_path / 'out'}"], "")
    with pytest.raises(UNetError, match="the data set has 1, and split 0.8 rounds down to none"):
        train(config)
    assert not (tmp_path / "out").exists()


def test_all_damaged_images_are_named_and_nothing_is_written(tmp_path, caplog):
    data = write_pairs(tmp_path / "data", ["a", "b", "c", "d", "e"])
    for name in "abe":
        (data / name / "image.png").write_bytes(b"none")
    config = parse_options(["--dataset=folders", f"--data_path={data}", "--num_channels=3", "--image_size=[48,32]",
                            "--device_target=CPU", f"--output_path={tmp_path / 'out'}"], "")
    with pytest.raises(UNetError, match=r"a/image.png: cannot be read .*\(3 faults in all, listed above\)"):
        train(config)
    assert [line.split("/")[-2] for line in caplog.text.splitlines() if "ERROR: " in line] == ["a", "b", "e"]
    assert not (tmp_path / "out").exists()
