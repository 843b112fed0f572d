"""Compute the tables of docs/design/scaling.md: what data-parallel training on many devices would cost.

``python benchmarks/scaling.py`` prints them, ``--update`` writes them into docs/design/scaling.md. Parameters are
counted in the project's own networks; step times and link speeds are published ones. With ``--isbi=DIR --nuclei=DIR``
it also measures the processor time that a training sample takes on this machine.
"""
import argparse
import math
import statistics
import sys
import time
from functools import lru_cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BYTES = 4       # float32; with mixed precision too, weights and their gradients are float32
# One direction of one link, bytes a second; the sources are in docs/design/scaling.md.
LINKS = {"HCCS": 240e9 / 8, "PCIe": 16e9 * 16 / 8 * 128 / 130, "100 Gb/s": 100e9 / 8}
HOP_SECONDS = 5e-6
DEVICES = (8, 64, 1024)
DEVICES_A_SERVER = 8
EFFICIENCY = 0.9

MEDICAL = ["--config_path=unet_medical_config.yaml"]
NESTED_CELL = ["--config_path=unet_nested_cell_config.yaml"]
# Published steps: network, device -> options, batch, seconds a step.
STEPS = {
    ("unet_medical 572x572", "Ascend 910"): (MEDICAL, 16, 0.267),
    ("unet_medical 572x572", "V100"): (MEDICAL, 12, 0.423),
    ("unet_nested 96x96", "Ascend 910, 200 images/s"): (NESTED_CELL, 16, 16 / 200),
    ("unet_nested 96x96", "V100, 280 images/s"): (NESTED_CELL, 16, 16 / 280),
}
# Data set: training images, passes an epoch, epochs of a run, learning rate; batch 16 on each device.
RUNS = {
    "ISBI, one fold": (24, 400, 1, 1e-4),
    "nuclei of 2018": (536, 10, 20, 3e-4),
    "COCO 2017": (118_287, 1, 120, 2e-4),
}
BATCH = 16


def options(argv):
    """Return the Config of an experiment."""
    from src.model_utils.config import parse_options

    return parse_options([part.replace("=unet_", f"={PROJECT}/unet_") if "config_path" in part else part
                          for part in argv], "")


@lru_cache
def gradient_bytes(*argv):
    """Return the bytes of the gradients of a step with these options: one float32 for each trained parameter."""
    from src.networks.registry import NetworkSpec, build_network

    network = build_network(NetworkSpec.from_config(options(argv)))
    return BYTES * sum(math.prod(parameter.shape) for parameter in network.trainable_params())


def ring_seconds(size, devices, bandwidth, hop=0.0):
    """Return seconds of a ring all-reduce of ``size`` bytes: n devices send 2(n-1) pieces of size/n each, in turn."""
    return 2 * (devices - 1) * (size / devices / bandwidth + hop)


def smallest_batch(seconds_an_image, communication):
    """Return the smallest batch with which a device computes for EFFICIENCY of each step, if nothing overlaps."""
    return math.ceil(EFFICIENCY / (1 - EFFICIENCY) * communication / seconds_an_image)


def row(*cells):
    """Return a line of a Markdown table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def table(head, rows):
    """Return a Markdown table."""
    return "\n".join([row(*head), "|" + "---|" * len(head), *(row(*cells) for cells in rows)])


def _short(number):
    return f"{number:.0f}" if number >= 100 else f"{number:.2g}"


def gradients_table():
    """Return the table of parameters and gradients of each network, and the bytes of the gradients."""
    from src.networks.registry import names

    sizes = {name: gradient_bytes(*(MEDICAL if name == "unet_medical" else [f"--model_name={name}"]))
             for name in names()}
    rows = [*sizes.items(), ("unet_nested of the nuclei run", gradient_bytes(*NESTED_CELL))]
    return table(["network", "trained parameters", "gradients a step"],
                 [(name, f"{size // BYTES:,}", f"{size / 1e6:.1f} MB") for name, size in rows]), sizes


def ring_table(sizes):
    """Return the table of milliseconds of a ring all-reduce for each network, number of devices and link."""
    rows = [(name, devices, *(f"{1e3 * ring_seconds(size, devices, speed):.1f}" for speed in LINKS.values()))
            for name, size in sizes.items() for devices in DEVICES]
    return table(["network", "devices", *LINKS], rows)


def batch_table():
    """Return the table of the smallest batch on a device for each published step; in brackets with HOP_SECONDS."""
    rows = []
    for (name, device), (argv, batch, seconds) in STEPS.items():
        size = gradient_bytes(*argv)
        for devices in DEVICES:
            cells = []
            for speed in LINKS.values():
                least, late = (smallest_batch(seconds / batch, ring_seconds(size, devices, speed, hop))
                               for hop in (0.0, HOP_SECONDS))
                cells.append(f"{least} ({late})")
            rows.append((name, device, f"{1e3 * seconds / batch:.1f} ms", devices, *cells))
    return table(["network", "on", "an image", "devices", *LINKS], rows)


def sample_seconds(config):
    """Return the processor seconds of a training sample in one thread: median over samples, images in memory."""
    import cv2

    from src.data.samples import create_samples

    cv2.setNumThreads(1)
    samples, _ = create_samples(config)
    times = []
    for position in [*range(60)] * 2:
        started = time.process_time()
        samples[position]       # this reads and augments it
        times.append(time.process_time() - started)
    return statistics.median(times[60:])


def sample_bytes(config):
    """Return the bytes of a sample from the pipeline: a float32 image and a one-hot label."""
    height, width = config.image_size
    crop = config.crop or config.image_size
    return BYTES * (config.num_channels * height * width + config.num_classes * math.prod(crop))


def data_table(measured):
    """Return the table of what the data pipeline must deliver at EFFICIENCY, and of the processor cores for that."""
    rows = []
    for (name, device), (argv, batch, seconds) in STEPS.items():
        rate = EFFICIENCY * batch / seconds
        server = DEVICES_A_SERVER * rate
        cores = f"{server * measured[name]:.1f}" if name in measured else "–"
        rows.append((name, device, *(f"{count * rate:,.0f}" for count in DEVICES),
                     f"{server * sample_bytes(options(argv)) / 1e6:,.0f} MB/s", cores))
    return table(["network", "on", *(f"images/s, {count} devices" for count in DEVICES), "into a server of 8",
                  "cores a server"], rows)


def steps_table():
    """Return the table of the steps of a run on several devices, and of the learning rates that two rules give."""
    rows = []
    for name, (images, repeat, epochs, rate) in RUNS.items():
        for devices in (1, *DEVICES):
            batch = BATCH * devices
            steps = images * repeat // batch * epochs
            rows.append((name, devices, f"{batch:,}", _short(batch / images), f"{steps:,}" if steps else "none",
                         _short(rate * math.sqrt(devices)), _short(rate * devices)))
    return table(["run", "devices", "batch", "times each image is in a batch", "steps", "rate, square root",
                  "rate, linear"], rows)


def update(path, tables):
    """Write the tables between their markers in the document."""
    from src.model_utils.files import write_atomically

    text = path.read_text(encoding="utf-8")
    for name, content in tables.items():
        marker = f"<!-- {name} -->"
        head, found, rest = text.partition(marker)
        _, end, tail = rest.partition("<!-- end -->")
        if not found or not end:
            raise SystemExit(f"error: {path}: no {marker} ... <!-- end -->")
        text = f"{head}{marker}\n{content}\n{end}{tail}"
    write_atomically(path, text.encode())


def main(argv=None):
    """Print the tables or write them into the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isbi", metavar="DIR", help="measure a training sample of these stacks")
    parser.add_argument("--nuclei", metavar="DIR", help="measure a training sample of this folder data set")
    parser.add_argument("--update", action="store_true", help="write docs/design/scaling.md")
    given = parser.parse_args(argv)
    measured = {}
    for name, run, folder in (("unet_medical 572x572", MEDICAL, given.isbi),
                              ("unet_nested 96x96", NESTED_CELL, given.nuclei)):
        if folder:
            config = options([*run, f"--data_path={folder}"])
            measured[name] = sample_seconds(config)
            print(f"{name}: {1e3 * measured[name]:.2f} ms of processor time a sample of "
                  f"{sample_bytes(config) / 1e6:.2f} MB\n")
    gradients, sizes = gradients_table()
    tables = {"gradients": gradients, "ring": ring_table(sizes), "batch": batch_table(), "data": data_table(measured),
              "steps": steps_table()}
    if given.update:
        update(PROJECT / "docs" / "design" / "scaling.md", tables)
    else:
        print("\n\n".join(tables.values()))


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
