"""The options as a whole: the table of them, and what is refused before it is shown."""
import numpy as np
import pytest
from PIL import Image

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.planning.choices import Choice
from src.planning.plan import plan, table


@pytest.fixture
def data(tmp_path):
    """Four images, and masks of three classes."""
    rng = np.random.default_rng(1)
    for number in range(4):
        for folder, values in (("image", range(250)), ("mask", range(3))):
            (tmp_path / folder).mkdir(exist_ok=True)
            pixels = rng.choice(np.array(values, np.uint8), (48, 64))
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    return tmp_path


def planned(data, *argv):
    return plan(parse_options([f"--data_path={data}", "--config_path=auto", "--dry_run=True", "--cpu_ops=off", *argv],
                              "", may_choose=True))


def test_the_table_shows_the_last_choice_which_is_used():
    _, row = table([Choice({"repeat": 1}, "once"), Choice({"repeat": 3}, "thrice")], {})
    assert row.split() == ["repeat", "3", "thrice"]


@pytest.mark.parametrize("argv, message", [
    (["--model_name=unet_bilinear"], "unet_bilinear has one output channel.* num_classes is 3: set it to 2"),
    (["--model_name=unet_medical", "--train_crop=128"], "unet_medical cannot take an image of 128x128"),
    (["--model_name=unet_medical", "--image_size=[572,100]"], r"cannot take an image of 100x572 \(height x width\)"),
    (["--model_name=unet_medical", "--train_crop=572", "--crop=[380,380]"], r"set crop to \[388, 388\]"),
    (["--model_name=unet_keras", "--num_classes=2", "--class_values=[0,other]", "--eval_activate=Softmax"],
     "eval_activate Softmax does not fit unet_keras; set it to Sigmoid")])
def test_what_a_given_network_cannot_do_is_refused(data, argv, message):
    with pytest.raises(UNetError, match=message):
        planned(data, *argv)


def test_a_given_network_is_followed(data):
    found = planned(data, "--model_name=unet_keras", "--class_values=[0,other]")
    assert (found.eval_activate, found.num_classes, found.target) == ("Sigmoid", 2, "mask")
    found = planned(data, "--model_name=unet_medical")
    assert (found.train_crop, found.crop) == ([236, 252], [52, 68])
