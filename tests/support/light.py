"""Light runs, where a test is about neither the network nor the curves: a shallow unet_simple, and nothing drawn.

A shallow network compiles in a third of the time of the real one, and the curves take half of a short run.
"""
import dataclasses
import os
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from types import ModuleType
from unittest import mock

from src.networks import registry
from tests.support.scripts import PROJECT, SCRIPT_ENVIRONMENT

# Of processes: their PYTHONPATH has them load light_site/sitecustomize.py.
SITE = os.pathsep.join([str(PROJECT / "tests" / "support" / "light_site"), str(PROJECT)])
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
