"""What a TIFF file says about its pages, resolution and place on the map: see ``src.data.file_structure``."""
import math
from typing import Any

import tifffile

from src.data.file_structure import IMAGEJ, OME, SHAPED, FileStructure, Resolution

# Entries that are about the place of pixels, slices and times, not about the numbers.
_IMAGEJ_ENTRIES = ("unit", "yunit", "zunit", "spacing", "finterval", "fps", "tunit", "xorigin", "yorigin", "zorigin")
_OME_ENTRIES = ("PhysicalSizeX", "PhysicalSizeXUnit", "PhysicalSizeY", "PhysicalSizeYUnit", "PhysicalSizeZ",
                "PhysicalSizeZUnit", "TimeIncrement", "TimeIncrementUnit")
# GeoTIFF: pixel scale, tie points, transformation, keys and their parameters, and rational polynomial coefficients; and
# the types of their values: texts 2, short integers 3, and doubles 12.
_GEOGRAPHIC = {33550: 12, 33922: 12, 34264: 12, 34735: 3, 34736: 12, 34737: 2, 50844: 12}


def structure_of(file: tifffile.TiffFile, pages: int, is_turned: bool, is_upright: bool) -> FileStructure:
    """Return the structure of an open file.

    Args:
        file: the file.
        pages: number of its pages.
        is_turned: whether the pages are turned by 90 degrees to be upright.
        is_upright: whether they are as they are stored.
    """
    page = file.pages.first
    resolution = _resolution(page)
    if resolution and is_turned:
        resolution = resolution.turned()
    # The place on the map is that of the image as it is stored.
    tags = _geographic(page) if is_upright else ()
    program, axes, lengths, metadata = _description(file, pages)
    if is_turned:
        metadata = _exchanged(metadata)
    return FileStructure(pages, True, program, axes, lengths, metadata, resolution, tags)


def has_axes(file: tifffile.TiffFile) -> bool:
    """Return whether ImageJ, OME or tifffile has described the axes of the pages."""
    return bool(file.is_imagej or file.is_ome or file.is_shaped)


def has_wrong_description(file: tifffile.TiffFile) -> bool:
    """Return whether ImageJ's description is of another number of images than the file has.

    A program that does not know ImageJ has left pages out, or has added some, and has copied the description.
    """
    said, there = (file.imagej_metadata or {}).get("images", 0), len(file.pages)
    if said < 2 or said == there:
        return False
    first = file.pages.first
    if there > said or not first.is_final:
        return True
    # Images may follow one another after a single header; a file of two and more is damaged if it has not all of them.
    room = (file.filehandle.size - first.dataoffsets[0]) // first.nbytes
    return room < (2 if there == 1 else said)


def _resolution(page: Any) -> Resolution | None:
    values = [page.tags.valueof(tag) for tag in (282, 283)]
    if not all(isinstance(value, tuple) and len(value) == 2 and min(value) > 0 for value in values):
        return None
    across, down = (numerator / denominator for numerator, denominator in values)
    unit = page.tags.valueof(296, 2)
    return Resolution(across, down, int(unit)) if unit in (1, 2, 3) else None


def _geographic(page: Any) -> tuple[tuple[int, int, int, Any], ...]:
    return tuple((tag.code, int(tag.dtype), tag.count, tag.value) for code, kind in _GEOGRAPHIC.items()
                 if (tag := page.tags.get(code)) is not None and tag.dtype == kind and tag.count)


def _description(file: tifffile.TiffFile, pages: int) -> tuple[str, str, tuple[int, ...], dict[str, Any]]:
    """Return program, axes, their lengths and the metadata of a file of one series; nothing for others."""
    nothing: tuple[str, str, tuple[int, ...], dict[str, Any]] = ("", "", (), {})
    if has_wrong_description(file) or not has_axes(file):
        return nothing
    if len(file.series) != 1 or file.series[0].kind not in (IMAGEJ, OME, SHAPED):
        return nothing
    series = file.series[0]
    sides = list(zip(series.get_axes(False), series.get_shape(False)))
    # Channels of colour images number pages.
    of_a_page = "SYX" if any(axis == "S" and length >= 3 for axis, length in sides) else "CSYX"
    sizes = [(axis, length) for axis, length in sides if axis not in of_a_page and length > 1]
    axes, lengths = "".join(axis for axis, _ in sizes), tuple(length for _, length in sizes)
    if math.prod(lengths) != pages:
        return nothing
    if series.kind == IMAGEJ:
        metadata = file.imagej_metadata or {}
        return IMAGEJ, axes, lengths, {name: metadata[name] for name in _IMAGEJ_ENTRIES if name in metadata}
    if series.kind == OME:
        return OME, axes, lengths, _ome_entries(file.ome_metadata or "")
    return SHAPED, axes, lengths, {}


def _ome_entries(xml: str) -> dict[str, Any]:
    image = tifffile.xml2dict(xml).get("OME", {}).get("Image", {})
    pixels = (image[0] if isinstance(image, list) else image).get("Pixels", {})
    return {name: pixels[name] for name in _OME_ENTRIES if name in pixels}


def _exchanged(metadata: dict[str, Any]) -> dict[str, Any]:
    """Exchange what is said of the two sides of a page."""
    other = {name: name.replace("SizeX", "SizeY") if "SizeX" in name else name.replace("SizeY", "SizeX")
             for name in metadata}
    other |= {"xorigin": "yorigin", "yorigin": "xorigin"}
    return {other[name]: value for name, value in metadata.items()}
