"""Which graphs are trimmed for windows; test_other_runtimes.py trims all networks."""
import numpy as np
import onnx
import pytest

from src.export.onnx_model import OnnxNetwork
from src.export.onnx_sessions import SessionOptions
from src.export.onnx_trim import trimmed
from tests.support.onnx_files import TRIMMED, unet_file


@pytest.mark.parametrize("most, lost", [(TRIMMED, TRIMMED), (100, TRIMMED), (TRIMMED - 1, 0), (0, 0)])
def test_no_more_is_lost_than_the_windows_can_lack(tmp_path, most, lost):
    (tmp_path / "x.onnx").write_bytes(unet_file())
    images = np.random.default_rng(0).uniform(-1, 1, (1, 2, 40, 48)).astype(np.float32)
    whole, found = (OnnxNetwork(tmp_path / "x.onnx", SessionOptions(most_trimmed=number)) for number in (0, most))
    assert found.session.lost == lost
    np.testing.assert_allclose(found(images), whole(images)[:, lost:40 - lost, lost:48 - lost], atol=1e-5)


@pytest.mark.parametrize("convolution", [
    {"pads": [1] * 4}, {"auto_pad": "SAME_UPPER"}, {"pads": [1, 1, 1, 1], "kernel_shape": [3, 1]},
    {"pads": [2] * 4, "kernel_shape": [3, 3], "dilations": [2, 2]},
    {"pads": [1] * 4, "kernel_shape": [3, 3], "strides": [2, 2]}])
def test_other_convolutions_stay(convolution):
    """ONNX allows to leave the shape of the kernel out."""
    model = onnx.load_model_from_string(unet_file(**convolution))
    assert trimmed(model, 100) == (model, 0)
