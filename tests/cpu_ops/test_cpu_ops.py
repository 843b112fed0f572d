"""The compiled CPU operators against MindSpore's own, values and gradients; when they are used and when not."""
import mindspore as ms
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import Tensor, ops

from benchmarks.loss_curves import descend
from src.cpu_ops import build
from src.model_utils.errors import UNetError
from src.networks.layers import MINDSPORE, Layers
from src.networks.unet_keras import Up
from tests.support.networks import backend_of
from tests.support.operators import Between, convolution, normal, results_of_a_step, values_and_gradients, whole
from tests.support.scripts import run_code


@pytest.fixture(scope="module")
def fast():
    ms.set_context(mode=ms.GRAPH_MODE)
    layers = backend_of()
    if layers is MINDSPORE:
        pytest.skip("the CPU operators cannot be compiled here")
    return layers


def agree(fast, make, shapes, draw=normal):
    for mine, stock in zip(*(values_and_gradients(layers, make, shapes, draw) for layers in (fast, MINDSPORE))):
        assert mine.shape == stock.shape
        np.testing.assert_allclose(mine, stock, rtol=1e-5, atol=1e-5 * np.abs(stock).max())


batch, side, channels = st.integers(1, 3), st.integers(4, 17), st.integers(1, 20)


@settings(max_examples=15)
@given(batch, side, side, channels, channels, st.sampled_from([1, 2, 3]), st.sampled_from(["same", "valid"]),
       st.booleans(), st.booleans())
def test_convolution(fast, n, h, w, ins, outs, kernel, pad_mode, has_bias, relu):
    agree(fast, convolution(ins, outs, kernel, pad_mode, has_bias, relu), [(n, ins, h, w)], whole)


@settings(max_examples=12)
@given(st.integers(1, 3), st.integers(28, 44), st.integers(28, 44), st.sampled_from([16, 32, 48, 80]),
       st.sampled_from([16, 32, 48, 80]), st.sampled_from(["same", "valid"]),
       st.sampled_from([(False, False), (True, False), (True, True)]))
def test_convolution_in_winograd_s_way(fast, n, h, w, ins, outs, pad_mode, bias_and_relu):
    """Sizes and channels that the compiled operators take this way; tiles at the edges are cut anywhere."""
    agree(fast, convolution(ins, outs, 3, pad_mode, *bias_and_relu), [(n, ins, h, w)], whole)


def test_more_channels_than_are_transformed_at_once(fast):
    """The outputs are taken in groups, with tiles that are cut at the edges, and with the bias of each."""
    agree(fast, convolution(432, 304, 3, "same", True, True), [(2, 432, 30, 27)], whole)
    agree(fast, convolution(304, 432, 3, "valid", False, False), [(1, 304, 33, 31)], whole)


ON_ONE_CPU = """
import os, sys
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
import numpy as np
from tests.support.networks import backend_of
from tests.support.operators import results_of_a_step
np.savez(sys.argv[1], *results_of_a_step(backend_of("--cpu_ops=on")))
"""


def test_results_do_not_depend_on_the_number_of_threads(fast, tmp_path):
    file = tmp_path / "one.npz"
    run_code(ON_ONE_CPU, file)
    for mine, other in zip(results_of_a_step(fast), np.load(file).values()):
        np.testing.assert_array_equal(mine, other)


@settings(max_examples=5)
@given(batch, side, side, channels, channels)
def test_convolution_norm_relu(fast, n, h, w, ins, outs):
    agree(fast, lambda layers: layers.conv_norm_relu(ins, outs, 3, "same", "normal"), [(n, ins, h, w)], whole)


@settings(max_examples=5)
@given(batch, side, side, channels, channels)
def test_transposed_convolution(fast, n, h, w, ins, outs):
    agree(fast, lambda layers: layers.deconv(ins, outs, "normal"), [(n, ins, h, w)])


@settings(max_examples=5)
@given(batch, side, side, st.integers(1, 40))
def test_max_pool(fast, n, h, w, c):
    for draw in (normal, whole):    # of whole numbers many are equal
        agree(fast, lambda layers: layers.max_pool(), [(n, c, h, w)], draw)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@settings(max_examples=3)
@given(batch, side, side, channels)
def test_upsample(fast, mode, n, h, w, c):
    agree(fast, lambda layers: layers.upsample(mode), [(n, c, h, w)])


def test_upsampling_by_hand(fast):
    image = Tensor(np.array([[[[0, 4], [8, 12]]]], np.float32))
    nearest, bilinear = (Between(fast, fast.upsample(mode))(image).asnumpy()[0, 0] for mode in ("nearest", "bilinear"))
    np.testing.assert_array_equal(nearest, [[0, 0, 4, 4], [0, 0, 4, 4], [8, 8, 12, 12], [8, 8, 12, 12]])
    np.testing.assert_allclose(bilinear, [[0, 1, 3, 4], [2, 3, 5, 6], [6, 7, 9, 10], [8, 9, 11, 12]], atol=1e-6)


@pytest.mark.parametrize("of", ["stock", "compiled"])
def test_even_kernel_is_padded_at_the_right_and_the_bottom(fast, of):
    """As Keras does it: the last row and column have nothing behind them, the first ones miss nothing."""
    layers = fast if of == "compiled" else MINDSPORE
    part = Between(layers, layers.conv(1, 1, 2, "same", False, "zeros"))
    part.part.weight.set_data(Tensor(np.array([[[[1, 2], [3, 4]]]], np.float32)))
    result = part(Tensor(np.ones((1, 1, 3, 3), np.float32))).asnumpy()[0, 0]
    np.testing.assert_allclose(result, [[10, 10, 4], [10, 10, 4], [3, 3, 1]], atol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_concat(fast, count):
    # Skips larger by an even and an odd number of rows and columns; their centre is taken.
    sizes = [(6, 4), (6, 4), (8, 7), (11, 4), (6, 9)]
    agree(fast, lambda layers: layers.concat(count), [(2, 3 + k, *sizes[k]) for k in range(count)])


def test_equal_values_in_a_pooling_window(fast):
    """The gradient goes to one of them, the same one as MindSpore's."""
    def gradient(layers):
        part = Between(layers, layers.max_pool())
        return ops.GradOperation()(part)(Tensor(np.zeros((1, 2, 4, 4), np.float32))).asnumpy()
    np.testing.assert_array_equal(gradient(fast), gradient(MINDSPORE))


def test_batch_norm_keeps_its_digits_at_a_large_mean(fast):
    """Mean 1000, deviation 1: a plain sum of squares in float32 would lose the variance."""
    part = Between(fast, fast.conv_norm_relu(1, 1, 1, "same", "ones"))
    part.set_train()
    image = np.random.default_rng(0).normal(1000, 1, (4, 1, 64, 64)).astype(np.float32)
    part(Tensor(image))
    moving = part.part[1].moving_variance.asnumpy()
    assert (moving[0] - 0.9) / 0.1 == pytest.approx(image.astype(np.float64).var(), rel=1e-3)


def test_step_up_of_the_keras_network(fast):
    """Upsampling, the 2x2 convolution, the skip and the double convolution, as training runs them."""
    agree(fast, lambda layers: Up(layers, 6, 4), [(2, 6, 3, 5), (2, 4, 6, 10)])


@pytest.fixture(scope="module")
def curves(fast):
    return descend("compiled", 4), descend("AVX2", 4)


@pytest.mark.parametrize("name", ["simple", "nested", "medical", "bilinear", "keras"])
def test_networks_train_alike(curves, name):
    """Steps of gradient descent from the same weights give the same losses, and the same evaluation after them."""
    mine, stock = (one[name] for one in curves)
    np.testing.assert_allclose(mine["losses"], stock["losses"], rtol=1e-4)
    mine, stock = np.array(mine["logits"]), np.array(stock["logits"])
    assert np.abs(mine - stock).mean() < 0.02 * np.abs(stock).mean()


# ---- when they are used


@pytest.mark.parametrize("option, device, mode, level, reason", [
    ("off", "CPU", "graph", "O0", "cpu_ops is off"), ("auto", "CPU", "pynative", "O0", "graph mode"),
    ("auto", "CPU", "graph", "O3", "amp_level is O3"), ("auto", "Ascend", "graph", "O3", None),
    ("auto", "GPU", "graph", "O0", None)])
def test_stock_layers_with_a_reason(option, device, mode, level, reason, caplog, monkeypatch):
    monkeypatch.setattr("src.cpu_ops.cap_cpu_instruction_set", lambda: None)
    caplog.set_level("INFO", "unet")
    assert backend_of(f"--cpu_ops={option}", f"--context_mode={mode}", device=device, amp_level=level) is MINDSPORE
    assert reason is None or reason in caplog.text


def test_no_compiler(monkeypatch, caplog, fast):
    monkeypatch.setattr("src.cpu_ops.cap_cpu_instruction_set", lambda: None)
    monkeypatch.setenv("CXX", "no-such-compiler")
    caplog.set_level("INFO", "unet")
    assert backend_of() is MINDSPORE
    assert "no C++ compiler was found (no-such-compiler)" in caplog.text
    with pytest.raises(UNetError, match="cpu_ops is on, but .* no C"):
        backend_of("--cpu_ops=on")


def test_compiler_that_fails(monkeypatch, tmp_path, fast):
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho 'x.cc:1: error: nothing works' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(build.CannotBuild, match="nothing works"):
        build.build_library()
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_headers_that_are_missing(monkeypatch):
    monkeypatch.setattr(build, "HEADERS", "no-such-package")
    with pytest.raises(build.CannotBuild, match="pip install no-such-package"):
        build._find_headers()


def test_cache_that_cannot_be_written(monkeypatch, tmp_path, fast):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(build.CannotBuild, match="cannot be written"):
        build.build_library()


def test_second_build_is_the_first(fast):
    assert build.build_library() == build.build_library() == fast.operators.library


def test_operators_compiled_ahead(monkeypatch, tmp_path, fast):
    """What a container's image holds serves without a compiler, where the processor can run it."""
    monkeypatch.setattr(build, "FLAGS", ["-O0", *build.FLAGS[1:]])      # for the test's own speed
    build.build_ahead(tmp_path)
    made, = tmp_path.iterdir()
    monkeypatch.setenv("UNET_CPU_OPS", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with monkeypatch.context() as patch:
        patch.setattr(build, "_cpu_flags", lambda: "flags : sse2 avx")
        with pytest.raises(build.CannotBuild, match="no-such-compiler"):
            build.build_library()
    if not set(build._cpu_flags().split()) >= build.PORTABLE_FLAGS:
        pytest.skip("this processor lacks what the operators of an image need")
    assert build.build_library() == str(made)
    agree(type(fast)(str(made)), lambda layers: layers.conv(1, 4, 3, "same", True, "normal"), [(1, 1, 8, 8)])
    made.rename(tmp_path / "unet_cpu_ops-of-another-version.so")
    with pytest.raises(build.CannotBuild, match="no-such-compiler"):
        build.build_library()


def test_layer_sets_have_the_same_factories(fast):
    own = {name for name in dir(Layers) if not name.startswith("_")}
    assert own <= set(dir(fast))
