"""Models as packages for ilastik, deepImageJ, QuPath and other programs of bioimage.io. Without MindSpore.

The format is that of https://bioimage.io/docs, which the package bioimageio.spec knows and checks.
"""
import io
import keyword
import logging
import math
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from src import __version__
from src.data.channels import StoredImage, as_rgb
from src.data.data_options import channels_of, class_names, normalization_of
from src.data.image_files import list_image_files
from src.data.image_reader import read_image
from src.data.input_options import CLASS_NAMES, GEOMETRY
from src.data.normalization import MINMAX, PERCENTILE, RANGE, ZSCORE, Normalization
from src.data.synthetic import make_stacks
from src.data.trained_geometry import TrainedGeometry
from src.data.transforms import resize_image, to_unit_range
from src.export.bioimageio_options import ADDRESS, DOI, least_side
from src.export.onnx_graph import OPSET, reverse_channels
from src.export.onnx_model import OnnxNetwork
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import replacing
from src.networks.receptive_field import ReceptiveField
from src.report.drawing import palette

logger = logging.getLogger("unet")

UNET = ("O. Ronneberger, P. Fischer, T. Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation. "
        "MICCAI 2015", "10.1007/978-3-319-24574-4_28")
NAMES_OF_CHANNELS = {1: ["gray"], 3: ["red", "green", "blue"]}


def write_package(path: Path, onnx_path: Path, config: Config, field: ReceptiveField) -> None:
    """Write the package, a zip file: rdf.yaml, the weights, a test image with its result, a cover, and a README.

    Args:
        path: the file.
        onnx_path: the weights.
        config: the options of the training; license, authors, citation, class_values, color; data_path of the command
            line for the test image.
        field: the receptive field.

    Raises:
        UNetError: the options do not make a valid package, or the test image cannot be read.
    """
    from bioimageio.spec import save_bioimageio_package
    from pydantic import ValidationError

    if _is_coloured(config):
        reverse_channels(onnx_path)     # the programs give red first
    network = OnnxNetwork(onnx_path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = _test_image(config, network, field)
        normalization = normalization_of(config)
        pixels = to_unit_range(normalization.apply(image), normalization.input_min)
        order = slice(None, None, -1 if _is_coloured(config) else 1)
        result = network(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None, order], dtype=np.float32))
        np.save(folder / "image.npy", image.pixels.transpose(2, 0, 1)[None, order].astype(np.float32))
        np.save(folder / "mask.npy", result)
        (folder / "cover.png").write_bytes(_cover(image, result[0], config))
        normalized = _normalization_in_words(normalization, image)
        (folder / "README.md").write_text(_readme(config, network, field, normalized), encoding="utf-8")
        try:
            model = _describe(folder, onnx_path, config, network, field, image)
            with replacing(path) as temporary:
                save_bioimageio_package(model, output_path=temporary)
        except (ValidationError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UNetError(f"{path}: no valid package of bioimage.io: {reason}") from None
    logger.info("the package's normalization: %s", normalized)


def _test_image(config: Config, network: OnnxNetwork, field: ReceptiveField) -> StoredImage:
    """Return an image of the file's size: the first at data_path, if the command line gives it, or a drawn one.

    An image from data_path is resized first if the training resized its images.
    """
    height, width = network.fixed_size or (least_side(field) + 3 * field.stride,) * 2
    if "data_path" in config.on_command_line:
        image = _as_in_training(read_image(list_image_files(config.data_path)[0].path, channels_of(config)), network)
    else:
        pixels = make_stacks(1, max(height, width))[0][0]
        image = StoredImage(np.repeat(pixels[..., None], config.num_channels, axis=-1), (0, 255))
    pixels = image.pixels[:height, :width]
    margins = [(0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0)]
    return StoredImage(np.ascontiguousarray(np.pad(pixels, margins, mode="symmetric")), image.limits)


def _as_in_training(image: StoredImage, network: OnnxNetwork) -> StoredImage:
    """Return an image in the size in which training showed it to the network; the README tells users to do so."""
    trained, scale = _trained(network), network.scale
    height, width = image.pixels.shape[:2]
    size = (trained.sizes.content if trained and trained.sizes else
            (max(1, round(height * scale)), max(1, round(width * scale))))
    if size == (height, width):
        return image
    resized = resize_image(image.pixels.astype(np.float32), size)
    if image.pixels.dtype.kind != "f":
        resized = resized.round()
    return StoredImage(resized.astype(image.pixels.dtype), image.limits)


def _describe(folder: Path, onnx_path: Path, config: Config, network: OnnxNetwork, field: ReceptiveField,
              image: StoredImage) -> Any:
    from bioimageio.spec.model import v0_5

    spec: Any = v0_5        # its own types are narrower than what it takes
    sizes = network.fixed_size or [spec.ParameterizedSize(min=least_side(field), step=field.stride)] * 2
    inputs = spec.InputTensorDescr(
        id=spec.TensorId("image"), axes=[
            spec.BatchAxis(size=network.input_shape[0]),
            spec.ChannelAxis(channel_names=_identifiers(spec, _channels(config))),
            *(spec.SpaceInputAxis(id=spec.AxisId(axis), size=size) for axis, size in zip("yx", sizes))],
        data=spec.IntervalOrRatioDataDescr(type="float32"),      # the programs convert the numbers of image files
        preprocessing=_preprocessing(spec, normalization_of(config), image), test_tensor=_file(folder / "image.npy"))
    axes: list[Any] = [spec.BatchAxis(size=network.input_shape[0])]
    for axis in "yx":
        size = spec.SizeReference(tensor_id=spec.TensorId("image"), axis_id=spec.AxisId(axis),
                                  offset=-2 * field.margin_lost)
        axes.append(spec.SpaceOutputAxis(id=spec.AxisId(axis), size=size) if field.margin_lost else
                    spec.SpaceOutputAxisWithHalo(id=spec.AxisId(axis), size=size, halo=field.context))
    if network.activate != "Argmax":
        names = _names(config, network)[1 if network.activate == "Sigmoid" else 0:]
        axes.append(spec.ChannelAxis(channel_names=_identifiers(spec, names)))
    outputs = spec.OutputTensorDescr(
        id=spec.TensorId("mask"), axes=axes, test_tensor=_file(folder / "mask.npy"),
        data=spec.IntervalOrRatioDataDescr(type="int32" if network.activate == "Argmax" else "float32"))
    trained = _trained(network)
    layout = f" {trained.dataset}" if trained else ""
    return spec.ModelDescr(
        name=f"{config.model_name}{layout} {len(_names(config, network))} classes".replace("_", " "),
        description=f"Segmentation of 2D images into {', '.join(_names(config, network))}", version="1.0.0",
        authors=[spec.Author(name=name) for name in config.authors], license=config.license,
        cite=[spec.CiteEntry(text=UNET[0], doi=spec.Doi(UNET[1])), *_citation(spec, config.citation)],
        covers=[_file(folder / "cover.png")], documentation=_file(folder / "README.md"),
        tags=["segmentation", "unet", "2d", "mindspore"],
        inputs=[inputs], outputs=[outputs],
        weights=spec.WeightsDescr(onnx=spec.OnnxWeightsDescr(source=onnx_path, opset_version=OPSET)))


def _file(path: Path) -> Any:
    from bioimageio.spec.common import FileDescr

    return FileDescr(source=path)


def _preprocessing(spec: Any, normalization: Normalization, image: StoredImage) -> list[Any]:
    """Return what ``Normalization`` does, in the words of the format."""
    low, mode = normalization.input_min, normalization.mode_for(image.pixels.dtype)
    each_channel = [spec.AxisId("y"), spec.AxisId("x")]
    if mode == ZSCORE:
        return [spec.ZeroMeanUnitVarianceDescr(kwargs=spec.ZeroMeanUnitVarianceKwargs(axes=each_channel))]
    if mode in (PERCENTILE, MINMAX):
        lowest, highest = normalization.percentiles if mode == PERCENTILE else (0, 100)
        scale = spec.ScaleRangeDescr(kwargs=spec.ScaleRangeKwargs(axes=each_channel, min_percentile=lowest,
                                                                  max_percentile=highest))
        return [scale, _linear(spec, 1 - low, low)] if low else [scale]
    smallest, largest = image.limits
    gain = (1 - low) / (largest - smallest)
    return [_linear(spec, gain, low - smallest * gain)]


def _linear(spec: Any, gain: float, offset: float) -> Any:
    return spec.ScaleLinearDescr(kwargs=spec.ScaleLinearKwargs(gain=gain, offset=offset))


def _citation(spec: Any, text: str) -> list[Any]:
    """Return what the option citation names: a DOI, else an address; empty without either."""
    if doi := re.search(DOI, text):
        return [spec.CiteEntry(text=text, doi=spec.Doi(doi[0]))]
    if url := re.search(ADDRESS, text):
        return [spec.CiteEntry(text=text, url=url[0])]
    return []


def _is_coloured(config: Config) -> bool:
    """Return whether the network takes blue, green, red, as this project reads images without the option channels."""
    return config.num_channels == 3 and not config.channels


def _channels(config: Config) -> list[str]:
    if not config.channels and config.num_channels in NAMES_OF_CHANNELS:
        return NAMES_OF_CHANNELS[config.num_channels]
    return [f"band {number}" for number in config.channels or range(config.num_channels)]


def _names(config: Config, network: OnnxNetwork) -> list[str]:
    """Return the names of the classes that the network tells apart, see ``src.data.boundary``."""
    names = network.options.get(CLASS_NAMES) or class_names(config)
    return [names[0], f"{names[1]} interior", f"{names[1]} rim"] if config.has_rim else names


def _identifiers(spec: Any, names: list[str]) -> list[Any]:
    """Return names as the format takes them, each another one.

    They have lower case letters, numbers and underscores, no number first, and are no words of Python.
    """
    found: list[str] = []
    for number, name in enumerate(names):
        text = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name.lower())
        if not text[:1].isalpha() or keyword.iskeyword(text):
            text = f"class_{text}"
        while text in found:
            text = f"{text}_{number}"
        found.append(text)
    return [spec.Identifier(text) for text in found]


def _trained(network: OnnxNetwork) -> TrainedGeometry | None:
    """Return what the file says of the images of the training."""
    return TrainedGeometry.of_dict(network.options[GEOMETRY]) if GEOMETRY in network.options else None


def _cover(image: StoredImage, result: np.ndarray, config: Config) -> bytes:
    """Return a PNG file: the image, and beside it the colours of the predicted classes."""
    classes = result if result.ndim == 2 else (result[..., 0] > 0.5).astype(int) if result.shape[2] == 1 \
        else result.argmax(axis=-1)
    pixels = image.pixels[..., :3] if image.pixels.shape[2] in (1, 3) else image.pixels[..., :1]
    gray = Normalization(MINMAX, (0, 100), 0).apply(StoredImage(pixels, image.limits))
    left = as_rgb((255 * gray).astype(np.uint8))
    top, side = ((have - want) // 2 for have, want in zip(left.shape, classes.shape))
    left = left[top:top + classes.shape[0], side:side + classes.shape[1]]
    right = palette(config.color, config.network_classes)[classes]
    height, width = classes.shape
    margins = [(0, max(0, width - height)), (0, max(0, height - width)), (0, 0)]     # the two halves are square
    picture = cv2.resize(np.hstack([np.pad(half, margins) for half in (left, right)]), (1024, 512),
                         interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _normalization_in_words(normalization: Normalization, image: StoredImage) -> str:
    """Say what ``_preprocessing`` does: with range, it is for the numbers of one kind of image only."""
    mode = normalization.mode_for(image.pixels.dtype)
    if mode != RANGE:
        return str(replace(normalization, mode=mode))
    smallest, largest = image.limits
    kind = ("floating-point numbers" if image.pixels.dtype.kind == "f" else
            f"{math.ceil(math.log2(largest - smallest + 1))} bits")
    return (f"range, for images of {kind} ({smallest} to {largest}) only; for others make another package, with "
            f"export.py --data_path=IMAGE and such an image")


def _sizes_in_words(network: OnnxNetwork, field: ReceptiveField) -> str:
    """Say which sizes the file takes, and how images must be resized for it, as prediction does."""
    text = ("{}x{} (height x width)".format(*network.fixed_size) if network.fixed_size else
            f"multiples of {field.stride}, {least_side(field)} or more with the halo, {field.context} at each side, "
            f"that the programs put around images")
    trained, scale = _trained(network), network.scale
    if trained and trained.sizes:
        text += ". Resize images to {}x{} first, as in training".format(*trained.sizes.content)
        if trained.sizes.content != trained.sizes.input:
            text += "; around the normalized image are zeros, up to {}x{}".format(*trained.sizes.input)
    elif scale != 1:
        text += f". Scale both sides of images by {scale:.4g} first, as in training"
    return text


def _readme(config: Config, network: OnnxNetwork, field: ReceptiveField, normalized: str) -> str:
    fingerprint = network.metadata.get("data_fingerprint", "not known")
    bands = " (the bands of the file from 0)" if _channels(config)[0].startswith("band") else ""
    return (f"# {config.model_name}\n\nA U-Net for two-dimensional images, of UNet for MindSpore {__version__}.\n\n"
            f"- Channels, in this order: {', '.join(_channels(config))}{bands}.\n"
            f"- Classes: {', '.join(_names(config, network))}.\n"
            f"- Size of the input in pixels: {_sizes_in_words(network, field)}.\n"
            f"- Normalization: {normalized}.\n- Fingerprint of the training samples: {fingerprint}.\n\n"
            "## Validation\n\nCompare the masks of some images with masks drawn by hand before you use this model on "
            "images of another kind. Scores on images that it was trained on say little.\n")
