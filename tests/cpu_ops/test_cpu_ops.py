"""The compiled CPU operators against MindSpore's own: values and gradients."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import Tensor, ops

from benchmarks.loss_curves import DESCENTS, descend
from src.networks.layers import MINDSPORE
from src.networks.unet_keras import Up
from tests.support.operators import Between, agree, convolution, normal, results_of_a_step, whole
from tests.support.scripts import run_code

pytestmark = pytest.mark.slow


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
    """MindSpore's own kernels run without graphs, which take longer to compile than these few steps."""
    return descend("compiled", 3), descend("AVX2", 3, "pynative")


@pytest.mark.parametrize("name", DESCENTS)
def test_networks_train_alike(curves, name):
    """Steps of gradient descent from the same weights give the same losses, and the same evaluation after them."""
    mine, stock = (one[name] for one in curves)
    np.testing.assert_allclose(mine["losses"], stock["losses"], rtol=1e-4)
    mine, stock = np.array(mine["logits"]), np.array(stock["logits"])
    assert np.abs(mine - stock).mean() < 0.02 * np.abs(stock).mean()
