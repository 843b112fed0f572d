"""Files between this project and a runtime outside it (C++ inference): inputs for it, results from it.

Without MindSpore. The file names are the model zoo's: NAME.bin or NAME.png goes out, and the network's first
output comes back as NAME_0.bin.
"""
import io
import logging
import re
from pathlib import Path

import numpy as np

from src.data import transforms
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import remove_leftovers, write_atomically
from src.report.drawing import png_bytes

logger = logging.getLogger("unet")

STACK_STEM = "ISBI_test_bs_1_"
LABELS = "label.npy"
RESULT_ENDING = "_0.bin"

# How far the probabilities of a pixel may be from a sum of one: half precision stays far below, while logits
# and results in another layout or type do not.
SUM_TOLERANCE = 0.01


def stems(samples, is_stack):
    """File names without their endings, one a sample, in the samples' order."""
    return [f"{STACK_STEM}{number}" if is_stack else samples.name(number) for number in range(len(samples))]


# ---- inputs


def write_inputs(folder, samples, is_stack, other_pairs=(), pictures=True):
    """Write what the runtime takes, in place of what an earlier call has left there.

    Stacks: ``ISBI_test_bs_1_N.bin``, N from 0: the network's input, (1, C, H, W) float32 little-endian in
    the input range; and ``label.npy``: all labels one-hot, (samples, num_classes, h, w) float32. Folders: the resized
    picture ``NAME.png``, 8 bits, (H, W) gray or colour, which scaled to the input range (channels in the order blue,
    green, red) is the network's input; with a ``crop`` the input is padded with what 8 bits cannot say, and
    is written as ``NAME.bin``, as for stacks. Without ``pictures`` it always is.

    Args:
        folder (str): where to.
        samples (ValidationSamples): the images.
        is_stack (bool): whether they come from ISBI stacks.
        other_pairs (list[Pair]): the data set's other pictures, whose files an earlier call with another split may
            have left.
        pictures (bool): write pictures where they hold the input.

    Raises:
        UNetError: no validation image, an unreadable image, or a folder that cannot be written or is the data set's.
    """
    if len(samples) == 0:
        raise UNetError("no validation image to write; lower split, or put images into val/")
    folder, names = Path(folder), stems(samples, is_stack)
    geometry = samples.transform.geometry
    as_picture = pictures and not is_stack and geometry.input == geometry.content
    pairs = [] if is_stack else [*samples.reader.pairs, *other_pairs]
    own_folders = {path.parent for pair in pairs for path in (pair.image, pair.mask)}
    if folder.resolve() in {own.resolve() for own in own_folders}:
        raise UNetError(f"{folder} holds pictures of the data set itself; give another --result_path")
    _remove_inputs(folder, {pair.name for pair in pairs})
    labels = []
    for number, name in enumerate(names):
        image, classes = samples[number]
        if as_picture:
            write_atomically(folder / f"{name}.png", png_bytes(_to_picture(image, samples.transform.low)))
        else:
            write_atomically(folder / f"{name}.bin", image[None].astype("<f4").tobytes())
        if is_stack:
            labels.append(transforms.one_hot(classes, samples.num_classes))
    kind = f"pictures NAME.png, {image.shape[2]}x{image.shape[1]}" if as_picture else \
        f"inputs NAME.bin, each {(1, *image.shape)} float32"
    logger.info("%d %s: %s", len(names), kind, folder)
    if is_stack:
        write_atomically(folder / LABELS, _npy_bytes(np.stack(labels)))
        logger.info("labels, %s float32: %s", (len(labels), *labels[0].shape), folder / LABELS)


def _to_picture(image, low):
    """(C, H, W) float32, ``low`` to 1, blue first -> (H, W) or (H, W, 3) uint8, red first as in a picture's file."""
    picture = transforms.from_unit_range(image, low)
    return picture[0] if len(picture) == 1 else np.ascontiguousarray(picture[::-1].transpose(1, 2, 0))


def _npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _remove_inputs(folder, names):
    """Remove the inputs of earlier calls and nothing else; say what else is there."""
    own = re.compile(rf"{STACK_STEM}\d+\.bin|{re.escape(LABELS)}")
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
        logger.warning("WARNING: %s holds files of other origin (%s); a runtime that takes all files of the folder "
                       "takes them too", folder, first_few(foreign))


# ---- results


def result_predictor(folder, samples, is_stack, activate):
    """A predictor for ``src.evaluation.evaluate`` that gives the runtime's results, sample by sample in order.

    All files are looked for before the first is read.

    Args:
        folder (str): holds NAME_0.bin: (1, h, w, num_classes) float32 probabilities (Softmax), (1, h, w, 1)
            float32 probabilities of class 1 (Sigmoid) or (1, h, w) int32 class numbers (Argmax), little-endian, of
            the size that the network gives back.
        samples (ValidationSamples): the images that the results belong to.
        is_stack (bool): whether they come from ISBI stacks.
        activate (str): Softmax, Sigmoid or Argmax.

    Returns:
        callable: the k-th call gives the k-th result; its argument, the image, is not used.

    Raises:
        UNetError: results that are missing, of another size, of no sample, or (when called) not what
            ``activate`` says.
    """
    shape, dtype = (1, *samples.transform.geometry.content), np.dtype("<i4")
    if activate != "Argmax":
        shape, dtype = (*shape, 1 if activate == "Sigmoid" else samples.num_classes), np.dtype("<f4")
    paths = [Path(folder) / f"{name}{RESULT_ENDING}" for name in stems(samples, is_stack)]
    _check_files(Path(folder), paths, shape, dtype)
    results = (_read_result(path, shape, dtype, samples.num_classes) for path in paths)
    return lambda _: next(results)


def _check_files(folder, paths, shape, dtype):
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
                        f"{len(paths)}, {paths[0].name} to {paths[-1].name}; remove what is of another run")
    expected = int(np.prod(shape)) * dtype.itemsize
    for path in paths:
        if (found := path.stat().st_size) != expected:
            raise UNetError(f"{path}: {found} bytes found, expected {expected}: {dtype.name} of shape {shape}, as "
                            f"image_size, crop, num_classes and eval_activate say")


def _read_result(path, shape, dtype, num_classes):
    try:
        result = np.fromfile(path, dtype).reshape(shape)
    except (OSError, ValueError) as error:     # gone or cut since it was looked at
        raise UNetError(f"{path}: cannot be read: {error}") from None
    if dtype.kind == "i":
        if result.min() < 0 or result.max() >= num_classes:
            raise UNetError(f"{path}: values from {result.min()} to {result.max()} found, expected class numbers 0 to "
                            f"{num_classes - 1} as int32")
    # "not all within" rather than its opposite, so that NaN is refused too.
    elif shape[-1] == 1:
        if not ((result >= 0) & (result <= 1)).all():
            raise UNetError(f"{path}: not probabilities: values from {result.min()} to {result.max()} found, expected "
                            f"the sigmoid as float32, 0 to 1")
    elif not (np.abs(result.sum(axis=-1) - 1) <= SUM_TOLERANCE).all() or result.min() < -SUM_TOLERANCE:
        raise UNetError(f"{path}: not probabilities: those of a pixel must sum to 1; expected the softmax as float32 "
                        f"with the classes last (N, height, width, classes)")
    return result
