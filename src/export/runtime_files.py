"""Files exchanged with another runtime (C++ inference): inputs for it, and results from it. Without MindSpore.

The file names are the model zoo's: the input NAME.bin or NAME.png belongs to the result NAME_0.bin, the network's first
output.
"""
import io
import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.data import transforms
from src.data.layouts import LAYOUTS
from src.data.samples import ValidationSamples
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import remove_leftovers, write_atomically
from src.report.drawing import png_bytes

logger = logging.getLogger("unet")

LABELS = "label.npy"
RESULT_ENDING = "_0.bin"

# Largest error of the sum of a pixel's probabilities. Half precision stays far below it; logits, and results in another
# order of axes or of another type, do not.
SUM_TOLERANCE = 0.01


def stems(samples: ValidationSamples, input_stem: str = "") -> list[str]:
    """Return the files' names without their endings, one for each sample, in the order of the samples.

    Args:
        samples (ValidationSamples): the images.
        input_stem (str): what the names begin with, before the sample's number; "" takes the samples' own names (see
            ``src.data.layouts.Layout``).
    """
    return [f"{input_stem}{number}" if input_stem else samples.name(number) for number in range(len(samples))]


# ---- inputs


def write_inputs(folder: str | Path, samples: ValidationSamples, input_stem: str = "", as_images: bool = True) -> None:
    """Write the inputs of the runtime, and remove those that an earlier call has left in the folder.

    With ``input_stem``: ``STEM0.bin``, ``STEM1.bin``, ..., each the network's input, (1, C, H, W) float32 little-endian
    in the input range; and ``label.npy``: all labels one-hot, (samples, num_classes, h, w) float32.

    Without it: ``NAME.png``, the resized image of 8 bits, (H, W) gray or colour. Scaled to the input range, with the
    channels in the order blue, green, red, it is the network's input. With a ``crop`` the padding of the input has
    values that 8 bits cannot hold; then, and without ``as_images``, the input is written as ``NAME.bin``.

    Args:
        folder (str): folder of the inputs.
        samples (ValidationSamples): the images.
        input_stem (str): see ``stems``.
        as_images (bool): write NAME.png where it can hold the input.

    Raises:
        UNetError: there is no validation image, an image cannot be read, or the folder cannot be written or belongs to
            the data set.
    """
    if len(samples) == 0:
        raise UNetError("no validation image to write; lower split, or put images into val/")
    folder, names = Path(folder), stems(samples, input_stem)
    geometry = samples.transform.geometry
    as_images = as_images and not input_stem and geometry.input == geometry.content
    reader = samples.reader
    if not input_stem and folder.resolve() in {own.resolve() for own in reader.folders()}:
        raise UNetError(f"{folder} holds images of the data set itself; give another --result_path")
    # An earlier call with another split has written other samples of the data set.
    _remove_inputs(folder, set() if input_stem else {reader.name(index) for index in range(len(reader))})
    labels = []
    for number, name in enumerate(names):
        image, classes = samples[number]
        if as_images:
            write_atomically(folder / f"{name}.png", png_bytes(_to_pixels(image, samples.transform.input_min)))
        else:
            write_atomically(folder / f"{name}.bin", image[None].astype("<f4").tobytes())
        if input_stem:
            labels.append(transforms.one_hot(classes, samples.num_classes))
    kind = f"images NAME.png, {image.shape[2]}x{image.shape[1]}" if as_images else \
        f"inputs NAME.bin, each {(1, *image.shape)} float32"
    logger.info("%d %s: %s", len(names), kind, folder)
    if input_stem:
        write_atomically(folder / LABELS, _npy_bytes(np.stack(labels)))
        logger.info("labels, %s float32: %s", (len(labels), *labels[0].shape), folder / LABELS)


def _to_pixels(image: np.ndarray, input_min: int) -> np.ndarray:
    """Turn (C, H, W) float32 from ``input_min`` to 1, blue first, into (H, W) or (H, W, 3) uint8, red first."""
    pixels = transforms.from_unit_range(image, input_min)
    return pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))


def _npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _remove_inputs(folder: Path, names: set[str]) -> None:
    """Remove only the inputs of earlier calls, and warn of other files in the folder."""
    own_stems = "|".join(re.escape(layout.input_stem) for layout in LAYOUTS.values() if layout.input_stem)
    own = re.compile(rf"({own_stems})\d+\.bin|{re.escape(LABELS)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        files = sorted(path for path in folder.iterdir() if path.is_file())
        foreign = []
        for path in files:
            if own.fullmatch(path.name) or (path.suffix in {".png", ".bin"} and path.stem in names):
                path.unlink()
            else:
                foreign.append(path.name)
    except OSError as error:
        raise UNetError(f"cannot write into {folder}: {error.strerror}; give another --result_path") from None
    if foreign:
        logger.warning("WARNING: %s holds other files (%s); a runtime that takes all files of the folder takes them "
                       "too", folder, first_few(foreign))


# ---- results


def result_predictor(folder: str | Path, samples: ValidationSamples, activate: str,
                     input_stem: str = "") -> Callable[[np.ndarray], np.ndarray]:
    """Make a predictor for ``src.evaluation.evaluate`` that returns the runtime's results in the order of the samples.

    It checks that all files are there before it reads the first.

    Args:
        folder (str): holds NAME_0.bin: (1, h, w, num_classes) float32 probabilities (Softmax), (1, h, w, 1)
            float32 probabilities of class 1 (Sigmoid) or (1, h, w) int32 class numbers (Argmax), little-endian, of
            the size of the network's output.
        samples (ValidationSamples): the images that the results belong to.
        activate (str): Softmax, Sigmoid or Argmax.
        input_stem (str): see ``stems``.

    Returns:
        Callable: the k-th call returns the k-th result; its argument, the image, is not used.

    Raises:
        UNetError: results are missing, have another size, or belong to no sample; or (when called) are not what
            ``activate`` says.
    """
    shape: tuple[int, ...] = (1, *samples.transform.geometry.content)
    dtype: np.dtype = np.dtype("<i4")
    if activate != "Argmax":
        shape, dtype = (*shape, 1 if activate == "Sigmoid" else samples.num_classes), np.dtype("<f4")
    paths = [Path(folder) / f"{name}{RESULT_ENDING}" for name in stems(samples, input_stem)]
    _check_files(Path(folder), paths, shape, dtype)
    results = (_read_result(path, shape, dtype, samples.num_classes) for path in paths)
    return lambda _: next(results)


def _check_files(folder: Path, paths: list[Path], shape: tuple[int, ...], dtype: np.dtype) -> None:
    if not folder.is_dir():
        raise UNetError(f"no such folder of results: {folder}; give the folder that holds NAME{RESULT_ENDING} with "
                        f"--rst_path")
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise UNetError(f"{folder}: {len(missing)} of {len(paths)} results are missing ({first_few(missing)}); run the "
                        f"network on all files that preprocess.py writes with the same options")
    extra = sorted({path.name for path in folder.glob(f"*{RESULT_ENDING}")} - {path.name for path in paths})
    if extra:
        raise UNetError(f"{folder}: {len(extra)} results belong to no validation image ({first_few(extra)}); expected "
                        f"{len(paths)}, {paths[0].name} to {paths[-1].name}; remove the results of other runs")
    expected = int(np.prod(shape)) * dtype.itemsize
    for path in paths:
        if (found := path.stat().st_size) != expected:
            raise UNetError(f"{path}: {found} bytes found, expected {expected}: {dtype.name} of shape {shape}, as "
                            f"image_size, crop, num_classes and eval_activate say")


def _read_result(path: Path, shape: tuple[int, ...], dtype: np.dtype, num_classes: int) -> np.ndarray:
    try:
        result = np.fromfile(path, dtype).reshape(shape)
    except (OSError, ValueError) as error:     # gone or cut since the check
        raise UNetError(f"{path}: cannot be read: {error}") from None
    if dtype.kind == "i":
        if result.min() < 0 or result.max() >= num_classes:
            raise UNetError(f"{path}: values from {result.min()} to {result.max()} found, expected class numbers 0 to "
                            f"{num_classes - 1} as int32")
    # "not (all inside)" instead of "any outside", so that NaN is refused too.
    elif shape[-1] == 1:
        if not ((result >= 0) & (result <= 1)).all():
            raise UNetError(f"{path}: not probabilities: values from {result.min()} to {result.max()} found, expected "
                            f"the sigmoid as float32, 0 to 1")
    elif not (np.abs(result.sum(axis=-1) - 1) <= SUM_TOLERANCE).all() or result.min() < -SUM_TOLERANCE:
        raise UNetError(f"{path}: not probabilities: those of a pixel must sum to 1; expected the softmax as float32 "
                        f"with the classes last (N, height, width, classes)")
    return result
