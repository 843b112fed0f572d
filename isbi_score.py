"""Score a prediction as the ISBI 2012 board did: ``python isbi_score.py LABELS.tif PROBABILITIES.tif [--membrane]``."""
import argparse
import sys

from src.model_utils.script import guarded


def score(labels_path, probabilities_path, membrane=False):
    """Print V_rand and V_info of a stack of probabilities, and the threshold of each.

    Args:
        labels_path (str): TIFF of the labels, 255 (cell) and 0.
        probabilities_path (str): TIFF of as many pages of that size, float32: the probability of a cell.
        membrane (bool): it is the probability of a membrane.

    Raises:
        UNetError: a stack that cannot be read or is no such stack, two that do not agree, or labels of one class.
    """
    from src.data.stacks import describe, read_classes, read_probabilities  # behind --help, as it takes a second
    from src.evaluation.isbi_metrics import BoardMetrics
    from src.model_utils.errors import UNetError

    labels, probabilities = read_classes(labels_path), read_probabilities(probabilities_path)
    if labels.shape != probabilities.shape:
        raise UNetError(f"{labels_path} holds {describe(labels)}, {probabilities_path} holds "
                        f"{describe(probabilities)}; the two must agree")
    if labels.min() == labels.max():
        raise UNetError(f"{labels_path}: all pixels are {'cells' if labels.max() else 'membrane'}; expected labels "
                        f"with 0 (membrane) and 255 (cell)")
    metrics = BoardMetrics()
    for label, probability in zip(labels, probabilities):
        metrics.add(label, 1 - probability if membrane else probability)
    for name, best in metrics.best().items():
        print(f"{name}: {best}")


def main():
    """Read the arguments; the exit status is 2 for wrong usage and bad input."""
    parser = argparse.ArgumentParser(description="Score a stack of probabilities by V_rand and V_info, the metrics of "
                                                 "the ISBI 2012 challenge: 1 is a perfect score.")
    parser.add_argument("labels", metavar="LABELS.tif", help="the labels, 8 bits: 255 (cell) and 0 (membrane)")
    parser.add_argument("probabilities", metavar="PROBABILITIES.tif",
                        help="float32 from 0 to 1, the probability of a cell, as predict.py --save_probability=True "
                             "and --isbi_submission=True write it")
    parser.add_argument("--membrane", action="store_true", help="the probabilities are those of the membrane")
    args = parser.parse_args()
    return guarded(lambda: score(args.labels, args.probabilities, args.membrane))


if __name__ == "__main__":
    sys.exit(main())
