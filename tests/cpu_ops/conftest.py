"""The compiled layer set."""
import mindspore as ms
import pytest

from src.networks.layers import MINDSPORE
from tests.support.networks import backend_of


@pytest.fixture(scope="module")
def fast():
    ms.set_context(mode=ms.GRAPH_MODE)
    layers = backend_of()
    if layers is MINDSPORE:
        pytest.skip("the CPU operators cannot be compiled here")
    return layers
