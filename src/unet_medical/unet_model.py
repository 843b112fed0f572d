"""U-Net with valid convolutions: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical
Image Segmentation", MICCAI 2015, arXiv:1505.04597."""
from mindspore import nn

from src.layers import LEVELS, STOCK
from src.unet_medical.unet_parts import DoubleConv, Down, OutConv, Up


class UNetMedical(nn.Cell):
    """The U-Net of 2015: (N, channels, H, W) -> logits (N, classes, h, w), both float32.

    H and W must be sizes for which ``output_size`` gives a number.

    Args:
        n_channels (int): channels of the image.
        n_classes (int): classes, the background included.
        layers (Layers): the layer set to build from.
    """

    def __init__(self, n_channels, n_classes, layers=STOCK):
        super().__init__()
        self.enter, self.leave = layers.enter(), layers.leave()
        self.inc = DoubleConv(layers, n_channels, 64)
        self.down1 = Down(layers, 64, 128)
        self.down2 = Down(layers, 128, 256)
        self.down3 = Down(layers, 256, 512)
        self.down4 = Down(layers, 512, 1024)
        self.up1 = Up(layers, 1024, 512)
        self.up2 = Up(layers, 512, 256)
        self.up3 = Up(layers, 256, 128)
        self.up4 = Up(layers, 128, 64)
        self.outc = OutConv(layers, 64, n_classes)

    def construct(self, x):
        x1 = self.inc(self.enter(x))   # 64 channels, full resolution
        x2 = self.down1(x1)       # 128, 1/2
        x3 = self.down2(x2)       # 256, 1/4
        x4 = self.down3(x3)       # 512, 1/8
        x = self.down4(x4)        # 1024, 1/16
        x = self.up1(x, x4)       # 512, 1/8
        x = self.up2(x, x3)       # 256, 1/4
        x = self.up3(x, x2)       # 128, 1/2
        x = self.up4(x, x1)       # 64, full resolution
        return self.leave(self.outc(x))   # (N, classes, h, w)

    @staticmethod
    def output_size(size):
        """Height (or width) of the logits for an input of height (or width) ``size``; None if it cannot be."""
        for _ in range(LEVELS):
            size -= 4             # two valid 3x3 convolutions
            if size <= 0 or size % 2:
                return None       # pooling would drop a row, and the skip would not fit
            size //= 2
        for _ in range(LEVELS + 1):
            size -= 4
            if size <= 0:
                return None
            size *= 2
        return size // 2          # no upsampling follows the last pair of convolutions
