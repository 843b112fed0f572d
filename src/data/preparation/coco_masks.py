"""COCO's segmentations, checked before the C code of pycocotools gets them.

That code checks little: it takes four numbers as a box and large ones as memory, and reads beyond the end of a
run-length code that is cut off.
"""
import numpy as np
from pycocotools import mask as coder


def area(segmentation, height, width):
    """Where a segmentation is.

    Args:
        segmentation (list or dict): polygons [x, y, x, y, ...], or a run-length code {"size": [height, width],
            "counts": list or str}.
        height (int), width (int): of the picture.

    Returns:
        np.ndarray: (height, width) bool.

    Raises:
        ValueError, TypeError, KeyError: it is neither, or is damaged.
    """
    if isinstance(segmentation, list):
        _check_polygons(segmentation, 4 * max(height, width))
        code = coder.merge(coder.frPyObjects(segmentation, height, width))
    else:
        counts = _counts(segmentation, height, width)
        code = coder.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return coder.decode(code).astype(bool)


def _check_polygons(polygons, most):
    if not polygons:
        raise ValueError("no polygons and no run-length code")
    for polygon in polygons:
        points = np.asarray(polygon, float)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2:
            raise ValueError(f"a polygon of {points.size} numbers; expected x, y of at least 3 points")
        if not (np.abs(points) <= most).all():
            raise ValueError("a polygon far outside the picture")


def _counts(code, height, width):
    """The lengths of the runs of 0, 1, 0, ... that a run-length code stands for."""
    if not isinstance(code, dict) or code.get("size") != [height, width]:
        raise ValueError(f"expected polygons or a run-length code of the size {[height, width]}")
    counts = _decompress(code["counts"]) if isinstance(code["counts"], str) else code["counts"]
    if not all(isinstance(count, int) and count >= 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"a run-length code that does not count {height * width} pixels")
    return counts


def _decompress(text):
    """Counts from COCO's compressed form.

    Five bits a character, the lowest first; bit 5 says that more follow, bit 4 of the last one is the sign. From the
    fourth on a count is given by its difference to the one before the last.
    """
    counts, value, shift = [], 0, 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("a run-length code that is cut off")
    return counts
