"""cpu_precision: convolutions of bfloat16 products, and when they are refused."""
import subprocess
import sys

import pytest
from conftest import PROJECT, SCRIPT_ENVIRONMENT, assert_one_line_error

from src.cpu_ops import choose_layers
from src.cpu_ops.build import CannotBuild, build_library
from src.layers import STOCK
from src.model_utils.errors import UNetError

# What rounding to 8 bits makes of a sum of products.
ROUNDING = 1e-2
TRAIN = ["--batch_size=2", "--repeat=2", "--epochs=2", "--run_eval=True", "--device_target=CPU",
         "--weight_init=he_normal"]


@pytest.fixture(scope="module")
def differences():
    """Of each layer, those on numbers that bfloat16 holds, and those on others."""
    script = subprocess.run([sys.executable, PROJECT / "tests" / "bfloat16.py"], env=SCRIPT_ENVIRONMENT, check=True,
                            capture_output=True, text=True)
    found = {name: tuple(map(float, values)) for name, *values in map(str.split, script.stdout.splitlines())}
    if not found:
        pytest.skip("this processor has no matrix units, or the operators cannot be compiled")
    return found


@pytest.mark.parametrize("layer", ["same", "valid", "even", "pointwise", "transposed"])
def test_products_of_rounded_numbers_summed_in_float32(differences, layer):
    exact, rounded = differences[layer]
    assert exact < 1e-5 < rounded < ROUNDING


def test_the_image_s_layer_is_not_rounded(differences):
    assert differences["image"] == (0, 0)


def losses(result):
    assert result.returncode == 0, result.stdout + result.stderr
    return [float(line.split("loss is ")[1].split(",")[0]) for line in result.stdout.splitlines() if "loss is" in line]


def test_training_and_evaluation(differences, run, sample, tmp_path):
    runs = {precision: run("train.py", *TRAIN, f"--data_path={sample}", f"--cpu_precision={precision}",
                           f"--output_path={tmp_path / precision}") for precision in ("float32", "bfloat16")}
    assert "compiled CPU operators in bfloat16 (" in runs["bfloat16"].stdout
    assert losses(runs["bfloat16"]) != losses(runs["float32"])
    assert losses(runs["bfloat16"]) == pytest.approx(losses(runs["float32"]), rel=0.05)
    output = tmp_path / "bfloat16"
    result = run("eval.py", f"--config_path={output / 'config.yaml'}", f"--data_path={sample}",
                 f"--checkpoint_file_path={output / 'checkpoint' / 'ckpt_0' / 'best.ckpt'}")
    assert result.returncode == 0 and "compiled CPU operators in bfloat16 (" in result.stdout


def test_a_processor_without_matrix_units(run, sample):
    try:
        build_library()
    except CannotBuild as reason:
        pytest.skip(f"the operators cannot be compiled: {reason}")
    result = run("train.py", *TRAIN, f"--data_path={sample}", "--cpu_precision=bfloat16",
                 env={"ONEDNN_MAX_CPU_ISA": "AVX2"})
    assert_one_line_error(result, "cpu_precision is bfloat16", "AMX", "float32")


@pytest.mark.parametrize("option, mode, reason", [
    ("off", "graph", "cpu_ops is off"), ("auto", "pynative", "graph mode")])
def test_without_the_compiled_operators(option, mode, reason):
    with pytest.raises(UNetError, match=f"cpu_precision is bfloat16, but the compiled operators .*: .*{reason}"):
        choose_layers(option, "CPU", mode, precision="bfloat16")


def test_other_devices_have_their_own_precision():
    assert choose_layers("auto", "Ascend", "graph", precision="bfloat16") is STOCK
