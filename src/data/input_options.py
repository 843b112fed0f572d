"""The options of a network's training that prediction needs. They are stored with the network, and followed with it."""
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from src.data.channels import StoredImage
from src.data.data_options import channels_of, normalization_of
from src.data.image_reader import read_image
from src.data.layouts import LAYOUTS
from src.data.normalization import AUTO, RANGE
from src.data.sample_transforms import NativeTransform
from src.data.samples import ValidationSamples, create_validation_samples
from src.data.trained_geometry import TrainedGeometry
from src.data.transforms import channels_first
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.inputs import WRONG_CONTENT

logger = logging.getLogger("unet")

GEOMETRY = "geometry"       # what is stored of image_size and crop, see ``TrainedGeometry``
# How the numbers of an image become the network's input.
PIXELS = ("normalize", "normalize_percentiles", "input_range", "channels")
# The network itself.
NETWORK = ("model_name", "num_channels", "num_classes", "feature_scale", "use_deconv", "use_bn")
CLASS_NAMES = "class_names" # no option: the options class_values and coco_classes name classes of a data set
TARGET = "target"           # with boundary, the network has a class more than num_classes
# Only exported files say what their output is, and of which colours their classes are.
EVAL_ACTIVATE, COLOR = "eval_activate", "color"
STATE_NAMES = (*NETWORK, TARGET, *PIXELS, GEOMETRY, CLASS_NAMES)
NAMES = (*STATE_NAMES, EVAL_ACTIVATE, COLOR)
_TEXTS = ("model_name", "normalize", TARGET, EVAL_ACTIVATE)
_SIZES = {"image_size", "crop"}
# Values that leave the choice to what is stored.
_OPEN: dict[str, Any] = {"normalize": AUTO, "channels": []}


def input_options(state: Mapping[str, Any] | None, path: object = "the checkpoint") -> dict[str, Any]:
    """Return the options in the state of a checkpoint: name -> value; none of a file without a state.

    Args:
        state: of the checkpoint.
        path: the checkpoint, for messages.

    Raises:
        UNetError: they were stored by another version, and cannot be read.
    """
    if not state or set(state) == {"step"}:     # without a state; or weights of another program, converted
        return {}
    # Before the option normalize, of numbers with more than 8 bits the upper 8 were taken, which is range. Before the
    # option feature_scale, networks had half of the paper's channels.
    options = {"normalize": RANGE, "feature_scale": 2, **{name: state[name] for name in STATE_NAMES if name in state}}
    try:
        if GEOMETRY not in state and state.get("dataset") in LAYOUTS and "image_size" in state:
            # Before the geometry was stored, checkpoints had the options.
            options[GEOMETRY] = _geometry_of_options(state).as_dict()
        check(options)
    except (UNetError, *WRONG_CONTENT) as error:
        raise UNetError(f"{path} says of its input what this version cannot read: {error}") from None
    return options


def with_given(stored: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Return stored options, and those that the user gives where the network's file says nothing."""
    given = {name: getattr(config, name) for name in (TARGET, *PIXELS) if name in config.given}
    if config.given & _SIZES:
        given[GEOMETRY] = TrainedGeometry.of_options(config).as_dict()
    return {**given, **stored}


def _geometry_of_options(state: Mapping[str, Any]) -> TrainedGeometry:
    geometry = TrainedGeometry.of_options(Config({"crop": None, **state}))
    if geometry.sizes is None or not state.get("scale"):
        return geometry
    area = round(math.prod(geometry.sizes.content) / state["scale"] ** 2)
    return replace(geometry, areas=(area, area))


def check(options: Mapping[str, Any]) -> None:
    """Raise ValueError for stored options that cannot be followed."""
    if GEOMETRY in options:
        TrainedGeometry.of_dict(options[GEOMETRY])
    names = options.get(CLASS_NAMES, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{CLASS_NAMES} is no list of names")


def to_text(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as texts, for the metadata of an ONNX file."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def from_text(metadata: Mapping[str, str], path: object) -> dict[str, Any]:
    """Return the options in the metadata of an ONNX file.

    Raises:
        UNetError: metadata that this project did not write.
    """
    try:
        options: dict[str, Any] = {name: metadata[name] if name in _TEXTS else json.loads(metadata[name])
                                   for name in NAMES if name in metadata}
        check(options)
        return options
    except WRONG_CONTENT:
        raise UNetError(f"{path}: its metadata of {', '.join(NAMES)} cannot be read; export the network "
                        f"again") from None


def follow(config: Config, stored: Mapping[str, Any], path: object) -> Config:
    """Return the options with those that a network was trained with.

    Args:
        config: the options.
        stored: name -> value, as ``input_options`` returns it.
        path: the file of the network, for messages.

    Raises:
        UNetError: an option was given that contradicts them.
    """
    config, changes = _with_layout(config, stored), {}
    for name, value in stored.items():
        if name == CLASS_NAMES:
            continue
        if name == GEOMETRY:
            changes.update(_sizes(config, TrainedGeometry.of_dict(value), path))
            continue
        own = getattr(config, name)
        if own == value or name == "normalize" and (own, value) == (RANGE, AUTO):
            continue
        if name == "channels" and not value:
            logger.info("%s was trained without the option channels; of these files, the channels %s are taken", path,
                        own)
            continue
        # A YAML file's eval_activate is what training evaluates.
        given = config.on_command_line if name == EVAL_ACTIVATE else config.given
        if name in given and name == COLOR:
            continue        # colours are free
        if name in given and own != _OPEN.get(name):
            verb = "gives" if name == EVAL_ACTIVATE else "was trained with"
            trained = f"{name} {value}" + (" (range for images of 8 bits)" if value == AUTO else "")
            raise UNetError(f"{name} is {own}, but {path} {verb} {trained}; leave {name} out")
        changes[name] = value
    source = f"{path}: what it says of its network cannot be followed (export the network again, or train it anew)"
    return config.replace(source, **changes) if changes else config


def _with_layout(config: Config, stored: Mapping[str, Any]) -> Config:
    """Return the options with the layout of the data set that a network was trained on, unless they name one."""
    layout = stored[GEOMETRY]["dataset"] if GEOMETRY in stored else config.dataset
    if "dataset" in config.given or layout == config.dataset:
        return config
    logger.info("dataset: %s, as the network was trained", layout)
    # Layouts say sizes in different orders.
    return config.replace(dataset=layout, **TrainedGeometry.of_options(config).options(layout))


def _sizes(config: Config, trained: TrainedGeometry, path: object) -> dict[str, Any]:
    """Return the options of sizes that change when those of the training are followed.

    Sizes on the command line are kept; those of a YAML file are not.
    """
    own, followed = TrainedGeometry.of_options(config).sizes, trained.options(config.dataset)
    if own == trained.sizes:
        return {}
    if config.on_command_line & _SIZES:
        logger.warning("WARNING: image_size %s and crop %s are given, but %s was trained with %s and %s",
                       config.image_size, config.crop, path, *followed.values())
        return {}
    if config.given & _SIZES:
        logger.info("image_size %s and crop %s, as %s was trained; the YAML file says %s and %s", *followed.values(),
                    path, config.image_size, config.crop)
    return followed


def geometry_of(config: Config, stored: Mapping[str, Any]) -> TrainedGeometry | None:
    """Return the sizes that a network's input has.

    Args:
        config: the options, after ``follow``.
        stored: what is stored with the network, as ``input_options`` returns it.

    Returns:
        TrainedGeometry: None if neither the network's file nor the user's options say.
    """
    if GEOMETRY in stored:
        return replace(TrainedGeometry.of_dict(stored[GEOMETRY]), sizes=TrainedGeometry.of_options(config).sizes)
    return TrainedGeometry.of_options(config) if config.given & _SIZES else None


def network_input(image: str | Path | np.ndarray, config: Config, page: int = 0,
                  geometry: TrainedGeometry | None = None) -> np.ndarray:
    """Make the input of a network from an image.

    Args:
        image: an image file, or (H, W) or (H, W, C) with the numbers and channels of one.
        config: the input options and num_channels.
        page: number of the page in the file, from 0.
        geometry: how training resized images; None keeps the image's own size.

    Returns:
        np.ndarray: (1, C, H, W) float32.

    Raises:
        UNetError: the file is damaged, or does not have these channels.
    """
    if isinstance(image, np.ndarray):
        limits = (0, 1) if image.dtype.kind in "fb" else (np.iinfo(image.dtype).min, np.iinfo(image.dtype).max)
        stored = StoredImage(np.atleast_3d(image), limits)
    else:
        stored = read_image(image, channels_of(config), page)
    normalization = normalization_of(config)
    transform = (geometry and geometry.transform(normalization)) or NativeTransform(normalization)
    return channels_first(transform.image(normalization.apply(stored, image)))[None]


def validation_samples(config: Config, stored: Mapping[str, Any]) -> ValidationSamples:
    """Open the validation samples for a network, normalized as it was trained.

    Args:
        config: the options, after ``follow``.
        stored: what is stored with the network, as ``input_options`` returns it.

    Raises:
        UNetError: see ``create_validation_samples``.
    """
    return create_validation_samples(config, normalization_of(config) if "normalize" in stored else None)
