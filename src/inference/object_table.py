"""The rows of objects.csv: what is measured of each object."""
from collections.abc import Iterator

import numpy as np

from src.inference.object_bands import PageObjects
from src.inference.page_image import PageImage
from src.model_utils.errors import encodable

_SHAPE = {"label": "label", "area": "area", "centroid-0": "centroid_y", "centroid-1": "centroid_x", "bbox-0": "top",
          "bbox-1": "left", "bbox-2": "bottom", "bbox-3": "right", "perimeter": "perimeter",
          "eccentricity": "eccentricity", "solidity": "solidity"}
_ROWS = ("centroid_y", "top", "bottom")     # columns that count rows of the page
IN_MICROMETRES = ("area_um2", "centroid_y_um", "centroid_x_um", "perimeter_um")


def columns(channels: int) -> list[str]:
    """Return the names of the columns for images of so many channels.

    Pixels have their centres at whole numbers, and bottom and right are the first row and column beyond the object. The
    other measures are those of scikit-image's ``regionprops``; mean intensities are of the numbers in the image file.
    """
    return ["file", "page", "label", "class", *list(_SHAPE.values())[1:], "mean_probability",
            *(f"mean_intensity_{channel}" for channel in range(channels)), *IN_MICROMETRES]


def measure(objects: PageObjects, image: PageImage, pixel: tuple[float, float] | None) -> dict[str, np.ndarray]:
    """Measure the objects of a page; memory holds the rows of the highest object, or a band.

    Args:
        objects: the objects.
        image: the page.
        pixel: height and width of a pixel in micrometres, or None.

    Returns:
        dict: column -> value of each object, by number; without those in micrometres if ``pixel`` is None.
    """
    count, channels = len(objects.areas), image.shape[2]
    sums = np.zeros((channels, count + 1))
    parts = [_shapes(labels, first) for first, labels in _whole_objects(objects, image, sums)]
    table = {name: np.concatenate([part[name] for part in parts]) for name in _SHAPE.values()}
    order = np.argsort(table["label"])
    table = {name: values[order] for name, values in table.items()}
    table["class"], table["mean_probability"] = objects.classes, objects.probabilities
    for channel in range(channels):
        table[f"mean_intensity_{channel}"] = sums[channel, 1:] / np.maximum(1, objects.areas)
    if pixel:
        down, across = pixel
        table |= {"area_um2": table["area"] * down * across, "centroid_y_um": table["centroid_y"] * down,
                  "centroid_x_um": table["centroid_x"] * across}
        if abs(down - across) < 1e-3 * across:      # else the length of a side depends on its direction
            table["perimeter_um"] = table["perimeter"] * across
    return table


def _whole_objects(objects: PageObjects, image: PageImage, sums: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first row, labels) of parts of the page. Each object is in one part, as a whole.

    Adds up the image's numbers in each object to ``sums``, (channels, objects + 1).
    """
    height, width = objects.size
    held, top = np.zeros((0, width), np.int32), 0
    for stored in image.bands():
        labels = objects.labels(top, top + len(stored)).astype(np.int32)
        top += len(stored)
        for channel in range(len(sums)):
            sums[channel] += np.bincount(labels.reshape(-1), stored[..., channel].reshape(-1), sums.shape[1])
        held = np.concatenate([held, labels])
        goes_on = np.zeros(sums.shape[1], bool)
        if top < height:
            goes_on[held[-1]] = True
            goes_on[0] = False
        waits = goes_on[held]
        yield top - len(held), np.where(waits, 0, held)
        rows = np.flatnonzero(waits.any(axis=1))
        start = rows[0] if len(rows) else len(held)
        held = np.where(waits[start:], held[start:], 0)


def _shapes(labels: np.ndarray, first: int) -> dict[str, np.ndarray]:
    """Measure the objects in rows of the page from ``first`` on."""
    from skimage.measure import regionprops_table  # takes a moment to load

    names = dict.fromkeys(name.partition("-")[0] for name in _SHAPE)
    found = regionprops_table(labels, properties=list(names))
    return {column: found[name] + (first if column in _ROWS else 0) for name, column in _SHAPE.items()}


def lines(file: str, page: int, table: dict[str, np.ndarray], names: list[str]) -> Iterator[str]:
    """Yield the rows of the table as text; columns that it does not have are empty."""
    file = encodable(file)
    quoted = '"' + file.replace('"', '""') + '"' if any(sign in file for sign in ',"\n\r') else file
    given: dict[str, object] = {"file": quoted, "page": page}
    for row in range(len(table["label"])):
        cells = (given[name] if name in given else table[name][row] if name in table else "" for name in names)
        yield ",".join(map(_text, cells))


def _text(cell: object) -> str:
    """Return a number with six digits, a whole one without a point; the mean over pixels that are no numbers is nan."""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else f"{cell:.6g}"
    return str(cell)
