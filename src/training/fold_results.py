"""The output folder of train_folds.py: a folder for each fold, folds.json and folds.md. Without MindSpore."""
import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from src.data.folds import Fold
from src.model_utils.claims import claimed_int
from src.model_utils.errors import UNetError
from src.model_utils.files import (
    CONFIG_YAML,
    FOLDS_JSON,
    FOLDS_MD,
    HISTORY_CSV,
    METRICS_JSON,
    natural,
    write_atomically,
)
from src.model_utils.inputs import MissingFile, read_json
from src.report.history import TRAINING, read_history
from src.training.checkpoint_files import checkpoint_folder, final_checkpoint

MOST_FOLDS = 10_000

# Column of the table -> its keys in metrics.json. Columns that metrics.json does not have are left out.
SCORES = {"soft Dice": ("soft", "dice_coeff"), "soft IoU": ("soft", "iou"), "Dice": ("hard", "Dice", "foreground"),
          "IoU": ("hard", "IoU", "foreground"), "mean IoU": ("hard", "IoU", "mean"),
          "V_rand": ("isbi_board", "V_rand", "value"), "V_info": ("isbi_board", "V_info", "value")}
NOTES = ("Dice and IoU: hard, of the foreground, from the pixel counts of the fold's images; mean IoU: over classes.",
         "Minutes: of the steps and the evaluations between them.",
         "Mean and standard deviation over the folds: that of the sample, with n - 1 in the denominator.")


def fold_folder(output: str | Path, number: int) -> Path:
    """Return the folder of a fold."""
    return Path(output) / f"fold_{number}"


# ---- checkpoints


def fold_checkpoints(output: str | Path, checkpoint_path: str, model_name: str) -> list[Path]:
    """Return the final checkpoint of each fold, fold_1 first.

    Args:
        output (Path): output folder of train_folds.py.
        checkpoint_path (str): the option: folder of the checkpoints inside the folder of a fold.
        model_name (str): the network.

    Raises:
        UNetError: there is no fold, or a fold has no checkpoint.
    """
    folders = sorted((path for path in Path(output).glob("fold_*") if path.is_dir()), key=natural)
    if not folders:
        raise UNetError(f"{output}: a folder without fold_1, fold_2, ...; expected a .ckpt file, or the output folder "
                        f"of train_folds.py")
    return [fold_checkpoint(folder, checkpoint_path, model_name) for folder in folders]


def fold_checkpoint(folder: Path, checkpoint_path: str, model_name: str) -> Path:
    """Return the final checkpoint of the fold in ``folder``; the arguments and errors are those of fold_checkpoints."""
    checkpoints = checkpoint_folder(folder, checkpoint_path)
    path = final_checkpoint(checkpoints, model_name)
    if path is None:
        raise UNetError(f"{checkpoints}: no checkpoint of {model_name}; wait until the fold is trained, and give the "
                        f"options that it is trained with (--config_path={folder / CONFIG_YAML})")
    return path


# ---- scores


def read_result(fold: Fold, folder: Path, checkpoint: Path) -> dict[str, Any]:
    """Read the result of a fold that was trained and evaluated, in the form of folds.json.

    Args:
        fold (Fold): its number and samples.
        folder (Path): its folder, with metrics.json and history.csv.
        checkpoint (Path): the checkpoint that was evaluated.

    Returns:
        dict: plain values.

    Raises:
        UNetError: metrics.json cannot be read.
    """
    scores = read_json(folder / METRICS_JSON, lambda metrics: {
        name: _at(metrics, keys) for name, keys in SCORES.items() if keys[0] in metrics})
    seconds = sum(row.seconds or 0 for row in read_history(folder / HISTORY_CSV) if row.kind != TRAINING)
    return {"fold": fold.number, "checkpoint": checkpoint.relative_to(folder.parent).as_posix(),
            "training_samples": len(fold.train), "validation_samples": fold.validation, "minutes": seconds / 60,
            "scores": scores}


def _at(metrics: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        metrics = metrics[key]
    return metrics


def read_results(output: str | Path) -> tuple[dict[int, dict[str, Any]], int]:
    """Read the results of the finished folds, and the number of all folds.

    Returns:
        tuple: (number -> result, number of folds); ({}, 0) if there is no folds.json.

    Raises:
        UNetError: folds.json does not have the form that ``write_results`` writes.
    """
    path = Path(output) / FOLDS_JSON

    def results_in(found: Any) -> tuple[dict[int, dict[str, Any]], int]:
        folds = claimed_int(found["folds"], 1, MOST_FOLDS, f"{path}: folds")
        results = {claimed_int(result["fold"], 1, folds, f"{path}: fold"): result for result in found["results"]}
        table(results, folds)
        return results, folds

    try:
        return read_json(path, results_in, "not what train_folds.py writes",
                         "; remove it, and the folds are evaluated again")
    except MissingFile:
        return {}, 0


def write_results(output: str | Path, title: str, results: dict[int, dict[str, Any]], folds: int) -> None:
    """Write folds.json and folds.md, each whole or not at all.

    Args:
        output (Path): the folder of both files.
        title (str): the network and its data set.
        results (dict): number -> result of each finished fold.
        folds (int): number of all folds.
    """
    scores = {name: {"mean": mean, "standard_deviation": deviation} for name, (mean, deviation) in
              summary(results).items()}
    about = {"title": title, "folds": folds, "finished": len(results), "scores": scores,
             "standard_deviation": "of the sample of folds, n - 1 in the denominator",
             "results": [results[number] for number in sorted(results)]}
    write_atomically(Path(output) / FOLDS_JSON, json.dumps(about, indent=1).encode())
    text = "\n".join([f"# {title}", "", *table(results, folds), "", *NOTES, ""])
    write_atomically(Path(output) / FOLDS_MD, text.encode())


def summary(results: dict[int, dict[str, Any]]) -> dict[str, tuple[float | None, float | None]]:
    """Return column -> (mean, standard deviation of the sample) over the folds with a value; None for too few."""
    columns = {name: [result["scores"].get(name) for result in results.values()] for name in SCORES
               if any(name in result["scores"] for result in results.values())}
    columns["minutes"] = [result["minutes"] for result in results.values()]
    return {name: _mean_and_deviation([value for value in values if value is not None])
            for name, values in columns.items()}


def _mean_and_deviation(values: list[float]) -> tuple[float | None, float | None]:
    return (statistics.fmean(values) if values else None, statistics.stdev(values) if len(values) > 1 else None)


def table(results: dict[int, dict[str, Any]], folds: int) -> list[str]:
    """Return the lines of a Markdown table: one row for each fold, then mean ± standard deviation."""
    means = summary(results)
    rows = [["fold", "images", *means],
            *([str(number), *_cells(results.get(number), means)] for number in range(1, folds + 1)),
            ["mean ± standard deviation", str(sum(len(result["validation_samples"]) for result in results.values())),
             *(f"{_text(name, mean)} ± {_text(name, deviation)}" for name, (mean, deviation) in means.items())]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _cells(result: dict[str, Any] | None, names: Iterable[str]) -> list[str]:
    if result is None:
        return ["not finished", *("" for _ in names)]
    values = {**result["scores"], "minutes": result["minutes"]}
    return [str(len(result["validation_samples"])), *(_text(name, values.get(name)) for name in names)]


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if name == "minutes" else f"{value:.4f}"
