"""Which files are images, by their endings and by their first bytes, and what helps with files that are not read."""
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from src.model_utils.errors import UNetError
from src.model_utils.inputs import open_input

TIFF = "TIFF"
# Those after the first two are of microscopes, which write their images as TIFF.
TIFF_ENDINGS = frozenset({".tif", ".tiff", ".btf", ".tf8", ".lsm", ".stk", ".svs", ".ndpi", ".scn", ".bif", ".qptiff"})
IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp"}) | TIFF_ENDINGS
FORMATS = f"PNG, JPEG, BMP, GIF, WebP and {TIFF}"

_MICROSCOPE = "save it as OME-TIFF, for example with Bio-Formats in Fiji"
_MEDICAL = "save its slices as TIFF, for example with Fiji or 3D Slicer"
_PHOTO = "save it as PNG or TIFF"
_ARRAY = "save its images as TIFF, for example with tifffile"
# Format -> its endings, and what helps.
_FOREIGN = {
    "CZI": (".czi", _MICROSCOPE), "ND2": (".nd2", _MICROSCOPE), "LIF": (".lif .lof .xlif", _MICROSCOPE),
    "Olympus": (".oib .oif .oir .vsi .ets", _MICROSCOPE), "Zeiss ZVI": (".zvi", _MICROSCOPE),
    "Imaris": (".ims", _MICROSCOPE), "DeltaVision": (".dv .r3d", _MICROSCOPE), "MIRAX": (".mrxs", _MICROSCOPE),
    "Gatan": (".dm3 .dm4", _MICROSCOPE), "MRC": (".mrc", _MICROSCOPE), "ICS": (".ics .ids", _MICROSCOPE),
    "DICOM": (".dcm .dicom", _MEDICAL), "NIfTI": (".nii .nii.gz", _MEDICAL), "NRRD": (".nrrd .nhdr", _MEDICAL),
    "MetaImage": (".mha .mhd", _MEDICAL), "Analyze": (".hdr", _MEDICAL), "MINC": (".mnc", _MEDICAL),
    "HEIC": (".heic .heif", _PHOTO), "AVIF": (".avif", _PHOTO), "JPEG 2000": (".jp2 .j2k .jpx", _PHOTO),
    "JPEG XL": (".jxl", _PHOTO), "Photoshop": (".psd", _PHOTO), "GIMP": (".xcf", _PHOTO), "SVG": (".svg", _PHOTO),
    "raw camera": (".cr2 .cr3 .nef .arw .dng .orf .rw2 .raf", _PHOTO), "PDF": (".pdf", _PHOTO),
    "OpenEXR": (".exr", _PHOTO), "TGA": (".tga", _PHOTO), "Netpbm": (".pbm .pgm .ppm .pnm", _PHOTO),
    "FITS": (".fits .fit", _ARRAY), "HDF5": (".h5 .hdf5", _ARRAY), "NumPy": (".npy .npz", _ARRAY),
    "MATLAB": (".mat", _ARRAY), "zarr": (".zarr .n5", _ARRAY),
}
_BY_ENDING = {ending: name for name, (endings, _) in _FOREIGN.items() for ending in endings.split()}
_SPOKEN_WITH_A_VOWEL = {"ND2", "LIF", "MRC", "NRRD", "HDF5", "SVG"}

# (place in the file, bytes there, format).
_STARTS = [
    (0, b"II*\0", TIFF), (0, b"MM\0*", TIFF), (0, b"II+\0", TIFF), (0, b"MM\0+", TIFF),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"), (0, b"\xff\xd8\xff", "JPEG"), (0, b"GIF87a", "GIF"), (0, b"GIF89a", "GIF"),
    (8, b"WEBP", "WEBP"), (0, b"BM", "BMP"),
    (0, b"ZISRAWFILE", "CZI"), (0, b"\xda\xce\xbe\x0a", "ND2"), (0, b"\x70\0\0\0", "LIF"),
    (0, b"\xd0\xcf\x11\xe0", "Olympus"),
    (0, b"NRRD", "NRRD"), (128, b"DICM", "DICOM"), (344, b"n+1\0", "NIfTI"), (344, b"ni1\0", "NIfTI"),
    (0, b"ObjectType", "MetaImage"), (0, b"\x89HDF", "HDF5"), (0, b"\x93NUMPY", "NumPy"), (0, b"MATLAB", "MATLAB"),
    (0, b"SIMPLE  =", "FITS"), (208, b"MAP ", "MRC"), (0, b"8BPS", "Photoshop"), (0, b"%PDF", "PDF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"), (0, b"\xff\x4f\xff\x51", "JPEG 2000"), (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (4, b"ftyphei", "HEIC"), (4, b"ftypmif", "HEIC"), (4, b"ftypavif", "AVIF"), (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    *((0, b"P%d\n" % number, "Netpbm") for number in range(1, 7)),
]
_START_LENGTH = 512


def format_of(path: Path) -> str:
    """Return the format of a file by its first bytes, whatever its ending: one of ``FORMATS``, in capitals.

    Raises:
        UNetError: there is no such file, it is no regular file, or it is of another format; the message says which, and
            what helps.
    """
    try:
        with open_input(path) as file:
            start = file.read(_START_LENGTH)
    except OSError as error:
        raise UNetError(f"{path}: cannot be read: {error.strerror or error}") from None
    name = next((name for place, mark, name in _STARTS if start[place:place + len(mark)] == mark), None)
    if name is None and not start:
        raise UNetError(f"{path}: cannot be read as an image: an empty file")
    if name is None:
        name = _foreign(path)
    if name is None:
        raise UNetError(f"{path}: cannot be read as an image, damaged or of an unknown format; {FORMATS} files are "
                        f"read")
    if name in _FOREIGN:
        raise UNetError(f"{path}: {_a(name)} file, which is not read; {_FOREIGN[name][1]}")
    return name


def is_image(path: Path) -> bool:
    """Return whether a file has the ending of an image that is read. macOS leaves files that begin with a dot."""
    return path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith(".")


def foreign_line(paths: Iterable[Path]) -> str | None:
    """Say how many of ``paths`` have endings of images that are not read, and what helps; None if there is none."""
    counts = Counter(name for path in paths if not path.name.startswith(".") and (name := _foreign(path)))
    if not counts:
        return None
    by_advice: dict[str, list[str]] = {}
    for name, count in counts.most_common():
        by_advice.setdefault(_FOREIGN[name][1], []).append(f"{count} {name}")
    return "left out, since they are not read: " + "; ".join(f"{', '.join(found)}: {advice}"
                                                             for advice, found in by_advice.items())


def _foreign(path: Path) -> str | None:
    """Return the format of an ending, None for others."""
    endings = "".join(path.suffixes[-2:]).lower(), path.suffix.lower()
    return next((_BY_ENDING[ending] for ending in endings if ending in _BY_ENDING), None)


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'AEIO' or name in _SPOKEN_WITH_A_VOWEL else 'a'} {name}"
