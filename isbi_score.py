"""Score a prediction as the ISBI 2012 board did: ``python isbi_score.py LABELS.tif PROBABILITIES.tif [--membrane]``."""
import argparse
import sys

from src.model_utils.script import guarded


def score(labels_path: str, probabilities_path: str, membrane: bool = False) -> None:
    """Print V_rand and V_info of a stack of probabilities, and the threshold of each.

    Args:
        labels_path (str): TIFF file of the labels, (pages, H, W) uint8: 255 (cell) and 0 (membrane).
        probabilities_path (str): TIFF file of the probabilities, (pages, H, W) float32 from 0 to 1.
        membrane (bool): whether these are probabilities of the membrane; otherwise of a cell.

    Raises:
        UNetError: a file cannot be read or holds something else, the stacks differ in size, or the labels have only
            one class.
    """
    from src.data.stacks import describe, read_classes, read_probabilities  # these take a second, which --help saves
    from src.evaluation.isbi_metrics import BoardMetrics
    from src.model_utils.errors import UNetError

    labels, probabilities = read_classes(labels_path), read_probabilities(probabilities_path)
    if labels.shape != probabilities.shape:
        raise UNetError(f"{labels_path} holds {describe(labels.shape)}, {probabilities_path} holds "
                        f"{describe(probabilities.shape)}; the two must agree")
    if labels.min() == labels.max():
        raise UNetError(f"{labels_path}: all pixels are {'cells' if labels.max() else 'membrane'}; expected labels "
                        f"with 0 (membrane) and 255 (cell)")
    metrics = BoardMetrics()
    for label, probability in zip(labels, probabilities):
        metrics.add(label, 1 - probability if membrane else probability)
    for name, best in metrics.best().items():
        print(f"{name}: {best}")


def main():
    """Read the arguments and print the scores; the exit status is 2 for wrong usage and bad input."""
    parser = argparse.ArgumentParser(description="Score a stack of probabilities by V_rand and V_info, the metrics of "
                                                 "the ISBI 2012 challenge: 1 is a perfect score.")
    parser.add_argument("labels", metavar="LABELS.tif", help="labels, 8 bits: 255 (cell) and 0 (membrane)")
    parser.add_argument("probabilities", metavar="PROBABILITIES.tif",
                        help="probabilities of a cell, float32 from 0 to 1, as predict.py writes them with "
                             "--save_probability=True and --isbi_submission=True")
    parser.add_argument("--membrane", action="store_true", help="take the probabilities as those of the membrane")
    args = parser.parse_args()
    return guarded(lambda: score(args.labels, args.probabilities, args.membrane))


if __name__ == "__main__":
    sys.exit(main())
