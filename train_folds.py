"""Cross-validate: ``python train_folds.py --config_path=FILE.yaml --data_path=DIR --folds=5``."""
import sys

from src.model_utils.script import run_script


def main(config):
    """Train and evaluate every fold in turn; the same command resumes after a stop."""
    from src.planning.plan import planned
    from src.training.cross_validation import run_folds

    config = planned(config)
    return run_folds(config) if config is not None else 0


if __name__ == "__main__":
    sys.exit(run_script(main, "Train and evaluate every fold in turn; the same command resumes after a stop.",
                        may_choose=True))
