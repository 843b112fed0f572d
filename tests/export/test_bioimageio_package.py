"""Packages of bioimage.io pass the test of bioimageio.core, which runs the network on the test image."""
import numpy as np
import pytest
import tifffile

from src.export.export import export
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training import checkpoint
from tests.support.networks import network_of

core = pytest.importorskip("bioimageio.core", reason="pip install bioimageio.core")

pytestmark = pytest.mark.slow
LEGAL = ["--file_format=BIOIMAGEIO", "--license=CC-BY-4.0", "--authors=[Ada Lovelace]",
         "--citation=Somebody 2020, 10.1234/abc"]
CASES = {
    "keras": (["--model_name=unet_keras", "--eval_activate=Sigmoid"],
              {"normalize": "auto", "input_range": [0, 1], "class_names": ["background", "Cell 1"]}),
    "percentile": (["--model_name=unet_keras", "--eval_activate=Sigmoid", "--num_channels=3"],
                   {"normalize": "percentile", "input_range": [-1, 1]}),
    "zscore": (["--model_name=unet_keras", "--eval_activate=Sigmoid", "--width=288", "--height=272"],
               {"normalize": "zscore"}),
    "medical": (["--model_name=unet_medical", "--width=204", "--height=188", "--num_classes=3"],
                {"normalize": "range"}),
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
    if case == "keras":
        assert model.outputs[0].axes[3].channel_names == ["cell_1"]
        assert model.outputs[0].axes[1].halo == 112


def test_what_the_options_must_say(narrow_networks, tmp_path):
    argv = ["--model_name=unet_keras", "--eval_activate=Sigmoid"]
    for option, words in (("--license=", "must say its license; give --license=CC-BY-4.0"),
                          ("--authors=[]", "must say its authors"), ("--citation=me", "a DOI or an address")):
        with pytest.raises(UNetError, match=words):
            export_package(tmp_path, [*argv, *LEGAL, option], {})
