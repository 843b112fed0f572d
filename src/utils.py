"""The model zoo's names for what ``mindspore.Model`` takes to train and evaluate a network, over our own code."""
import logging
import math
import time
from typing import Any

import numpy as np
from mindspore import Model, nn
from mindspore.train import Callback, Metric, RunContext
from PIL import Image
from scipy.special import softmax

from src.evaluation.evaluate import ScoredImage, to_volume
from src.evaluation.metrics import soft_dice_iou
from src.model_utils.config import Config, config, parse_options
from src.model_utils.errors import UNetError, printable
from src.networks import inference_network
from src.report.drawing import ClassDrawer, palette
from src.training.callbacks.log import epoch_line, step_line

__all__ = ["StepLossTimeMonitor", "TempLoss", "UnetEval", "apply_eval", "dice_coeff",
           "filter_checkpoint_parameter_by_list", "mask_to_image"]

logger = logging.getLogger("unet")

METRICS = ("dice_coeff", "iou")     # the order in which ``dice_coeff`` gives them


class UnetEval(inference_network.UnetEval):
    """See ``src.networks.inference_network.UnetEval``; of several heads it takes the last, whatever ``need_slice`` is.

    Raises:
        UNetError: an activation that is not softmax, argmax or sigmoid, or that does not fit the network.
    """

    def __init__(self, net: nn.Cell, need_slice: bool = False, eval_activate: str = "softmax"):
        if eval_activate.lower() not in ("softmax", "argmax", "sigmoid"):
            raise UNetError(f"eval_activate {eval_activate!r}: expected softmax, argmax or sigmoid")
        super().__init__(net, eval_activate)

    def construct(self, x):
        out = self.net(x)
        if out.ndim == 5:
            out = out[-1]
        return self.activated(out)


class TempLoss(nn.Cell):
    """(logits, label) -> logits: for a Model that only evaluates, and needs a loss that takes both."""

    def construct(self, logits, label):
        return logits


def apply_eval(eval_param_dict: dict[str, Any]) -> float:
    """Evaluate ``model`` on ``dataset``, and return the metric ``metrics_name``: dice_coeff or iou.

    Args:
        eval_param_dict (dict): the three; the model has the metric ``dice_coeff``.

    Raises:
        UNetError: there is no such metric.
    """
    model: Model = eval_param_dict["model"]
    name = eval_param_dict["metrics_name"]
    if name not in METRICS:
        raise UNetError(f"metrics_name {name!r}: expected one of {', '.join(METRICS)}; train.py --run_eval=True "
                        f"--eval_metrics=NAMES has more metrics")
    return model.eval(eval_param_dict["dataset"], dataset_sink_mode=False)["dice_coeff"][METRICS.index(name)]


class dice_coeff(Metric):       # noqa: N801 - the model zoo's name
    """Soft Dice and IoU, the means over the images: ``eval()`` gives both.

    ``update`` takes the prediction for one image and its one-hot label (1, C, H, W). The prediction is the output of
    ``UnetEval`` or the logits of the network. The options include_background, eval_resize and color of the command
    line count.

    Args:
        print_res (bool): print the values of each image.
        show_eval (bool): draw each image into ``./draw_eval``.

    Raises:
        UNetError: more than one image, or another size than the label's without eval_resize.
    """

    def __init__(self, print_res: bool = True, show_eval: bool = False) -> None:
        super().__init__()
        self.print_res, self.show_eval = print_res, show_eval
        self.options = _options()
        self.drawer: ClassDrawer | None = None
        self.clear()

    def clear(self) -> None:
        self.values: list[tuple[float, float]] = []

    def draw_img(self, gray: np.ndarray, index: int) -> np.ndarray:
        """Return the colours (H, W, 3) of class numbers (H, W); ``index`` is not used."""
        classes = gray.astype(int)
        return palette(self.options.color, classes.max() + 1)[classes]

    def update(self, *inputs: Any) -> None:
        output, label = (self._convert_data(data) for data in inputs)
        if len(label) != 1:
            raise UNetError(f"dice_coeff takes one image at a time, found a batch of {len(label)}; evaluate with "
                            f"batches of 1")
        label = label[0].transpose(1, 2, 0)
        height, width, classes = label.shape
        output = _without_batch(output, classes)
        if output.shape[:2] != (height, width) and not self.options.eval_resize:
            raise UNetError(f"the prediction is {output.shape[0]}x{output.shape[1]} (height x width), the label "
                            f"{height}x{width}; give data of one size, or --eval_resize=True")
        volume = to_volume(output, (height, width), classes, "Argmax" if output.ndim == 2 else "Softmax")
        first = 0 if self.options.include_background else 1
        dice, iou = soft_dice_iou(volume[..., first:], label[..., first:])
        image = ScoredImage(index=len(self.values), volume=volume, predicted=volume.argmax(axis=-1),
                            classes=label.argmax(axis=-1), counted=label.any(axis=-1), dice=dice, iou=iou)
        self.values.append((dice, iou))
        if self.print_res:
            print(image.line, flush=True)
        if self.show_eval:
            self.drawer = self.drawer or ClassDrawer("", self.options.color, classes)
            self.drawer.draw(image)

    def eval(self) -> tuple[float, float]:
        if not self.values:
            raise UNetError("dice_coeff has seen no image; give a data set that is not empty")
        if self.drawer:
            self.drawer.finish()
        dice, iou = np.mean(self.values, axis=0).tolist()
        return dice, iou


def _without_batch(output: np.ndarray, classes: int) -> np.ndarray:
    """Return (h, w, classes or 1) probabilities or (h, w) class numbers of an image; logits become probabilities."""
    if output.ndim == 5:
        output = output[-1]         # the last head
    if output.ndim == 4 and output.shape[-1] not in (1, classes):
        if output.shape[1] != classes:
            raise UNetError(f"dice_coeff: the prediction has the shape {output.shape}; expected the output of UnetEval "
                            f"or logits, of the {classes} classes of the label")
        output = softmax(output.transpose(0, 2, 3, 1).astype(np.float32), axis=-1)
    return output[0]


def _options() -> Config:
    """Return the options of the command line, or the defaults with a warning if the program has options of its own."""
    try:
        vars(config)
        return config
    except UNetError as error:
        logger.warning("WARNING: dice_coeff uses the defaults of include_background, eval_resize and color (%s)", error)
        return parse_options([], "")


class StepLossTimeMonitor(Callback):
    """Prints each step and epoch of ``Model.train``, and ends a training whose loss is not finite.

    Args:
        batch_size (int): images a step, for the images per second.
        per_print_times (int): steps between two lines; 0 prints none.
        rank (int): only rank 0 prints the epochs.
    """

    def __init__(self, batch_size: int, per_print_times: int = 1, rank: int = 0) -> None:
        super().__init__()
        if not isinstance(per_print_times, int) or per_print_times < 0:
            raise UNetError(f"per_print_times {per_print_times!r}: expected a whole number of at least 0")
        self.batch_size, self.per_print_times, self.rank = batch_size, per_print_times, rank
        self.losses: list[float] = []
        self.epoch_start = self.step_start = time.perf_counter()

    def epoch_begin(self, run_context: RunContext) -> None:
        self.losses, self.epoch_start = [], time.perf_counter()

    def step_begin(self, run_context: RunContext) -> None:
        self.step_start = time.perf_counter()

    def step_end(self, run_context: RunContext) -> None:
        parameters = run_context.original_args()
        outputs = parameters.net_outputs
        # With dynamic loss scale, overflow and scale come after the loss.
        loss = float(np.mean((outputs[0] if isinstance(outputs, (tuple, list)) else outputs).asnumpy()))
        seconds = time.perf_counter() - self.step_start
        step = (parameters.cur_step_num - 1) % parameters.batch_num + 1
        if not math.isfinite(loss):
            raise UNetError(f"the loss is {loss} at step {step} of epoch {parameters.cur_epoch_num}; lower the "
                            f"learning rate, or check the data")
        self.losses.append(loss)
        if self.per_print_times and parameters.cur_step_num % self.per_print_times == 0:
            print(step_line(step, loss, self.batch_size / seconds), flush=True)

    def epoch_end(self, run_context: RunContext) -> None:
        seconds = time.perf_counter() - self.epoch_start
        steps = len(self.losses)
        if self.rank == 0 and steps:
            print(epoch_line(run_context.original_args().cur_epoch_num, float(np.mean(self.losses)), seconds,
                             self.batch_size * steps / seconds), flush=True)


def mask_to_image(mask: np.ndarray) -> Image.Image:
    """Turn a mask from 0 to 1 into a gray image from 0 to 255."""
    return Image.fromarray((mask * 255).astype(np.uint8))


def filter_checkpoint_parameter_by_list(param_dict: dict[str, Any], filter_list: list[str]) -> None:
    """Remove the parameters whose name contains one of ``filter_list`` from ``param_dict``."""
    for name in [name for name in param_dict if any(part in name for part in filter_list)]:
        print("Delete parameter from checkpoint: ", printable(name))
        del param_dict[name]
