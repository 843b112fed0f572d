"""What the stored numbers of an image mean, and how they become gray values or red, green, blue."""
import numpy as np
from PIL import Image

GRAY, WHITE_IS_ZERO, PALETTE = "gray", "white is zero", "palette"
RGB, CMYK, YCBCR, LAB = "RGB", "CMYK", "YCbCr", "Lab"
TO_RGB = {PALETTE, CMYK, YCBCR, LAB}


def convert(samples: np.ndarray, photometric: str, limits: tuple[float, float],
            palette: np.ndarray | None) -> np.ndarray:
    """Turn (rows, W, samples) as stored, without alpha, into (rows, W, bands) as a viewer shows them.

    Args:
        samples: the stored numbers.
        photometric: what they mean: one of the names above.
        limits: the smallest and the largest number of their kind.
        palette: (colours, 3) uint8, for PALETTE.
    """
    if photometric == WHITE_IS_ZERO:
        # Also for signed numbers, whose two limits add up to -1.
        return ~samples if samples.dtype == bool else samples.dtype.type(sum(limits)) - samples
    if photometric == PALETTE:
        assert palette is not None
        return palette[samples[..., 0]]
    if photometric == CMYK:
        return _from_cmyk(samples, limits[1])
    if photometric == YCBCR:
        return _by_pillow(samples, "YCbCr")
    return _from_lab(samples) if photometric == LAB else samples


def _from_cmyk(samples: np.ndarray, white: float) -> np.ndarray:
    """Mix inks: what neither the colour's ink nor the black one covers."""
    ink = samples[..., :4].astype(np.float64) / white
    light = (1 - ink[..., :3]) * (1 - ink[..., 3:]) * white
    return (light if samples.dtype.kind == "f" else np.rint(light)).astype(samples.dtype)


def _by_pillow(samples: np.ndarray, mode: str) -> np.ndarray:
    return np.asarray(Image.fromarray(np.ascontiguousarray(samples[..., :3]), mode).convert("RGB"))


def _from_lab(samples: np.ndarray) -> np.ndarray:
    """Convert CIE L*a*b* as the TIFF standard stores it, a and b signed, to uint8 red, green, blue."""
    from skimage.color import lab2rgb  # scikit-image takes a moment to load

    signed = samples.view(f"i{samples.dtype.itemsize}").astype(np.float64)
    unit = 2.0 ** (8 * samples.dtype.itemsize - 8)
    lightness = samples[..., 0] / np.iinfo(samples.dtype).max * 100
    lab = np.stack([lightness, signed[..., 1] / unit, signed[..., 2] / unit], axis=-1)
    return np.rint(255 * lab2rgb(lab)).astype(np.uint8)


def to_gray(rgb: np.ndarray) -> np.ndarray:
    """Turn (..., 3) red, green, blue into (...) luminance, as Pillow does (ITU-R 601-2), in the same type."""
    if rgb.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).convert("L"))
    luminance = rgb.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return (luminance if rgb.dtype.kind == "f" else np.rint(luminance)).astype(rgb.dtype)
