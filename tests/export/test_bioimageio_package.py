"""Packages of bioimage.io pass the test of bioimageio.core, which runs the network on the test image."""
import io
import zipfile

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.channels import StoredImage
from src.data.normalization import Normalization
from src.data.transforms import to_unit_range
from src.export.bioimageio_package import _cover
from src.export.export import export
from src.export.onnx_model import OnnxNetwork
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training import checkpoint
from tests.support.networks import network_of

core = pytest.importorskip("bioimageio.core", reason="pip install bioimageio.core")

pytestmark = pytest.mark.slow
LEGAL = ["--file_format=BIOIMAGEIO", "--license=CC-BY-4.0", "--authors=[Ada Lovelace]",
         "--citation=Somebody 2020, 10.1234/abc."]
CASES = {
    "keras": (["--model_name=unet_keras", "--eval_activate=Sigmoid"],
              {"normalize": "auto", "input_range": [0, 1], "class_names": ["background", "Cell 1"]}),
    "percentile": (["--model_name=unet_keras", "--eval_activate=Sigmoid", "--num_channels=3"],
                   {"normalize": "percentile", "input_range": [-1, 1]}),
    "zscore": (["--model_name=unet_keras", "--eval_activate=Sigmoid", "--width=288", "--height=272"],
               {"normalize": "zscore"}),
    "medical": (["--model_name=unet_medical", "--width=204", "--height=188", "--num_classes=3"],
                {"normalize": "range"}),
    "boundary": (["--model_name=unet_simple", "--target=boundary", "--num_channels=3", "--channels=[2,0,1]"],
                 {"normalize": "range", "num_classes": 2, "target": "boundary", "channels": [2, 0, 1],
                  "class_names": ["background", "nucleus"],
                  "geometry": {"dataset": "Cell_nuclei", "input": [96, 96], "content": [96, 96], "areas": None}}),
}


def export_package(folder, argv, state):
    path = checkpoint.save(network_of([*argv, "--weight_init=he_uniform"]), folder / "net.ckpt", {"step": 1, **state})
    export(parse_options([*LEGAL, *argv, f"--checkpoint_file_path={path}", f"--file_name={folder / 'net'}"], ""))
    return folder / "net.zip"


@pytest.mark.parametrize("case", CASES)
def test_the_package(narrow_networks, tmp_path, case):
    argv, state = CASES[case]
    if case == "percentile":        # 16 bits
        image = np.random.default_rng(0).integers(90, 5000, (300, 240, 3), dtype=np.uint16)
        tifffile.imwrite(tmp_path / "image.tif", image, photometric="rgb")
        argv = [*argv, f"--data_path={tmp_path / 'image.tif'}"]
    package = export_package(tmp_path, argv, state)
    summary = core.test_model(package)
    assert summary.status == "passed", [detail for detail in summary.details if detail.status != "passed"]
    model = core.load_description(package)
    assert model.license == "CC-BY-4.0" and model.authors[0].name == "Ada Lovelace"
    assert [str(entry.doi) for entry in model.cite] == ["10.1007/978-3-319-24574-4_28", "10.1234/abc"]
    assert [axis.id for axis in model.inputs[0].axes] == ["batch", "channel", "y", "x"]
    readme = zipfile.ZipFile(package).read("README.md").decode()
    if case == "keras":
        assert model.name == "unet keras 2 classes"
        assert model.outputs[0].axes[3].channel_names == ["cell_1"]
        assert model.outputs[0].axes[1].halo == 112 and model.inputs[0].axes[2].size.min == 240
        assert "Normalization: range, for images of 8 bits (0 to 255) only; for others make another package" in readme
        assert "Resize" not in readme
    if case == "percentile":
        # Red first, as the other programs give it; the network itself takes blue first.
        found = np.load(io.BytesIO(zipfile.ZipFile(package).read("image.npy")))[0]
        assert np.array_equal(found[:, :240, :240], image.transpose(2, 0, 1)[:, :240, :240])
        assert model.inputs[0].axes[1].channel_names == ["red", "green", "blue"]
        pixels = Normalization("percentile", (1, 99.8), -1).apply(StoredImage(
            found.transpose(1, 2, 0)[..., ::-1].astype(np.uint16), (0, 65535)))
        export(parse_options([*argv, "--file_format=ONNX", f"--checkpoint_file_path={tmp_path / 'net.ckpt'}",
                              f"--file_name={tmp_path / 'net'}"], ""))
        expected = OnnxNetwork(tmp_path / "net.onnx")(to_unit_range(pixels, -1).transpose(2, 0, 1)[None].copy())
        mask = np.load(io.BytesIO(zipfile.ZipFile(package).read("mask.npy")))
        np.testing.assert_allclose(mask, expected, atol=1e-5)
        assert "Normalization: percentile [1.0, 99.8]." in readme
    if case == "boundary":
        assert model.name == "unet simple Cell nuclei 3 classes"
        assert model.outputs[0].axes[3].channel_names == ["background", "nucleus_interior", "nucleus_rim"]
        assert model.inputs[0].axes[1].channel_names == ["band_2", "band_0", "band_1"]
        assert "band 2, band 0, band 1 (the bands of the file from 0)" in readme
        assert "Resize images to 96x96 first, as in training." in readme


def test_the_range_is_that_of_the_test_image(narrow_networks, tmp_path, caplog):
    """16 bits at data_path: range takes their limits, auto their percentiles; classes of one identifier differ."""
    tifffile.imwrite(tmp_path / "image.tif", np.random.default_rng(0).integers(0, 5000, (304, 304), dtype=np.uint16))
    argv = ["--model_name=unet_medical", "--width=204", "--height=188", f"--data_path={tmp_path / 'image.tif'}"]
    caplog.set_level("INFO", "unet")
    names = ["Cell 1", "cell-1"]
    for normalize, kind in (("range", "range, for images of 16 bits (0 to 65535) only"), ("auto", "percentile [1.0,")):
        package = export_package(tmp_path, argv, {"normalize": normalize, "class_names": names})
        assert f"Normalization: {kind}" in zipfile.ZipFile(package).read("README.md").decode()
        assert f"the package's normalization: {kind}" in caplog.text
        model = core.load_description(package)
        assert model.outputs[0].axes[3].channel_names == ["cell_1", "cell_1_1"]
        step = model.inputs[0].preprocessing[1]     # after ensure_dtype
        assert step.id == ("scale_linear" if normalize == "range" else "scale_range")
        if normalize == "range":
            assert step.kwargs.gain == pytest.approx(2 / 65535)


@pytest.mark.parametrize("state, size", [
    ({"geometry": {"dataset": "ISBI", "input": [96, 96], "content": [96, 64], "areas": None}}, (96, 64)),
    ({"scale": 0.5}, (150, 120)), ({}, (300, 240))])
def test_the_test_image_is_resized_as_in_training(narrow_networks, tmp_path, state, size):
    """As the README tells users to do; then its corner is taken, or mirrored up to the size of the input."""
    image = np.random.default_rng(0).integers(0, 255, (300, 240), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", image)
    argv = ["--model_name=unet_simple", f"--data_path={tmp_path / 'image.tif'}"]
    package = export_package(tmp_path, argv, state)
    found = np.load(io.BytesIO(zipfile.ZipFile(package).read("image.npy")))[0, 0]
    expected = cv2.resize(image.astype(np.float32), size[::-1]).round()
    height, width = (min(pair) for pair in zip(found.shape, expected.shape))
    assert np.array_equal(found[:height, :width], expected[:height, :width])
    assert core.test_model(package).status == "passed"


def test_the_cover_keeps_the_proportions():
    image = StoredImage(np.full((40, 80, 1), 200, np.uint8), (0, 255))
    result = np.ones((40, 80), np.int32)
    picture = np.asarray(Image.open(io.BytesIO(_cover(image, result, parse_options([], "")))))
    assert picture.shape == (512, 1024, 3)
    assert (picture[:256, 512:] == [255, 0, 0]).all() and (picture[256:] == 0).all()


REFUSED = {
    "--license=": "must say its license; give --license=CC-BY-4.0",
    "--license=cc-by": "license 'cc-by': expected an identifier of https://spdx.org/licenses",
    "--authors=[]": "must say its authors",
    "--authors=[Ada, ' ']": "authors .*: ' ' is no name",
    "--citation=me": "a DOI or an address",
    "--citation=10.1234/.": "a DOI or an address",
    "--batch_size=4": "batch_size is 4, expected 1, .*; leave batch_size out",
    "--width=224": "the input is 288x224 .*, expected 240 or more for both, as 112 pixels .*--width=240",
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_the_options_must_say(narrow_networks, tmp_path, option, monkeypatch):
    monkeypatch.setattr("src.export.export.write_onnx", None)      # refused before the export starts
    argv = ["--model_name=unet_keras", "--eval_activate=Sigmoid", "--height=288"]
    with pytest.raises(UNetError, match=REFUSED[option]):
        export_package(tmp_path, [*argv, *LEGAL, option], {})
