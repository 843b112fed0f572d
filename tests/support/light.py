"""Light runs, where a test is about neither the network nor the curves: a shallow unet_simple, and nothing drawn.

A shallow network compiles in a third of the time of the real one, and the curves take half of a short run.
"""
import dataclasses
import json
import logging
import os
import signal
import threading
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from types import ModuleType
from unittest import mock

from src.networks import registry
from tests.support.scripts import PROJECT, SCRIPT_ENVIRONMENT

# Of processes: their PYTHONPATH has them load light_site/sitecustomize.py.
SITE = os.pathsep.join([str(PROJECT / "tests" / "support" / "light_site"), str(PROJECT)])
# Of a process: names of signals that it sends to itself, and beginnings of lines of its log; see ``at_line``.
SIGNALS = "UNET_TESTS_SIGNALS"
# What src/report/figures.py draws -> what is there instead.
FIGURES = {"progress_png": b"", "curve_svgs": {}, "confusion_svg": "", "counts_svg": "", "sizes_svg": ""}


def without_drawing():
    """What takes the place of src/report/figures.py in a process that has not loaded it: matplotlib stays out."""
    module = ModuleType("src.report.figures")
    for name, drawn in FIGURES.items():
        setattr(module, name, lambda *args, drawn=drawn: drawn)
    return module


def shallow_registry():
    """The patch that makes unet_simple shallow in this process. MindSpore is loaded only when it is looked up."""
    look_up = registry.entry

    @lru_cache
    def shallow_entry(model_name):
        found = look_up(model_name)
        if model_name != "unet_simple":
            return found
        from tests.support.shallow_network import ShallowUNet

        return dataclasses.replace(found, network_class=ShallowUNet)

    return mock.patch.object(registry, "entry", shallow_entry)


def at_line(lines, *signals):
    """The environment of a process that sends itself signals as soon as its log has come to all these lines, in turn.

    A test that read the log and sent them might be too late on a machine that does much else. The process goes on when
    it has heard the signal; after several ones it does not.
    """
    return {**SCRIPT_ENVIRONMENT, SIGNALS: json.dumps([[one.name for one in signals], lines])}


def raise_signals():
    """Do in this process what ``at_line`` asks for."""
    if SIGNALS not in os.environ:
        return
    names, left = json.loads(os.environ.pop(SIGNALS))
    heard = threading.Event()

    def look(record):
        message = record.getMessage()
        if left and message.startswith(left[0]):
            del left[0]
            if not left:
                for name in names:
                    os.kill(os.getpid(), signal.Signals[name])
                heard.wait()
        elif [name for name in names if message.startswith(f"{name}: finishing")] == names:
            heard.set()
        return True

    logging.getLogger("unet").addFilter(look)


@contextmanager
def light_runs():
    """Make the runs of unet_simple light in the block, in this process and in those that it starts."""
    variables = {"PYTHONPATH": SITE}
    with ExitStack() as patches:
        for name, drawn in FIGURES.items():
            place = "figures" if name == "progress_png" else "page"
            patches.enter_context(mock.patch(f"src.report.{place}.{name}", lambda *args, drawn=drawn: drawn))
        for patch in (shallow_registry(), mock.patch.dict(os.environ, variables),
                      mock.patch.dict(SCRIPT_ENVIRONMENT, variables)):
            patches.enter_context(patch)
        yield
