"""cpu_precision: convolutions of bfloat16 products, and when they are refused."""
import pytest

from src.cpu_ops.build import CannotBuild, _cpu_flags, build_library
from src.model_utils.errors import UNetError
from src.networks.layers import MINDSPORE
from tests.support.networks import backend_of
from tests.support.scripts import assert_one_line_error, run_helper

# What rounding to 8 bits makes of a sum of products.
ROUNDING = 1e-2
TRAIN = ["--image_size=[96,96]", "--batch_size=2", "--repeat=2", "--epochs=2", "--run_eval=True", "--device_target=CPU",
         "--weight_init=he_normal"]


@pytest.fixture(scope="module")
def compiled():
    """Leaves a test out where the operators cannot be compiled."""
    try:
        build_library()
    except CannotBuild as reason:
        pytest.skip(f"the operators cannot be compiled: {reason}")


@pytest.fixture(scope="module")
def found(compiled):
    """What bfloat16.py prints: a name, then values."""
    if "avx512bw" not in _cpu_flags().split():
        pytest.skip("this processor has no AVX-512, without which oneDNN has no convolutions of bfloat16 numbers")
    script = run_helper("bfloat16")
    assert script.returncode == 0, script.stderr
    return {name: list(map(float, values)) for name, *values in map(str.split, script.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["same", "valid", "even", "pointwise", "transposed"])
def test_products_of_rounded_numbers_summed_in_float32(found, layer):
    exact, rounded = found[layer]
    assert exact < 1e-5 < rounded < ROUNDING


@pytest.mark.slow
def test_with_relu(found):
    """Where rounding moves a result past zero, a gradient comes or goes."""
    exact, rounded = found["with_relu"]
    assert exact < 1e-5 < ROUNDING < rounded < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["image", "logits"])
def test_layers_that_are_not_rounded(found, layer):
    assert found[layer] == [0, 0]


def losses(result):
    assert result.returncode == 0, result.stdout + result.stderr
    return [float(line.split("loss is ")[1].split(",")[0]) for line in result.stdout.splitlines() if "loss is" in line]


@pytest.mark.slow
def test_training_and_evaluation(found, run, sample, tmp_path):
    if found["units"] == [0]:
        pytest.skip("this processor has no units for products of bfloat16 numbers")
    runs = {precision: run("train.py", *TRAIN, f"--data_path={sample}", f"--cpu_precision={precision}",
                           f"--output_path={tmp_path / precision}") for precision in ("float32", "bfloat16")}
    assert "compiled CPU operators in bfloat16 (" in runs["bfloat16"].stdout
    assert losses(runs["bfloat16"]) != losses(runs["float32"])
    assert losses(runs["bfloat16"]) == pytest.approx(losses(runs["float32"]), rel=0.05)
    output = tmp_path / "bfloat16"
    result = run("eval.py", f"--config_path={output / 'config.yaml'}", f"--data_path={sample}",
                 f"--checkpoint_file_path={output / 'checkpoint' / 'ckpt_0' / 'best.ckpt'}")
    assert result.returncode == 0 and "compiled CPU operators in bfloat16 (" in result.stdout


@pytest.mark.slow
def test_a_processor_without_matrix_units(compiled, run, sample):
    result = run("train.py", *TRAIN, f"--data_path={sample}", "--cpu_precision=bfloat16",
                 ONEDNN_MAX_CPU_ISA="AVX2")
    assert_one_line_error(result, "cpu_precision is bfloat16", "AMX", "ONEDNN_MAX_CPU_ISA=AVX2", "float32")


@pytest.mark.parametrize("option, mode, reason", [
    ("off", "graph", "cpu_ops is off"), ("auto", "pynative", "graph mode")])
def test_without_the_compiled_operators(option, mode, reason):
    with pytest.raises(UNetError, match=f"cpu_precision is bfloat16, but the compiled operators .*: .*{reason}"):
        backend_of(f"--cpu_ops={option}", f"--context_mode={mode}", "--cpu_precision=bfloat16")


def test_other_devices_have_their_own_precision():
    assert backend_of("--cpu_precision=bfloat16", device="Ascend") is MINDSPORE
