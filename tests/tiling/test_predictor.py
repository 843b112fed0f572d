"""Predictors of images of any size, with networks of one layer."""
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.networks.receptive_field import ReceptiveField
from src.tiling.predictor import BAND_BYTES, COMPILED_PIXELS, Windows, in_windows, size_in_training
from src.tiling.windows import count_windows
from tests.tiling.test_windows import SAME, image_of, same_network, truth


@settings(max_examples=30)
@given(height=st.integers(1, 90), width=st.integers(1, 150), has_few=st.booleans(),
       side=st.sampled_from([40, 64, 200]), lost=st.sampled_from([0, 4, 8]))
def test_images_of_any_size(height, width, has_few, side, lost):
    """Bands of the result of the whole image; all calls of the network for an image get one shape.

    The result is the same if the network gives less of the margin.
    """
    image, shapes = image_of(height, width), set()

    def network(images):
        shapes.add(images.shape)
        assert images.shape[0] * images.shape[2] * images.shape[3] <= side ** 2
        results = np.concatenate([same_network(image[None]) for image in images])
        return results[:, lost:results.shape[1] - lost, lost:results.shape[2] - lost]
    predict = in_windows(network, Windows(SAME, side, None, has_few=has_few), -1)
    bands = list(predict(image.transpose(2, 0, 1)[None]))
    np.testing.assert_allclose(np.concatenate([band[0] for band in bands]), truth(image, 8), atol=1e-5)
    assert len(shapes) == 1


def test_one_channel_becomes_both_classes():
    predict = in_windows(lambda images: images.transpose(0, 2, 3, 1) / 2 + 0.5, Windows(SAME, 40), -1)
    band, = predict(np.full((1, 1, 5, 7), 255, np.uint8))
    np.testing.assert_array_equal(band, np.tile(np.float32([0, 1]), (1, 5, 7, 1)))


FEW = Windows(ReceptiveField(0, 96, 16), 1280, has_few=True)


@pytest.mark.parametrize("sizes, inputs", [
    ([(512, 512)] * 30, {(704, 704)}),              # 512 and 96 pixels around it
    ([(500, 700)], {(704, 896)}),                   # 512x704
    # Neither size is worth the time that compiling for it takes.
    ([(250, 250), (255, 256), (200, 256)], {(448, 448)}),
    # The many small ones get theirs, and the large ones are cut into windows of four cores.
    ([(256, 256)] * 200 + [(2100, 2100)] * 9, {(448, 448), (1264, 1264)}),
    ([(6144, 8192)], {(1232, 1232)}),
    ([], set())])
def test_mindspore_gets_windows_of_two_sizes(sizes, inputs):
    assert set(FEW.for_images(sizes).inputs) == inputs


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 4000)), min_size=1, max_size=40),
       st.tuples(st.integers(1, 4000), st.integers(1, 4000)))
def test_all_images_get_windows_of_these_sizes(sizes, other):
    """Also those that were not looked at; one size of windows, or two that are worth the time of compiling."""
    windows = FEW.for_images(sizes)
    assert len(windows.inputs) in (1, 2)
    assert {windows.of(size).input for size in [*sizes, other]} <= set(windows.inputs)

    def pixels(inputs):
        few = replace(FEW, inputs=inputs)
        return sum(count_windows(size, few.of(size)) * np.prod(few.of(size).input) for size in sizes)
    if len(windows.inputs) == 2:
        assert all(pixels((one,)) - pixels(windows.inputs) >= COMPILED_PIXELS for one in windows.inputs)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 60)), min_size=1, max_size=4))
def test_chosen_windows_hold_the_whole_context(sizes):
    """Small images, too, are predicted as they are in windows of any size."""
    windows = Windows(SAME, 200, has_few=True).for_images(sizes)
    predict = in_windows(same_network, windows, -1)
    for size in sizes:
        image = image_of(*size)
        bands = [band[0] for band in predict(image.transpose(2, 0, 1)[None])]
        np.testing.assert_allclose(np.concatenate(bands), truth(image, 8), atol=1e-5)
    assert min(map(min, windows.inputs)) >= 3 * SAME.context


def test_windows_that_are_turned_are_square():
    config = parse_options(["--model_name=unet_simple", "--image_size=native", "--tta=True"], "")
    assert Windows.for_mindspore(config, 1280).for_images([(500, 700)] * 9).inputs == ((896, 896),)
    assert Windows(ReceptiveField(0, 96, 16), 300, has_few=True).for_images([(999, 999)]).inputs == ((288, 288),)
    assert Windows(ReceptiveField(0, 96, 16), 1280).for_images([(999, 999)]).inputs == ()


@pytest.mark.parametrize("has_few", [False, True])
def test_a_band_of_many_classes_has_few_rows(has_few):
    """80 rows of 20,000 pixels with 81 classes are 520 MB; what was chosen for a narrow image has fewer rows too."""
    windows = Windows(ReceptiveField(0, 96, 16), 912, None, 81, has_few).for_images([(720, 720), (20000, 3000)])
    assert windows.of((720, 720)).core == (720, 720)
    wide = windows.of((20000, 20000))
    assert wide.core[0] == 80 and BAND_BYTES // (4 * 20000 * 81) in range(80, 96)
    assert windows.of((20000, 3000)).core[0] == 544
    assert Windows(ReceptiveField(92, 0, 16), 0, (572, 572), 81).of((20000, 20000)).core == (80, 384)


def test_windows_of_valid_convolutions_are_the_patches_of_the_training():
    argv = ["--model_name=unet_medical", "--image_size=native"]
    config = parse_options([*argv, "--train_crop=[220,236]"], "")
    assert size_in_training(config) == Windows.for_mindspore(config).fixed_size == (220, 236)
    assert Windows.for_mindspore(parse_options([*argv, "--tile_size=252"], "")).fixed_size == (252, 252)
    with pytest.raises(UNetError, match="unet_medical cannot take an image of 100x100"):
        Windows.for_mindspore(parse_options([*argv, "--train_crop=100"], ""))
