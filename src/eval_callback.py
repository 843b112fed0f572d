"""The model zoo's callback that evaluates during ``mindspore.Model.train``."""
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindspore import save_checkpoint
from mindspore.train import Callback, RunContext

from src.model_utils.errors import UNetError
from src.model_utils.files import replacing
from src.training.checkpoint_files import BEST

__all__ = ["EvalCallBack"]


class EvalCallBack(Callback):
    """Evaluates at intervals, and keeps the weights of the best evaluation. ``train.py --run_eval`` has its own.

    Args:
        eval_function (callable): takes ``eval_param_dict`` and returns a number, larger for a better network.
        eval_param_dict (dict): its argument.
        interval (int): epochs between two evaluations.
        eval_start_epoch (int): first epoch after which to evaluate.
        save_best_ckpt (bool): save the best network.
        ckpt_directory (str), best_ckpt_name (str): where.
        metrics_name (str): the number's name in the printed lines.
    """

    def __init__(self, eval_function: Callable[[dict[str, Any]], float], eval_param_dict: dict[str, Any],
                 interval: int = 1, eval_start_epoch: int = 1, save_best_ckpt: bool = True, ckpt_directory: str = "./",
                 best_ckpt_name: str = BEST, metrics_name: str = "acc") -> None:
        super().__init__()
        if interval < 1:
            raise UNetError(f"interval {interval}: expected a number of epochs, at least 1")
        self.eval_function, self.eval_param_dict = eval_function, eval_param_dict
        self.interval, self.eval_start_epoch = interval, eval_start_epoch
        self.save_best_ckpt, self.metrics_name = save_best_ckpt, metrics_name
        self.best_ckpt_path = Path(ckpt_directory, best_ckpt_name)
        self.best_res, self.best_epoch = 0.0, 0

    def remove_ckpoint_file(self, file_name: str) -> None:
        """Remove a checkpoint file, if it is there."""
        Path(file_name).unlink(missing_ok=True)

    def epoch_end(self, run_context: RunContext) -> None:
        parameters = run_context.original_args()
        epoch = parameters.cur_epoch_num
        if epoch < self.eval_start_epoch or (epoch - self.eval_start_epoch) % self.interval:
            return
        result = self.eval_function(self.eval_param_dict)
        parameters.train_network.set_train()        # evaluation has switched it off in the network
        print(f"epoch: {epoch}, {self.metrics_name}: {result}", flush=True)
        if not result >= self.best_res:     # NaN is not the best either
            return
        self.best_res, self.best_epoch = result, epoch
        print(f"update best result: {result}", flush=True)
        if self.save_best_ckpt:
            with replacing(self.best_ckpt_path) as temporary:
                save_checkpoint(parameters.train_network, str(temporary))
            print(f"update best checkpoint at: {self.best_ckpt_path}", flush=True)

    def end(self, run_context: RunContext) -> None:
        print(f"End training, the best {self.metrics_name} is: {self.best_res}, the best {self.metrics_name} epoch is "
              f"{self.best_epoch}", flush=True)
