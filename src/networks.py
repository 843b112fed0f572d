"""The one place that knows every network."""
from mindspore.common.initializer import HeNormal, HeUniform, initializer

from src.layers import STOCK
from src.model_utils.errors import UNetError
from src.tiling import Reach
from src.unet_medical import UNetMedical
from src.unet_nested import LEVELS, NestedUNet, UNet, context

# model_name -> class, and how the options become its arguments.
NETWORKS = {
    "unet_medical": (UNetMedical, lambda c: {"n_channels": c.num_channels, "n_classes": c.num_classes}),
    "unet_simple": (UNet, lambda c: {"in_channel": c.num_channels, "n_class": c.num_classes}),
    "unet_nested": (NestedUNet, lambda c: {"in_channel": c.num_channels, "n_class": c.num_classes,
                                           "use_deconv": c.use_deconv, "use_bn": c.use_bn, "use_ds": c.use_ds}),
}

# Gain of ReLU, after He et al. 2015, arXiv:1502.01852.
INITIALIZERS = {"he_normal": HeNormal, "he_uniform": HeUniform}


def build_network(config, layers=STOCK):
    """Build the network that the options name, with fresh weights.

    Args:
        config (Config): model_name and the network's own options.
        layers (Layers): the layer set to build from.

    Returns:
        nn.Cell: (N, num_channels, H, W) float32 -> logits (N, num_classes, h, w); see the class.
    """
    network_class, arguments = _entry(config.model_name)
    network = network_class(**arguments(config), layers=layers)
    if config.weight_init != "default":
        for parameter in network.trainable_params():
            if parameter.ndim == 4:
                parameter.set_data(initializer(INITIALIZERS[config.weight_init](), parameter.shape, parameter.dtype))
    return network


def output_size(model_name, size):
    """Size of the logits for an input of ``size``, both (height, width).

    Raises:
        UNetError: the network cannot take that size; the message names the nearest that it can.
    """
    rule = _entry(model_name)[0].output_size
    result = tuple(rule(side) for side in size)
    if None in result:
        nearest = [_nearest_valid(rule, side) for side in size]
        raise UNetError(f"{model_name} cannot take an image of {size[0]}x{size[1]} (height x width); the nearest sizes "
                        f"it can take are {' and '.join(f'{h}x{w}' for h, w in sorted(set(zip(*nearest))))}")
    return result


def check_sizes(config, image_size, label_size):
    """Hold the sizes (height, width) of images and labels against the network.

    Raises:
        UNetError: the network cannot take the image, or gives logits of another size than the label.
    """
    logits_size = output_size(config.model_name, image_size)
    if logits_size != tuple(label_size):
        margins = [size - result for size, result in zip(image_size, logits_size)]
        crop = [side - margin for side, margin in zip(config.image_size, margins)]
        advice = f"set crop to {crop}" if any(margins) else "set crop to None"
        raise UNetError(f"{config.model_name} makes {logits_size[0]}x{logits_size[1]} logits of {image_size[0]}x"
                        f"{image_size[1]} images (height x width), but the labels are {label_size[0]}x{label_size[1]}; "
                        f"{advice}")


def reach(config):
    """How the network that the options name maps input to output, for prediction in windows.

    Returns:
        Reach.
    """
    size = smallest_size(config.model_name)
    lost = (size - output_size(config.model_name, (size, size))[0]) // 2
    return Reach(lost, 0 if lost else context(config.model_name == "unet_simple" or config.use_deconv), 2 ** LEVELS)


def window_size(config):
    """(height, width) of all prediction windows of a network of valid convolutions; None for one of same convolutions.

    Raises:
        UNetError: the network cannot take windows of tile_size.
    """
    if not reach(config).lost:
        return None
    sides = (config.tile_size or max(config.image_size),) * 2
    output_size(config.model_name, sides)
    return sides


def smallest_size(model_name):
    """Smallest height (or width) that the network can take."""
    return _nearest_valid(_entry(model_name)[0].output_size, 1)[1]


def _nearest_valid(rule, size):
    """The nearest valid sizes not above and not below ``size``; the smallest one twice where none is below."""
    above = next(side for side in range(max(size, 1), size + 10**4) if rule(side))
    below = next((side for side in range(size, 0, -1) if rule(side)), above)
    return below, above


def _entry(model_name):
    if model_name not in NETWORKS:
        raise UNetError(f"model_name {model_name!r}: known networks are {', '.join(NETWORKS)}")
    return NETWORKS[model_name]
