"""What the results keep of the predicted file: axes, resolution, place on the map; and they are upright."""
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.image_files import ImageFile
from src.data.image_reader import open_pages
from src.inference.mask_writer import MaskOptions, MaskWriter

SIZE = (20, 30)
GEOGRAPHIC = [(33550, 12, 3, (0.5, 0.5, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 447000.0, 4950000.0, 0.0), True),
              (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True)]


def predict(path, classes=2):
    """Write masks, probabilities and overlays of a file, and return their paths; page k has k pixels of class 1."""
    writer = MaskWriter(MaskOptions(path.parent / "out", classes, save_probability=True, overlay=True))
    with open_pages(path) as pages, writer.open(ImageFile(path, path.stem), pages.structure) as output:
        for number, page in enumerate(pages):
            probability = np.zeros((page.height, page.width, classes), np.float32)
            probability[..., 0] = 0.5
            probability.reshape(-1, classes)[:number, 1] = 1
            shown = np.zeros((page.height, page.width, 3), np.uint8)
            output.add((page.height, page.width), iter([probability]), lambda shown=shown: iter([shown]))
    return [next((path.parent / "out" / folder).iterdir()) for folder in ("predictions", "probabilities", "overlays")]


def series(path):
    with tifffile.TiffFile(path) as file:
        assert len(file.series) == 1
        return file.series[0].kind, file.series[0].axes, file.series[0].shape


@pytest.mark.parametrize("kind", ["imagej", "ome", "shaped"])
@pytest.mark.parametrize(("axes", "lengths", "kept", "pages"), [
    ("TZCYX", (2, 3, 4), "TZ", 6), ("ZYX", (5,), "Z", 5), ("TCYX", (3, 2), "T", 3), ("YX", (), "", 1)])
def test_axes(tmp_path, kind, axes, lengths, kept, pages):
    array = np.zeros((*lengths, *SIZE), np.uint16)
    path = tmp_path / f"a{'.ome' if kind == 'ome' else ''}.tif"
    tifffile.imwrite(path, array, imagej=kind == "imagej", ome=kind == "ome", photometric="minisblack",
                     metadata={"axes": axes})
    sizes = tuple(length for axis, length in zip(axes, lengths) if axis != "C")
    mask, probability, overlay = predict(path)
    assert series(mask) == series(probability) == (kind, f"{kept}YX", (*sizes, *SIZE))
    assert series(overlay) == (kind, f"{kept}YXS", (*sizes, *SIZE, 3))
    counts = [np.count_nonzero(page) for page in tifffile.imread(mask).reshape(-1, *SIZE)]
    assert counts == list(range(pages)) and mask.name == path.name


@pytest.mark.parametrize("kind", ["imagej", "ome", "shaped"])
def test_classes_are_channels_of_probabilities(tmp_path, kind):
    path = tmp_path / f"a{'.ome' if kind == 'ome' else ''}.tif"
    tifffile.imwrite(path, np.zeros((2, 3, *SIZE), np.uint8), imagej=kind == "imagej", ome=kind == "ome",
                     photometric="minisblack", metadata={"axes": "TZYX"})
    _, probability, _ = predict(path, classes=4)
    assert series(probability) == (kind, "TZCYX", (2, 3, 4, *SIZE))


@pytest.mark.parametrize(("last", "is_big"), [(30, False), (200, True)])
def test_pages_of_many_sizes_decide_together_on_bigtiff(tmp_path, monkeypatch, last, is_big):
    """The first page does not tell how large the file becomes."""
    monkeypatch.setattr("src.inference.result_files.TIFF_LIMIT", 10_000)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for side in (20, last):
            file.write(np.zeros((side, side), np.uint8), photometric="minisblack", metadata=None)
    mask = predict(path)[0]
    with tifffile.TiffFile(mask) as file:
        assert file.is_bigtiff == is_big and [page.shape for page in file.pages] == [(20, 20), (last, last)]


def test_pages_without_metadata(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for side in (10, 20, 30):
            file.write(np.zeros((side, 30), np.uint8), photometric="minisblack", metadata=None)
    mask, _, _ = predict(tmp_path / "a.tif")
    with tifffile.TiffFile(mask) as file:
        assert [page.shape for page in file.pages] == [(10, 30), (20, 30), (30, 30)]
        assert file.pages[0].description == ""


def test_spacing_and_unit_of_imagej(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, *SIZE), np.uint16), imagej=True, resolution=(4.0, 2.0),
                     metadata={"axes": "ZYX", "spacing": 1.5, "unit": "um", "finterval": 0.1, "max": 900.0})
    for path in predict(tmp_path / "a.tif"):
        with tifffile.TiffFile(path) as file:
            found = file.imagej_metadata
            assert (found["spacing"], found["unit"], found["finterval"], found["slices"]) == (1.5, "um", 0.1, 3)
            assert "max" not in found        # of the image's numbers
            assert [page.get_resolution() for page in file.pages] == [(4, 2)] * 3


def test_physical_sizes_of_ome(tmp_path):
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm",
             "PhysicalSizeZ": 2.0, "PhysicalSizeZUnit": "µm", "TimeIncrement": 3.0, "TimeIncrementUnit": "s"}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((3, 2, *SIZE), np.uint8), photometric="minisblack",
                     metadata={"axes": "ZCYX", **sizes})
    mask, _, _ = predict(tmp_path / "a.ome.tif")
    with tifffile.TiffFile(mask) as file:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert {name: pixels[name] for name in sizes} == sizes and pixels["Type"] == "uint8"


def test_place_on_the_map(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((*SIZE, 3), np.uint8), photometric="rgb", extratags=GEOGRAPHIC)
    for path in predict(tmp_path / "a.tif"):
        with tifffile.TiffFile(path) as file:
            assert file.is_geotiff
            for code, _, count, value, _ in GEOGRAPHIC:
                tag = file.pages[0].tags[code]
                assert (tag.count, tag.value) == (count, value)


@pytest.mark.parametrize(("orientation", "size", "resolution"), [(3, (20, 30), (300, 150)), (6, (30, 20), (150, 300))])
def test_results_are_upright_without_a_tag(tmp_path, orientation, size, resolution):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(SIZE, np.uint8), photometric="minisblack", resolution=(300, 150),
                     resolutionunit=2, extratags=[(274, 3, 1, orientation, True), *GEOGRAPHIC])
    for path in predict(tmp_path / "a.tif"):
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            assert page.shape[:2] == size and page.tags.valueof(274, 1) == 1
            assert page.get_resolution() == resolution and page.tags.valueof(296) == 2
            assert not file.is_geotiff       # it is the place of the stored image


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_resolution_of_other_files(tmp_path, ending):
    Image.new("L", SIZE[::-1]).save(tmp_path / f"a.{ending}", dpi=(300, 150))
    mask, probability, overlay = predict(tmp_path / f"a.{ending}")
    for path in (mask, overlay):
        with Image.open(path) as image:
            np.testing.assert_allclose(image.info["dpi"], (300, 150), atol=0.1)
    with tifffile.TiffFile(probability) as file:
        np.testing.assert_allclose(file.pages[0].get_resolution(), (300, 150), atol=0.1)
