"""Write an image file of every kind that is read, and print what training and prediction read of it.

``python benchmarks/image_kinds.py`` prints a Markdown table: the file, what the reader says of its kind, the numbers in
it, and the input of the network that training and prediction make of it with ``normalize: auto``. Training reads whole
images; prediction reads windows. The exit status is 1 if the two differ in a pixel.
"""
import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
HEIGHT, WIDTH = 96, 128
WINDOW = 50             # pixels; side of the windows that prediction reads

Write = Callable[[Path], object]


class Row(NamedTuple):
    """One row of the table; ``is_equal`` says whether training and prediction agree."""
    file: str
    kind: str
    numbers: str
    training: str
    prediction: str
    is_equal: bool


def main() -> int:
    """Print the table, row by row."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| file | what it is | numbers in it | training | prediction |")
    print("|---|---|---|---|---|")
    are_equal = True
    with tempfile.TemporaryDirectory() as folder:
        for name, write in kinds().items():
            row = look(Path(folder), name, write)
            are_equal &= row.is_equal
            prediction = "the same" if row.is_equal and row.training == row.prediction else row.prediction
            print(f"| {row.file} | {row.kind} | {row.numbers} | {row.training} | {prediction} |")
    return int(not are_equal)


def look(folder: Path, name: str, write: Write) -> Row:
    """Write one file, and read it as training and as prediction do.

    Args:
        folder: an empty folder, or one that this function has used.
        name: what is in the file, and after the last space the file's ending.
        write: writes it.
    """
    from src.data.channels import Channels
    from src.data.image_mask_pairs import Pair, PairReader
    from src.data.image_reader import open_pages
    from src.data.mask_pixels import MaskOptions
    from src.data.normalization import Normalization
    from src.data.reader import NormalizedReader
    from src.data.tiff import write_stack
    from src.inference.page_image import PageImage

    what, ending = name.rsplit(" ", 1)
    path, mask = folder / f"image{ending}", folder / "mask.tif"
    write(path)
    with open_pages(path) as pages:
        page, channels, normalization = pages[0], Channels(pages[0].bands), Normalization()
        write_stack(mask, np.zeros((len(pages), page.height, page.width), np.uint8))
        pairs = [Pair(name, path, mask, number if len(pages) > 1 else None) for number in range(len(pages))]
        reader = NormalizedReader(PairReader(pairs, channels, MaskOptions()), normalization)
        stored = np.stack([reader.stored_reader.image(index).pixels for index in range(len(pages))])
        training = np.stack([reader[index][0] for index in range(len(pages))])
        prediction = np.stack([in_windows(PageImage(page, channels, normalization)) for page in pages])
        kind = page.kind + (f", {len(pages)} pages" if len(pages) > 1 else "")
    is_equal = training.dtype == prediction.dtype and np.array_equal(training, prediction)
    return Row(f"{what} (`{ending}`)", kind, describe(stored), describe(training), describe(prediction), is_equal)


def in_windows(image: Any) -> np.ndarray:
    """Read a page to predict as it is predicted, window by window: (H, W, C)."""
    height, width, _ = image.shape
    rows = [np.concatenate([image[np.arange(top, min(top + WINDOW, height))[:, None],
                                  np.arange(left, min(left + WINDOW, width))[None]]
                            for left in range(0, width, WINDOW)], axis=1) for top in range(0, height, WINDOW)]
    return np.concatenate(rows)


def describe(images: np.ndarray) -> str:
    """Return shape, type, extremes and the number of levels of (pages, H, W, C) images."""
    shape = "×".join(map(str, images.shape[1:]))
    numbers = images.astype(np.float64) if images.dtype == np.float16 else images
    return f"{shape} {images.dtype}, {numbers.min():.5g} to {numbers.max():.5g}, {len(np.unique(images))} levels"


# ---- the files


def kinds() -> dict[str, Write]:
    """Return what is in a file and its ending -> a function that writes it."""
    return dict([*number_types(), *meanings(), *storage(), *pages(), *other_formats()])


RAMP = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
GRAY = (RAMP // 48).astype(np.uint8)                                    # 0 to 255
DEEP = (RAMP * 5).astype(np.uint16)                                     # 0 to 61435
COLOUR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=-1)


def tiff(array: np.ndarray, **options: Any) -> Write:
    """Return a function that writes a TIFF file."""
    import tifffile

    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[-1] == 3 or "photometric" in options:
        options = {"photometric": "rgb", **options}
    return lambda path: tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})


def pillow(array: np.ndarray, mode: str = "", **options: Any) -> Write:
    """Return a function that writes a file by Pillow."""
    from PIL import Image

    image = Image.fromarray(array)
    return lambda path: (image.convert(mode) if mode else image).save(path, **options)


def number_types() -> Iterator[tuple[str, Write]]:
    """Yield files of every type of numbers, whole and packed."""
    from tests.support.tiffs import write_packed

    for name in ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32",
                 "float64"):
        dtype = np.dtype(name)
        array = GRAY if name == "uint8" else RAMP % 256 - 128 if name == "int8" else RAMP - 6000 * (dtype.kind != "u")
        yield f"{name} .tif", tiff((array / 10 if dtype.kind == "f" else array).astype(dtype))
    for bits in (1, 2, 4, 6, 10, 12, 14):
        array = (RAMP % 2 ** bits).astype(bool if bits == 1 else np.uint8 if bits <= 8 else np.uint16)
        yield f"{bits}-bit numbers, packed .tif", lambda path, array=array, bits=bits: write_packed(path, array, bits)
    yield "a 12-bit camera in 16 bits .tif", tiff((100 + GRAY * 2.2).astype(np.uint16))


def meanings() -> Iterator[tuple[str, Write]]:
    """Yield files of every photometric kind."""
    colours = (np.arange(256) * np.array([[257], [0], [128]])).astype(np.uint16)
    yield "MinIsWhite .tif", tiff(GRAY, photometric="miniswhite")
    yield "MinIsWhite, uint16 .tif", tiff(DEEP, photometric="miniswhite")
    yield "RGB .tif", tiff(COLOUR)
    yield "RGB, uint16 .tif", tiff(COLOUR.astype(np.uint16) * 200, photometric="rgb")
    yield "RGB and alpha .tif", tiff(np.dstack([COLOUR, GRAY]), photometric="rgb", extrasamples=["unassalpha"])
    yield "palette .tif", tiff(GRAY, photometric="palette", colormap=colours)
    yield "CMYK .tif", tiff(np.dstack([COLOUR, GRAY // 3]), photometric="separated")
    yield "YCbCr .tif", tiff(COLOUR, photometric="ycbcr")
    yield "Lab .tif", tiff(COLOUR, photometric="cielab")
    yield "four bands, uint16 .tif", tiff(np.dstack([DEEP] * 4), photometric="minisblack", planarconfig="contig")


def storage() -> Iterator[tuple[str, Write]]:
    """Yield ways to store the same pixels in a TIFF file."""
    planes = np.moveaxis(COLOUR, -1, 0).astype(np.uint16) * 200
    for name, options in (("planes", {}), ("planes in tiles", {"tile": (32, 32)}),
                          ("planes in strips", {"rowsperstrip": 7})):
        yield f"{name} .tif", tiff(planes, photometric="rgb", planarconfig="separate", **options)
    for compression in ("zlib", "lzw", "zstd", "packbits", "jpeg2000"):
        yield f"{compression} .tif", tiff(DEEP, photometric="minisblack", compression=compression)
    yield "zlib with predictor .tif", tiff(DEEP, photometric="minisblack", compression="zlib", predictor=True)
    yield "JPEG in tiles .tif", tiff(COLOUR, compression="jpeg", tile=(32, 32))
    for orientation in range(2, 9):
        yield f"orientation {orientation} .tif", tiff(GRAY, extratags=[(274, 3, 1, orientation, True)])


def pages() -> Iterator[tuple[str, Write]]:
    """Yield files of several images."""
    stack = np.stack([GRAY, 255 - GRAY, GRAY // 2, GRAY // 3])
    yield "time and slices .tif", tiff(stack.reshape(2, 2, HEIGHT, WIDTH), metadata={"axes": "TZYX"})
    yield "slices and channels of ImageJ .tif", tiff(stack.reshape(2, 2, HEIGHT, WIDTH), imagej=True,
                                                     metadata={"axes": "ZCYX"})
    yield "ImageJ, one header for all slices .tif", tiff(stack, imagej=True, truncate=True, metadata={"axes": "ZYX"})
    yield "OME, channels and slices .ome.tif", tiff(stack.reshape(2, 2, HEIGHT, WIDTH), ome=True,
                                                    metadata={"axes": "CZYX"})
    yield "pyramid .tif", write_pyramid


def write_pyramid(path: Path) -> None:
    """Write an image and two reduced ones."""
    import tifffile

    with tifffile.TiffWriter(path) as file:
        for step in (1, 2, 4):
            file.write(GRAY[::step, ::step], photometric="minisblack", tile=(16, 16), subifds=2 if step == 1 else 0,
                       subfiletype=int(step > 1))


def other_formats() -> Iterator[tuple[str, Write]]:
    """Yield files of other formats."""
    import imagecodecs
    from PIL import Image

    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"{mode} .png", pillow(np.dstack([COLOUR, GRAY]) if mode == "RGBA" else COLOUR, mode)
    for name, array in (("gray", DEEP), ("gray and alpha", np.dstack([DEEP, DEEP[::-1]])),
                        ("RGB", np.dstack([DEEP] * 3)), ("RGB and alpha", np.dstack([DEEP] * 4))):
        yield (f"{name}, 16 bits .png", lambda path, array=array: path.write_bytes(imagecodecs.png_encode(array)))
    for mode, ending in (("L", ".jpg"), ("RGB", ".jpg"), ("CMYK", ".jpg"), ("1", ".bmp"), ("P", ".bmp"), ("L", ".bmp"),
                         ("RGB", ".bmp"), ("L", ".gif"), ("RGB", ".webp")):
        yield f"{mode} {ending}", pillow(COLOUR, mode)
    yield "progressive .jpg", pillow(COLOUR, progressive=True)
    exif = Image.Exif()
    exif[274] = 6
    yield "EXIF orientation 6 .jpg", pillow(COLOUR, exif=exif)
    yield "the first of an animation .gif", pillow(GRAY, save_all=True, append_images=[Image.fromarray(255 - GRAY)])
    yield "a PNG of another name .TIF", pillow(GRAY, format="PNG")


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    sys.exit(main())
