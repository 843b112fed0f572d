"""COCO's segmentations, checked before they go to the C code of pycocotools.

That code checks little: it takes four numbers for a box, allocates memory for coordinates of any size, and reads beyond
the end of a run-length code that is cut off.
"""
from typing import Any

import numpy as np
from pycocotools import mask as coder

MOST_BITS = 60


def pieces(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Compute the area of a segmentation, as pieces of the columns: a mask for each object would not fit into memory.

    Args:
        segmentation (list or dict): polygons [x, y, x, y, ...], or a run-length code {"size": [height, width],
            "counts": list or str}.
        height (int), width (int): size of the image.

    Returns:
        np.ndarray: (N, 2) beginning and end of pieces that do not overlap. A pixel's number is x * height + y.

    Raises:
        ValueError, TypeError, KeyError: it has another form, or is damaged.
    """
    if isinstance(segmentation, list):
        _check_polygons(segmentation, height, width)
        codes = [_decompress(code["counts"].decode()) for code in coder.frPyObjects(segmentation, height, width)]
    else:
        codes = [_counts(segmentation, height, width)]
    found = np.concatenate([_inside(counts) for counts in codes])
    if len(codes) > 1:      # they may overlap
        found = found[np.argsort(found[:, 0], kind="stable")]
        found[1:, 0] = np.maximum(found[1:, 0], np.maximum.accumulate(found[:-1, 1]))
    return found[found[:, 0] < found[:, 1]]


def _inside(counts: list[int]) -> np.ndarray:
    """Return (N, 2) beginning and end of the runs of 1, of the lengths of the runs of 0, 1, 0, ..."""
    ends = np.cumsum(np.array(counts, np.int64))
    return ends[:len(ends) // 2 * 2].reshape(-1, 2)


def _check_polygons(polygons: list, height: int, width: int) -> None:
    most = 4 * max(height, width)
    # Of all outlines together; pycocotools allocates memory by it. No outline that follows pixels is longer.
    left = most_length = 32 * most + height * width
    if not polygons:
        raise ValueError("no polygons and no run-length code")
    for polygon in polygons:
        points = np.asarray(polygon, float)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2:
            raise ValueError(f"a polygon of {points.size} numbers; expected x, y of at least 3 points")
        if not (np.abs(points) <= most).all():
            raise ValueError("a polygon far outside the image")
        left -= np.abs(np.diff(points.reshape(-1, 2), axis=0)).sum()
        if left < 0:
            raise ValueError(f"polygons whose outlines are more than {most_length} pixels long together")


def _counts(code: Any, height: int, width: int) -> list[int]:
    """Return the lengths of the runs of 0, 1, 0, ... in a run-length code."""
    if not isinstance(code, dict) or code.get("size") != [height, width]:
        raise ValueError(f"expected polygons or a run-length code of the size {[height, width]}")
    counts = _decompress(code["counts"]) if isinstance(code["counts"], str) else code["counts"]
    if not all(isinstance(count, int) and count >= 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"a run-length code that does not count {height * width} pixels")
    return counts


def _decompress(text: str) -> list[int]:
    """Read the counts from COCO's compressed form.

    Each character has five bits of a count, the lowest first. Bit 5 says that more follow; bit 4 of the last character
    is the sign. From the fourth count on, the code has the difference to the count two places before.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if shift > MOST_BITS:
            raise ValueError("a run-length code with a number of more than 60 bits")
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("a run-length code that is cut off")
    return counts
