"""Evaluation while training."""
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from src.data.samples import ValidationSamples
from src.evaluation.evaluate import BandPredictor, Predictor, ScoredImage, evaluate
from src.evaluation.metrics import METRIC_NAMES
from src.evaluation.scores import Scores
from src.model_utils.claims import MOST_STEPS, claimed, claimed_int
from src.networks.inference_network import predictor
from src.report.drawing import ClassDrawer
from src.report.gallery import Gallery
from src.report.object_scores import ObjectScorer, ScoredObjects, check_can_be_kept
from src.tiling.predictor import Windows, in_windows
from src.training.callbacks.callback import Callback
from src.training.evaluation import Evaluation, EvaluationPlan
from src.training.trainer import Trainer

logger = logging.getLogger("unet")


class Evaluator(Callback):
    """Evaluates at intervals and at the end of the run, finds the best evaluation, and may end the run early.

    ``CheckpointSaver`` keeps the weights of the best evaluation.

    Args:
        network (nn.Cell): the network in training.
        samples (ValidationSamples): the samples to evaluate on.
        plan (EvaluationPlan): when to evaluate, and by which metrics.
        train_samples (ValidationSamples): samples to evaluate on as well, for the log; None for none.
        drawer (ClassDrawer): draws the validation images; None draws none.
        windows (Windows): how images in their own sizes are cut; None if the samples are of one size.
    """

    saved_as = "EvalCallBack"

    def __init__(self, network: Any, samples: ValidationSamples, plan: EvaluationPlan,
                 train_samples: ValidationSamples | None = None, drawer: ClassDrawer | None = None,
                 windows: Windows | None = None) -> None:
        predict = predictor(network, plan.scoring.activate)
        self.predict: Predictor | BandPredictor = predict if windows is None else in_windows(
            predict, windows, samples.transform.normalization.input_min)
        self.samples, self.plan, self.train_samples, self.drawer = samples, plan, train_samples, drawer
        if plan.objects:
            for part in filter(None, (samples, train_samples)):
                check_can_be_kept(part)
        self.in_detail = len(plan.metrics) > 1 or train_samples is not None
        self.best, self.best_epoch, self.since_best = float("-inf"), 0, 0
        self.evaluated_step: int | None = None

    def state(self) -> dict[str, Any]:
        if not self.best_epoch:
            return {}
        return {"metric": self.plan.metric, "best": self.best, "best_epoch": self.best_epoch,
                "evaluated_step": self.evaluated_step, "since_best": self.since_best}

    def restore(self, state: dict[str, Any]) -> None:
        if state.get("metric") == self.plan.metric:
            self.best = claimed(state["best"], -math.inf, math.inf, "best")
            self.best_epoch, self.since_best = (claimed_int(state.get(name, 0), 0, MOST_STEPS, name)
                                                for name in ("best_epoch", "since_best"))
            self.evaluated_step = state.get("evaluated_step")

    def on_train_begin(self, trainer: Trainer) -> None:
        self._end_early(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        if self.plan.after_step(trainer.step):
            self._evaluate(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        if self.plan.after_epoch(trainer.epoch_and_step[0]):
            self._evaluate(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        if trainer.finished and self.evaluated_step != trainer.step:
            self._evaluate(trainer)
        if self.best_epoch:
            logger.info("End training, the best %s is: %s, the best %s epoch is %d", self.plan.metric, self.best,
                        self.plan.metric, self.best_epoch)

    def _evaluate(self, trainer: Trainer) -> None:
        started = time.perf_counter()
        epoch, step = trainer.epoch_and_step
        gallery = Gallery(self.samples)
        listeners = [gallery.add, self.drawer.draw] if self.drawer else [gallery.add]
        with trainer.evaluated_weights():
            scores = self.scores(self.samples, listeners, [gallery.add_objects])
            train_scores = self.scores(self.train_samples) if self.train_samples else None
        value = scores.metric(self.plan.metric)
        self.evaluated_step = trainer.step
        at = f"epoch: {epoch}, step: {step}" if self.plan.steps else f"epoch: {epoch}"
        logger.info("%s, %s: %s", at, self.plan.metric, value)
        if self.drawer:
            self.drawer.finish()
        if self.in_detail:
            self._log_details(scores, train_scores, value)
        is_best = value > self.best
        self.since_best = 0 if is_best else self.since_best + 1
        if is_best:
            self.best, self.best_epoch = value, epoch
            logger.info("update best result: %s", value)
        trainer.take_evaluation(Evaluation(trainer.step, epoch, self.plan.metric, value, self.best, is_best, scores,
                                           train_scores, gallery, time.perf_counter() - started))
        self._end_early(trainer)

    def scores(self, samples: ValidationSamples, listeners: Sequence[Callable[[ScoredImage], object]] = (),
               object_listeners: Sequence[Callable[[ScoredObjects], object]] = ()) -> Scores:
        """Score samples; tell the listeners about each image, and about its objects if these are scored."""
        scorer = ObjectScorer(samples, self.plan.objects, *object_listeners) if self.plan.objects else None
        scores = evaluate(self.predict, samples, self.plan.scoring, *listeners, *([scorer.add] if scorer else []))
        scores.objects = scorer.scores if scorer else None
        return scores

    def _end_early(self, trainer: Trainer) -> None:
        if self.plan.patience and self.since_best >= self.plan.patience and not trainer.finished:
            logger.info("early stop: no better %s than %s in %d evaluations (early_stop_patience)", self.plan.metric,
                        self.best, self.since_best)
            trainer.ends_early = True

    def _log_details(self, scores: Scores, train_scores: Scores | None, value: float) -> None:
        """Log all metrics, a line for training and a line for validation, and whether the monitored one improved."""
        if train_scores:
            logger.info("train: %s", train_scores.line(self.plan.metrics))
        logger.info("valid: %s", scores.line(self.plan.metrics))
        best = max(self.best, 0.0)      # as in the case study, which counts from 0
        if value > self.best:
            logger.info("%s improved from %.4f to %.4f", METRIC_NAMES[self.plan.metric], best, value)
        else:
            logger.info("%s did not improve from %.4f", METRIC_NAMES[self.plan.metric], best)
