"""Which graphs are trimmed for windows; test_other_runtimes.py trims all networks."""
import numpy as np
import pytest

from src.export.onnx_model import OnnxNetwork
from src.export.onnx_sessions import SessionOptions
from tests.support.onnx_files import TRIMMED, unet_file


@pytest.mark.parametrize("most, lost", [(TRIMMED, TRIMMED), (100, TRIMMED), (TRIMMED - 1, 0), (0, 0)])
def test_no_more_is_lost_than_the_windows_can_lack(tmp_path, most, lost):
    (tmp_path / "x.onnx").write_bytes(unet_file())
    images = np.random.default_rng(0).uniform(-1, 1, (1, 2, 40, 48)).astype(np.float32)
    whole, found = (OnnxNetwork(tmp_path / "x.onnx", SessionOptions(most_trimmed=number)) for number in (0, most))
    assert found.session.lost == lost
    np.testing.assert_allclose(found(images), whole(images)[:, lost:40 - lost, lost:48 - lost], atol=1e-5)
