"""Checkpoints to predict with, and images."""
import numpy as np
import pytest
from PIL import Image

from src.training import checkpoint
from tests.support.caches import new_cache
from tests.support.networks import network_of
from tests.support.predictions import NETWORKS, SMALL


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory, exports_here):
    folder = tmp_path_factory.mktemp("cache")
    new_cache(folder / "unet_mindspore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, narrow_networks, own_cache):
    """Checkpoints with random weights: one of each network, and ``other`` of unet_simple with other weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, argv in [*NETWORKS.items(), ("other", SMALL)]:
        checkpoint.save(network_of(argv), folder / f"{name}.ckpt", {"step": 1, "scale": 1.0})
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Folder of a gray PNG, a colour BMP, a 16-bit PNG, and an image of one pixel."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (60, 45), dtype=np.uint8)).save(folder / "2.png")
    Image.fromarray(rng.integers(0, 256, (33, 50, 3), dtype=np.uint8)).save(folder / "10.bmp")
    Image.fromarray(rng.integers(0, 65536, (40, 40), dtype=np.uint16)).save(folder / "deep.png")
    Image.fromarray(np.full((1, 1), 9, np.uint8)).save(folder / "one.png")
    return folder
