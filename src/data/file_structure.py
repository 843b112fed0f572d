"""What the results of a prediction keep of the file that was predicted: its pages, resolution and place on the map."""
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Programs whose metadata describe the pages of a TIFF file; shaped are those of tifffile.
IMAGEJ, OME, SHAPED = "imagej", "ome", "shaped"

CENTIMETRE = 3      # unit of a Resolution

# Units of length as these programs write them -> micrometres.
_MICROMETRES: dict[str, float] = {"micron": 1, "microns": 1, "um": 1, "\u00b5m": 1, "\u03bcm": 1, "\\u00B5m": 1,
                                  "nm": 1e-3, "mm": 1e3, "cm": 1e4}


@dataclass(frozen=True)
class Resolution:
    """Pixels per unit of length, across and down; the unit as the TIFF tag has it: 1 none, 2 inch, 3 centimetre."""
    across: float
    down: float
    unit: int = 1

    def turned(self) -> "Resolution":
        """Return the resolution of an image that is turned by 90 degrees."""
        return Resolution(self.down, self.across, self.unit)


@dataclass(frozen=True)
class FileStructure:
    """The structure of an image file.

    Attributes:
        pages: number of pages.
        is_tiff: whether the file is a TIFF; then its results are TIFF files too.
        program: whose metadata describe the pages, one of the names above; "" for none.
        axes, lengths: the axes that the pages are numbered by, such as TZ, and their lengths.
        metadata: entries of the program's metadata, such as the distance of slices.
        resolution: of all pages.
        tags: tags that say where on the map the image lies: (number, type, count, value).
        pixels: of all pages together.
    """
    pages: int = 1
    is_tiff: bool = False
    program: str = ""
    axes: str = ""
    lengths: tuple[int, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    resolution: Resolution | None = None
    tags: tuple[tuple[int, int, int, Any], ...] = ()
    pixels: int = 0

    @property
    def micrometres(self) -> tuple[float, float] | None:
        """Height and width of a pixel in micrometres; None if the file does not say.

        Inches do not count, since they are about printing and screens.
        """
        if self.program == OME:
            height, width = (self.metadata.get(f"PhysicalSize{axis}", 0)
                             * _MICROMETRES.get(self.metadata.get(f"PhysicalSize{axis}Unit", "\u00b5m"), 0)
                             for axis in "YX")
            if height > 0 and width > 0:
                return height, width
        if self.resolution is None or min(self.resolution.across, self.resolution.down) <= 0:
            return None
        if self.program == IMAGEJ:
            length = _MICROMETRES.get(str(self.metadata.get("unit", "")))
        else:
            length = 1e4 if self.resolution.unit == CENTIMETRE else None
        return (length / self.resolution.down, length / self.resolution.across) if length else None
