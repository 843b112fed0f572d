"""The one place that knows every network."""
from mindspore.common.initializer import HeNormal, HeUniform, initializer

from src.model_utils.errors import UNetError
from src.networks.layers import LEVELS, STOCK
from src.networks.receptive_field import ReceptiveField
from src.networks.unet_bilinear import UNetBilinear
from src.networks.unet_keras import UNetKeras
from src.networks.unet_medical import UNetMedical
from src.networks.unet_nested import NestedUNet
from src.networks.unet_simple import UNet

# model_name -> class, how the options become its arguments, and how it goes up a level: a name in REACH_UP.
NETWORKS = {
    "unet_medical": (UNetMedical, lambda c: {"n_channels": c.num_channels, "n_classes": c.num_classes},
                     lambda c: "deconv"),
    "unet_simple": (UNet, lambda c: {"in_channel": c.num_channels, "n_class": c.num_classes}, lambda c: "deconv"),
    "unet_nested": (NestedUNet, lambda c: {"in_channel": c.num_channels, "n_class": c.num_classes,
                                           "use_deconv": c.use_deconv, "use_bn": c.use_bn, "use_ds": c.use_ds},
                    lambda c: "deconv" if c.use_deconv else "bilinear"),
    "unet_bilinear": (UNetBilinear, lambda c: {"in_channel": c.num_channels}, lambda c: "bilinear"),
    "unet_keras": (UNetKeras, lambda c: {"in_channel": c.num_channels}, lambda c: "nearest"),
}

# How far a step up a level reaches, in pixels of the upper level: bilinear upsampling to the next pixel of the lower
# one, the 2x2 convolution behind nearest upsampling to one neighbour.
REACH_UP = {"deconv": 0, "bilinear": 2, "nearest": 1}

# Gain of ReLU, after He et al. 2015, arXiv:1502.01852.
INITIALIZERS = {"he_normal": HeNormal, "he_uniform": HeUniform}


def build_network(config, layers=STOCK):
    """Build the network that the options name, with fresh weights.

    Args:
        config (Config): model_name and the network's own options.
        layers (Layers): the layer set to build from.

    Returns:
        nn.Cell: (N, num_channels, H, W) float32 -> logits (N, output_channels, h, w); see the class.

    Raises:
        UNetError: more classes than a network of one output channel can tell apart.
    """
    network_class, arguments, _ = _entry(config.model_name)
    if output_channels(config) == 1 and config.num_classes != 2:
        raise UNetError(f"{config.model_name} has one output channel, for class 1 of two; num_classes is "
                        f"{config.num_classes}: set it to 2, or take another network")
    network = network_class(**arguments(config), layers=layers)
    if config.weight_init != "default":
        for parameter in network.trainable_params():
            if parameter.ndim == 4:
                parameter.set_data(initializer(INITIALIZERS[config.weight_init](), parameter.shape, parameter.dtype))
    return network


def output_channels(config):
    """Channels of the logits: one for a network that ends in a sigmoid, else one a class."""
    return getattr(_entry(config.model_name)[0], "output_channels", config.num_classes)


def probabilities(config):
    """The ``eval_activate`` that makes probabilities of the logits: Sigmoid for one output channel, else Softmax."""
    return "Sigmoid" if output_channels(config) == 1 else "Softmax"


def upsampling(config):
    """How the network goes up a level: deconv, bilinear or nearest."""
    return _entry(config.model_name)[2](config)


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


def receptive_field(config):
    """How the network that the options name maps input to output, for prediction in windows.

    Returns:
        ReceptiveField.
    """
    size = smallest_size(config.model_name)
    lost = (size - output_size(config.model_name, (size, size))[0]) // 2
    return ReceptiveField(lost, 0 if lost else _context(REACH_UP[upsampling(config)]), 2 ** LEVELS)


def _context(up):
    """Pixels around a pixel that its logits depend on, up to a whole number of the coarsest level's pixels.

    A pixel of level l is 2**l wide. The two 3x3 convolutions of a level reach 2 of its pixels to each side, on the way
    down and on the way up, and a step up to it ``up`` more; a last convolution may reach one more at level 0.
    """
    reach_of_all = 1 + sum(2 * 2 ** level for level in range(LEVELS + 1)) + sum(
        (2 + up) * 2 ** level for level in range(LEVELS))
    return -(-reach_of_all // 2 ** LEVELS) * 2 ** LEVELS


def window_size(config):
    """(height, width) of all prediction windows of a network of valid convolutions; None for one of same convolutions.

    Raises:
        UNetError: the network cannot take windows of tile_size.
    """
    if not receptive_field(config).margin_lost:
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
