"""Images without labels: kinds, order, damage."""
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.image_reader import MAX_SIDE, ImageFile, check_size, count_pages, list_image_files, read_pages
from src.model_utils.errors import UNetError

GRAY = np.arange(12 * 9, dtype=np.uint8).reshape(12, 9)
COLOUR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=-1)       # red, green, blue


def read(path, num_channels=1):
    return list(read_pages(ImageFile(path, "x"), num_channels))


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_gray(tmp_path, ending):
    page, = read(save(tmp_path / f"a.{ending}", GRAY))
    np.testing.assert_array_equal(page, GRAY[..., None])
    page, = read(tmp_path / f"a.{ending}", 3)
    np.testing.assert_array_equal(page, np.stack([GRAY] * 3, axis=-1))


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_colour_comes_blue_first(tmp_path, ending):
    page, = read(save(tmp_path / f"a.{ending}", COLOUR), 3)
    np.testing.assert_array_equal(page, COLOUR[..., ::-1])
    page, = read(tmp_path / f"a.{ending}", 1)
    np.testing.assert_array_equal(page[..., 0], np.asarray(Image.fromarray(COLOUR).convert("L")))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_alpha_is_dropped_and_palettes_are_looked_up(tmp_path, ending):
    with_alpha = np.concatenate([COLOUR, np.full((12, 9, 1), 7, np.uint8)], axis=-1)
    page, = read(save(tmp_path / f"a.{ending}", with_alpha), 3)
    np.testing.assert_array_equal(page, COLOUR[..., ::-1])
    image = Image.fromarray(GRAY % 4, mode="P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / f"b.{ending}")
    page, = read(tmp_path / f"b.{ending}", 3)
    np.testing.assert_array_equal(page, np.asarray(image.convert("RGB"))[..., ::-1])


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_of_16_bits_the_upper_8(tmp_path, ending):
    page, = read(save(tmp_path / f"a.{ending}", GRAY.astype(np.uint16) * 257))
    np.testing.assert_array_equal(page[..., 0], GRAY)


def test_jpeg(tmp_path):
    page, = read(save(tmp_path / "a.jpg", np.full((8, 16), 77, np.uint8)))
    assert page.shape == (8, 16, 1) and abs(page.astype(int) - 77).max() <= 1


def test_pages(tmp_path):
    pages = [GRAY, 255 - GRAY, GRAY.T]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in pages:
            file.write(page, metadata=None)
    assert count_pages(ImageFile(tmp_path / "a.tif", "a")) == 3
    assert [(page[..., 0] == own).all() for page, own in zip(read(tmp_path / "a.tif"), pages)] == [True] * 3


def test_white_as_zero_and_single_bits(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, photometric="miniswhite")
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0][..., 0], 255 - GRAY)
    tifffile.imwrite(tmp_path / "b.tif", GRAY > 50, photometric="minisblack")
    np.testing.assert_array_equal(read(tmp_path / "b.tif")[0][..., 0], (GRAY > 50) * 255)


def test_order_and_names(tmp_path):
    for name in ("10.png", "9.png", "a.PNG", "a.bmp", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    assert [image.name for image in list_image_files(tmp_path)] == ["9", "10", "a.PNG", "a.bmp"]
    assert [image.name for image in list_image_files(tmp_path / "9.png")] == ["9"]


def test_hidden_files_are_no_images(tmp_path):
    for name in ("1.png", "._1.png"):
        (tmp_path / name).touch()
    assert [image.name for image in list_image_files(tmp_path)] == ["1"]


def test_no_two_images_share_a_name(tmp_path):
    for name in ("a.png", "a.png.bmp", "b.png", "b.jpg", "b.png.tif", "B.bmp", "c.tiff"):
        (tmp_path / name).touch()
    names = [image.name for image in list_image_files(tmp_path)]
    assert sorted(names) == ["B.bmp", "a", "a.png.bmp", "b.jpg", "b.png", "b.png.tif", "c"]


def test_folders_of_the_training_layout(nuclei):
    images = list_image_files(nuclei)
    assert [image.name for image in images] == [f"{number:04d}" for number in range(10)]
    assert {image.path.name for image in images} == {"image.png"}


def test_nothing_to_predict(tmp_path):
    for path, words in ((tmp_path / "none", "no such file or folder"), (tmp_path, "no images found")):
        with pytest.raises(UNetError, match=words):
            list_image_files(path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(UNetError, match="expected an image"):
        list_image_files(tmp_path / "a.txt")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif"])
def test_truncated(tmp_path, ending):
    path = save(tmp_path / f"a.{ending}", np.random.default_rng(0).integers(0, 255, (80, 90), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UNetError, match=rf"a\.{ending}: .*damaged or truncated"):
        read(path)


def test_kinds_that_are_not_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GRAY.astype(np.float32))
    with pytest.raises(UNetError, match=r"a\.tif: pixels of float32"):
        read(tmp_path / "a.tif")


def test_planes_one_after_another(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read(tmp_path / "a.tif", 3)[0], COLOUR[..., ::-1])


def test_gray_with_alpha(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GRAY, 255 - GRAY], axis=-1), photometric="minisblack",
                     planarconfig="contig", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], GRAY[..., None])


def test_too_many_samples_are_refused_unread(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((7, 12, 9), np.uint8), photometric="minisblack",
                     planarconfig="separate")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    with pytest.raises(UNetError, match=r"a\.tif: pixels of uint8, shape \(7, 12, 9\)"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_claims_are_refused_before_anything_is_allocated(tmp_path, monkeypatch, ending):
    """Also the width of planes one after another, which is not the second side of their array."""
    monkeypatch.setattr("src.data.image_reader.MAX_SIDE", 50)
    if ending == "tif":
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 5, 51), np.uint8), photometric="rgb",
                         planarconfig="separate")
        monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    else:
        save(tmp_path / f"a.{ending}", np.zeros((5, 51), np.uint8))
    with pytest.raises(UNetError, match="a page of 51x5; at most 50"):
        read(tmp_path / f"a.{ending}")


def test_absurd_sizes(tmp_path):
    check_size("x", MAX_SIDE, MAX_SIDE)
    with pytest.raises(UNetError, match=f"x: a page of 1x{MAX_SIDE + 1}; at most {MAX_SIDE}"):
        check_size("x", MAX_SIDE + 1, 1)
