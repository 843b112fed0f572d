"""Damaged and hostile files of numbers and names, for ``damaged``: (case, path, bytes, function that reads them)."""
import io
import itertools
import json
import os
import struct
import warnings
import zipfile

import h5py
import numpy as np
import tifffile
from mindspore.train.checkpoint_pb2 import Checkpoint

from src.data.class_values import resolve
from src.data.image_reader import open_pages
from src.data.preparation.coco_annotations import read_annotations
from src.data.preparation.coco_masks import pieces
from src.data.splits import read_splits
from src.export.keras_weights import read_arrays
from src.export.onnx_model import OnnxNetwork
from src.export.stored_labels import StoredLabels
from src.inference.loading import load_network
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.moxing_adapter import unzip
from src.report.history import read_history
from src.tiling.predictor import in_windows
from src.training.checkpoint_contents import CheckpointContents
from src.training.checkpoint_files import read_state
from src.training.fold_results import read_results
from tests.support.damage import flipped, foreign, truncated, zeroed
from tests.support.onnx_files import onnx_file, unet_file

# Texts in the place of a number or a list, in JSON.
VALUES = ("Infinity", "-Infinity", "NaN", "1e999", "-1", "0", "1.0", "1e300", "9" * 400, '"1"', '"\\u0000\\u001b[2J"',
          "null", "true", "[]", "{}", "[[[]]]", "[1e999, 2, 3, 4, 5, 6]", '{"size": [1e999, 1], "counts": "0"}')


def damages(data, count=30):
    """The usual damage of a small file."""
    deep = [("deep", b"[" * 100_000), ("deep names", b'{"a":' * 100_000)]
    return itertools.chain(truncated(data, max(1, len(data) // count)), flipped(data, count), zeroed(data, 5),
                           foreign(), deep)


def replaced(text, names):
    """Each value of the given names, written as "name": @, in the place of the good one."""
    for name, value in itertools.product(names, VALUES):
        start = text.index(f'"{name}": ') + len(name) + 4
        depth, end = 0, start
        while depth or text[end] not in ",}]":
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(text[end], 0)
            end += 1
        yield f"{name} is {value[:20]}", (text[:start] + value + text[end:]).encode()


def annotation_cases(folder):
    path = folder / "annotations.json"
    text = json.dumps({
        "images": [{"id": 1, "file_name": "a.jpg", "height": 8, "width": 9}], "categories": [{"id": 3, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": 3, "segmentation": [[1, 1, 5, 1, 5, 5]]}]})
    lengths = {"long number": "o" * 10**6, "many counts": "0" * 10**6, "negative": "P1", "cut off": "o",
               "letters": "\x1b~\u00e9", "empty": ""}

    def read():
        for photograph in read_annotations(str(path)).photographs:
            for instance in photograph.instances:
                try:
                    pieces(instance.segmentation, 8, 9)
                except Exception as error:      # as draw_instances does
                    raise UNetError(f"{path}: {str(error)[:100]}") from None

    codes = ((name, text.replace("[[1, 1, 5, 1, 5, 5]]", json.dumps({"size": [8, 9], "counts": counts})).encode())
             for name, counts in lengths.items())
    names = ("images", "id", "file_name", "height", "categories", "annotations", "image_id", "segmentation")
    for name, data in itertools.chain(damages(text.encode()), replaced(text, names), codes):
        yield f"annotations: {name}", path, data, read


def json_cases(folder):
    """splits.json, classes.json, folds.json, run-length tables of history.csv."""
    splits = json.dumps({"train": ["a", "b"], "validation": ["c"]})
    many = json.dumps({"train": ["a"] * 200_000, "validation": ["b"]}).encode()
    for name, data in itertools.chain(damages(splits.encode()), replaced(splits, ("train", "validation")),
                                      [("one name 200,000 times", many)]):
        yield f"splits: {name}", folder / "splits.json", data, lambda: read_splits(folder / "splits.json")
    classes = json.dumps({"cell": [1, 2], "edge": "#00ff00"})
    for name, data in itertools.chain(damages(classes.encode(), 15), replaced(classes, ("cell", "edge"))):
        yield f"classes: {name}", folder / "classes.json", data, lambda: resolve([], folder, 3)
    (folder / "classes.json").unlink()
    result = {"fold": 1, "scores": {"Dice": 0.5}, "minutes": 1.0, "validation_samples": ["a"]}
    folds = json.dumps({"folds": 2, "results": [result]})
    for name, data in itertools.chain(damages(folds.encode(), 15), replaced(
            folds, ("folds", "results", "fold", "scores", "Dice", "minutes", "validation_samples"))):
        yield f"folds: {name}", folder / "folds.json", data, lambda: read_results(folder)
    rows = b"step,epoch\n1,1,step,0.5,0.1,1,1,0.1,,,,,,,\n"
    for name, data in damages(rows, 10):
        yield f"history: {name}", folder / "history.csv", data, lambda: list(read_history(folder / "history.csv"))


def npy(header, data=bytes(8)):
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


def npy_headers():
    for shape in ("(1,)", "(10**9,)", "(1000000000000,)", "(-1,)", "(-2, -1)", "(2**62, 2**62)", "1", "(1e9,)",
                  "(" * 99, f"({'9' * 90},)"):
        yield f"shape {shape[:20]}", npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}")
    for kind in ("|O", "<f999", "V9999999999", "<U1000000000", "[('a', '<f8')]"):
        yield f"kind {kind}", npy(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': (1,)}}")


def zipped(entries):
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        warnings.simplefilter("ignore")     # two entries of one name
        for name, data in entries:
            file.writestr(name, data)
    return buffer.getvalue()


def array_cases(folder):
    """npz and HDF5 files of weights, and label.npy."""
    path, labels = folder / "weights.npz", folder / "label.npy"
    good = zipped([("a.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}")), ("b.npy", b"text")])
    claims = ((name, zipped([("a.npy", data)])) for name, data in npy_headers())
    twice = [("one name twice", zipped([("a.npy", b"x"), ("a.npy", b"y")]))]
    for name, data in itertools.chain(damages(good), claims, twice):
        yield f"npz: {name}", path, data, lambda: read_arrays(path)
    for name, data in itertools.chain(damages(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}"), 10),
                                      npy_headers()):
        yield f"labels: {name}", labels, data, lambda: StoredLabels(labels, 2)
    path = folder / "weights.h5"
    for name, make in HDF5.items():
        with h5py.File(path, "w") as file:
            make(file, folder)
        yield f"HDF5: {name}", path, None, lambda: read_arrays(path)
    with h5py.File(path, "w") as file:
        file["layers/a/vars/0"] = np.ones((3, 3))
    for name, data in damages(path.read_bytes(), 60):
        yield f"HDF5: {name}", path, data, lambda: read_arrays(path)


def in_another_file(file, folder):
    (folder / "secret").write_bytes(bytes(80))
    file.create_dataset("layers/a", (10,), "f8", external=[(str(folder / "secret"), 0, 80)])


def virtual(file, folder):
    layout = h5py.VirtualLayout((10,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "secret"), "a", (10,))
    file.create_virtual_dataset("layers/a", layout)


def hard_link(file, folder):
    layers = file.create_group("layers")
    layers["layers"] = layers


HDF5 = {
    "numbers in another file": in_another_file, "a virtual array": virtual, "a group in itself": hard_link,
    "a link to another file": lambda file, folder: file.update({"layers": h5py.ExternalLink("secret", "/")}),
    "a link": lambda file, folder: file.update({"layers": h5py.SoftLink("/elsewhere")}),
    "a link to weights": lambda file, folder: file.update({"model_weights": h5py.SoftLink("/")}),
    "a claim of 8 TB": lambda file, folder: file.create_dataset("layers/a", (10**6, 10**6), "f8", chunks=(10, 10)),
    "a claim of 2**60 numbers": lambda file, folder: file.create_dataset("a", (2**30, 2**30), "f4", chunks=(10, 10)),
    "names of nothing": lambda file, folder: file.attrs.update({"layer_names": [b"a", b"b"]}),
    "names that are numbers": lambda file, folder: file.attrs.update({"layer_names": 7}),
    "texts as weights": lambda file, folder: file.create_dataset("layers/a", data=["text"]),
}


def onnx_cases(folder):
    path = folder / "x.onnx"

    config = parse_options([f"--file_name={path}", "--num_channels=2", "--backend=onnx"], "")

    def read():
        network = load_network(config)
        predict = in_windows(network.averaged(of_windows=True), network.windows, -1)
        list(predict(np.zeros((1, 2, 40, 40), np.float32)))

    cases = [(f"{name} is {value[:20]}", onnx_file((1, 2, 16, 16), 2, {name: value}))
             for name, value in itertools.product(("num_classes", "scale", "input_range", "channels",
                                                   "normalize_percentiles"), VALUES)]
    good = {"context": "16", "grid": "2", "window": "64"}
    cases += [(f"{name} is {value[:20]}, windows", unet_file(metadata={**good, name: value}))
              for name, value in itertools.product(good, (*VALUES, "2", "8", "96.0", "1e3"))]
    cases += [(f"size {shape}", onnx_file(shape, shape[1])) for shape in (
        (10**9, 2, 16, 16), (2**62, 2, 16, 16), (0, 2, 16, 16), (1, 2, 0, 0), (1, 2, 10**6, 10**6), (1, 10**9, 1, 1),
        ("n", 2, "h", "w"), ("n", 2, "h", "h"), (1, "c", 16, 16))]
    for name, data in itertools.chain(damages(onnx_file((1, 2, 16, 16))), cases):
        yield f"ONNX: {name}", path, data, read


def record(tag, content=bytes(4), dims=(1,), kind="Float32"):
    message = Checkpoint()
    value = message.value.add()
    value.tag, value.tensor.tensor_type, value.tensor.tensor_content = tag, kind, content
    value.tensor.dims.extend(dims)
    return message.SerializeToString()


def state(text):
    return record("training_state", text.encode("utf-32-le"), (), "str")


def record_cases(folder):
    """Checkpoints whose records are not what they say; the states of runs."""
    path, good = folder / "records.ckpt", '{"step": 5, "scale": 1.0, "run": "a"}'
    cases = {
        "interleaved": record("a", bytes(4), (2,)) + record("b") + record("a", bytes(4), (2,)),
        "negative size": record("a", bytes(4), (-1, -1)), "negative": record("a", b"", (-4,)),
        "overflow": record("a", bytes(4), (2**62, 4)), "zero": record("a", b"", (0, 0)),
        "long name": record("a" * 10**6),
        "a million dimensions": record("a", dims=[2**31] * 10**6),
        "no kind": record("a", kind=""), "a kind of 2**30 bits": record("a", kind=f"Float{2**30}"),
        "two states": state(good) + record("b") + state(good), "a state twice": state(good) + state(good),
        "a deep state": state("[" * 100_000), "a state that is none": record("training_state", b"\xff" * 8, (), "str"),
        "a state of no characters": record("training_state", good.encode("utf-32-le") + b"\0\0\x77\0", (), "str"),
    }
    states = ((f"state: {name}", state(data.decode())) for name, data in replaced(good, ("step", "scale", "run")))

    def read():
        CheckpointContents(path)

    def look():
        try:
            read_state(path)
        except ValueError as error:     # as those who look for checkpoints do
            raise UNetError(f"{path}: {error}") from None

    for name, data in itertools.chain(cases.items(), states):
        yield f"records: {name}", path, data, read
        yield f"records, looked into: {name}", path, data, look


def archive_cases(folder):
    archive = folder / "data.zip"
    good = zipped([("d/a.txt", b"text"), ("d/b.txt", bytes(1000))])
    cases = {name: zipped(entries) for name, entries in {
        "a name that leads out": [("../../out.txt", b"x")], "an absolute name": [("/out.txt", b"x")],
        "a name twice": [("a", b"x"), ("a", b"y")], "a folder for a file": [("a", b"x"), ("a/b", b"y")]}.items()}
    for number, (name, data) in enumerate(itertools.chain(damages(good, 20), cases.items())):
        yield f"archive: {name}", archive, data, lambda number=number: unzip(archive, folder / f"data_{number}")


def tiff_claim_cases(folder):
    """Descriptions that claim more pages than there are, and chains of headers."""
    path = folder / "claims.tif"

    def saved(**options):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, np.zeros((4, 4), np.uint8), metadata=None, **options)
        return buffer.getvalue()

    xml = tifffile.OmeXml()
    xml.addimage(np.uint8, (1, 4, 4), (1, 1, 1, 4, 4, 1), axes="ZYX")
    cases = {f"ImageJ says {count} images": saved(description=f"ImageJ=1.11a\nimages={count}\nslices={count}\n")
             for count in (0, -1, 10**6, 10**9, 10**18, "x")}
    cases |= {f"OME says {count} slices": saved(description=xml.tostring().replace('SizeZ="1"', f'SizeZ="{count}"'))
              for count in (0, -1, 10**6, 10**9, 10**18, "x")}
    cases |= {f"tifffile says {shape}": saved(description=f'{{"shape": {shape}}}')
              for shape in ("[1000000000, 4, 4]", "[-1, 4, 4]", "[1e999, 4]", "7", "[]")}
    cases["200,000 headers"] = chain(200_000)
    for name, data in cases.items():
        yield f"TIFF: {name}", path, data, lambda: open_pages(path).__enter__()


def chain(count):
    """A TIFF file of as many headers, all with the same pixels."""
    tags = ((256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 4), (279, 16))
    header = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    size = len(header) + 4
    return b"II*\0" + struct.pack("<I", 24) + bytes(16) + b"".join(
        header + struct.pack("<I", 24 + number * size if number < count else 0) for number in range(1, count + 1))


def irregular_cases(folder):
    readers = {"x.png": open_pages, "s.json": read_splits, "w.npz": read_arrays, "c.ckpt": CheckpointContents,
               "a.json": lambda path: read_annotations(str(path)), "x.onnx": OnnxNetwork,
               "d.zip": lambda path: unzip(path, folder / "unzipped")}
    for kind, (name, read) in itertools.product(("FIFO", "device"), readers.items()):
        path = folder / f"{kind}_{name}"
        if kind == "FIFO":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        yield f"irregular: {kind} {name}", path, None, lambda read=read, path=path: read(path).__enter__()


CLAIM_CASES = (annotation_cases, json_cases, array_cases, onnx_cases, record_cases, archive_cases, tiff_claim_cases,
               irregular_cases)
