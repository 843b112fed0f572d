"""Networks of few channels, where a test is about all the rest: they train and are saved in a fraction of the time."""
import dataclasses
import os
from contextlib import contextmanager
from functools import lru_cache
from unittest import mock

from src.networks import registry
from tests.support.scripts import PROJECT, SCRIPT_ENVIRONMENT

# Of processes: the divisor of the channels. Their PYTHONPATH has them load narrow_site/sitecustomize.py.
DIVISOR = "UNET_TESTS_NARROW"
SITE = os.pathsep.join([str(PROJECT / "tests" / "support" / "narrow_site"), str(PROJECT)])


class NarrowLayers:
    """A layer set with fewer channels than another one.

    The channels of images and logits, which are fewer than 16, stay.
    """

    def __init__(self, layers, divisor):
        self.layers, self.divisor = layers, divisor

    def __getattr__(self, name):
        make = getattr(self.layers, name)

        def make_narrow(in_channels, out_channels, *args, **kwargs):
            channels = (number // self.divisor if number >= 16 else number for number in (in_channels, out_channels))
            return make(*channels, *args, **kwargs)
        return make_narrow if name in ("conv", "conv_relu", "conv_norm_relu", "deconv") else make


def narrow_registry(divisor):
    """The patch that divides the channels of all networks in this process."""
    look_up = registry.entry

    @lru_cache
    def narrow_entry(model_name):
        found = look_up(model_name)

        class Narrow(found.network_class):
            def __init__(self, *args, layers, **kwargs):
                super().__init__(*args, layers=NarrowLayers(layers, divisor), **kwargs)

        Narrow.__name__ = found.network_class.__name__
        return dataclasses.replace(found, network_class=Narrow)

    return mock.patch.object(registry, "entry", narrow_entry)


@contextmanager
def narrow_networks(divisor=4):
    """Divide the channels of all networks in the block, in this process and in those that it starts."""
    variables = {DIVISOR: str(divisor), "PYTHONPATH": SITE}
    with narrow_registry(divisor), mock.patch.dict(os.environ, variables), mock.patch.dict(
            SCRIPT_ENVIRONMENT, variables):
        yield
