"""Which options of a network's training prediction follows, and which contradictions end it."""
import pytest

from src.data.input_options import follow, from_text, input_options, to_text, with_given
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError

STORED = {"model_name": "unet_nested", "num_channels": 3, "num_classes": 4, "use_deconv": False, "use_bn": True,
          "normalize": "zscore", "normalize_percentiles": [1.0, 99.8], "input_range": [0, 1], "channels": [2, 1, 0],
          "eval_activate": "Argmax", "color": [[0, 0, 0], [1, 2, 3], [4, 5, 6], [7, 8, 9]]}


def test_what_is_stored_is_followed():
    config = follow(parse_options([], ""), STORED, "net.onnx")
    assert {name: getattr(config, name) for name in STORED} == STORED


@pytest.mark.parametrize("argv, words", [
    (["--num_classes=2"], "num_classes is 2, but net.onnx was trained with num_classes 4"),
    (["--model_name=unet_simple"], "model_name is unet_simple, but net.onnx was trained with model_name unet_nested"),
    (["--input_range=[-1,1]"], r"input_range is \[-1, 1\], but net.onnx was trained with input_range \[0, 1\]"),
    (["--normalize=range"], "normalize is range, but net.onnx was trained with normalize zscore"),
    (["--eval_activate=Softmax"], "eval_activate is Softmax, but net.onnx gives eval_activate Argmax"),
])
def test_a_contradiction_names_both(argv, words, tmp_path):
    with pytest.raises(UNetError, match=words):
        follow(parse_options(argv, ""), STORED, "net.onnx")
    (tmp_path / "x.yaml").write_text(argv[0].strip("-").replace("=", ": "))
    from_yaml = parse_options([f"--config_path={tmp_path / 'x.yaml'}"], "")
    if "eval_activate" in argv[0]:      # that of the evaluation during training
        assert follow(from_yaml, STORED, "net.onnx").eval_activate == "Argmax"
        return
    with pytest.raises(UNetError, match=words):
        follow(from_yaml, STORED, "net.onnx")


def test_colours_are_free():
    assert follow(parse_options(["--color=[[9,9,9]]"], ""), STORED, "net.onnx").color == [[9, 9, 9]]


def test_texts_of_metadata():
    assert from_text({**to_text(STORED), "grid": "16"}, "net.onnx") == STORED
    with pytest.raises(UNetError, match="net.onnx: its metadata of .* cannot be read; export the network again"):
        from_text({"num_classes": "four"}, "net.onnx")


def test_states_of_checkpoints():
    assert input_options(None) == {}
    assert input_options({"step": 1, "eval_activate": "Softmax"}) == {"normalize": "range", "feature_scale": 2}
    assert input_options({"num_classes": 3, "input_range": [0, 1]}) == {
        "normalize": "range", "feature_scale": 2, "num_classes": 3, "input_range": [0, 1]}
    names = {"class_names": ["sky", "road"]}
    assert input_options(names)["class_names"] == names["class_names"]
    with pytest.raises(UNetError, match="class_names is no list of names"):
        input_options({"class_names": ["sky", 7]})


GEOMETRY = {"dataset": "folders", "input": [64, 48], "content": [64, 48], "areas": [9, 9]}


@pytest.mark.parametrize("name, value", [
    ("input", [float("inf"), 9]), ("content", [float("nan"), 9]), ("input", [10**30, 9]), ("input", [0, 9]),
    ("input", 5), ("input", [4]), ("content", {}), ("areas", [float("inf")] * 2), ("areas", [1, 10**400]),
    ("dataset", []), ("dataset", "x"), ("input", [1.5, 9]), ("content", [65, 48])])
def test_geometries_that_are_none(name, value):
    stored = {"geometry": {**GEOMETRY, name: value}}
    with pytest.raises(UNetError, match="a.ckpt says of its input what this version cannot read: no "):
        input_options(stored, "a.ckpt")
    with pytest.raises(UNetError, match="net.onnx: its metadata of .* cannot be read"):
        from_text(to_text(stored), "net.onnx")


@pytest.mark.parametrize("state", [
    {"image_size": "x"}, {"image_size": [float("inf"), 9]}, {"image_size": 5}, {"image_size": [9, 9], "crop": [10, 10]},
    {"image_size": [9, 9], "crop": 3}, {"image_size": [9, 9], "scale": "a"}, {"image_size": [0, 9], "scale": 2}])
def test_sizes_of_old_states_that_are_none(state):
    with pytest.raises(UNetError, match="a.ckpt says of its input what this version cannot read: ") as caught:
        input_options({"dataset": "folders", **state}, "a.ckpt")
    assert "\n" not in str(caught.value)


def test_geometries_of_old_and_new_states():
    assert input_options({"geometry": GEOMETRY})["geometry"] == GEOMETRY
    old = {"dataset": "folders", "image_size": [48, 64], "scale": 2}
    assert input_options(old)["geometry"] == {**GEOMETRY, "areas": [768, 768]}


def test_what_the_file_does_not_say_the_user_does():
    """At an export: weights of another program, trained on images from 0 to 1 of one size."""
    config = parse_options(["--input_range=[0,1]", "--image_size=[64,48]", "--dataset=folders", "--lr=1"], "")
    found = with_given({"normalize": "zscore"}, config)
    assert found == {"normalize": "zscore", "input_range": [0, 1], "geometry": found["geometry"]}
    followed = follow(parse_options(["--dataset=folders"], ""), found, "net.onnx")
    assert (followed.input_range, followed.image_size, followed.normalize) == ([0, 1], [64, 48], "zscore")
    assert with_given({"input_range": [-1, 1]}, config)["input_range"] == [-1, 1]


def test_a_value_that_no_option_has_names_the_file():
    with pytest.raises(UNetError, match="net.onnx: what it says of its network cannot be followed .*normalize.*bogus"):
        follow(parse_options([], ""), {"normalize": "bogus"}, "net.onnx")
