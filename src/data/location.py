"""Where a data set is, if not in the folder that is given."""
from pathlib import Path

# Layout -> folders inside the given one that may hold the data set; the U-Net for TensorFlow is given such a folder.
INSIDE = {"membrane": ("membrane", "data/membrane")}


def data_root(dataset: str, data_path: str) -> str:
    """Return the folder of a data set: ``data_path`` or, if it has no folder ``train``, one inside that has.

    Args:
        dataset: name of the layout.
        data_path: the folder that is given.
    """
    if not (Path(data_path) / "train").is_dir():
        for folder in INSIDE.get(dataset, ()):
            if (Path(data_path) / folder / "train").is_dir():
                return str(Path(data_path) / folder)
    return data_path
