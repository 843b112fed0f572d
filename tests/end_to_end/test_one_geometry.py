"""Training, evaluation and prediction of oblong images through the command line: one geometry."""
import json

import numpy as np
import pytest
from PIL import Image

from tests.inference.test_geometry import picture
from tests.support.scripts import run_here

SIZES = [(60, 90), (72, 64), (81, 81), (90, 53), (64, 100), (70, 75)]


@pytest.fixture(scope="module", params=[["--image_size=[64,48]"], ["--image_size=native", "--train_crop=48"],
                                        ["--image_size=native", "--train_crop=220", "--crop=[36,36]",
                                         "--model_name=unet_medical"]], ids=["resized", "native", "native-valid"])
def trained(request, tmp_path_factory, narrow_networks, exports_here, onnx_is_fastest):
    """Folder of the data set, of a run of two steps, and of its files."""
    folder = tmp_path_factory.mktemp("geometry")
    for number, size in enumerate(SIZES):
        image = picture(size, 1, number)
        for kind, array in (("image", image), ("mask", np.where(image > 120, 255, 0).astype(np.uint8))):
            (folder / "data" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / "data" / kind / f"{number}.png")
    call("train.py", folder, *request.param, "--dataset=image_mask", "--batch_size=2", "--epochs=1", "--repeat=1",
         "--run_eval=True", "--weight_init=he_uniform", "--lr=0.003", f"--output_path={folder / 'run'}",
         "--device_target=CPU", "--context_mode=pynative")
    return folder


def call(script, folder, *argv):
    result = run_here(script, f"--data_path={folder / 'data'}", *argv)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def scored_and_written(folder, script, *argv):
    """(masks that a script has scored, masks that predict.py writes), both of the validation images."""
    config = f"--config_path={folder / 'run' / 'config.yaml'}"
    call(script, folder, config, *argv, "--eval_resize=True", "--show_eval=True", "--report=True",
         f"--output_path={folder / 'scored'}")
    call("predict.py", folder, config, *argv, f"--data_path={folder / 'data' / 'image'}",
         f"--output_path={folder / 'written'}")
    names = [one["name"] for one in json.loads((folder / "scored" / "metrics.json").read_text())["soft"]["per_image"]]
    drawn = [np.asarray(Image.open(folder / "scored" / "draw_eval" / f"predict-{number}.png"))[..., 0]
             for number in range(1, len(names) + 1)]
    return drawn, [np.asarray(Image.open(folder / "written" / "predictions" / f"{name}.png")) for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("argv", [[], ["--backend=mindspore"], ["--tta=True"]], ids=["onnx", "mindspore", "tta"])
def test_the_mask_is_the_one_that_was_scored(trained, argv):
    checkpoint = trained / "run" / "checkpoint" / "ckpt_0" / "best.ckpt"
    scored, written = scored_and_written(trained, "eval.py", *argv, f"--checkpoint_file_path={checkpoint}")
    assert len(scored) == 2
    for one, other in zip(scored, written):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_an_onnx_file(trained):
    """Its metadata have the sizes, and its own size is that of the training."""
    checkpoint = trained / "run" / "checkpoint" / "ckpt_0" / "best.ckpt"
    call("export.py", trained, f"--config_path={trained / 'run' / 'config.yaml'}", "--file_format=ONNX",
         f"--checkpoint_file_path={checkpoint}", f"--file_name={trained / 'net.onnx'}")
    scored, written = scored_and_written(trained, "infer_unet_onnx.py", f"--file_name={trained / 'net.onnx'}")
    for one, other in zip(scored, written):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_the_checkpoint_alone_names_the_layout(trained):
    """Without a YAML file; the data set that it names is also that of fit_objects, metrics.json and preprocess.py."""
    checkpoint = f"--checkpoint_file_path={trained / 'run' / 'checkpoint' / 'ckpt_0' / 'best.ckpt'}"
    is_native = "image_size: native" in (trained / "run" / "config.yaml").read_text()
    found = {}
    for name, argv in (("config", [f"--config_path={trained / 'run' / 'config.yaml'}"]), ("alone", [])):
        folder = trained / f"by_{name}"
        call("eval.py", trained, *argv, checkpoint, "--fit_objects=True", "--backend=mindspore",
             "--device_target=CPU", "--context_mode=pynative", f"--output_path={folder}")
        found[name] = json.loads((folder / "metrics.json").read_text())
    assert found["alone"]["dataset"] == "image_mask"
    # Nothing says how large the patches of native images were, so windows of valid convolutions are others.
    assert found["alone"]["soft"]["dice_coeff"] == pytest.approx(found["config"]["soft"]["dice_coeff"], abs=1e-6)
    if is_native:       # the program in C++ takes images of one size
        return
    call("export.py", trained, checkpoint, "--file_format=ONNX", f"--file_name={trained / 'alone.onnx'}")
    call("preprocess.py", trained, f"--file_name={trained / 'alone.onnx'}", f"--result_path={trained / 'made'}")
    assert list((trained / "made").iterdir()) and not list((trained / "made").glob("ISBI*"))
