"""Figures: the curves of a run and the confusion matrix of its classes."""
import io
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.evaluation.metrics import METRIC_NAMES
from src.report.history import STEP, TRAINING, VALIDATION, RunCurves

# From Okabe and Ito's palette. Lines differ in their dashes too.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
INK = "#010203"             # replaced by the colour of the page's text, which differs in light and dark mode

STYLE: dict[Any, Any] = {"font.size": 10, "font.family": "sans-serif", "svg.fonttype": "none", "axes.grid": True,
                         "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False}
ON_A_PAGE = {**STYLE, **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color",
                                       "grid.color"), INK)}

PANELS = {"loss": "Training loss", "learning_rate": "Learning rate", "dice": "Dice on the validation images",
          "iou": "IoU on the validation images"}


def progress_png(curves: RunCurves) -> bytes:
    """Draw the four panels of a run as a PNG file."""
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 7), layout="constrained")
        for axes, name in zip(figure.subplots(2, 2).flat, PANELS):
            _panel(axes, name, curves)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def curve_svgs(curves: RunCurves) -> dict[str, str]:
    """Draw the panels that have values: title -> SVG element."""
    svgs = {}
    for name, title in PANELS.items():
        with rc_context(ON_A_PAGE):
            figure = Figure(figsize=(5.6, 3.4), layout="constrained")
            if _panel(figure.subplots(), name, curves, title=False):
                svgs[title] = _svg(figure)
    return svgs


def confusion_svg(confusion: list[list[int]], names: list[str]) -> str:
    """Draw the confusion matrix as an SVG element, each row in percent of the label's pixels of that class.

    Args:
        confusion (list): (classes, classes) pixel counts: row = class of the label, column = predicted class.
        names (list): names of the classes.
    """
    counts = np.asarray(confusion)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(names) <= 12
    side = 2 + 0.6 * len(names) if few else 9
    with rc_context({**ON_A_PAGE, "axes.grid": False, "text.parse_math": False}):     # names may have a $ in them
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(share, cmap="cividis", vmin=0, vmax=100)
        if not few:
            figure.colorbar(image, ax=axes, label="percent of the label's pixels of the class", shrink=0.8)
        ticks = range(len(names)) if few else range(0, len(names), 5)
        axes.set_xticks(ticks, [names[tick] for tick in ticks], rotation=90)
        axes.set_yticks(ticks, [names[tick] for tick in ticks])
        axes.set_xlabel("predicted class")
        axes.set_ylabel("class of the label")
        if few:
            for (row, column), value in np.ndenumerate(share):
                axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=9,
                          color="black" if value > 50 else "white")
        return _svg(figure)


def sizes_svg(areas: dict[str, list[np.ndarray]]) -> str:
    """Draw a histogram of the areas of the true and of the predicted objects as an SVG element."""
    both = {kind: np.concatenate(parts) for kind, parts in areas.items()}
    largest = max([1, *(values.max(initial=1) for values in both.values())])
    bins = np.geomspace(1, largest + 1, 30)
    with rc_context(ON_A_PAGE):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        axes = figure.subplots()
        for (kind, values), colour, dashes in zip(both.items(), (BLUE, VERMILION), ("-", "--")):
            axes.hist(values, bins.tolist(), histtype="step", linewidth=1.6, color=colour, linestyle=dashes, label=kind)
        axes.set_xscale("log")
        axes.set_xlabel("area in pixels")
        axes.set_ylabel("objects")
        axes.legend(frameon=False, fontsize=9)
        return _svg(figure)


def counts_svg(true: list[int], predicted: list[int]) -> str:
    """Draw the predicted against the true number of objects of each image as an SVG element."""
    most = max([1, *true, *predicted])
    with rc_context(ON_A_PAGE):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, most], [0, most], "--", color=INK, linewidth=1)
        axes.plot(true, predicted, "o", color=BLUE, markersize=4, alpha=0.6, clip_on=False)
        axes.set_xlabel("true number of objects in an image")
        axes.set_ylabel("predicted number")
        return _svg(figure)


def _panel(axes: Axes, name: str, curves: RunCurves, title: bool = True) -> bool:
    """Draw one panel; return whether it has any values."""
    if title:
        axes.set_title(PANELS[name])
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.set_xlim(0, curves.last.step if curves.last else 1)
    drawn = False
    for column, kind, label, colour, dashes, marker in _LINES[name]:
        steps, values = curves.points(kind, column)
        if steps:
            axes.plot(steps, values, dashes, color=colour, label=label, marker=marker, markersize=4, clip_on=False,
                      linewidth=1 if name == "loss" else 1.6, alpha=0.5 if name == "loss" else 1)
            drawn = True
    if name == "loss" and drawn:
        _smoothed(axes, *curves.points(STEP, "loss"))
    axes.set_ylabel({"loss": "loss", "learning_rate": "learning rate"}.get(name, "score, 0 to 1"))
    if drawn and len(axes.get_lines()) > 1:
        axes.legend(frameon=False, fontsize=9)
    if not drawn:
        axes.text(0.5, 0.5, "no values yet", transform=axes.transAxes, ha="center", va="center")
    return drawn


_LINES = {
    "loss": [("loss", STEP, "loss of a step", BLUE, "-", "")],
    "learning_rate": [("learning_rate", STEP, "learning rate", BLUE, "-", "")],
    "dice": [("dice_coeff", VALIDATION, METRIC_NAMES["dice_coeff"], BLUE, "-", "o"),
             ("hard_dice", VALIDATION, "hard Dice of the foreground", VERMILION, "--", "s"),
             ("hard_dice", TRAINING, "the same, on the training images", GREEN, ":", "^")],
    "iou": [("iou", VALIDATION, METRIC_NAMES["iou"], BLUE, "-", "o"),
            ("hard_iou", VALIDATION, "hard IoU of the foreground", VERMILION, "--", "s"),
            ("hard_iou", TRAINING, "the same, on the training images", GREEN, ":", "^")],
}


def _smoothed(axes: Axes, steps: list[float], losses: list[float], sections: int = 40) -> None:
    """Draw the mean loss of each section of the run: the trend that the noise of the steps hides."""
    if len(steps) >= 2 * sections:
        means = ([part.mean() for part in np.array_split(column, sections)] for column in (steps, losses))
        axes.plot(*means, color=VERMILION, linewidth=2, label=f"mean over 1/{sections} of the run")


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg"):].replace(INK, "currentColor")
