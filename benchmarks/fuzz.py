"""Give readers inputs that hypothesis makes up, and look for anything but a result or the project's own error.

``python benchmarks/fuzz.py --minutes=10`` tries image files, YAML, checkpoints, ONNX files and JSON files in turn, each
for so many minutes. A finding is another exception, an input that takes longer than SECONDS, or more than MOST_GB of
memory. Each kind of finding is printed once, and its input is kept in FOLDER. If a reader ends this process, its last
input is there too. The exit status is 1 if anything was found.
"""
import argparse
import io
import itertools
import json
import logging
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import tifffile
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.data.image_reader import open_pages
from src.data.splits import read_splits
from src.export.onnx_model import OnnxNetwork
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.memory import peak_memory_gb
from src.model_utils.schema import CONFIGS, load_schema
from tests.support.alarm import in_time

SECONDS, MOST_GB = 10, 4
EXAMPLES = 100      # of a round; between two rounds the script looks at the clock


# ---- strategies


@st.composite
def damaged(draw, files):
    """The bytes of one of the files after a few changes: bytes set, taken out, put in, doubled, or cut off."""
    data = bytearray(draw(st.sampled_from(files)))
    # Most of what a reader believes is near the beginning.
    place = st.one_of(st.integers(0, min(len(data), 300)), st.integers(0, len(data)))
    for _ in range(draw(st.integers(1, 6))):
        start, kind = draw(place), draw(st.integers(0, 4))
        if kind == 0:
            data[start:start + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == 1:
            del data[start:start + draw(st.integers(1, 40))]
        elif kind == 2:
            data[start:start] = draw(st.binary(min_size=1, max_size=20))
        elif kind == 3:
            number = draw(st.sampled_from([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]))
            data[start:start + 4] = number.to_bytes(4, draw(st.sampled_from(["little", "big"])))
        else:
            del data[start + draw(st.integers(0, 400)):]
    return bytes(data)


def images():
    """Small images in all formats and compressions."""
    rng = np.random.default_rng(0)
    gray, colour = (rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((9, 13), (9, 13, 3)))
    files = []

    def keep(write, *arguments, **options):
        buffer = io.BytesIO()
        write(buffer, *arguments, **options)
        files.append(buffer.getvalue())

    for name, mode in itertools.product(("PNG", "JPEG", "GIF", "BMP", "WEBP"), ("L", "RGB")):
        keep(Image.fromarray(colour).convert(mode).save, format=name)
    keep(Image.fromarray(colour).quantize(8).save, format="PNG")
    keep(Image.fromarray(gray.astype(np.uint16) * 200).save, format="PNG")
    for compression in (None, "zlib", "lzw", "jpeg", "packbits"):
        keep(tifffile.imwrite, colour, photometric="rgb", compression=compression)
    keep(tifffile.imwrite, np.stack([gray] * 3), photometric="minisblack", imagej=True)
    keep(tifffile.imwrite, np.stack([gray] * 3), photometric="minisblack", ome=True)
    keep(tifffile.imwrite, np.stack([gray] * 3).astype(np.float32), photometric="minisblack", bigtiff=True)
    keep(tifffile.imwrite, gray, photometric="minisblack", metadata=None,
         extratags=[(code, "I", 3, (1, 2, 3), True) for code in (315, 33432, 33550, 33629, 34735, 50838, 65000)])
    keep(tifffile.imwrite, np.tile(gray, (4, 3)), photometric="minisblack", tile=(16, 16))
    return damaged(files)


NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, -1, 2**31, 2**63, 10**400, 1e308]))
VALUES = st.recursive(st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=12)), lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)), max_leaves=8)


def yaml_texts():
    """Lines of options with any values, words of YAML's own, and damaged configurations of the project."""
    names = st.sampled_from(sorted(load_schema()) + ["base_config", "<<", "no_option"])
    words = st.sampled_from(["&a", "*a", "!!int", "!!python/name:os.system", "<<:", "- ", "? ", "| ", "{", "[", "---",
                             "...", "1:30", ".inf", "0x_", "2020-01-01",
                             "%YAML 1.1", "\t", "'", '"', "#", "@", "=", "~"])
    line = st.one_of(st.builds("{}: {}".format, names, VALUES), st.builds("{}: {} {}".format, names, words, VALUES),
                     st.lists(words, max_size=4).map(" ".join), st.text(max_size=20))
    text = st.lists(line, max_size=8).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass"))
    return st.one_of(text, damaged([path.read_bytes() for path in sorted(CONFIGS.glob("*.yaml"))]))


def checkpoints():
    """Records of any kinds and shapes, and damaged files of them."""
    from mindspore.train.checkpoint_pb2 import Checkpoint

    def encoded(records):
        message = Checkpoint()
        for tag, kind, dims, content in records:
            value = message.value.add()
            value.tag, value.tensor.tensor_type, value.tensor.tensor_content = tag, kind, content
            value.tensor.dims.extend(dims)
        return message.SerializeToString()

    states = st.dictionaries(st.sampled_from(["step", "scale", "run", "callbacks", "normalize", "channels"]), VALUES)
    state = states.map(lambda items: ("training_state", "str", [], repr(items).replace("'", '"').encode("utf-32-le")))
    kinds = st.one_of(st.sampled_from(["Float32", "Float16", "Int64", "Bool", "str", "BFloat16", "UInt8"]),
                      st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
    sides = st.one_of(st.integers(0, 4), st.integers(-2**63, 2**63 - 1))
    record = st.tuples(st.sampled_from(["a.weight", "b", "moment1.b", "global_step", "training_state", ""]), kinds,
                       st.lists(sides, max_size=4), st.binary(max_size=24))
    good = encoded([("a.weight", "Float32", [2], bytes(8)), ("global_step", "Int32", [1], bytes(4)),
                    ("training_state", "str", [], '{"step": 5, "run": "a"}'.encode("utf-32-le"))])
    return st.one_of(st.lists(st.one_of(record, state), max_size=5).map(encoded), damaged([good]))


def onnx_files():
    """Networks with any metadata and sizes, and damaged files of them."""
    from tests.support.damaged_claims import onnx_file

    names = st.sampled_from(["num_classes", "context", "grid", "scale", "input_range", "channels", "model_name",
                             "normalize", "normalize_percentiles"])
    letters = st.characters(exclude_categories=["Cs"])
    texts = st.one_of(NUMBERS.map(str), VALUES.map(repr), st.text(letters, max_size=20))
    sizes = st.tuples(*[st.one_of(st.integers(1, 32), st.integers(-1, 2**62), st.sampled_from("nhw"))] * 4)
    known = onnx_file((1, 2, 16, 16))
    return st.one_of(st.builds(onnx_file, st.just((1, 2, 16, 16)), st.just(2), st.dictionaries(names, texts)),
                     st.builds(onnx_file, sizes, st.integers(1, 300)), damaged([known]))


def json_texts():
    """Splits, what is said beside a network, and records of a prediction, with any values, and damaged."""
    texts, paths = st.text(max_size=12), st.lists(st.text(max_size=12), max_size=4)
    page = st.fixed_dictionaries({"name": texts, "height": NUMBERS, "width": NUMBERS, "shares": VALUES, "found": VALUES,
                                  "picture": VALUES})
    known = [
        st.fixed_dictionaries({"train": paths, "validation": st.one_of(paths, VALUES)}),
        st.dictionaries(st.sampled_from(["model_name", "num_channels", "num_classes", "normalize", "input_range",
                                         "geometry", "eval_activate", "color", "scale"]), VALUES),
        st.fixed_dictionaries({"image": st.one_of(st.lists(VALUES, max_size=3), VALUES), "made_with": VALUES,
                               "kinds": VALUES, "results": st.dictionaries(texts, NUMBERS, max_size=2),
                               "pages": st.one_of(VALUES, st.lists(page, max_size=2)), "rows": VALUES,
                               "failed": VALUES})]
    written = st.one_of(*known, VALUES).map(lambda value: json.dumps(value).encode())
    good = b'{"image": ["a", 1, 2], "made_with": {}, "kinds": [], "results": {}, "pages": [], "rows": [], "failed": ""}'
    return st.one_of(written, damaged([good, b'{"train": ["a"], "validation": ["b"]}']))


# ---- readers


def read_image(path):
    """Read all pages, as training and prediction do."""
    with open_pages(path) as pages:
        for page in pages[:5]:
            page.stored()
            page.shown()


def read_checkpoint(path):
    """Look for the state, then load all."""
    from src.training.checkpoint_contents import CheckpointContents
    from src.training.checkpoint_files import find_checkpoints

    find_checkpoints(path.parent)
    CheckpointContents(path)


def read_onnx(path):
    """Load the network, and follow what it was trained with."""
    from src.data.input_options import follow

    network = OnnxNetwork(path)
    network.check(2, 2)
    follow(parse_options([], ""), network.options, path)


def read_json(path):
    """Read it as each of the files that others may have made."""
    from src.data.image_files import ImageFile
    from src.data.input_options import follow
    from src.export.network_file import options_of
    from src.inference.records import Records

    records = Records(path.parent, {"scale": 0.0}, [])
    file = ImageFile(path, "a")
    records.folder.mkdir(exist_ok=True)
    records.path(file).write_bytes(path.read_bytes())
    path.with_suffix("").touch()        # the file beside which it is
    config = parse_options([f"--file_name={path.with_suffix('')}"], "")
    for read in (lambda: read_splits(path), lambda: follow(config, options_of(config), path),
                 lambda: records.left([file])):
        with suppress(UNetError):
            read()


TARGETS = {"images": (images, "image", read_image),
           "yaml": (yaml_texts, "a.yaml", lambda path: parse_options([f"--config_path={path}"], "")),
           "checkpoints": (checkpoints, "best.ckpt", read_checkpoint), "onnx": (onnx_files, "a.onnx", read_onnx),
           "json": (json_texts, "a.mindir.json", read_json)}


# ---- running


def fuzz(name, minutes, folder):
    """Try inputs for so many minutes; return the number of tries, Counter of outcomes, and findings."""
    strategy, file_name, read = TARGETS[name]
    path, outcomes, findings = folder / file_name, Counter(), {}
    end = time.monotonic() + 60 * minutes
    inputs = strategy()

    def attempt(data):
        path.write_bytes(data)
        started = time.monotonic()
        try:
            with in_time(SECONDS):
                read(path)
            kind = "result"
        except UNetError as error:
            kind = "refused" if "\n" not in str(error) else "several lines"
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {str(error)[:100]}"
        if time.monotonic() - started >= SECONDS:       # a reader may take the end of time for damage
            kind = f"more than {SECONDS} s"
        if peak_memory_gb() > MOST_GB and not any("GB" in found for found in findings):
            kind = f"more than {MOST_GB} GB"
        outcomes[kind if kind in ("result", "refused") else "finding"] += 1
        if kind not in ("result", "refused") and kind not in findings:
            findings[kind] = folder / f"finding_{name}_{len(findings)}"
            findings[kind].write_bytes(data)
            print(f"  {kind}: {findings[kind]}", flush=True)

    limits = settings(max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
                      suppress_health_check=list(HealthCheck))
    numbers = itertools.count()
    while time.monotonic() < end:
        seed(next(numbers))(limits(given(inputs)(attempt)))()
    return outcomes, findings


def main():
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="for each kind of input")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this kind; may be given several times")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    os.environ.setdefault("GLOG_v", "4")        # MindSpore would log each damaged file
    folder, found = Path(tempfile.mkdtemp(prefix="fuzz_")), 0
    for name in options.target or TARGETS:
        outcomes, findings = fuzz(name, options.minutes, folder)
        found += len(findings)
        print(f"{name}: {outcomes.total()} inputs: {outcomes['result']} results, {outcomes['refused']} refused, "
              f"{len(findings)} kinds of findings", flush=True)
    print(f"inputs of findings: {folder}" if found else "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
