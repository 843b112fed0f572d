"""Files exchanged with another runtime (C++ inference): inputs for it, and results from it. Without MindSpore.

The file names are the model zoo's: the input NAME.bin or NAME.png belongs to the result NAME_0.bin, the network's first
output.
"""
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.data.layouts import LAYOUTS
from src.data.normalization import AUTO, RANGE, Normalization
from src.data.sample_transforms import Geometry
from src.data.samples import ValidationSamples, create_validation_samples
from src.evaluation.evaluate import LabelledImages, Predictor
from src.export.stored_labels import LABELS_WRITTEN, find_labels
from src.export.written_files import read_list, remove_files, write_list
from src.model_utils.config import Config
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import make_folder, remove_leftovers, write_atomically
from src.report.drawing import png_bytes

logger = logging.getLogger("unet")

RESULT_ENDING = "_0.bin"
# In the folder of inputs: the names of the files that preprocess.py has written there, and may remove.
WRITTEN = ".preprocess.json"

# Largest error of the sum of a pixel's probabilities. Half precision stays far below it; logits, and results in another
# order of axes or of another type, do not.
SUM_TOLERANCE = 0.01


def stems(samples: LabelledImages, input_stem: str = "") -> list[str]:
    """Return the files' names without their endings, one for each sample, in the order of the samples.

    Args:
        samples (LabelledImages): the images.
        input_stem (str): what the names begin with, before the sample's number; "" takes the samples' own names (see
            ``src.data.layouts.Layout``).
    """
    return [f"{input_stem}{number}" if input_stem else samples.name(number) for number in range(len(samples))]


# ---- inputs


def write_inputs(folder: str | Path, samples: ValidationSamples, input_stem: str = "", as_images: bool = True) -> None:
    """Write the inputs of the runtime, and remove those that an earlier call has written into the folder.

    With ``input_stem``: ``STEM0.bin``, ``STEM1.bin``, ..., each the network's input, (1, C, H, W) float32 little-endian
    in the input range.

    Without it: ``NAME.png``, the resized image of 8 bits, (H, W) gray or colour. Scaled to the input range, with the
    channels in the order blue, green, red, it is the network's input. Where 8 bits cannot hold the input, and without
    ``as_images``, it is written as ``NAME.bin``: images of more than 8 bits, normalize other than range, channels other
    than one or three, and with a ``crop`` the padding.

    Args:
        folder (str): folder of the inputs.
        samples (ValidationSamples): the images.
        input_stem (str): see ``stems``.
        as_images (bool): write NAME.png where it can hold the input.

    Raises:
        UNetError: there is no validation image, an image cannot be read, the folder cannot be written or belongs to the
            data set, or it holds files of these names that no earlier call has written.
    """
    if len(samples) == 0:
        raise UNetError("no validation image to write; lower split, or put images into val/")
    folder, names = Path(folder), stems(samples, input_stem)
    geometry = _geometry(samples)
    reader, normalization = samples.reader, samples.transform.normalization
    as_images = (as_images and not input_stem and geometry.input == geometry.content
                 and normalization.mode in (AUTO, RANGE) and all(reader.is_8_bit(index) for index in samples.indices))
    if not input_stem and folder.resolve() in {own.resolve() for own in reader.folders()}:
        raise UNetError(f"{folder} holds images of the data set itself; give another --result_path")
    earlier, written = _make_room(folder, names), []
    for number, name in enumerate(names):
        image, _ = samples[number]
        as_images = as_images and len(image) in (1, 3)
        if as_images:
            write_atomically(folder / f"{name}.png", png_bytes(_to_pixels(image, normalization)))
        else:
            write_atomically(folder / f"{name}.bin", image[None].astype("<f4").tobytes())
        written.append(f"{name}.{'png' if as_images else 'bin'}")
        earlier.discard(folder / written[-1])
    remove_files(earlier)
    write_list(folder / WRITTEN, written)
    kind = f"images NAME.png, {image.shape[2]}x{image.shape[1]}" if as_images else \
        f"inputs NAME.bin, each {(1, *image.shape)} float32"
    logger.info("%d %s: %s", len(names), kind, folder)


def _geometry(samples: ValidationSamples) -> Geometry:
    if samples.transform.geometry is None:
        raise UNetError("image_size is native, and the files for other runtimes have one size; give that of the "
                        "exported file, such as --image_size=[256,256]")
    return samples.transform.geometry


def _to_pixels(image: np.ndarray, normalization: Normalization) -> np.ndarray:
    """Turn (C, H, W) float32 in the input range, blue first, into (H, W) or (H, W, 3) uint8, red first."""
    pixels = normalization.to_bytes(image)
    return pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))


def _make_room(folder: Path, names: list[str]) -> set[Path]:
    """Add the inputs that come to the list ``WRITTEN``, and return those of earlier calls; warn of other files.

    Raises:
        UNetError: the folder cannot be written, or another file has the name of an input.
    """
    try:
        make_folder(folder)
        remove_leftovers(folder)
        earlier = {folder / name for name in read_list(folder / WRITTEN, "preprocess.py")}
        foreign = sorted(path.name for path in set(folder.iterdir()) - earlier
                         if path.is_file() and path.name not in (WRITTEN, LABELS_WRITTEN))
    except OSError as error:
        raise UNetError(f"cannot write into {folder}: {error.strerror}; give another --result_path") from None
    coming = [f"{name}{ending}" for name in names for ending in (".png", ".bin")]
    if taken := sorted(set(foreign) & set(coming)):
        raise UNetError(f"{folder} holds {len(taken)} files with the names of inputs that preprocess.py did not write "
                        f"({first_few(taken)}); remove them, or give another --result_path")
    write_list(folder / WRITTEN, {*coming, *(path.name for path in earlier)})
    if foreign:
        logger.warning("WARNING: %s holds other files (%s); a runtime that takes all files of the folder takes them "
                       "too", folder, first_few(foreign))
    return earlier


# ---- results


def results_and_labels(config: Config) -> tuple[Predictor, LabelledImages]:
    """Return the predictor of the results in rst_path, and the labels to score it by.

    The labels are those of the data set. Without it they are those of label.npy, for the layouts that have one.

    Raises:
        UNetError: neither is there or can be read, or see ``result_predictor``.
    """
    stem = LAYOUTS[config.dataset].input_stem
    stored = find_labels(config.result_path, config.num_classes) if stem else None
    if stored and not Path(config.data_path).is_dir() and not (config.report or config.isbi_metrics
                                                                  or config.object_metrics):
        logger.info("labels: %s, as there is no data set at %s", stored.path, config.data_path)
        return result_predictor(config.rst_path, stored, stored.size, config.eval_activate, stem), stored
    samples = create_validation_samples(config)
    predict = result_predictor(config.rst_path, samples, _geometry(samples).content, config.eval_activate, stem,
                               config.has_rim)
    if stored:
        stored.warn_if_other(samples)
    return predict, samples


def result_predictor(folder: str | Path, samples: LabelledImages, size: tuple[int, ...], activate: str,
                     input_stem: str = "", has_rim: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """Make a predictor for ``src.evaluation.evaluate`` that returns the runtime's results in the order of the samples.

    It checks that all files are there before it reads the first.

    Args:
        folder (str): holds NAME_0.bin: (1, h, w, num_classes) float32 probabilities (Softmax), (1, h, w, 1)
            float32 probabilities of class 1 (Sigmoid) or (1, h, w) int32 class numbers (Argmax), little-endian, of
            the size of the network's output.
        samples (LabelledImages): the images that the results belong to.
        size (tuple): (h, w) of the results.
        activate (str): Softmax, Sigmoid or Argmax.
        input_stem (str): see ``stems``.
        has_rim (bool): the results have one class more than the labels, see ``ScoreOptions``.

    Returns:
        Callable: the k-th call returns the k-th result; its argument, the image, is not used.

    Raises:
        UNetError: results are missing, have another size, or belong to no sample; or (when called) are not what
            ``activate`` says.
    """
    shape: tuple[int, ...] = (1, *size)
    dtype: np.dtype = np.dtype("<i4")
    num_classes = samples.num_classes + has_rim
    if activate != "Argmax":
        shape, dtype = (*shape, 1 if activate == "Sigmoid" else num_classes), np.dtype("<f4")
    paths = [Path(folder) / f"{name}{RESULT_ENDING}" for name in stems(samples, input_stem)]
    _check_files(Path(folder), paths, shape, dtype)
    results = (_read_result(path, shape, dtype, num_classes) for path in paths)
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
