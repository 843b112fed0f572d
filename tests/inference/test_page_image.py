"""A page to predict: whatever is in a file, its windows are those of the image that training reads."""
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from src.data.channels import Channels
from src.data.image_reader import open_pages, read_image
from src.data.normalization import AUTO, MINMAX, PERCENTILE, RANGE, ZSCORE, Normalization
from src.inference import page_image
from src.inference.page_image import PageImage

HEIGHT, WIDTH = 37, 53


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@st.composite
def files(draw):
    """Options of tifffile.imwrite, and an array for them, with its channels last."""
    photometric = draw(st.sampled_from(["minisblack", "miniswhite", "rgb"]))
    samples = 3 if photometric == "rgb" else draw(st.sampled_from([1, 4]))
    dtype = np.dtype(draw(st.sampled_from(["uint8", "uint16", "uint32", "int16", "int32", "float16", "float32",
                                           "float64"])))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    array = rng.random((HEIGHT, WIDTH, samples)) * draw(st.sampled_from([0.0, 1.0, 250.0]))
    options = {"photometric": photometric, "compression": draw(st.sampled_from([None, "zlib", "lzw"])),
               "extratags": [(274, 3, 1, draw(st.integers(1, 8)), True)],
               **draw(st.sampled_from([{}, {"tile": (16, 32)}, {"rowsperstrip": 5}]))}
    if samples > 1:
        options["planarconfig"] = draw(st.sampled_from(["contig", "separate"]))
    return array.astype(dtype), options


@given(file=files(), mode=st.sampled_from([AUTO, RANGE, PERCENTILE, MINMAX, ZSCORE]),
       window=st.tuples(st.integers(11, 60), st.integers(11, 60)), band=st.sampled_from([1, 700, 2**25]))
def test_windows_are_those_of_training(folder, file, mode, window, band):
    array, options = file
    if mode == RANGE and array.dtype.kind == "f":
        array = array / max(1, array.max())
    is_separate = options.get("planarconfig") == "separate"
    tifffile.imwrite(folder / "a.tif", np.moveaxis(array, -1, 0) if is_separate else array.squeeze(), **options)
    channels, normalization = Channels(array.shape[2]), Normalization(mode)
    training = normalization.apply(read_image(folder / "a.tif", channels))
    with pytest.MonkeyPatch.context() as patch, open_pages(folder / "a.tif") as pages:
        patch.setattr(page_image, "BAND_BYTES", band)
        image = PageImage(pages[0], channels, normalization)
        assert image.shape == training.shape and image.dtype == training.dtype
        for top in range(0, image.shape[0], window[0]):
            for left in range(0, image.shape[1], window[1]):
                rows = np.arange(top, min(top + window[0], image.shape[0]))[:, None]
                columns = np.arange(left, min(left + window[1], image.shape[1]))[None]
                # Sums over bands are added in another order.
                np.testing.assert_allclose(image[rows, columns], training[rows, columns],
                                           rtol=0, atol=1e-5 if mode == ZSCORE else 0)
