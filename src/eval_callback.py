"""Evaluation while training."""
import logging

from src import checkpoint
from src.callbacks import Callback
from src.evaluation import ScoreOptions, evaluate
from src.utils import predictor

logger = logging.getLogger("unet")


class EvalCallBack(Callback):
    """Evaluates on the validation samples at intervals, and keeps the best checkpoint.

    Args:
        config (Config): eval_* options, save_best_ckpt.
        network (nn.Cell): the network that is trained.
        samples (ValidationSamples): what to evaluate on.
        folder (Path): where best.ckpt goes.
    """

    def __init__(self, config, network, samples, folder):
        self.predict = predictor(network, config.eval_activate)
        self.options = ScoreOptions.from_config(config)
        self.samples = samples
        self.metric_name = config.eval_metrics
        self.start_epoch, self.interval, self.steps = config.eval_start_epoch, config.eval_interval, config.eval_steps
        self.best_path = folder / checkpoint.BEST if config.save_best_ckpt else None
        self.best, self.best_epoch, self.evaluated_step = float("-inf"), 0, None

    def state(self):
        if not self.best_epoch:
            return {}
        return {"metric": self.metric_name, "best": self.best, "best_epoch": self.best_epoch,
                "evaluated_step": self.evaluated_step}

    def restore(self, state):
        if state.get("metric") == self.metric_name:
            self.best, self.best_epoch = state["best"], state["best_epoch"]
            self.evaluated_step = state.get("evaluated_step")

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
        epoch, step = trainer.epoch_and_step
        value = evaluate(trainer.ranks.at_work(self.predict), self.samples, self.options).metric(self.metric_name)
        self.evaluated_step = trainer.step
        at = f"epoch: {epoch}, step: {step}" if self.steps else f"epoch: {epoch}"
        logger.info("%s, %s: %s", at, self.metric_name, value)
        if value > self.best:
            self.best, self.best_epoch = value, epoch
            logger.info("update best result: %s", value)
            if self.best_path:
                checkpoint.save(trainer.train_network, self.best_path, trainer.state())
                logger.info("update best checkpoint at: %s", self.best_path)
