"""Data sets that lie inside the folder that is given."""
import numpy as np
import pytest
from PIL import Image

from src.data.location import data_root
from src.data.samples import all_entries, create_samples
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError


@pytest.fixture
def membrane(tmp_path):
    """The layout of the U-Net for TensorFlow: data/membrane/train/{image,label}."""
    for kind in ("image", "label"):
        folder = tmp_path / "data" / "membrane" / "train" / kind
        folder.mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.full((16, 16), 255 * (number % 2), np.uint8)).save(folder / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("place", [".", "data", "data/membrane"])
def test_membrane_folder_is_found(membrane, place, caplog):
    """The samples and their names in splits.json are the same from all three folders; a log line says which it is."""
    folder = str(membrane / place)
    config = parse_options(["--dataset=membrane", "--image_size=[16,16]", f"--data_path={folder}"], "")
    with caplog.at_level("INFO", logger="unet"):
        train, validation = create_samples(config)
    assert (len(train), validation.name(0)) == (2, "2")
    assert all_entries(config) == [f"train/image/{number}.png" for number in range(3)]
    assert (f"data set: {membrane}/data/membrane" in caplog.text) == (place != "data/membrane")


def test_only_where_there_is_no_train_folder_and_only_for_that_layout(membrane):
    assert data_root("image_mask", str(membrane)) == str(membrane)
    (membrane / "train").mkdir()
    assert data_root("membrane", str(membrane)) == str(membrane)
    config = parse_options(["--dataset=membrane", f"--data_path={membrane / 'none'}"], "")
    with pytest.raises(UNetError, match="no such data folder: .*/none/train/image"):
        create_samples(config)
