"""Test-time augmentation with predictors of known answers."""
import numpy as np

from src.inference.tta import with_flips, with_tta


def test_flips():
    """Averaged over flips and turns, a network that sees only to the right sees all directions alike."""
    pixels = np.zeros((5, 5, 1), np.float32)
    pixels[2, 2] = 8

    def shifted(view):
        return np.roll(view, 1, axis=1)
    expected = np.zeros((5, 5))
    expected[[1, 3, 2, 2], [2, 2, 1, 3]] = 2
    np.testing.assert_array_equal(with_flips(shifted)(pixels)[:, :, 0], expected)


def test_averaged_over_flips_and_turns():
    """A predictor that sees only the pixel to the left then sees all four neighbours alike."""
    def neighbour(images):
        foreground = np.roll(images, 1, axis=3)[:, 0]
        return np.stack([1 - foreground, foreground], axis=-1)
    image = np.zeros((1, 1, 5, 5), np.float32)
    image[0, 0, 2, 2] = 1
    expected = np.zeros((5, 5))
    expected[[1, 3, 2, 2], [2, 2, 1, 3]] = 0.25
    predict = with_tta(neighbour)
    np.testing.assert_allclose(predict(image)[0, ..., 1], expected, atol=1e-6)
    oblong = np.zeros((2, 1, 4, 5), np.float32)
    oblong[1, 0, 2, 2] = 1
    np.testing.assert_allclose(predict(oblong)[1, :, :, 1], expected[:4], atol=1e-6)
