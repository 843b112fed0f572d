"""Launchers with stand-ins for the programs that they start."""
import pytest

from tests.support.stand_ins import Launch


@pytest.fixture
def launch(tmp_path):
    return Launch(tmp_path)
