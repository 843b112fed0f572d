"""The output folder of train_folds.py: a folder for each fold, folds.json and folds.md. Without MindSpore."""
import json
import statistics
from pathlib import Path

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
from src.report.history import TRAINING, read_history
from src.training.checkpoint_files import checkpoint_folder, final_checkpoint

# Column of the table -> where metrics.json has it; those that it does not have are left out.
SCORES = {"soft Dice": ("soft", "dice_coeff"), "soft IoU": ("soft", "iou"), "Dice": ("hard", "Dice", "foreground"),
          "IoU": ("hard", "IoU", "foreground"), "mean IoU": ("hard", "IoU", "mean"),
          "V_rand": ("isbi_board", "V_rand", "value"), "V_info": ("isbi_board", "V_info", "value")}
NOTES = ("Dice and IoU: hard, of the foreground, from the pixel counts of the fold's images; mean IoU: over classes.",
         "Minutes: of the steps and the evaluations between them.",
         "Mean and standard deviation over the folds: that of the sample, with n - 1 in the denominator.")


def fold_folder(output, number):
    """Folder of a fold."""
    return Path(output) / f"fold_{number}"


# ---- checkpoints


def fold_checkpoints(config, output):
    """What each fold in ``output`` is judged by, fold_1 first.

    Args:
        config (Config): checkpoint_path and model_name count.
        output (Path): output folder of train_folds.py.

    Returns:
        list[Path]: a checkpoint of each.

    Raises:
        UNetError: there is no fold, or one without a checkpoint.
    """
    folders = sorted((path for path in Path(output).glob("fold_*") if path.is_dir()), key=natural)
    if not folders:
        raise UNetError(f"{output}: a folder without fold_1, fold_2, ...; expected a .ckpt file, or the output folder "
                        f"of train_folds.py")
    return [_final(config, folder) for folder in folders]


def _final(config, folder):
    place = checkpoint_folder(config.replace(output_path=str(folder)))
    path = final_checkpoint(place, config.model_name)
    if path is None:
        raise UNetError(f"{place}: no checkpoint of {config.model_name}; wait until the fold is trained, and give the "
                        f"options that it is trained with (--config_path={folder / CONFIG_YAML})")
    return path


# ---- scores


def read_result(fold, folder, checkpoint):
    """The result of a fold that was trained and evaluated, as folds.json has it.

    Args:
        fold (Fold): its number and samples.
        folder (Path): its folder, with metrics.json and history.csv.
        checkpoint (Path): what was evaluated.

    Returns:
        dict: plain values.

    Raises:
        UNetError: metrics.json cannot be read.
    """
    metrics = _read_json(folder / METRICS_JSON)
    seconds = sum(row.seconds or 0 for row in read_history(folder / HISTORY_CSV) if row.kind != TRAINING)
    return {"fold": fold.number, "checkpoint": checkpoint.relative_to(folder.parent).as_posix(),
            "training_samples": len(fold.train), "validation_samples": fold.validation, "minutes": seconds / 60,
            "scores": {name: _at(metrics, place) for name, place in SCORES.items() if place[0] in metrics}}


def _at(metrics, place):
    for key in place:
        metrics = metrics[key]
    return metrics


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UNetError(f"{path}: cannot be read ({type(error).__name__}: {str(error)[:100]})") from None


def read_results(output):
    """The results of the finished folds, and how many folds there are.

    Returns:
        tuple: (number -> result, number of folds); ({}, 0) where there is no folds.json.

    Raises:
        UNetError: folds.json is not what ``write_results`` writes.
    """
    path = Path(output) / FOLDS_JSON
    if not path.exists():
        return {}, 0
    found = _read_json(path)
    try:
        results = {int(result["fold"]): result for result in found["results"]}
        table(results, int(found["folds"]))
        return results, int(found["folds"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UNetError(f"{path}: not what train_folds.py writes; remove it, and the folds are evaluated "
                        f"again") from None


def write_results(output, title, results, folds):
    """Write folds.json and folds.md, each whole or not at all.

    Args:
        output (Path): where to.
        title (str): what was trained on what.
        results (dict): number -> result of the folds that are finished.
        folds (int): how many there are to be.
    """
    scores = {name: {"mean": mean, "standard_deviation": deviation} for name, (mean, deviation) in
              summary(results).items()}
    about = {"title": title, "folds": folds, "finished": len(results), "scores": scores,
             "standard_deviation": "of the sample of folds, n - 1 in the denominator",
             "results": [results[number] for number in sorted(results)]}
    write_atomically(Path(output) / FOLDS_JSON, json.dumps(about, indent=1).encode())
    text = "\n".join([f"# {title}", "", *table(results, folds), "", *NOTES, ""])
    write_atomically(Path(output) / FOLDS_MD, text.encode())


def summary(results):
    """Column -> (mean, standard deviation of the sample) over the folds that have a value; None where too few have."""
    columns = {name: [result["scores"].get(name) for result in results.values()] for name in SCORES
               if any(name in result["scores"] for result in results.values())}
    columns["minutes"] = [result["minutes"] for result in results.values()]
    return {name: _mean_and_deviation([value for value in values if value is not None])
            for name, values in columns.items()}


def _mean_and_deviation(values):
    return (statistics.fmean(values) if values else None, statistics.stdev(values) if len(values) > 1 else None)


def table(results, folds):
    """Lines of a Markdown table: a row a fold, then mean ± standard deviation."""
    means = summary(results)
    rows = [["fold", "images", *means],
            *([str(number), *_cells(results.get(number), means)] for number in range(1, folds + 1)),
            ["mean ± standard deviation", str(sum(len(result["validation_samples"]) for result in results.values())),
             *(f"{_text(name, mean)} ± {_text(name, deviation)}" for name, (mean, deviation) in means.items())]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _cells(result, names):
    if result is None:
        return ["not finished", *[""] * len(names)]
    values = {**result["scores"], "minutes": result["minutes"]}
    return [str(len(result["validation_samples"])), *(_text(name, values.get(name)) for name in names)]


def _text(name, value):
    if value is None:
        return "-"
    return f"{value:.1f}" if name == "minutes" else f"{value:.4f}"
