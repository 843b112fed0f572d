"""MindSpore as the scripts of users find it."""
import mindspore as ms
import pytest


@pytest.fixture(autouse=True)
def default_mode():
    """Cells run operator by operator, whatever a test before in this process has set; compiling them takes 16 s."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
