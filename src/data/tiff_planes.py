"""The planes of TIFF files: images of samples that are stored together, of which only the rows asked for are read."""
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from src.data.image_formats import TIFF
from src.data.tiff import reading_tiff

FAX = {2, 3, 4}         # CCITT run lengths, group 3 and group 4, whose names differ between versions of tifffile


@dataclass(frozen=True)
class Plane:
    """One image of a file, of samples that are stored together.

    Attributes:
        page: the TiffPage or TiffFrame that holds it.
        sample, depth: its place in the page, where a page has several planes.
        offset: place of its numbers in the file, if they belong to no page of their own.
    """
    page: Any
    sample: int = 0
    depth: int = 0
    offset: int | None = None


def read_planes(planes: list[Plane], path: Path, rows: slice, columns: slice) -> np.ndarray:
    """Read (h, w, samples) of a page as stored."""
    with reading_tiff(path):
        if len(planes) == 1:
            return _read_plane(planes[0], rows, columns)
        return np.concatenate([_read_plane(plane, rows, columns) for plane in planes], axis=2)


def read_fax(planes: list[Plane], path: Path, rows: slice, columns: slice) -> np.ndarray:
    """Read the compressions of fax machines by Pillow; few versions of imagecodecs have them."""
    with reading_tiff(path), Image.open(path, formats=[TIFF]) as image:
        image.seek(planes[0].page.index)
        pixels = np.asarray(image)
        # Pillow has inverted them.
        is_inverted = planes[0].page.keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        return (~pixels if is_inverted else pixels)[rows, columns, None]


def _read_plane(plane: Plane, rows: slice, columns: slice) -> np.ndarray:
    if is_raw(plane):
        return _read_rows(plane, rows)[:, columns]
    return _read_segments(plane, rows, columns)


def is_raw(plane: Plane) -> bool:
    """Return whether the numbers are in the file as they are, row after row."""
    return plane.offset is not None or plane.page.keyframe.is_final


def _read_rows(plane: Plane, rows: slice) -> np.ndarray:
    """Read rows that are stored one after another as they are."""
    page, keyframe = plane.page, plane.page.keyframe
    _, depth, length, width, samples = keyframe.shaped
    dtype = keyframe.dtype.newbyteorder(keyframe.parent.byteorder)
    offset = plane.offset
    if offset is None:
        place = plane.sample * depth + plane.depth
        offset = page.dataoffsets[0] + place * length * width * samples * dtype.itemsize
    file = keyframe.parent.filehandle
    file.seek(offset + rows.start * width * samples * dtype.itemsize)
    height = rows.stop - rows.start
    pixels = np.frombuffer(_exactly(file, height * width * samples * dtype.itemsize), dtype)
    return pixels.reshape(height, width, samples).astype(keyframe.dtype, copy=False)


def _read_segments(plane: Plane, rows: slice, columns: slice) -> np.ndarray:
    """Decode the tiles or strips that hold rows and columns of a plane."""
    page, keyframe = plane.page, plane.page.keyframe
    _, depth, length, width, samples = keyframe.shaped
    tall, wide, deep = keyframe.rowsperstrip, width, 1
    if keyframe.is_tiled:
        tall, wide, deep = keyframe.tilelength, keyframe.tilewidth, keyframe.tiledepth
    down, across = math.ceil(length / tall), math.ceil(width / wide)
    first = (plane.sample * math.ceil(depth / deep) + plane.depth // deep) * down * across
    pixels = np.empty((rows.stop - rows.start, columns.stop - columns.start, samples), keyframe.dtype)
    for top in range(rows.start // tall * tall, rows.stop, tall):
        for left in range(columns.start // wide * wide, columns.stop, wide):
            segment = _decode(page, first + top // tall * across + left // wide)
            if segment is not None:
                segment = segment[plane.depth % deep]
            _copy(pixels, segment, (rows.start - top, columns.start - left), (tall, wide), keyframe.nodata)
    return pixels


def _decode(page: Any, number: int) -> np.ndarray | None:
    """Decode (depth, h, w, samples) of a tile or strip; None for a tile that was left out because it is empty."""
    keyframe, file = page.keyframe, page.parent.filehandle
    size = page.databytecounts[number]
    if not size:
        if keyframe.is_tiled:
            return None
        raise ValueError("no pixel data")
    # These read the file too, so they come before its position is set.
    decode = partial(keyframe.decode, jpegtables=page.jpegtables, jpegheader=keyframe.jpegheader)
    file.seek(page.dataoffsets[number])
    return decode(_exactly(file, size), number)[0]


def _exactly(file: Any, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ValueError(f"the file ends {size - len(data)} bytes before its pixels do")
    return data


def _copy(target: np.ndarray, segment: np.ndarray | None, start: tuple[int, int], size: tuple[int, int],
          nodata: Any) -> None:
    """Copy the part of a segment that lies in ``target``, whose first row and column in the segment is ``start``."""
    here = tuple(slice(max(0, -begin), min(length, side - begin))
                 for begin, side, length in zip(start, size, target.shape))
    there = tuple(slice(own.start + begin, own.stop + begin) for own, begin in zip(here, start))
    target[here] = nodata if segment is None else segment[there]
