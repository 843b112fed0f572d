"""Inputs for another runtime and the score of its results, through the command line."""
import json
import re

import numpy as np
import pytest

from src.data.normalization import Normalization
from src.data.stacks import IMAGE_STACK, LABEL_STACK
from src.data.tiff import write_stack
from src.data.transforms import to_unit_range
from src.export.runtime_files import WRITTEN, write_inputs
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs
from tests.support.exchange import Exchange, scores
from tests.support.leftovers import leftover
from tests.support.scripts import PROJECT, assert_one_line_error, run, run_here


@pytest.fixture(scope="module")
def long_stacks(tmp_path_factory):
    """55 slices of noise, no two labels alike dense; 11 validate, so that numbers have one digit and two."""
    folder = tmp_path_factory.mktemp("long")
    rng = np.random.default_rng(3)
    write_stack(folder / IMAGE_STACK, rng.integers(0, 256, (55, 24, 40), dtype=np.uint8))
    density = np.linspace(0.1, 0.9, 55)[:, None, None]
    write_stack(folder / LABEL_STACK, np.uint8(255) * (rng.random((55, 24, 40)) < density))
    return folder


STACKS = [
    ["--image_size=[32,48]"],
    ["--image_size=[32,48]", "--eval_activate=Argmax"],
    ["--model_name=unet_medical", "--image_size=[60,76]", "--crop=[20,36]"],
    ["--model_name=unet_medical", "--image_size=[60,76]", "--crop=[20,36]", "--eval_activate=Argmax",
     "--num_classes=3", "--class_values=[0,1,255]", "--include_background=False"],
    ["--model_name=unet_keras", "--image_size=[32,48]", "--eval_activate=Sigmoid"],
]


@pytest.mark.parametrize("options", STACKS, ids=["softmax", "argmax", "valid", "valid-argmax-3-classes", "sigmoid"])
def test_stacks(long_stacks, tmp_path, options):
    """More than ten samples, sizes that are not square: the score is the one of the same predictor in eval.py."""
    exchange = Exchange(tmp_path, long_stacks, *options)
    result = exchange.preprocess()
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert {path.name for path in exchange.inputs.glob("[!.]*")} == {
        f"ISBI_test_bs_1_{number}.bin" for number in range(11)}
    labels = np.load(exchange.labels)
    size = tuple(exchange.config.crop or exchange.config.image_size)
    assert labels.dtype == np.float32 and labels.shape == (11, 1, exchange.config.num_classes, *size)
    for number, (image, classes) in enumerate(exchange.samples[k] for k in range(11)):
        np.testing.assert_array_equal(exchange.read(exchange.inputs / f"ISBI_test_bs_1_{number}.bin")[0], image)
        np.testing.assert_array_equal(labels[number][0].argmax(axis=0), classes)
        assert (labels[number].sum(axis=1) == 1).all()
    exchange.infer()
    result = exchange.postprocess()
    expected = exchange.expected()
    assert scores(result) == [expected.mean_dice, expected.mean_iou]
    assert len(set(expected.dice)) == 11    # or a wrong order would not be seen
    saved = json.loads((exchange.out / "metrics.json").read_text())
    assert [image["dice_coeff"] for image in saved["soft"]["per_image"]] == expected.dice
    assert saved["model"] == str(exchange.results)
    assert saved["hard_per_image"]["hard_iou"] == expected.metric("hard_iou")


FOLDERS = [
    (["--num_channels=3"], "png"),
    (["--num_channels=1", "--eval_activate=Argmax"], "png"),
    (["--num_channels=3", "--eval_resize=True"], "png"),
    (["--num_channels=3", "--eval_resize=True", "--eval_activate=Argmax"], "png"),
    (["--num_channels=3", "--eval_resize=True", "--eval_activate=Sigmoid"], "png"),
    (["--num_channels=3", "--crop=[16,12]"], "bin"),
    (["--num_channels=3", "--result_format=bin"], "bin"),
    (["--num_channels=1", "--result_format=bin"], "bin"),
]


@pytest.mark.parametrize("options, ending", FOLDERS,
                         ids=["colour", "gray-argmax", "eval-resize", "eval-resize-argmax", "eval-resize-sigmoid",
                              "crop", "bin", "gray-bin"])
def test_folders(nuclei, tmp_path, options, ending):
    """Results have the network's size; with eval_resize the labels have the picture's (40x48) own."""
    exchange = Exchange(tmp_path, nuclei, "--dataset=Cell_nuclei", "--image_size=[32,24]", "--split=0.6", *options)
    result = exchange.preprocess()
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert {path.name for path in exchange.inputs.glob("[!.]*")} == {f"000{number}.{ending}" for number in range(6, 10)}
    for number in range(4):
        np.testing.assert_array_equal(exchange.read(exchange.inputs / f"000{number + 6}.{ending}")[0],
                                      exchange.samples[number][0])
    exchange.infer()
    expected = exchange.expected()
    assert scores(exchange.postprocess()) == [expected.mean_dice, expected.mean_iou]


@pytest.mark.slow
def test_a_network_scores_as_in_eval(narrow_networks, sample, tmp_path):
    """A checkpoint through eval.py, and the same network over the files."""
    import mindspore as ms

    from src.networks.inference_network import predictor
    from src.networks.registry import NetworkSpec, build_network

    exchange = Exchange(tmp_path, sample, "--image_size=[32,32]")
    network = build_network(NetworkSpec.from_config(exchange.config))
    ms.save_checkpoint(network, str(tmp_path / "x.ckpt"))
    by_eval = run_here("eval.py", *exchange.argv, f"--checkpoint_file_path={tmp_path / 'x.ckpt'}")
    assert exchange.preprocess().returncode == 0
    exchange.infer(predictor(network, "Softmax"))
    by_files = exchange.postprocess()
    assert scores(by_files) == pytest.approx(scores(by_eval), abs=1e-5)
    # The two logs have the same lines, numbers apart.
    words = [re.sub(r"[\d.]+", "#", result.stdout[result.stdout.index("============== Starting Evaluating"):])
             for result in (by_files, by_eval)]
    assert words[0] == words[1]


@pytest.mark.slow
def test_mindspore_is_not_needed(sample, tmp_path):
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "mindspore.py").write_text("raise ImportError('not here')")
    exchange = Exchange(tmp_path, sample, "--image_size=[32,32]")
    without = {"PYTHONPATH": str(tmp_path / "blocked"), "cwd": tmp_path}
    assert run("preprocess.py", *exchange.argv, **without).returncode == 0
    exchange.infer()
    assert run("postprocess.py", *exchange.argv, **without).returncode == 0


# ---- label.npy


@pytest.fixture
def scored(sample, tmp_path):
    """An exchange with its results, and the score by the data set."""
    exchange = Exchange(tmp_path, sample, "--image_size=[32,48]")
    exchange.preprocess()
    exchange.infer()
    exchange.score = scores(exchange.postprocess())
    return exchange


@pytest.mark.parametrize("form", ["as it is", "of two in a batch", "of earlier releases"])
def test_labels_are_enough(scored, form):
    """Without the data set the labels are those of label.npy, as in the model zoo, in each of its forms and places."""
    labels = np.load(scored.labels)
    if form == "of two in a batch":
        np.save(scored.labels, labels.reshape(1, 2, 2, 32, 48))
    if form == "of earlier releases":
        scored.labels.unlink()
        np.save(scored.inputs / "label.npy", labels[:, 0])
    result = scored.postprocess("--data_path=/none", "--show_eval=True")
    assert scores(result) == scored.score and "label.npy, as there is no data set at /none" in result.stdout
    assert (scored.out / "draw_eval" / "mask-2.png").is_file()
    assert_one_line_error(scored.postprocess("--data_path=/none", "--report=True"), "/none")


def test_labels_of_other_images(scored, long_stacks):
    """The data set's labels count, and there is a warning unless the stored ones only differ in a few pixels."""
    labels = np.load(scored.labels)
    labels[:, :, :, :1, :10] = labels[:, :, ::-1, :1, :10]
    np.save(scored.labels, labels)
    assert scores(result := scored.postprocess()) == scored.score and "WARNING" not in result.stdout
    for other in (labels[::-1], labels[:1], labels[..., :32]):
        np.save(scored.labels, other)
        result = scored.postprocess()
        assert scores(result) == scored.score and "label.npy holds other labels than the data set" in result.stdout


@pytest.mark.parametrize("content", [
    b"", b"no labels", np.zeros((2, 1, 2, 32, 48)), np.ones((2, 1, 3, 32, 48)), np.ones(3), np.empty((0, 1, 2, 3, 3)),
    np.array([{}])], ids=["empty", "text", "zeros", "3 classes", "1 axis", "none", "objects"])
def test_labels_that_are_none(scored, content):
    if isinstance(content, bytes):
        scored.labels.write_bytes(content)
    else:
        np.save(scored.labels, content)
    assert_one_line_error(scored.postprocess(), "label.npy: ", "make it again with preprocess.py, or remove it")


# ---- what an earlier run has left


def test_inputs_of_an_earlier_longer_run_go(sample, long_stacks, tmp_path):
    longer = Exchange(tmp_path, long_stacks, "--image_size=[32,32]")
    longer.preprocess()
    for name in ("notes.txt", "ISBI_test_bs_1_x.bin", "label.npy.bak"):
        (longer.inputs / name).write_text("mine")
    leftover(longer.inputs / "ISBI_test_bs_1_4.bin")
    result = Exchange(tmp_path, sample, "--image_size=[32,32]").preprocess()
    assert sorted(path.name for path in longer.inputs.glob("[!.]*")) == [
        "ISBI_test_bs_1_0.bin", "ISBI_test_bs_1_1.bin", "ISBI_test_bs_1_x.bin", "label.npy.bak", "notes.txt"]
    assert "holds other files (ISBI_test_bs_1_x.bin, label.npy.bak, notes.txt)" in result.stdout


def test_pictures_of_another_split_go(nuclei, tmp_path):
    options = ["--dataset=folders", "--num_channels=3", "--image_size=[32,24]"]
    Exchange(tmp_path, nuclei, "--split=0.2", *options).preprocess()
    exchange = Exchange(tmp_path, nuclei, "--split=0.8", *options)
    (exchange.inputs / "holiday.png").write_text("mine")
    assert "other files (holiday.png)" in exchange.preprocess().stdout
    assert sorted(path.name for path in exchange.inputs.glob("[!.]*")) == ["0008.png", "0009.png", "holiday.png"]


def test_files_of_others_stay(nuclei, tmp_path):
    """Also under the name of an input; and nothing is removed by a list that names files elsewhere."""
    options = ["--dataset=folders", "--num_channels=3", "--image_size=[32,24]"]
    exchange = Exchange(tmp_path, nuclei, "--split=0.8", *options)
    exchange.inputs.mkdir()
    (exchange.inputs / "0008.png").write_text("mine")
    assert_one_line_error(exchange.preprocess(), "holds 1 files with the names of inputs", "0008.png", "--result_path")
    assert (exchange.inputs / "0008.png").read_text() == "mine"
    (exchange.inputs / "0008.png").unlink()
    (tmp_path / "mine.png").write_text("mine")
    (exchange.inputs / "folder").mkdir()
    (exchange.inputs / WRITTEN).write_text(json.dumps(["../mine.png", "..", ".", "", "folder"]))
    assert exchange.preprocess().returncode == 0 and (tmp_path / "mine.png").is_file()
    assert (exchange.inputs / "folder").is_dir()
    (exchange.inputs / WRITTEN).write_text("{")
    assert_one_line_error(exchange.preprocess(), WRITTEN, "cannot be read")


def test_pictures_of_the_data_set_stay(nuclei, tmp_path):
    data = tmp_path / "data"
    for kind in ("image", "mask"):
        (data / "train" / kind).mkdir(parents=True)
        (data / "val" / kind).mkdir(parents=True)
        for number in range(3):
            copy = (nuclei / f"{number:04d}" / f"{kind}.png").read_bytes()
            (data / ("val" if number else "train") / kind / f"{number}.png").write_bytes(copy)
    before = {path: path.read_bytes() for path in data.rglob("*.png")}
    for part in ("train/image", "val/image", "val/mask"):
        result = run_here("preprocess.py", "--dataset=image_mask", "--image_size=[32,32]", f"--data_path={data}",
                          f"--result_path={data / part}")
        assert_one_line_error(result, part, "of the data set itself; give another --result_path")
    assert {path: path.read_bytes() for path in data.rglob("*.png")} == before


# ---- what is refused, and what the YAML files say


def test_inputs_that_cannot_be_written(sample, tmp_path):
    (tmp_path / "in").write_text("a file")
    assert_one_line_error(Exchange(tmp_path, sample, "--image_size=[32,32]").preprocess(), tmp_path / "in",
                          "--result_path")


def test_no_validation_image(tmp_path):
    """A data set of one; no option of the command line gets there without an earlier error."""
    data = write_pairs(tmp_path / "data", ["a", "b"])
    exchange = Exchange(tmp_path, data, "--dataset=folders", "--num_channels=3", "--image_size=[32,32]",
                        "--split=0.9")
    exchange.samples.indices.clear()
    with pytest.raises(UNetError, match="no validation image"):
        write_inputs(exchange.inputs, exchange.samples)
    assert not exchange.inputs.exists()


def test_unit_range_and_back():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(Normalization().to_bytes(to_unit_range(values)), values)


def test_shipped_yaml_files_fit_the_scripts(sample, tmp_path):
    """Sizes come from the file: 572 in, 388 out."""
    exchange = Exchange(tmp_path, sample, f"--config_path={PROJECT / 'unet_medical_config.yaml'}")
    assert exchange.preprocess().returncode == 0
    assert (exchange.inputs / "ISBI_test_bs_1_1.bin").stat().st_size == 572 * 572 * 4
    assert np.load(exchange.labels).shape == (2, 1, 2, 388, 388)
