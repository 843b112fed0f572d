"""Label images and tables of objects, of a network that gives the brightness of a pixel as its probability."""
import csv

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.measure import regionprops_table

from src.inference import file_predictor, object_files, page_image
from src.inference.loaded_network import LoadedNetwork
from src.inference.predict import predict
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.networks.receptive_field import ReceptiveField
from src.report import prediction
from src.tiling.predictor import Windows


def brightness(images):
    """(1, 1, H, W) from -1 to 1 -> (1, H, W, 2) probabilities."""
    foreground = (images[:, 0] + 1) / 2
    return np.stack([1 - foreground, foreground], axis=-1)


def three_levels(images):
    """The same with three classes: black, gray and white."""
    return (np.round(images[:, 0] + 1)[..., None] == np.arange(3)).astype(np.float32)


@pytest.fixture(autouse=True)
def info_lines(caplog):
    caplog.set_level("INFO", "unet")


def run(monkeypatch, tmp_path, network, *argv, failed=0):
    """Predict the files in tmp_path/images; return (folder of the results, rows of objects.csv)."""
    config = parse_options([f"--data_path={tmp_path / 'images'}", f"--output_path={tmp_path / 'out'}",
                            "--objects=True", "--image_size=native", "--num_channels=1", "--normalize=range",
                            *argv], "")
    loaded = LoadedNetwork(network, "stand-in", "CPU", None, Windows(ReceptiveField(0, 16, 16), 768), 1.0, "Softmax",
                           {}, config)
    monkeypatch.setattr(file_predictor, "load_network", lambda config: loaded)
    assert predict(config) == failed
    with open(tmp_path / "out" / "objects.csv", newline="") as file:
        return tmp_path / "out", list(csv.DictReader(file))


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def squares(size=(60, 80)):
    """(H, W) uint8: three bright squares."""
    image = np.zeros(size, np.uint8)
    image[4:14, 5:25] = image[30:40, 10:20] = image[20:36, 50:66] = 255
    return image


def test_label_image_and_table(monkeypatch, images, tmp_path, caplog):
    Image.fromarray(squares()).save(images / "a, b.png")
    image = squares()
    image[30:40, 10:20] = 204
    Image.fromarray(image).save(images / "c.png")
    out, rows = run(monkeypatch, tmp_path, brightness, "--overlay=True")
    labels = tifffile.imread(out / "objects" / "a, b.tif")
    assert labels.dtype == np.uint16 and np.array_equal(labels > 0, squares() > 0) and labels.max() == 3
    assert np.array_equal(np.asarray(Image.open(out / "objects" / "a, b.tif")), labels)
    expected = regionprops_table(labels, properties=("label", "area", "perimeter", "solidity", "eccentricity"))
    first = [row for row in rows if row["file"] == "a, b.png"]
    assert len(first) == 3 and len(rows) == 6
    for row, *values in zip(first, *expected.values()):
        np.testing.assert_allclose([float(row[name]) for name in expected], values, rtol=1e-5)
    expected = {"page": "1", "class": "1", "centroid_y": "8.5", "centroid_x": "14.5", "top": "4", "left": "5",
                "bottom": "14", "right": "25", "mean_probability": "1", "mean_intensity_0": "255", "area_um2": ""}
    assert {name: first[0][name] for name in expected} == expected
    dim = next(row for row in rows if row["file"] == "c.png" and row["left"] == "10")
    assert (dim["mean_probability"], dim["mean_intensity_0"]) == ("0.8", "204")
    assert "a, b.png: 3 objects, median area 200 pixels" in caplog.text
    overlay = np.asarray(Image.open(out / "overlays" / "c.png"))
    assert overlay[30, 10].tolist() == [255, 0, 0] and overlay[35, 15].tolist() != [255, 0, 0]
    mask = np.asarray(Image.open(out / "predictions" / "a, b.png"))
    assert np.array_equal(mask > 0, labels > 0)


def test_pages_and_resolution_are_kept(monkeypatch, images, tmp_path):
    stack = np.stack([squares(), np.zeros((60, 80), np.uint8), squares()])
    tifffile.imwrite(images / "s.tif", stack, imagej=True, resolution=(2, 2), metadata={"unit": "um", "axes": "ZYX"})
    out, rows = run(monkeypatch, tmp_path, brightness, "--object_min_size=30", "--object_size_unit=um2")
    with tifffile.TiffFile(out / "objects" / "s.tif") as file:
        assert file.asarray().shape == (3, 60, 80) and file.imagej_metadata["unit"] == "um"
        assert file.pages.first.tags["XResolution"].value[0] / file.pages.first.tags["XResolution"].value[1] == 2
    assert [row["page"] for row in rows] == ["1", "1", "3", "3"]         # that of 100 pixels has 25 square micrometres
    assert rows[0]["area_um2"] == "50" and float(rows[0]["perimeter_um"]) * 2 == float(rows[0]["perimeter"])
    assert rows[0]["centroid_y_um"] == "4.25"


def test_square_micrometres_need_a_resolution(monkeypatch, images, tmp_path):
    Image.fromarray(squares()).save(images / "a.png", dpi=(72, 72))
    with pytest.raises(UNetError, match="a.png does not say how large its pixels are"):
        run(monkeypatch, tmp_path, brightness, "--object_min_size=30", "--object_size_unit=um2")
    assert not (tmp_path / "out" / "objects.csv").exists()


def test_no_object_is_an_empty_table_and_a_warning(monkeypatch, images, tmp_path, caplog):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(images / "a.png")
    out, rows = run(monkeypatch, tmp_path, brightness)
    assert rows == [] and (out / "objects.csv").read_text().startswith("file,page,label,class,area,centroid_y")
    assert not tifffile.imread(out / "objects" / "a.tif").any()
    assert "WARNING: a.png: no object; lower object_threshold" in caplog.text


def test_each_class_has_its_objects(monkeypatch, images, tmp_path, caplog):
    image = squares()
    image[4:14, 5:15] = 128
    Image.fromarray(image).save(images / "a.png")
    out, rows = run(monkeypatch, tmp_path, three_levels, "--num_classes=3")
    assert sorted(row["class"] + " " + row["area"] for row in rows) == ["1 100", "2 100", "2 100", "2 256"]
    assert "a.png: 4 objects (class 1 1, class 2 3)" in caplog.text


def test_the_rim_divides_and_the_mask_has_both(monkeypatch, images, tmp_path):
    """Gray is the rim, white the interior."""
    image = squares()
    image[4:14, 13:17] = image[30:40, 10:20] = 128
    image[31:39, 11:19] = 255
    Image.fromarray(image).save(images / "a.png")

    def rim(images):
        return three_levels(images)[..., [0, 2, 1]]
    out, rows = run(monkeypatch, tmp_path, rim, "--target=boundary", "--save_probability=True")
    labels = tifffile.imread(out / "objects" / "a.tif")
    assert len(rows) == 4 and labels[8, 6] != labels[8, 23] and np.array_equal(labels > 0, image > 0)
    assert np.array_equal(np.asarray(Image.open(out / "predictions" / "a.png")) > 0, image > 0)
    assert np.array_equal(tifffile.imread(out / "probabilities" / "a.tif"), (image > 0).astype(np.float32))


def test_many_objects_take_32_bits(monkeypatch, images, tmp_path):
    """All objects of a page of several bands are in the table once, whatever rows they cross."""
    monkeypatch.setattr(object_files, "MOST_OF_16_BITS", 50)
    monkeypatch.setattr(page_image, "BAND_BYTES", 1000)
    image = np.zeros((900, 20), np.uint8)
    image[:450:9, 3:9] = image[::2, 12] = image[460:, 4] = 255
    image[460, 4:8] = 128
    Image.fromarray(image).save(images / "a.png")
    out, rows = run(monkeypatch, tmp_path, brightness, "--object_split=components")
    labels = tifffile.imread(out / "objects" / "a.tif")
    assert labels.dtype == np.uint32 and np.array_equal(np.unique(labels), np.arange(502))
    assert [int(row["label"]) for row in rows] == list(range(1, 502))
    areas = np.bincount(labels.ravel())[1:]
    assert [int(row["area"]) for row in rows] == areas.tolist() and areas.max() == 443
    tall = rows[areas.argmax()]
    assert (tall["top"], tall["bottom"]) == ("460", "900")
    assert float(tall["mean_intensity_0"]) == pytest.approx((439 * 255 + 4 * 128) / 443, rel=1e-5)


def test_pixels_that_are_no_numbers(monkeypatch, images, tmp_path):
    """The mean of an object that has one is none either; those of the others are not touched."""
    image = squares().astype(np.float32) / 255
    image[5, 6] = np.nan
    tifffile.imwrite(images / "a.tif", image)
    tifffile.imwrite(images / "b.tif", np.where(np.isnan(image), np.float32(np.inf), image))
    _, rows = run(monkeypatch, tmp_path, lambda images: brightness(np.ones_like(images) * (images > 0)))
    means = {(row["file"], row["mean_intensity_0"]) for row in rows}
    assert {("a.tif", "1"), ("b.tif", "1")} < means and all(mean in {"1", "nan", "inf"} for _, mean in means), means


def test_one_bad_file_of_several_leaves_no_row(monkeypatch, images, tmp_path):
    Image.fromarray(squares()).save(images / "a.png")
    (images / "b.png").write_bytes((images / "a.png").read_bytes()[:60])
    out, rows = run(monkeypatch, tmp_path, brightness, failed=1)
    assert len(rows) == 3
    assert [path.name for path in (out / "objects").iterdir()] == ["a.tif"]


def test_report(monkeypatch, images, tmp_path):
    """The first pictures in full, the others in a table; names are text, whatever they are."""
    monkeypatch.setattr(prediction, "MOST_PICTURES", 2)
    for name in ("<b>.png", "c.png", "d.png"):
        Image.fromarray(squares() if name != "d.png" else np.zeros((9, 9), np.uint8)).save(images / name)
    out, _ = run(monkeypatch, tmp_path, brightness, "--report=True")
    page = (out / "prediction.html").read_text()
    assert page.count("<img ") == 2 and "<script" not in page and "<b>.png" not in page and "&lt;b&gt;.png" in page
    assert "80x60: 3 objects, median area 200 pixels" in page and "<dd>6</dd>" in page
    assert "all pixels are class 0; no object" in page
    assert not (out / "overlays").exists()
