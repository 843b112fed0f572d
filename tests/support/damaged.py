"""Damaged inputs in bulk, through every reader: ``python -m tests.support.damaged FOLDER`` prints one JSON line a case.

A process of its own, so that a crash of the interpreter would be seen as missing lines.
"""
import itertools
import json
import struct
import sys
import time
import zlib
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
import tifffile
from mindspore import nn
from PIL import Image

from src.data.channels import Channels
from src.data.image_mask_pairs import Pair, PairReader
from src.data.mask_pixels import MaskOptions
from src.data.stacks import StackReader, fold_indices
from src.data.synthetic import make_stacks
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.memory import peak_memory_gb
from src.networks.unet_simple import UNet
from src.training import checkpoint
from tests.support.alarm import in_time
from tests.support.damage import flipped, foreign, truncated, zeroed
from tests.support.damaged_claims import CLAIM_CASES

SECONDS = 10


def saved_tiff(folder, pages, **options):
    path = folder / "made.tif"
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, contiguous=False, metadata=None, **options)
    return path.read_bytes()


def tiff_with_tag(data, tag, value):
    """Set the value of a tag of the first page of a little-endian TIFF."""
    offset = struct.unpack("<I", data[4:8])[0]
    copy = bytearray(data)
    for number in range(struct.unpack("<H", data[offset:offset + 2])[0]):
        at = offset + 2 + 12 * number
        if struct.unpack("<H", data[at:at + 2])[0] == tag:
            copy[at + 2:at + 12] = struct.pack("<HII", 4, 1, value)
    return bytes(copy)


def stack_cases(folder):
    images, labels = make_stacks(6, 64)
    good = saved_tiff(folder, images, compression="zlib", photometric="minisblack")
    raw = saved_tiff(folder, images, photometric="minisblack")
    place = folder / "stacks"
    place.mkdir()
    (place / "train-labels.tif").write_bytes(saved_tiff(folder, labels, compression="zlib", photometric="minisblack"))
    # The same inside one value, which is as long as the universe is old when it is written out.
    laughing = "[&a [x, x, x, x, x, x, x, x, x], " + ", ".join(
        f"&{c} [{', '.join(['*' + b] * 9)}]" for b, c in zip("abcdefgh", "bcdefghi")) + "]\n"
    other = {
        **{f"billion laughs for {key}": f"{key}: {laughing}".encode()
           for key in ("crop", "use_bn", "base_config", "lr", "data_path", "dataset", "color", "filter_weight")},
        "billion laughs as choices": f"lr: 0.5\n---\nlr: help\n---\nlr: {laughing}".encode(),
        "infinite list": b"image_size: [.inf, 3]\n", "infinite": b"batch_size: .inf\n", "infinite rate": b"lr: .inf\n",
        "deep in a text": b"image_size: '" + b"[" * 900 + b"'\n", "zero in a name": b'base_config: "\\0"\n',
        "short colour": b"color: [[1, 2], [3, 4, 5]]\n", "bright colour": b"color: [[300, 0, 0]]\n",
        "16 bits": saved_tiff(folder, images.astype(np.uint16), photometric="minisblack"),
        "RGBA": saved_tiff(folder, np.stack([images] * 4, axis=-1), photometric="rgb", extrasamples=["unassalpha"]),
        "palette": saved_tiff(folder, images, photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
        "inverted": saved_tiff(folder, images, photometric="miniswhite"),
        "one page": saved_tiff(folder, images[:1], photometric="minisblack"),
        "31 pages": saved_tiff(folder, np.repeat(images, 6, axis=0)[:31], photometric="minisblack"),
        "other sizes": saved_tiff(folder, [images[0], images[1][:32], images[2]], photometric="minisblack"),
        "JPEG": saved_tiff(folder, images, compression="jpeg", photometric="minisblack"),
        "float": saved_tiff(folder, images.astype(np.float32), photometric="minisblack"),
        "next page is the same page": raw[:8] + raw[8:].replace(b"\0\0\0\0", struct.pack("<I", 8), 1),
    }
    for tag, value in itertools.product((256, 257, 258, 259, 273, 277, 278, 279), (0, 1, 70000, 2**31 - 1, 2**32 - 1)):
        other[f"tag {tag} is {value}"] = tiff_with_tag(raw, tag, value)
    cases = itertools.chain(truncated(good, 1024), truncated(raw, 1024), flipped(good, 60), flipped(raw, 40),
                            zeroed(good, 20), foreign(), other.items())
    path = place / "train-volume.tif"

    def read():
        fold_indices(len(StackReader(place)), 1)

    for name, data in cases:
        yield f"stack: {name}", path, data, read
    # Damage in the header, where it is felt.
    for name, data in flipped(raw[:300], 60):
        yield f"stack header: {name}", path, data + raw[300:], read


def png_with_size(data, width, height):
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def picture_cases(folder):
    place = folder / "pictures" / "a"
    place.mkdir(parents=True)
    images, labels = make_stacks(1, 64)

    def png(array):
        return cv2.imencode(".png", array)[1].tobytes()

    good = {"image.png": png(np.stack([images[0]] * 3, axis=-1)), "mask.png": png(labels[0])}
    made = folder / "made.png"

    def saved(image):
        image.save(made)
        return made.read_bytes()

    other = {"16 bits": png(images[0].astype(np.uint16) * 200), "RGBA": png(np.dstack([images[0]] * 4)),
             "palette": saved(Image.fromarray(images[0]).convert("P")),
             "bits": saved(Image.fromarray(labels[0]).convert("1")),
             "gray and alpha": saved(Image.fromarray(images[0]).convert("LA")), "one pixel": png(images[0][:1, :1])}
    for width, height in ((0, 1), (2**31 - 1, 2**31 - 1), (100000, 100000), (2**31 - 1, 1), (65, 64)):
        other[f"header of {width}x{height}"] = png_with_size(good["mask.png"], width, height)
    for file, data in good.items():
        cases = itertools.chain(truncated(data, 256), flipped(data, 60), zeroed(data, 10), foreign(), other.items())
        for name, damaged in cases:
            for back, whole in good.items():
                (place / back).write_bytes(whole)
            yield f"{file}: {name}", place / file, damaged, lambda: PairReader([Pair(
                place.name, place / "image.png", place / "mask.png")], Channels(3), MaskOptions())[0]


def config_cases(folder):
    path = folder / "some.yaml"
    good = b"model_name: unet_simple\nimage_size: [96, 96]\ncrop: None\nlr: 0.001\nuse_bn: True\nfilter_weight: [a]\n"
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{c}: &{c} [{', '.join(['*' + b] * 9)}]\n" for b, c in zip("abcdefgh", "bcdefghi"))
    other = {
        "tab": b"\tlr: 1\n", "tag": b"lr: !!python/object/apply:os.system ['touch owned']\n",
        "tag of a class": b"lr: !!python/name:os.system\n", "binary": b"lr: !!binary aGVsbG8=\n",
        "alias of nothing": b"lr: *nothing\n", "alias": b"image_size: &a [1, 2]\ncrop: *a\n",
        "alias of itself": b"lr: &a [*a]\n", "merge": b"a: &a {lr: 1}\n<<: *a\n",
        "100 deep": b"lr: " + b"[" * 100 + b"]" * 100, "10000 deep": b"lr: " + b"[" * 10000 + b"]" * 10000,
        "billion laughs": laughs.encode(), "billion laughs in a value": (laughs.replace("a: ", "lr: ", 1)).encode(),
        "huge number": b"batch_size: " + b"9" * 5000, "huge float": b"lr: 1e400\n", "date": b"lr: 2020-01-01\n",
        "list of lists": b"image_size: [[1, 2], [3]]\n", "null key": b"~: 1\n", "list key": b"[1, 2]: 3\n",
        "many documents": b"---\n" * 100 + b"a: 1\n---\n" * 10, "long line": b"data_path: " + b"x" * 10**6,
        "sexagesimal": b"batch_size: 1:30\n", "same key twice": b"lr: 1\nlr: 2\n",
    }
    cases = itertools.chain(truncated(good, 7), flipped(good, 60), zeroed(good, 10), foreign(), other.items())
    for name, data in cases:
        yield f"YAML: {name}", path, data, lambda: parse_options([f"--config_path={path}"], "")


def checkpoint_cases(folder):
    net = UNet(1, 2, feature_scale=16)
    step = nn.TrainOneStepCell(net, nn.Adam(net.trainable_params()))
    own, zoo = folder / "own.ckpt", folder / "zoo.ckpt"
    checkpoint.save(step, own, {"step": 5})
    ms.save_checkpoint(net, str(zoo))
    path = folder / "x.ckpt"
    for kind, file in (("checkpoint", own), ("checkpoint of the model zoo", zoo)):
        data = file.read_bytes()
        tail = flipped(data[-700:], 10)
        cases = itertools.chain(truncated(data, len(data) // 40), flipped(data, 40), zeroed(data, 10), foreign(),
                                ((name, data[:-700] + damaged) for name, damaged in tail))
        for name, damaged in cases:
            yield f"{kind}: {name}", path, damaged, lambda: checkpoint.resume(step, net, path)
        # Damage where the names and shapes stand.
        for name, damaged in flipped(data[:200], 40):
            yield (f"{kind}, first record: {name}", path, damaged + data[200:],
                   lambda: checkpoint.resume(step, net, path))


def outcome(path, read):
    """result, refused (UNetError that names the file), or what is wrong."""
    try:
        read()
        return "result", ""
    except UNetError as error:
        named = str(path) in str(error) or str(path.parent) in str(error)
        clear = named and "\n" not in str(error) and len(str(error)) < 600
        return "refused" if clear else "unclear message", str(error)
    except Exception as error:
        return type(error).__name__, str(error)[:300]


def main(folder):
    for cases in (stack_cases, picture_cases, config_cases, checkpoint_cases, *CLAIM_CASES):
        for name, path, data, read in cases(folder):
            if data is not None:        # None is for what the generator has made itself
                path.write_bytes(data)
            started = time.monotonic()
            with in_time(SECONDS):
                kind, message = outcome(path, read)
            print(json.dumps({"case": name, "outcome": kind, "message": message,
                              "seconds": round(time.monotonic() - started, 3)}), flush=True)
    print(json.dumps({"peak_gb": peak_memory_gb()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
