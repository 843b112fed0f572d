"""Whether a fold may resume what an earlier start of train_folds.py began."""
import pytest

from src.data.folds import Fold
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training.fold_run import FoldRun


def begun(folder, **options):
    """A fold that an earlier start began with these options."""
    (folder / "fold_1").mkdir()
    (folder / "fold_1" / "metrics.json").touch()
    (folder / "fold_1" / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in options.items()))


def resume(folder, *argv):
    FoldRun(parse_options([*argv, f"--output_path={folder}"], ""), Fold(1, ["a"], ["b"]), 2).check_same_options()


def test_what_minutes_fixed_is_no_other_option(tmp_path):
    begun(tmp_path, minutes=3.0, total_steps=70, eval_steps=10, warmup_steps=7)
    resume(tmp_path, "--minutes=3")
    with pytest.raises(UNetError, match="this fold was begun with total_steps 70 and not 0"):
        resume(tmp_path)


def test_what_the_data_settled_is_no_other_option(tmp_path):
    begun(tmp_path, normalize="percentile")
    resume(tmp_path)
    with pytest.raises(UNetError, match="this fold was begun with normalize percentile and not minmax"):
        resume(tmp_path, "--normalize=minmax")


def test_another_option_is_named(tmp_path):
    begun(tmp_path, minutes=3.0, total_steps=70, lr=0.5)
    with pytest.raises(UNetError, match="this fold was begun with lr 0.5 and not 0.0001"):
        resume(tmp_path, "--minutes=3")
