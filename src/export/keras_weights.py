"""Weights of the Keras 2D U-Net as a checkpoint of unet_keras.

Keras stores the kernel of a convolution as (height, width, in, out), MindSpore as (out, in, height, width). Layers are
matched only by their order, since their names differ from one Keras program to the next.
"""
import logging
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from src.export.npy import read_npy
from src.model_utils.errors import UNetError
from src.model_utils.files import natural, with_ending
from src.model_utils.inputs import open_input

logger = logging.getLogger("unet")

NPZ, HDF5 = b"PK", b"\x89HDF"      # first bytes of the files
# The largest Keras U-Net has 31 million numbers in 60 arrays.
MOST_BYTES, MOST_ARRAYS = 2 * 10**9, 10_000

NamedArray = tuple[str, np.ndarray]


def convert(path: str | Path, output: str | Path) -> None:
    """Write the checkpoint of unet_keras, whole or not at all.

    Args:
        path: npz or HDF5 file, see ``read_arrays``.
        output: the checkpoint; .ckpt is appended if it is missing.

    Raises:
        UNetError: the file cannot be read, its arrays are not those of the network, or the checkpoint cannot be
            written.
    """
    arrays = read_arrays(path)

    from mindspore import Tensor

    from src.networks.unet_keras import UNetKeras
    from src.training import checkpoint

    network = UNetKeras(_channels(arrays))
    weights = rearrange(path, arrays, {parameter.name: parameter.shape for parameter in network.get_parameters()})
    for parameter in network.get_parameters():
        parameter.set_data(Tensor(weights[parameter.name]))
    saved = checkpoint.save(network, with_ending(output, ".ckpt"), {"step": 0})
    logger.info("converted: %d arrays, %d values, num_channels %d: %s", len(arrays),
                sum(value.size for value in weights.values()), network.down0.convs[0].weight.shape[1], saved.resolve())


def _channels(arrays: Sequence[NamedArray]) -> int:
    """Return the channels of the images; 1, the usual number, if the first array is no kernel."""
    shape = arrays[0][1].shape if arrays else ()
    return shape[2] if len(shape) == 4 and shape[2] in (1, 3) else 1


def rearrange(path: str | Path, arrays: Sequence[NamedArray],
              expected: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Give the arrays the network's names and layout.

    Args:
        path: their file, for messages.
        arrays: (name, array) in the order of the layers, kernels as (height, width, in, out).
        expected: parameter's name -> shape in the same order, weights as (out, in, height, width).

    Returns:
        dict: parameter's name -> float32 array of its shape.

    Raises:
        UNetError: too few or too many arrays, or one of another shape, or values that are no finite numbers.
    """
    wanted = [(name, tuple(shape) if len(shape) != 4 else (*shape[2:], shape[1], shape[0]))
              for name, shape in expected.items()]
    counts = f"{len(arrays)} arrays found, {len(wanted)} expected" if len(arrays) != len(wanted) else ""
    weights = {}
    for number, ((key, array), (name, shape)) in enumerate(zip(arrays, wanted), 1):
        if array.shape != shape:
            raise UNetError(f"{path}: array {number}, {key}, is {array.shape}; expected {shape}, for {name}"
                            f"{f' ({counts})' if counts else ''}")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise UNetError(f"{path}: array {number}, {key}, holds other values than finite numbers ({array.dtype})")
        weights[name] = np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array, np.float32)
    if len(arrays) < len(wanted):
        name, shape = wanted[len(arrays)]
        raise UNetError(f"{path}: {counts}; the first that is missing is {shape}, for {name}")
    if len(arrays) > len(wanted):
        key, array = arrays[len(wanted)]
        raise UNetError(f"{path}: {counts}; the first too many is {key}, {array.shape}")
    return weights


# ---- reading


def read_arrays(path: str | Path) -> list[NamedArray]:
    """Read all weights of a file in the order of the layers.

    npz files keep the order in which their arrays were given to ``numpy.savez``. HDF5 files from Keras'
    ``model.save_weights`` and ``model.save`` are read layer by layer: the older format with the attributes layer_names
    and weight_names, and that of Keras 3. Arrays of other HDF5 files are sorted by their names, arr_2 before arr_10.

    Returns:
        list: (name, array).

    Raises:
        UNetError: the file is missing, of another kind or damaged, or h5py is not installed.
    """
    path = Path(path)
    try:
        with open_input(path) as file:
            start = file.read(4)
    except OSError as error:
        raise UNetError(f"cannot read {path}: {error.strerror}") from None
    if start.startswith(NPZ):
        return _read_npz(path)
    if start == HDF5:
        return _read_hdf5(path)
    raise UNetError(f"{path}: neither an npz nor an HDF5 file; write one with numpy.savez(FILE, *model.get_weights()) "
                    f"or model.save_weights('NAME.weights.h5')")


def _read_npz(path):
    try:
        with zipfile.ZipFile(path) as file:
            _check_bytes(sum(entry.file_size for entry in file.infolist()), len(file.infolist()))
            arrays = [(entry.filename.removesuffix(".npy"), _array(file.read(entry))) for entry in file.infolist()]
    # zipfile raises RuntimeError for files with a password.
    except (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise UNetError(f"{path}: not a whole npz file ({str(error)[:160]})") from None
    for name, array in arrays:
        if array is None:
            raise UNetError(f"{path}: {name} is no array; from a .keras file, save only the weights: "
                            f"model.save_weights('NAME.weights.h5')")
    return arrays


def _array(data):
    """Return the array of an npz file's entry; None if it is none."""
    return read_npy(data) if data.startswith(np.lib.format.MAGIC_PREFIX) else None


def _check_bytes(count, arrays):
    if count > MOST_BYTES or arrays > MOST_ARRAYS:
        raise ValueError(f"{arrays} arrays of {count / 1e9:.3g} GB; at most {MOST_ARRAYS} of {MOST_BYTES / 1e9:g} GB "
                         f"are read")


def _read_hdf5(path):
    try:
        import h5py
    except ImportError:
        raise UNetError(f"{path}: an HDF5 file, and h5py is not installed; pip install h5py") from None
    try:
        with h5py.File(path, "r") as file:
            found = dict(_arrays_in(file, h5py, set()))
            _check_bytes(sum(array.nbytes for array in found.values()), len(found))
            prefix = "model_weights/" if "model_weights" in file else ""
            layers = _texts(file[prefix or "/"], "layer_names")
            if layers:
                names = [(f"{layer}/{name}", f"{prefix}{layer}/{name}") for layer in layers
                         for name in _texts(file[f"{prefix}{layer}"], "weight_names")]
                if len(set(names)) < len(names):        # each is read, so a few could fill the memory
                    raise ValueError("a layer or an array is named twice")
            else:   # Keras 3 stores the optimizer's values beside the layers.
                prefix = "layers/" if "layers" in file else ""
                names = [(name.removeprefix(prefix), name) for name in found if name.startswith(prefix)]
                names.sort(key=lambda pair: [natural(step) for step in pair[0].split("/")])
            return [(short, found[name][()]) for short, name in names]
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, MemoryError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:160]
        raise UNetError(f"{path}: not a whole HDF5 file of Keras ({reason})") from None


def _arrays_in(group, h5py, seen, prefix=""):
    """Yield (path, array) of all arrays in a group, unread. Raises ValueError for data that are not in the file.

    An HDF5 file may take the numbers of an array from any other file that this user can read, or name one in a link.
    Weights made of them might be published.
    """
    if group.id in seen:
        raise ValueError(f"{prefix} is a group that is there twice")
    seen.add(group.id)
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{prefix}{name} is a link, which is not followed")
        item = group[name]
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"{prefix}{name} has its numbers in another file, which is not read")
            if math.prod(item.chunks or ()) * item.dtype.itemsize > MOST_BYTES:
                raise ValueError(f"{prefix}{name} is in pieces of {item.chunks}, which are too large")
            yield f"{prefix}{name}", item
        elif isinstance(item, h5py.Group):
            yield from _arrays_in(item, h5py, seen, f"{prefix}{name}/")


def _texts(group, name):
    """Return the texts of an attribute; Keras splits long attributes into NAME0, NAME1 and so on."""
    if name in group.attrs:
        pieces = [group.attrs[name]]
    else:
        pieces = []
        while f"{name}{len(pieces)}" in group.attrs:
            pieces.append(group.attrs[f"{name}{len(pieces)}"])
    return [text.decode() if isinstance(text, bytes) else str(text) for piece in pieces for text in piece]
