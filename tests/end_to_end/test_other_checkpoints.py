"""Checkpoints with other names, through the command line: evaluated, exported, predicted with, resumed, transferred."""
import json
import logging

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

from tests.support import cache
from tests.support.checkpoints import case_study
from tests.support.networks import network_of
from tests.support.scripts import run_here

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache", "exports_here", "onnx_is_fastest")]

FOLDERS = ["--dataset=folders", "--num_channels=3", "--image_size=[48,32]", "--device_target=CPU", "--cpu_ops=off",
           "--context_mode=pynative", "--check_dataset=False"]
# Kind -> options of its network, and how its file names a parameter.
KINDS = {"wrapped": (["--model_name=unet_nested", "--use_ds=False", "--use_bn=False"], "net.{}".format),
         "case_study": (["--model_name=unet_bilinear", "--eval_activate=Sigmoid", "--input_range=[0,1]"], case_study)}


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    with cache.own_cache(tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="module", params=KINDS)
def files(request, narrow_networks, nuclei, tmp_path_factory):
    """(options, folder with own.ckpt and there.ckpt, which are the same network with Adam's moments)."""
    options, rename = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    argv = [*options, *FOLDERS, f"--data_path={nuclei}"]
    network = network_of([*argv, "--weight_init=he_uniform"])
    step = ms.nn.TrainOneStepCell(network, ms.nn.Adam(network.trainable_params()))
    own = [{"name": parameter.name, "data": parameter.clone()} for parameter in step.get_parameters()]
    ms.save_checkpoint(own, str(folder / "own.ckpt"))
    for parameter in own:
        if parameter["name"] in network.parameters_dict():      # and not of Adam, made before the network was wrapped
            parameter["name"] = rename(parameter["name"])
    ms.save_checkpoint(own, str(folder / "there.ckpt"))
    return argv, folder


def call(script, *arguments):
    result = run_here(script, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    logging.getLogger("unet").handlers.clear()
    return result.stdout


def each(folder):
    return (folder / "own.ckpt", folder / "there.ckpt")


def test_evaluated(files):
    argv, folder = files
    for path in each(folder):
        call("eval.py", *argv, f"--checkpoint_file_path={path}", f"--output_path={folder / path.stem}")
    own, there = (json.loads((path.with_suffix("") / "metrics.json").read_text()) for path in each(folder))
    assert own["soft"] == there["soft"] and own["hard"] == there["hard"]


@pytest.mark.parametrize("files, backend", [("wrapped", "mindspore"), ("wrapped", "onnx"), ("case_study", "mindspore")],
                         indirect=["files"])
def test_predicted_with(files, nuclei, backend, tmp_path):
    """With ONNX Runtime the file in the cache is made of the checkpoint."""
    argv, folder = files
    masks = []
    for path in each(folder):
        call("predict.py", *argv, f"--data_path={nuclei / '0003' / 'image.png'}", f"--checkpoint_file_path={path}",
             f"--output_path={tmp_path / path.stem}", f"--backend={backend}")
        found, = (tmp_path / path.stem).rglob("image.png")
        masks.append(np.asarray(Image.open(found)))
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("files", ["wrapped"], indirect=True)
def test_exported(files, tmp_path):
    argv, folder = files
    log = call("export.py", *argv, f"--checkpoint_file_path={folder / 'there.ckpt'}", "--batch_size=1", "--width=32",
               "--height=32", f"--file_name={tmp_path / 'net'}")
    assert "largest difference to the network: " in log and (tmp_path / "net.mindir").is_file()


def test_resumed_and_transferred(files, tmp_path):
    argv, folder = files
    short = [*argv, "--epochs=1", "--repeat=1", "--batch_size=8", f"--resume_ckpt={folder / 'there.ckpt'}"]
    log = call("train.py", *short, "--resume=True", f"--output_path={tmp_path / 'resumed'}")
    assert "it holds the network, Adam's moments, Adam's step\n" in log and "step: 1, " in log
    log = call("train.py", *short, "--transfer_training=True", f"--output_path={tmp_path / 'transferred'}")
    assert f"{len(network_of(argv).parameters_dict())} parameters loaded" in log and "newly initialised" not in log
