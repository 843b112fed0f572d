"""Networks of this project in PyTorch, layer for layer, to compare the speed."""
import torch
from torch import nn
from torch.nn.functional import relu


def convolutions(in_channels, out_channels, padding=1, norm=False, bias=False):
    """Two 3x3 convolutions, each with optional batch norm and ReLU."""
    layers = []
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=padding, bias=bias),
                   *([nn.BatchNorm2d(out_channels)] if norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Up(nn.Module):
    """2x2 transposed convolution, concatenation with the skips, two convolutions."""

    def __init__(self, in_channels, out_channels, skips=1, **options):
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, 2, bias=False)
        self.conv = convolutions((1 + skips) * out_channels, out_channels, **options)
        self.relu = bool(options)       # the U-Net of 2015 has one after the transposed convolution

    def forward(self, x, *skips):
        x = self.up(x)
        x = relu(x) if self.relu else x
        top = (skips[0].shape[2] - x.shape[2]) // 2
        centres = [skip[:, :, top:skip.shape[2] - top, top:skip.shape[3] - top] for skip in skips]
        return self.conv(torch.cat([x, *centres], 1))


class UNet(nn.Module):
    """unet_simple, or unet_medical if ``medical``."""

    def __init__(self, channels, classes, medical=False):
        super().__init__()
        f = [side // (1 if medical else 2) for side in (64, 128, 256, 512, 1024)]
        own = {"padding": 0, "bias": True} if medical else {}
        self.down = nn.ModuleList(convolutions(a, b, norm=not medical, **own) for a, b in zip([channels, *f], f))
        self.up = nn.ModuleList(Up(b, a, **own) for a, b in zip(f[-2::-1], f[:0:-1]))
        self.final = nn.Conv2d(f[0], classes, 1, bias=medical)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        skips = [self.down[0](x)]
        for down in self.down[1:]:
            skips.append(down(self.pool(skips[-1])))
        x = skips.pop()
        for up in self.up:
            x = up(x, skips.pop())
        return self.final(x)


class NestedUNet(nn.Module):
    """unet_nested without batch norm and deep supervision."""

    def __init__(self, channels, classes):
        super().__init__()
        f = [32, 64, 128, 256, 512]
        self.down = nn.ModuleList(convolutions(a, b) for a, b in zip([channels, *f], f))
        self.up = nn.ModuleDict({f"{i}{j}": Up(f[i + 1], f[i], j) for j in range(1, 5) for i in range(5 - j)})
        self.final = nn.Conv2d(f[0], classes, 1, bias=False)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        rows = []
        for down in self.down:
            rows.append([down(self.pool(rows[-1][0]) if rows else x)])
        for j in range(1, 5):
            for i in range(5 - j):
                rows[i].append(self.up[f"{i}{j}"](rows[i + 1][j - 1], *rows[i]))
        return self.final(rows[0][4])
