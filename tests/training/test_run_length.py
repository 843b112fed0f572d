"""How many steps fit into the option minutes."""
import pytest

from src.data.schedule import Schedule
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training.evaluation import EvaluationPlan
from src.training.run_length import Costs, check_length, evaluations, fit, is_settled, steps_within, warn_of_ignored

SCHEDULE = Schedule(20, 1, 1, 2)        # 10 steps in an epoch


def options(*argv):
    return parse_options(list(argv), "")


def plan(*argv):
    return EvaluationPlan.from_config(options("--run_eval=True", *argv))


@pytest.mark.parametrize("argv, steps, times", [
    (["--eval_steps=5"], 15, 3), (["--eval_steps=5"], 16, 4), (["--eval_steps=5"], 4, 1),
    (["--eval_interval=1"], 30, 3), (["--eval_interval=1"], 31, 4), (["--eval_interval=2"], 30, 2),
    (["--eval_interval=2", "--eval_start_epoch=2"], 40, 2), (["--eval_interval=1"], 9, 1)])
def test_evaluations_of_a_run(argv, steps, times):
    """One more at the end of the run, if none was due there; start 0 and interval 2 evaluate after epochs 2, 4, ..."""
    assert evaluations(plan(*argv), SCHEDULE, steps) == times


def test_the_most_steps_that_fit():
    costs = Costs(start=0, step=1, evaluation=5)
    assert steps_within(100, costs, None, SCHEDULE) == 100
    # 62 steps and 7 evaluations take 97 s; so do 65; 66 take 101 s.
    assert steps_within(100, costs, plan("--eval_steps=10"), SCHEDULE) == 65
    assert steps_within(5.5, costs, plan("--eval_steps=10"), SCHEDULE) == 0


def test_minutes_without_evaluation():
    # 2 minutes, 2 % in reserve, 3 s for the end, 10 s are gone, 4.6 s are to come: 100 s for steps of half a second.
    assert fit(options("--minutes=2"), Costs(start=4.6, step=0.5), SCHEDULE, used=10) == {"total_steps": 200}


def test_evaluations_are_spread_if_nothing_says_when():
    config = options("--minutes=2", "--run_eval=True")
    # 15 % of 100 s allow 3 evaluations of 5 s; 85 s are left for 85 steps.
    costs = Costs(start=2.6, step=1, evaluation=5, first_evaluation=2)
    assert fit(config, costs, SCHEDULE, used=10) == {"total_steps": 85, "eval_steps": 29}
    # Quick evaluations: ten of them.
    costs = Costs(start=2.6, step=1, evaluation=0.5, first_evaluation=2)
    assert fit(config, costs, SCHEDULE, used=10) == {"total_steps": 95, "eval_steps": 10}
    assert fit(options("--minutes=2", "--run_eval=True", "--eval_interval=1"), costs, SCHEDULE,
               used=10) == {"total_steps": 95}


def test_a_long_warm_up_is_shortened():
    costs = Costs(start=4.6, step=0.5)
    schedule = ["--minutes=2", "--lr_schedule=cosine"]
    assert fit(options(*schedule, "--warmup_steps=50"), costs, SCHEDULE, used=10) == {"total_steps": 200}
    config = options(*schedule).replace(warmup_steps=50)
    assert fit(config, costs, SCHEDULE, used=10) == {"total_steps": 200, "warmup_steps": 20}


def test_too_few_minutes():
    with pytest.raises(UNetError, match="0.5 is too short: the start takes 40 s, an evaluation 7 s, a step 3 s"):
        fit(options("--minutes=0.5", "--run_eval=True"), Costs(10, 3, 5, 2), SCHEDULE, used=30)


def test_two_options_for_one_length(tmp_path):
    for other in ("--epochs=5", "--total_steps=7", "--distribute_epochs=9"):
        with pytest.raises(UNetError, match="both set the length of the run; leave one of them out"):
            check_length(options("--minutes=3", other))
    check_length(options("--epochs=5"))
    file = tmp_path / "config.yaml"
    file.write_text("minutes: 3\nepochs: 25\ntotal_steps: 40\n")
    check_length(options(f"--config_path={file}"))
    check_length(options(f"--config_path={file}", "--total_steps=80"))
    with pytest.raises(UNetError, match="epochs is 5 and minutes is 3"):
        check_length(options(f"--config_path={file}", "--epochs=5"))


def test_when_the_steps_are_known(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("minutes: 3\ntotal_steps: 40\n")
    assert is_settled(options()) and is_settled(options(f"--config_path={file}"))
    assert not is_settled(options("--minutes=3"))
    assert not is_settled(options(f"--config_path={file}", "--minutes=9"))
    assert is_settled(options(f"--config_path={file}", "--minutes=9").replace(total_steps=30))


@pytest.mark.parametrize("argv, warns", [
    (["--epochs=10"], True), (["--epochs=10", "--distribute_epochs=10"], False),
    (["--epochs=10", "--total_steps=7"], False), ([], False)])
def test_epochs_that_do_not_count(caplog, argv, warns):
    warn_of_ignored(parse_options(["--run_distribute=True", *argv], ""))
    assert ("epochs 10 does not count with run_distribute; distribute_epochs is" in caplog.text) == warns
