"""When a run evaluates, and what one evaluation found."""
from dataclasses import dataclass

from src.evaluation.evaluate import ScoreOptions
from src.evaluation.metrics import METRIC_NAMES, OBJECT_METRICS
from src.evaluation.objects import ObjectOptions
from src.evaluation.scores import Scores
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.report.gallery import Gallery


@dataclass(frozen=True)
class EvaluationPlan:
    """When a run evaluates, by which metrics, and when it gives up.

    Attributes:
        scoring: how to score the predictions.
        metrics: names of the metrics to log.
        monitor: the one of them that picks the best evaluation; empty takes the first.
        start_epoch: the first epoch, from 1, after which to evaluate.
        interval: epochs between two evaluations.
        steps: steps between two evaluations; 0 goes by epochs. Otherwise start_epoch and interval do not count.
        patience: evaluations without a better one after which the run ends early; 0 never ends it.
        objects: how objects are found, to be scored; None scores none.

    Raises:
        UNetError: there is no metric, or ``monitor`` is none of them.
    """
    scoring: ScoreOptions
    metrics: list[str]
    monitor: str
    start_epoch: int
    interval: int
    steps: int
    patience: int
    objects: ObjectOptions | None = None

    def __post_init__(self) -> None:
        if not self.metrics:
            raise UNetError(f"eval_metrics is empty; name at least one of {', '.join(METRIC_NAMES)}")
        if self.monitor and self.monitor not in self.metrics:
            raise UNetError(f"monitor {self.monitor!r} is not one of eval_metrics, {', '.join(self.metrics)}; name it "
                            f"there too, or leave monitor empty to take the first of them")

    @classmethod
    def from_config(cls, config: Config) -> "EvaluationPlan":
        """Take the options eval_*, monitor and early_stop_patience, and those of objects."""
        objects = config.object_metrics or not OBJECT_METRICS.keys().isdisjoint(config.eval_metrics)
        return cls(ScoreOptions.from_config(config), config.eval_metrics, config.monitor, config.eval_start_epoch,
                   config.eval_interval, config.eval_steps, config.early_stop_patience,
                   ObjectOptions.from_config(config) if objects else None)

    @property
    def metric(self) -> str:
        """Name of the metric that picks the best evaluation."""
        return self.monitor or self.metrics[0]

    def after_step(self, step: int) -> bool:
        """Return whether to evaluate after ``step`` steps of the run."""
        return self.steps > 0 and step % self.steps == 0

    def after_epoch(self, epoch: int) -> bool:
        """Return whether to evaluate after ``epoch`` epochs of the run."""
        return (not self.steps and epoch >= self.start_epoch
                and (epoch - self.start_epoch) % self.interval == 0)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a run.

    Attributes:
        step, epoch: the step and the epoch after which it was made.
        metric, value: name and value of the metric that picks the best evaluation.
        best: the best value so far, this one included.
        is_best: whether this evaluation is the best.
        scores: scores on the validation samples.
        train_scores: scores on the training samples, or None.
        gallery: images of the validation samples.
        seconds: the time it took.
    """
    step: int
    epoch: int
    metric: str
    value: float
    best: float
    is_best: bool
    scores: Scores
    train_scores: Scores | None
    gallery: Gallery
    seconds: float
