"""Losses over NCHW logits and one-hot labels."""
from mindspore import nn, ops


class CrossEntropyWithLogits(nn.Cell):
    """Softmax cross entropy, mean over all pixels of the batch.

    Logits and one-hot labels (N, C, H, W) -> a float32 scalar. Computed in float32 whatever the logits are.
    """

    def construct(self, logits, label):
        log_probability = ops.log_softmax(logits.astype("float32"), axis=1)     # (N, C, H, W)
        return -(log_probability * label.astype("float32")).sum(axis=1).mean()


class MultiCrossEntropyWithLogits(nn.Cell):
    """Sum of the cross entropies of stacked heads.

    Logits (heads, N, C, H, W) and one-hot labels (N, C, H, W) -> a float32 scalar.
    """

    def __init__(self):
        super().__init__()
        self.loss = CrossEntropyWithLogits()

    def construct(self, logits, label):
        total = 0.0
        for head in range(logits.shape[0]):
            total += self.loss(logits[head], label)
        return total


def build_loss(config):
    """The loss that the options ask for: over stacked heads for a network with deep supervision."""
    stacked = config.model_name == "unet_nested" and config.use_ds
    return MultiCrossEntropyWithLogits() if stacked else CrossEntropyWithLogits()
