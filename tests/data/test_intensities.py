"""What the numbers of images say before a training."""
import json

import numpy as np

from src.data.channels import StoredImage
from src.data.intensities import Intensities, differing_ranges


def intensities(*arrays, limits=(0, 65535)):
    found = Intensities((1, 99))
    for number, array in enumerate(arrays):
        found.add(StoredImage(np.atleast_3d(array), limits), f"image {number}")
    return found


def ramp(low, high, dtype=np.uint16):
    return np.linspace(low, high, 101 * 101).astype(dtype).reshape(101, 101)


def test_the_numbers_of_each_channel():
    found = intensities(np.dstack([ramp(0, 1000), ramp(500, 700)]), np.dstack([ramp(100, 1100), ramp(500, 700)]))
    assert found.text(0) == "0 to 1100 (1 %: 60, 99 %: 1040)"
    assert found.text(1) == "500 to 700 (1 %: 502, 99 %: 698)" and found.text(2) == "-"
    assert found.warnings("training") == []
    json.dumps(found.as_dict())


def test_few_gray_levels():
    found = intensities(ramp(0, 30), ramp(0, 31), ramp(0, 4000))
    line, = found.warnings("training")
    assert line == "training: 1 of 3 images use fewer than 32 gray levels; were they saved with too few bits?: image 0"
    assert intensities(ramp(0, 15, np.uint8), limits=(0, 15)).warnings("training") == []       # of 4 bits


def test_saturation():
    full = ramp(0, 65535)
    full[:6] = 65535
    twelve = np.minimum(ramp(0, 4500), 4095)
    bright = np.minimum(ramp(0, 4500), 4000)        # cut at a number that no camera cuts at
    found = intensities(full, twelve, bright, ramp(0, 65535))
    assert found.saturated == ["image 0", "image 1"]
    assert "2 of 4 images have the largest number in more than 5% of the pixels" in found.warnings("validation")[0]


def test_constant_channels():
    found = intensities(np.dstack([ramp(0, 900), np.full((101, 101), 7, np.uint16)]), np.dstack([ramp(0, 900)] * 2))
    assert found.constant == ["image 0"] and found.few_levels == []


def test_ranges_that_differ():
    train, same, other = intensities(ramp(0, 1000)), intensities(ramp(100, 1200)), intensities(ramp(0, 255))
    assert differing_ranges(train, same) == []
    line, = differing_ranges(train, other)
    assert "channel 0 differ between training (0 to 1000" in line and "validation (0 to 255" in line
    assert differing_ranges(train, Intensities((1, 99))) == []
