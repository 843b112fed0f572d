"""Predictors of images of any size, with networks of one layer."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.networks.receptive_field import ReceptiveField
from src.tiling.predictor import BAND_BYTES, Windows, in_windows, size_in_training
from src.tiling.windows import choose_window
from tests.tiling.test_windows import SAME, image_of, same_network, truth


@settings(max_examples=30)
@given(height=st.integers(1, 90), width=st.integers(1, 150), small_core=st.sampled_from([0, 32]),
       side=st.sampled_from([40, 64, 200]), lost=st.sampled_from([0, 4, 8]))
def test_images_of_any_size(height, width, small_core, side, lost):
    """Bands of the result of the whole image; all calls of the network for an image get one shape.

    The result is the same if the network gives less of the margin.
    """
    image, shapes = image_of(height, width), set()

    def network(images):
        shapes.add(images.shape)
        assert images.shape[0] * images.shape[2] * images.shape[3] <= side ** 2
        results = np.concatenate([same_network(image[None]) for image in images])
        return results[:, lost:results.shape[1] - lost, lost:results.shape[2] - lost]
    predict = in_windows(network, Windows(SAME, side, None, small_core=small_core), -1)
    bands = list(predict(image.transpose(2, 0, 1)[None]))
    np.testing.assert_allclose(np.concatenate([band[0] for band in bands]), truth(image, 8), atol=1e-5)
    assert len(shapes) == 1


def test_one_channel_becomes_both_classes():
    predict = in_windows(lambda images: images.transpose(0, 2, 3, 1) / 2 + 0.5, Windows(SAME, 40), -1)
    band, = predict(np.full((1, 1, 5, 7), 255, np.uint8))
    np.testing.assert_array_equal(band, np.tile(np.float32([0, 1]), (1, 5, 7, 1)))


@pytest.mark.parametrize("areas, small", [(None, 448), ((100, 10**6), 448), ((320 * 320, 10**6), 512),
                                          ((600 * 600, 10**6), 704)])
def test_mindspore_gets_windows_of_two_sizes(areas, small):
    """Cores for the smallest images of the training, or the largest ones; 96 pixels are around them."""
    windows = Windows.for_mindspore(parse_options(["--model_name=unet_simple"], ""), areas, 1280)
    sizes = np.random.default_rng(0).integers(1, 4000, (300, 2)).tolist()
    assert {windows.of(size).input for size in sizes} == {(small, small), (1280, 1280)}


def test_the_window_with_less_work_is_taken():
    windows = Windows(ReceptiveField(0, 96, 16), 1280, small_core=512)
    assert [windows.of(size).input[0] for size in ((9, 9), (512, 512), (513, 1024), (1025, 1024), (6144, 8192))] == [
        704, 704, 1280, 1280, 1280]
    assert Windows(ReceptiveField(0, 96, 16), 300, small_core=512).of((999, 999)).input == (288, 288)


@given(context=st.sampled_from([16, 96, 112, 128]), largest=st.integers(64, 1500), height=st.integers(1, 3000),
       width=st.integers(1, 3000))
def test_the_few_windows_have_the_margin_of_the_largest(context, largest, height, width):
    """They are trimmed, or blended, where the largest one is."""
    field = ReceptiveField(0, context, 16)
    window = Windows(field, largest, small_core=256).of((height, width))
    most = choose_window(field, (10**5, 10**5), largest)
    assert (window.margin, window.overlap) == (most.margin, most.overlap) and max(window.input) <= largest


@pytest.mark.parametrize("small_core, rows", [(0, 544), (512, 512)])
def test_a_band_of_many_classes_has_few_rows(small_core, rows):
    """80 rows of 20,000 pixels with 81 classes are 520 MB; what was chosen for a narrow image has fewer rows too."""
    windows = Windows(ReceptiveField(0, 96, 16), 912, None, 81, small_core)
    assert windows.of((720, 720)).core == (720, 720)
    wide = windows.of((20000, 20000))
    assert wide.core[0] == 80 and BAND_BYTES // (4 * 20000 * 81) in range(80, 96)
    assert windows.of((20000, 3000)).core[0] == rows
    assert Windows(ReceptiveField(92, 0, 16), 0, (572, 572), 81).of((20000, 20000)).core == (80, 384)


def test_windows_of_valid_convolutions_are_the_patches_of_the_training():
    argv = ["--model_name=unet_medical", "--image_size=native"]
    config = parse_options([*argv, "--train_crop=[220,236]"], "")
    assert size_in_training(config) == Windows.for_mindspore(config, None).fixed_size == (220, 236)
    assert Windows.for_mindspore(parse_options([*argv, "--tile_size=252"], ""), None).fixed_size == (252, 252)
    with pytest.raises(UNetError, match="unet_medical cannot take an image of 100x100"):
        Windows.for_mindspore(parse_options([*argv, "--train_crop=100"], ""), None)
