"""The pages of TIFF files, as their series and axes say; of each, only the rows that are asked for are read."""
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from src.data import colours
from src.data.image_formats import TIFF
from src.data.notices import say_once
from src.data.page import Page, Pages
from src.data.tiff import MOST_PAGES, UNFIT, open_tiff, reading_tiff
from src.data.tiff_planes import FAX, Plane, is_raw, read_fax, read_planes
from src.data.tiff_structure import has_axes, has_wrong_description, structure_of
from src.model_utils.errors import UNetError

PHOTOMETRIC, COMPRESSION = tifffile.PHOTOMETRIC, tifffile.COMPRESSION
_MEANING = {PHOTOMETRIC.MINISBLACK: colours.GRAY, PHOTOMETRIC.MINISWHITE: colours.WHITE_IS_ZERO,
            PHOTOMETRIC.RGB: colours.RGB, PHOTOMETRIC.PALETTE: colours.PALETTE, PHOTOMETRIC.SEPARATED: colours.CMYK,
            PHOTOMETRIC.YCBCR: colours.YCBCR, PHOTOMETRIC.CIELAB: colours.LAB}
_COLOUR_SAMPLES = {colours.RGB: 3, colours.CMYK: 4, colours.YCBCR: 3, colours.LAB: 3}
_JPEG = {COMPRESSION.OJPEG, COMPRESSION.JPEG, 34892, 33007}
_ALPHA = {tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA}
_ORIENTATION = 274
MOST_NUMBERS = 4 * 10**9        # in a page; a header can claim more
# tifffile compares each of so many pages with all others if their sizes differ.
MANY_PAGES = 2000


@contextmanager
def open_tiff_pages(path: Path) -> Iterator[Pages]:
    """Yield the pages of a TIFF file: all series one after another, at their full resolution.

    The axes S (samples) and C are channels of a page. T, Z and all others are pages.

    Raises:
        UNetError: the file is damaged, or of a kind that is not read.
    """
    with open_tiff(path) as file:
        with reading_tiff(path):
            pages = [_page(planes, path) for planes in _planes_of_pages(file, path)]
        if not pages:
            raise UNetError(f"{path}: no image in the file")
        with reading_tiff(path):
            structure = structure_of(file, len(pages), pages[0].is_turned, pages[0].orientation == 1)
        yield Pages(pages, structure)


# ---- which pages there are


def _planes_of_pages(file: tifffile.TiffFile, path: Path) -> Iterator[list[Plane]]:
    """Yield the planes of each page, one a channel, or one for all samples that are stored together."""
    pages: list[Any] | None = None
    is_wrong = has_wrong_description(file)
    if is_wrong:
        say_once(path, UNFIT, is_warning=True)
    if is_wrong or len(file.pages) > MANY_PAGES and not has_axes(file):
        pages = [page for page in file.pages if _is_image(page.keyframe)]
    elif file.series and file.series[0].kind in ("generic", "uniform"):
        pages = _plain_pages(file.series)
    if pages is not None:
        for page in pages:
            yield from _by_axes(page.keyframe.axes, page.keyframe.shape, _planes_in([page]), file, path)
        return
    for one in _full_images(file.series, path):
        axes, shape = one.get_axes(False), one.get_shape(False)
        needed = math.prod(shape[:axes.index("Y")])
        if needed > MOST_PAGES:     # a single header can claim them
            raise UNetError(f"{path}: {needed} images in its description; at most {MOST_PAGES} are read")
        planes = _planes_in(list(one))
        if len(planes) < needed and one.dataoffset is not None:
            planes = _planes_after(one, needed)
        yield from _by_axes(axes, shape, planes, file, path)


def _plain_pages(series: list[Any]) -> list[Any]:
    """Return the pages of a file without metadata of its own, in the order of the file."""
    # tifffile takes any page of half the size for a reduced resolution, whether or not the file calls it so.
    levels = [level for one in series for number, level in enumerate(one.levels)
              if number == 0 or not (level.keyframe.is_subifd or level.keyframe.is_tiled)]
    pages = [page for level in levels for page in level]
    pages = [page for page in pages if _is_image(page.keyframe)] or pages
    whole = [page for page in pages if len(page.treeindex) == 1] or pages
    return sorted(whole, key=lambda page: page.treeindex)


def _is_image(keyframe: Any) -> bool:
    """Return whether a page is an image, not a reduced one or the mask of another one, which may be all a file has."""
    return not keyframe.is_reduced and not keyframe.subfiletype & 4 and keyframe.photometric != PHOTOMETRIC.MASK


def _full_images(series: list[Any], path: Path) -> list[Any]:
    baselines = [one for one in series if one.name.lower() == "baseline"]
    if baselines and len(baselines) < len(series):
        others = ", ".join(one.name or "another image" for one in series if one not in baselines)
        say_once(path, f"a whole-slide image, of which this is left out: {others}")
        return baselines
    return [one for one in series if _is_image(one.keyframe) and not one.keyframe.is_subifd] or series


def _planes_in(pages: list[Any]) -> list[Plane]:
    planes = []
    for page in pages:
        separate, depth = page.keyframe.shaped[:2] if page is not None else (1, 1)
        planes += [Plane(page, sample, number) for sample in range(separate) for number in range(depth)]
    return planes


def _planes_after(series: Any, count: int) -> list[Plane]:
    """Return planes that follow one another in the file after a single header, as ImageJ writes them beyond 4 GB."""
    keyframe = series.keyframe
    size = math.prod(keyframe.shaped[2:]) * keyframe.dtype.itemsize
    if series.dataoffset + count * size > keyframe.parent.filehandle.size:
        raise ValueError(f"the file ends before the last of {count} images")
    return [Plane(keyframe, offset=series.dataoffset + number * size) for number in range(count)]


def _by_axes(axes: str, shape: tuple[int, ...], planes: list[Plane], file: tifffile.TiffFile,
             path: Path) -> Iterator[list[Plane]]:
    """Yield the planes of each page of a series, given all its planes in order; those in other files are left out."""
    tail = axes.index("Y")
    sides = {plane.page.keyframe.shaped[2:4] for plane in planes if plane.page is not None}
    if axes[tail:] not in ("YX", "YXS", "YXC") or sides != {tuple(shape[tail:tail + 2])}:
        raise UNetError(f"{path}: images with the axes {axes}, which are not read; save it with the axes TZCYX")
    leading = shape[:tail]
    numbers = np.arange(math.prod(leading)).reshape(leading)
    if numbers.size != len(planes):
        raise ValueError(f"{len(planes)} images where the axes {axes} {shape} need {numbers.size}")
    # ImageJ's stacks of colour images may call their pages channels.
    is_colour = "S" in axes and shape[axes.index("S")] >= 3
    channels = [place for place, axis in enumerate(axes[:tail]) if axis == "S" or axis == "C" and not is_colour]
    numbers = np.moveaxis(numbers, channels, range(-len(channels), 0))
    count = math.prod(shape[place] for place in channels)
    for row in numbers.reshape(-1, count):
        wanted = [planes[number] for number in row]
        here = [plane for plane in wanted if plane.page is not None and plane.page.parent is file]
        if len(here) == count:
            yield wanted
        elif here:
            raise UNetError(f"{path}: some of its channels are in other files; save all of them in one OME-TIFF")


# ---- what a page is


def _page(planes: list[Plane], path: Path) -> Page:
    keyframe = planes[0].page.keyframe
    samples = len(planes) * keyframe.shaped[4]
    height, width = keyframe.shaped[2:4]
    photometric = _MEANING.get(keyframe.photometric)
    if keyframe.dtype is None or keyframe.dtype.kind not in "buif" or photometric is None:
        raise UNetError(f"{path}: pixels of {keyframe.dtype or 'an unknown type'}, "
                        f"{PHOTOMETRIC(keyframe.photometric).name}; expected gray values or colours")
    if height * width * samples > MOST_NUMBERS:
        raise UNetError(f"{path}: a page of {width}x{height} with {samples} channels, which is too large; at most "
                        f"{MOST_NUMBERS} numbers are read")
    is_jpeg = keyframe.compression in _JPEG
    if is_jpeg and photometric == colours.YCBCR:        # tifffile decodes it to red, green, blue
        photometric = colours.RGB
    if len(planes) > keyframe.shaped[0] or samples < _COLOUR_SAMPLES.get(photometric, 1):
        photometric = colours.GRAY                      # channels of their own
    if keyframe.is_subsampled and not is_jpeg:
        raise UNetError(f"{path}: YCbCr with fewer colours than pixels, which is read only from JPEG compression; save "
                        f"it as RGB")
    if photometric in (colours.YCBCR, colours.LAB) and (keyframe.dtype.kind != "u" or keyframe.dtype.itemsize > (
            1 if photometric == colours.YCBCR else 2)):
        raise UNetError(f"{path}: {PHOTOMETRIC(keyframe.photometric).name} with numbers of {keyframe.dtype}; save it "
                        f"as RGB")
    palette = _palette(keyframe.colormap) if photometric == colours.PALETTE else None
    if palette is None and photometric == colours.PALETTE:
        photometric = colours.GRAY
    read = partial(read_fax if keyframe.compression in FAX else read_planes, planes, path)
    bits = keyframe.bitspersample if isinstance(keyframe.bitspersample, int) else 8 * keyframe.dtype.itemsize
    page = Page(path, TIFF, photometric, (height, width), samples, keyframe.dtype, bits, read, _orientation(keyframe),
                _alpha(keyframe, photometric, samples), palette, is_jpeg, keyframe.parent.is_imagej)
    return replace(page, rows_at_once=_rows_at_once(planes[0], page), in_windows=keyframe.compression not in FAX)


def _rows_at_once(plane: Plane, page: Page) -> int:
    keyframe = plane.page.keyframe
    if keyframe.is_tiled:
        return keyframe.tilewidth if page.is_turned else keyframe.tilelength
    if page.is_turned or keyframe.compression in FAX:
        return page.height
    return 1 if is_raw(plane) else min(keyframe.rowsperstrip, page.height)


def _orientation(keyframe: Any) -> int:
    value = keyframe.tags.valueof(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _alpha(keyframe: Any, photometric: str, samples: int) -> int | None:
    first = _COLOUR_SAMPLES.get(photometric, 1)
    places = [first + place for place, kind in enumerate(keyframe.extrasamples) if kind in _ALPHA]
    return places[0] if places and places[0] < samples else None


def _palette(colormap: np.ndarray | None) -> np.ndarray | None:
    """Return (colours, 3) uint8 of the tag's (3, colours) uint16."""
    if colormap is None:
        return None
    return (colormap if colormap.max() < 256 else colormap >> 8).astype(np.uint8).T     # some programs write 8 bits
