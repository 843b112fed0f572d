"""Weights of the Keras U-Net: every layout of file, the layout change against NumPy, and what is refused."""
import json
import os
import sys
import zipfile

import h5py
import numpy as np
import pytest

from src.export.keras_weights import read_arrays, rearrange
from src.model_utils.errors import UNetError
from src.networks.inference_network import predictor
from src.training.checkpoint import load_weights
from tests.support.data import FIXTURES
from tests.support.networks import network_of
from tests.support.scripts import assert_one_line_error, run, run_here

SCRIPT = "scripts/convert_keras_weights.py"
WIDTHS = (64, 128, 256, 512, 1024)
EXPECTED = json.loads((FIXTURES / "parameter_names.json").read_text())["unet_keras"]


def shapes():
    """Kernel and bias of each layer, as Keras lists them: (height, width, in, out) and (out,)."""
    layers, ins = [], 1
    for outs in WIDTHS:
        layers += [(3, ins, outs), (3, outs, outs)]
        ins = outs
    for outs in WIDTHS[-2::-1]:
        layers += [(2, 2 * outs, outs), (3, 2 * outs, outs), (3, outs, outs)]
    layers += [(3, 64, 2), (1, 2, 1)]
    return [shape for side, ins, outs in layers for shape in ((side, side, ins, outs), (outs,))]


# ---- the network in NumPy, channels last


def convolve(x, kernel, bias, relu=True):
    """(N, H, W, in) -> (N, H, W, out); of an even kernel the odd row of zeros is behind, as in TensorFlow."""
    side, (_, height, width, _) = kernel.shape[0], x.shape
    before = (side - 1) // 2
    x = np.pad(x, ((0, 0), (before, side - 1 - before), (before, side - 1 - before), (0, 0)))
    y = bias + sum(x[:, i:i + height, j:j + width] @ kernel[i, j] for i in range(side) for j in range(side))
    return np.maximum(y, 0) if relu else y


def network(x, arrays):
    """(N, H, W, 1) images -> (N, H, W, 1) probabilities; no dropout."""
    layers = iter(zip(arrays[::2], arrays[1::2]))
    skips = []
    for level in range(5):
        x = convolve(convolve(x, *next(layers)), *next(layers))
        skips.append(x)
        if level < 4:
            x = np.maximum.reduce([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    for skip in skips[-2::-1]:
        x = convolve(x.repeat(2, axis=1).repeat(2, axis=2), *next(layers))
        x = np.concatenate([skip, x], axis=-1)
        x = convolve(convolve(x, *next(layers)), *next(layers))
    x = convolve(x, *next(layers))
    return 1 / (1 + np.exp(-convolve(x, *next(layers), relu=False)))


@pytest.mark.slow
def test_forward_pass(tmp_path):
    """Through the command line, then what eval.py loads, on another height than width."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, np.float32) * np.float32((2 / np.prod(shape[:3])) ** 0.5)
              if len(shape) == 4 else rng.uniform(0, 0.2, shape).astype(np.float32) for shape in shapes()]
    np.savez(tmp_path / "with space.npz", *arrays)
    result = run(SCRIPT, tmp_path / "with space.npz", tmp_path / "out" / "net.ckpt", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    path = tmp_path / "out" / "net.ckpt"
    assert result.stdout.strip() == f"converted: 48 arrays, 31031685 values, num_channels 1: {path}"
    assert result.stderr == "" and os.listdir(path.parent) == ["net.ckpt"]
    own = network_of(["--model_name=unet_keras"])
    load_weights(own, path)
    images = rng.uniform(0, 1, (2, 16, 32, 1)).astype(np.float32)
    expected = network(images, arrays)
    assert expected.std() > 0.01
    np.testing.assert_allclose(predictor(own, "Sigmoid")(images.transpose(0, 3, 1, 2)), expected, atol=1e-5)


# ---- reading


ARRAYS = [np.full(shape, number, np.float32) for number, shape in enumerate([(3, 3, 1, 2), (2,)] * 12)]
LAYERS = ["input_1", "conv2d", *(f"conv2d_{number}" for number in range(1, 12))]     # the first one without weights


def write_older(group, pieces=False):
    """As Keras 2 writes weights: attributes name the layers in order, and each layer's weights."""
    names = [name.encode() for name in LAYERS]
    if pieces:
        group.attrs["layer_names0"], group.attrs["layer_names1"] = names[:5], names[5:]
    else:
        group.attrs["layer_names"] = names
    for number, layer in enumerate(LAYERS):
        own = group.create_group(layer)
        own.attrs["weight_names"] = [f"{layer}/kernel:0".encode(), f"{layer}/bias:0".encode()] if number else []
        for place, name in enumerate(own.attrs["weight_names"]):
            own[name] = ARRAYS[2 * (number - 1) + place]


def write_keras_3(file):
    for number, layer in enumerate(LAYERS[1:]):
        for place in (0, 1):
            file[f"layers/{layer}/vars/{place}"] = ARRAYS[2 * number + place]
    file.create_group("layers/dropout/vars")
    file["optimizer/vars/0"] = np.zeros(3)


def write_flat(group):
    for number, array in enumerate(ARRAYS):
        group[f"arr_{number}"] = array


@pytest.mark.parametrize("write", [
    write_older, lambda file: write_older(file, pieces=True), lambda file: write_older(file.create_group(
        "model_weights")), write_keras_3, write_flat, lambda file: write_flat(file.create_group("weights"))],
    ids=["older", "older in pieces", "whole model", "Keras 3", "flat", "flat in a group"])
def test_layouts_of_hdf5(tmp_path, write):
    with h5py.File(tmp_path / "any.name", "w") as file:
        write(file)
    found = read_arrays(tmp_path / "any.name")
    assert len(found) == len(ARRAYS)
    for (_, array), expected in zip(found, ARRAYS):
        np.testing.assert_array_equal(array, expected)


def test_npz_keeps_its_order(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", **{f"{chr(122 - number)}": array for number, array in enumerate(ARRAYS)})
    assert [array[1].flat[0] for array in read_arrays(tmp_path / "x.npz")] == list(range(24))


# ---- what is refused


def zeros(change=lambda arrays: None):
    arrays = [(f"arr_{number}", np.zeros(shape, np.float32)) for number, shape in enumerate(shapes())]
    change(arrays)
    return arrays


def test_the_other_layout_of_doubles():
    weights = rearrange("x.npz", [(name, array.astype(np.float64)) for name, array in zeros()], EXPECTED)
    assert {name: list(value.shape) for name, value in weights.items()} == EXPECTED
    assert {value.dtype for value in weights.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("change, words", [
    (lambda a: a.pop(), "47 arrays found, 48 expected; the first that is missing is (1,), for final.bias"),
    (lambda a: a.append(("more", np.zeros(3))), "49 arrays found, 48 expected; the first too many is more, (3,)"),
    (lambda a: a.pop(1), "array 2, arr_2, is (3, 3, 64, 64); expected (64,), for down0.convs.0.bias (47 arrays found"),
    (lambda a: a.__setitem__(4, ("c", np.zeros((128, 64, 3, 3)))),
     "array 5, c, is (128, 64, 3, 3); expected (3, 3, 64, 128), for down1.convs.0.weight"),
    (lambda a: a.__setitem__(3, ("b", np.full(64, np.nan))), "array 4, b, holds other values than finite numbers"),
    (lambda a: a.__setitem__(3, ("b", np.zeros(64, int))), "array 4, b, holds other values"),
    (lambda a: a.clear(), "0 arrays found, 48 expected; the first that is missing is (3, 3, 1, 64), for down0"),
])
def test_arrays_of_something_else(change, words):
    with pytest.raises(UNetError) as refused:
        rearrange("x.npz", zeros(change), EXPECTED)
    assert str(refused.value).startswith(f"x.npz: {words}") and "\n" not in str(refused.value), refused.value


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    def refused(data, words):
        path = tmp_path / "x"
        path.write_bytes(data)
        with pytest.raises(UNetError, match=words) as error:
            read_arrays(path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)

    np.savez(tmp_path / "a.npz", *ARRAYS)
    whole = (tmp_path / "a.npz").read_bytes()
    refused(whole[:len(whole) // 2], "not a whole npz file")
    np.savez(tmp_path / "a.npz", np.array([{}], object))
    refused((tmp_path / "a.npz").read_bytes(), "not a whole npz file .*pickle")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write_older(file)
        del file["conv2d_3/conv2d_3/bias:0"]
    whole = (tmp_path / "a.h5").read_bytes()
    refused(whole, "not a whole HDF5 file")
    refused(whole[:len(whole) // 2], "not a whole HDF5 file")
    refused(b"", "neither an npz nor an HDF5 file")
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(whole, "h5py is not installed; pip install h5py")
    with pytest.raises(UNetError, match="No such file"):
        read_arrays(tmp_path / "none.npz")


def test_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "few.npz", *ARRAYS)
    (tmp_path / "old.ckpt").write_text("old")
    result = run_here(SCRIPT, "few.npz", "old.ckpt")
    assert_one_line_error(result, "few.npz: array 1, arr_0, is (3, 3, 1, 2); expected (3, 3, 1, 64)")
    assert sorted(os.listdir(tmp_path)) == ["few.npz", "old.ckpt"] and (tmp_path / "old.ckpt").read_text() == "old"
    assert run_here(SCRIPT, "few.npz").returncode == 2


# ---- files that take more than they hold


def test_numbers_of_other_files_are_not_read(tmp_path):
    """They might be published as weights."""
    (tmp_path / "secret").write_bytes(bytes(range(80)))
    for name, make in (("external", lambda file: file.create_dataset(
            "layers/a", (10,), "f8", external=[(str(tmp_path / "secret"), 0, 80)])),
            ("link", lambda file: file.update({"layers": h5py.ExternalLink("secret.h5", "/")})),
            ("soft", lambda file: file.update({"layers": h5py.SoftLink("/x")}))):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            make(file)
        with pytest.raises(UNetError, match=r"h5: not a whole HDF5 file of Keras \(.*(another file|is a link), which"):
            read_arrays(tmp_path / f"{name}.h5")


def test_one_array_is_not_read_many_times(tmp_path):
    """A small file could name it so often that the memory is full; or in pieces of any size."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"] = [b"l"] * 2
        layer = file.create_group("l")
        layer.attrs["weight_names"] = [b"w"] * 3
        layer.create_dataset("w", (100, 100), "f4", compression="gzip")
    with pytest.raises(UNetError, match="a layer or an array is named twice"):
        read_arrays(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("layers/a", (1, 1), "f8", chunks=(20_000, 20_000), maxshape=(None, None))
    with pytest.raises(UNetError, match=r"layers/a is in pieces of \(20000, 20000\), which are too large"):
        read_arrays(tmp_path / "b.h5")


def test_claims_of_hdf5_and_npz(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("layers/a", (10**6, 10**6), "f8", chunks=(10, 10))
    with pytest.raises(UNetError, match=r"1 arrays of 8e\+03 GB; at most 10000 of 2 GB are read"):
        read_arrays(tmp_path / "a.h5")
    header = b"\x93NUMPY\1\0v\0{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}".ljust(127) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", header + bytes(8))
    with pytest.raises(UNetError, match=r"its header claims the shape \(1000000000000,\) of float64, in 8 bytes"):
        read_arrays(tmp_path / "a.npz")
