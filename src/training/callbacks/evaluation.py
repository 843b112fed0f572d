"""Evaluation while training."""
import logging
import time
from dataclasses import dataclass

from src.evaluation.evaluate import ScoreOptions, evaluate
from src.evaluation.metrics import METRIC_NAMES
from src.evaluation.scores import Scores
from src.model_utils.errors import UNetError
from src.networks.inference_network import predictor
from src.report.gallery import Gallery
from src.training import checkpoint
from src.training.callbacks.callback import Callback

logger = logging.getLogger("unet")


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a run.

    Attributes:
        step, epoch: behind which it was.
        metric, value: name and value of the metric that picks the best.
        best: the best value so far, this one included.
        is_best: whether this one is the best.
        scores: ``Scores`` on the validation samples.
        train_scores: ``Scores`` on the training samples, or None.
        gallery: ``Gallery`` of the validation samples.
        seconds: that it took.
    """
    step: int
    epoch: int
    metric: str
    value: float
    best: float
    is_best: bool
    scores: Scores
    train_scores: Scores
    gallery: Gallery
    seconds: float


class EvalCallBack(Callback):
    """Evaluates on the validation samples at intervals, keeps the best checkpoint, and may end the run early.

    Args:
        config (Config): eval_* options, save_best_ckpt, early_stop_patience.
        network (nn.Cell): the network that is trained.
        samples (ValidationSamples): what to evaluate on.
        folder (Path): where best.ckpt goes.
        train_samples (ValidationSamples): what to evaluate on too, for the log; None evaluates on ``samples`` alone.

    Raises:
        UNetError: no metric, or a monitor that is none of them.
    """

    def __init__(self, config, network, samples, folder, train_samples=None):
        self.predict = predictor(network, config.eval_activate)
        self.options = ScoreOptions.from_config(config)
        self.samples, self.train_samples = samples, train_samples
        self.names, self.metric_name = _metric_names(config.eval_metrics, config.monitor)
        self.in_detail = len(self.names) > 1 or train_samples is not None
        self.start_epoch, self.interval, self.steps = config.eval_start_epoch, config.eval_interval, config.eval_steps
        self.best_path = folder / checkpoint.BEST if config.save_best_ckpt else None
        self.best, self.best_epoch, self.evaluated_step = float("-inf"), 0, None
        self.patience, self.since_best = config.early_stop_patience, 0

    def state(self):
        if not self.best_epoch:
            return {}
        return {"metric": self.metric_name, "best": self.best, "best_epoch": self.best_epoch,
                "evaluated_step": self.evaluated_step, "since_best": self.since_best}

    def restore(self, state):
        if state.get("metric") == self.metric_name:
            self.best, self.best_epoch = state["best"], state["best_epoch"]
            self.evaluated_step, self.since_best = state.get("evaluated_step"), state.get("since_best", 0)

    def on_train_begin(self, trainer):
        self._end_early(trainer)

    def on_step_end(self, trainer):
        if self.steps and trainer.step % self.steps == 0:
            self._evaluate(trainer)

    def on_epoch_end(self, trainer):
        epoch = trainer.epoch_and_step[0]
        if not self.steps and epoch >= self.start_epoch and (epoch - self.start_epoch) % self.interval == 0:
            self._evaluate(trainer)

    def on_train_end(self, trainer):
        if trainer.finished and self.evaluated_step != trainer.step:
            self._evaluate(trainer)
        if self.best_epoch:
            logger.info("End training, the best %s is: %s, the best %s epoch is %d", self.metric_name, self.best,
                        self.metric_name, self.best_epoch)

    def _evaluate(self, trainer):
        started = time.perf_counter()
        epoch, step = trainer.epoch_and_step
        predict = trainer.ranks.with_heartbeat(self.predict)
        gallery = Gallery(self.samples)
        scores = evaluate(predict, self.samples, self.options, gallery.add)
        value = scores.metric(self.metric_name)
        self.evaluated_step = trainer.step
        at = f"epoch: {epoch}, step: {step}" if self.steps else f"epoch: {epoch}"
        logger.info("%s, %s: %s", at, self.metric_name, value)
        train_scores = evaluate(predict, self.train_samples, self.options) if self.train_samples else None
        if self.in_detail:
            self._log_details(scores, train_scores, value)
        is_best = value > self.best
        self.since_best = 0 if is_best else self.since_best + 1
        if is_best:
            self.best, self.best_epoch = value, epoch
            logger.info("update best result: %s", value)
            if self.best_path:
                checkpoint.save(trainer.train_network, self.best_path, trainer.state())
                logger.info("update best checkpoint at: %s", self.best_path)
        trainer.evaluation = Evaluation(trainer.step, epoch, self.metric_name, value, self.best, is_best, scores,
                                        train_scores, gallery, time.perf_counter() - started)
        self._end_early(trainer)

    def _end_early(self, trainer):
        if self.patience and self.since_best >= self.patience and not trainer.finished:
            logger.info("early stop: no better %s than %s in %d evaluations (early_stop_patience)", self.metric_name,
                        self.best, self.since_best)
            trainer.ends_early = True

    def _log_details(self, scores, train_scores, value):
        """All metrics in a line each for training and validation, and what became of the monitored one."""
        if train_scores:
            logger.info("train: %s", train_scores.line(self.names))
        logger.info("valid: %s", scores.line(self.names))
        best = max(self.best, 0.0)      # as the case study counts, from 0 on
        if value > self.best:
            logger.info("%s improved from %.4f to %.4f", METRIC_NAMES[self.metric_name], best, value)
        else:
            logger.info("%s did not improve from %.4f", METRIC_NAMES[self.metric_name], best)


def _metric_names(names, monitor):
    """The metrics to log, and the one that picks the best."""
    if not names:
        raise UNetError(f"eval_metrics is empty; name at least one of {', '.join(METRIC_NAMES)}")
    if monitor and monitor not in names:
        raise UNetError(f"monitor {monitor!r} is not one of eval_metrics, {', '.join(names)}; name it there too, or "
                        f"leave monitor empty to take the first of them")
    return names, monitor or names[0]
