"""Dim pictures of a 12-bit camera, in files of 16 bits: trained on and predicted as well as the same ones of 8 bits."""
import json

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.support.data import write_pairs
from tests.support.scripts import run_here

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("narrow_networks", "exports_here", "onnx_is_fastest")]

OPTIONS = ["--dataset=folders", "--num_channels=1", "--image_size=[48,48]", "--device_target=CPU",
           "--context_mode=pynative", "--train_augment=False", "--weight_init=he_uniform", "--lr=0.002",
           "--weight_decay=0", "--batch_size=2", "--epochs=10", "--repeat=10", "--run_eval=True",
           "--check_dataset=False", "--log_interval=0"]
NAMES = [f"{number:02d}" for number in range(8)]


def call(script, *arguments):
    result = run_here(script, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_12_bit_camera(tmp_path):
    data = {depth: write_pairs(tmp_path / str(depth), NAMES, size=(48, 48)) for depth in (8, 12)}
    for name in NAMES:
        path = data[12] / name / "image.png"
        path.write_bytes(imagecodecs.png_encode((100 + np.asarray(Image.open(path)) * 2.2).astype(np.uint16)))
    dice = {}
    for depth, folder in data.items():
        out = tmp_path / f"out{depth}"
        log = call("train.py", *OPTIONS, f"--data_path={folder}", f"--output_path={out}")
        assert f"normalize auto: {'range' if depth == 8 else 'percentile'}" in log
        call("eval.py", f"--config_path={out / 'config.yaml'}",
             f"--checkpoint_file_path={out / 'checkpoint' / 'ckpt_0' / 'best.ckpt'}", f"--output_path={out / 'eval'}")
        dice[depth] = json.loads((out / "eval" / "metrics.json").read_text())["soft"]["dice_coeff"]
    assert min(dice.values()) > 0.97 and abs(dice[8] - dice[12]) < 0.01, dice

    masks = []
    for depth in (8, 12):       # both by the network of 12 bits
        call("predict.py", f"--config_path={tmp_path / 'out12' / 'config.yaml'}", "--backend=mindspore",
             f"--checkpoint_file_path={tmp_path / 'out12' / 'checkpoint' / 'ckpt_0' / 'best.ckpt'}",
             f"--data_path={data[depth] / NAMES[-1] / 'image.png'}", f"--output_path={tmp_path / f'masks{depth}'}")
        path, = (tmp_path / f"masks{depth}").rglob("image.png")
        masks.append(np.asarray(Image.open(path)))
    assert masks[0].any() and (masks[0] != masks[1]).mean() < 0.005
