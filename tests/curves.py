"""Losses of some steps of each network, and its evaluation after them: ``python curves.py on|off STEPS``, as JSON.

A process of its own for each layer set, because the cap that MindSpore's own kernels need slows the others.
"""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from support.networks import backend_of

from src.networks import unet_bilinear as bilinear
from src.networks import unet_keras as keras
from src.networks.layers import MINDSPORE
from src.networks.unet_medical import UNetMedical
from src.networks.unet_nested import NestedUNet
from src.networks.unet_simple import UNet
from src.training.losses import CrossEntropyWithLogits, MultiCrossEntropyWithLogits

# name -> the network, images a step, channels, side of the image
NETWORKS = {
    "simple": (lambda layers: UNet(1, 2, feature_scale=4, layers=layers), 2, 1, 64),
    "nested": (lambda layers: NestedUNet(3, 2, feature_scale=4, layers=layers), 2, 3, 48),
    # 36x36 labels: on the 4x4 of the smallest image, training magnifies rounding a hundred times more.
    "medical": (lambda layers: UNetMedical(1, 2, layers=layers), 1, 1, 220),
    "bilinear": (lambda layers: bilinear.UNetBilinear(3, layers=layers), 2, 3, 64),
    "keras": (lambda layers: keras.UNetKeras(1, layers=layers), 2, 1, 64),
}


class WithLoss(nn.Cell):
    """Network and loss."""

    def __init__(self, net, loss):
        super().__init__(auto_prefix=False)
        self.net, self.loss = net, loss

    def construct(self, x, y):
        return self.loss(self.net(x), y)


def curve(layers, steps, make, batch, channels, size):
    rng = np.random.default_rng(0)
    net = make(layers)
    for parameter in net.get_parameters():
        if parameter.ndim == 4:
            scale = (2 / np.prod(parameter.shape[1:])) ** 0.5
            parameter.set_data(Tensor((rng.normal(size=parameter.shape) * scale).astype(np.float32)))
    out = net.output_size(size)
    images = Tensor(rng.normal(size=(batch, channels, size, size)).astype(np.float32))
    classes = rng.random((batch, 1, out, out)) > 0.5
    labels = Tensor(np.concatenate([classes, ~classes], axis=1).astype(np.float32))
    loss = MultiCrossEntropyWithLogits() if isinstance(net, NestedUNet) else CrossEntropyWithLogits()
    step = nn.TrainOneStepCell(WithLoss(net, loss), nn.SGD(net.trainable_params(), 0.001))
    step.set_train()
    losses = [float(step(images, labels).asnumpy()) for _ in range(steps)]
    net.set_train(False)
    return {"losses": losses, "logits": net(images).asnumpy().ravel().tolist()}


def main(option, steps):
    ms.set_device("CPU")
    ms.set_context(mode=ms.GRAPH_MODE)
    layers = backend_of(f"--cpu_ops={'auto' if option == 'on' else 'off'}")
    keras.DROPOUT = 0.0      # what it drops depends on the layout inside
    for module in (bilinear, keras):
        module.CHANNELS = tuple(channels // 4 for channels in module.CHANNELS)
    curves = {name: curve(layers, steps, *network) for name, network in NETWORKS.items()}
    print(json.dumps({"compiled": layers is not MINDSPORE, **curves}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
