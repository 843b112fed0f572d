"""Folder data sets: listing, classes, and what is refused."""
import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.channels import Channels
from src.data.folders import FileNames
from src.data.image_mask_pairs import Pair, PairReader
from src.data.layouts import Source
from src.data.mask_pixels import MaskOptions
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs


def divided(data, split, dataset="folders"):
    """Names of the pairs that train, and of those that validate."""
    source = Source(dataset, data, split=split)
    pairs = source.open()
    return tuple([pairs.name(index) for index in part] for part in source.divide(pairs))


def reader(folder, num_channels, num_classes):
    pair = Pair(folder.name, folder / "image.png", folder / "mask.png")
    return PairReader([pair], Channels(num_channels), MaskOptions(num_classes))


def test_split_by_fraction_over_sorted_names(tmp_path):
    write_pairs(tmp_path, ["b", "a", "d", "c", "e"])
    (tmp_path / ".ipynb_checkpoints").mkdir()
    assert divided(tmp_path, 0.8) == (["a", "b", "c", "d"], ["e"])


def test_split_by_folders(tmp_path):
    write_pairs(tmp_path / "train", ["x", "y"])
    write_pairs(tmp_path / "val", ["z"])
    assert divided(tmp_path, 1.0) == (["x", "y"], ["z"])


def test_images_are_bgr(tmp_path):
    write_pairs(tmp_path, ["a"])
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[..., 0] = 200      # red, as Pillow writes it
    Image.fromarray(pixels).save(tmp_path / "a" / "image.png")
    image, mask = reader(tmp_path / "a", 3, 2)[0]
    assert image.pixels.shape == (40, 48, 3) and image.pixels[0, 0].tolist() == [0, 0, 200]
    assert mask.shape == (40, 48) and mask.dtype == np.uint8
    assert reader(tmp_path / "a", 1, 2)[0][0].pixels.shape == (40, 48, 1)


def test_images_of_floats(tmp_path):
    write_pairs(tmp_path, ["a"])
    Image.fromarray(np.full((40, 48), 0.5, np.float32)).save(tmp_path / "float.tif")
    pairs = PairReader([Pair("a", tmp_path / "float.tif", tmp_path / "a" / "mask.png")], Channels(1), MaskOptions())
    assert (pairs[0][0].pixels == 0.5).all() and not pairs.is_8_bit(0)
    assert pairs.kind(0) == "gray, 32 bits, floating point"


@pytest.mark.parametrize("file", ["image.png", "mask.png"])
def test_missing_file(tmp_path, file):
    write_pairs(tmp_path, ["a", "b"])
    (tmp_path / "b" / file).unlink()
    with pytest.raises(UNetError, match=f"b: {file} is missing"):
        divided(tmp_path, 0.5)


def test_sizes_that_differ(tmp_path):
    write_pairs(tmp_path, ["a"])
    Image.new("L", (20, 30)).save(tmp_path / "a" / "mask.png")
    with pytest.raises(UNetError, match="a/image.png is 48x40, its mask.png is 20x30"):
        _ = reader(tmp_path / "a", 3, 2)[0]


def test_images_are_read_as_opencv_does(tmp_path):
    write_pairs(tmp_path, ["a"])
    rng = np.random.default_rng(0)
    for pixels in (rng.integers(0, 256, (40, 48, 3), dtype=np.uint8), rng.integers(0, 256, (40, 48, 4), dtype=np.uint8),
                   rng.integers(0, 256, (40, 48), dtype=np.uint8), rng.integers(0, 65536, (40, 48), dtype=np.uint16)):
        cv2.imwrite(str(tmp_path / "a" / "image.png"), pixels)
        image, _ = reader(tmp_path / "a", 3, 2)[0]
        expected = cv2.imread(str(tmp_path / "a" / "image.png"), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        np.testing.assert_array_equal(image.pixels, expected)
        assert image.limits == (0, np.iinfo(pixels.dtype).max)


def test_every_truncation_is_found(tmp_path):
    write_pairs(tmp_path, ["a"])
    path = tmp_path / "a" / "image.png"
    whole, data = reader(tmp_path / "a", 3, 2)[0][0], path.read_bytes()
    for length in range(0, len(data), 41):
        path.write_bytes(data[:length])
        try:
            np.testing.assert_array_equal(reader(tmp_path / "a", 3, 2)[0][0], whole)
        except UNetError as error:
            assert "a/image.png" in str(error)


@pytest.mark.parametrize("file", ["image.png", "mask.png"])
@pytest.mark.parametrize("data", [b"", b"not an image"])
def test_damaged_file(tmp_path, file, data):
    write_pairs(tmp_path, ["a"])
    (tmp_path / "a" / file).write_bytes(data)
    with pytest.raises(UNetError, match=f"a/{file}: cannot be read"):
        _ = reader(tmp_path / "a", 3, 2)[0]


def test_no_folder_and_empty_folder(tmp_path):
    with pytest.raises(UNetError, match="no such data folder: .*none"):
        divided(tmp_path / "none", 0.8)
    with pytest.raises(UNetError, match="no image folders"):
        divided(tmp_path, 0.8)
    with pytest.raises(UNetError, match="train"):
        divided(tmp_path, 1.0)


# ---- images and masks side by side


@pytest.fixture
def slices(tmp_path):
    """A folder with twelve slices of either layout: image N is gray N, its mask has N white pixels."""
    for part in ("train/image", "train/mask", "train/label"):
        (tmp_path / part).mkdir(parents=True)
    for number in range(12):
        Image.fromarray(np.full((6, 5), number, np.uint8)).save(tmp_path / "train" / "image" / f"{number}.png")
        mask = np.zeros(30, np.uint8)
        mask[:number] = 255
        for folder in ("mask", "label"):
            Image.fromarray(mask.reshape(6, 5)).save(tmp_path / "train" / folder / f"{number}.png")
    return tmp_path


def test_membrane(slices):
    """By number, not by letter; ``split`` cuts off the end; image and mask belong together."""
    assert divided(slices, 0.75, "membrane") == ([str(number) for number in range(9)], ["9", "10", "11"])
    pairs = Source("membrane", slices, num_channels=3).open()
    assert [(int(image.pixels[0, 0, 0]), int(mask.sum())) for image, mask in pairs] == [(k, k) for k in range(12)]
    assert pairs[0][0].pixels.shape == (6, 5, 3) and pairs.size(0) == (6, 5)


def test_image_mask(slices):
    with pytest.raises(UNetError, match="no such data folder: .*val/image"):
        divided(slices, 0.8, "image_mask")
    (slices / "val").symlink_to(slices / "train")
    train, valid = divided(slices, 0.8, "image_mask")
    assert train == valid == [str(number) for number in range(12)]


@pytest.mark.parametrize("folder, other", [("image", "label"), ("label", "image")])
def test_missing_partners(slices, folder, other):
    for name in ("3.png", "10.png"):
        (slices / "train" / folder / name).unlink()
    with pytest.raises(UNetError, match=f"train/{other}/3.png: no file of that name in .*/train/{folder}; .*2 without "
                                        "partner: 3.png, 10.png"):
        divided(slices, 0.8, "membrane")


def test_two_files_of_one_name(slices):
    path = slices / "train" / "label" / "3.png"
    Image.open(path).save(path.with_suffix(".bmp"))
    with pytest.raises(UNetError, match="3.png: 3.bmp has the same name"):
        divided(slices, 0.8, "membrane")


# ---- names, folders and pages


def write_slices(folder, image_name, mask_name, names="ab"):
    """Write images and masks of 6x5 pixels side by side; {} in the names stands for each of ``names``."""
    for name in names:
        for path in (folder / image_name.format(name), folder / mask_name.format(name)):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((6, 5), 255, np.uint8)).save(path)
    return folder


@pytest.mark.parametrize("image_name, mask_name, names", [
    ("image/{}.jpg", "mask/{}.png", FileNames()), ("image/{}.JPG", "mask/{}_mask.gif", FileNames(mask_suffix="_mask")),
    ("image/{}_img.png", "mask/{}.png", FileNames(image_suffix="_img")),
    ("imgs/{}.png", "masks/{}.png", FileNames("imgs", "masks")),
    ("all/{}.png", "all/{}_seg.png", FileNames("all", "all", mask_suffix="_seg")),
    ("{}.png", "{}_seg.png", FileNames(".", ".", mask_suffix="_seg"))])
def test_names_of_files_and_folders(tmp_path, image_name, mask_name, names):
    """Below train/ and val/, or without them."""
    write_slices(tmp_path / "flat", image_name, mask_name)
    flat = Source("image_mask", tmp_path / "flat", names=names, split=0.5)
    pairs = flat.open()
    assert [pairs.name(index) for index in range(2)] == ["a", "b"] and flat.divide(pairs) == ([0], [1])
    for part in ("train", "val"):
        write_slices(tmp_path / "two" / part, image_name, mask_name)
    two = Source("image_mask", tmp_path / "two", names=names)
    assert two.divide(two.open()) == ([0, 1], [2, 3])


@pytest.mark.parametrize("image_name, mask_name, names, part", [
    ("image/{}.png", "mask/{}_mask.png", FileNames(), "set mask_suffix to _mask"),
    ("image/{}_x.png", "mask/{}.png", FileNames(), "set image_suffix to _x"),
    ("image/{}.png", "mask/{}_m_1.png", FileNames(mask_suffix="_1"), "set mask_suffix to _m_1"),
    ("imgs/{}.png", "masks/{}.png", FileNames(), "image_dir and mask_dir can name others: imgs, masks"),
    ("image/{}.png", "image/{}_m.png", FileNames(mask_dir="image"), "are both .*; set mask_suffix"),
    ("image/{}.png", "mask/{}.png", FileNames(mask_suffix="_m"), "does not end with _m, as mask_suffix says")])
def test_names_that_do_not_fit(tmp_path, image_name, mask_name, names, part):
    write_slices(tmp_path, image_name, mask_name)
    with pytest.raises(UNetError, match=part):
        Source("image_mask", tmp_path, names=names).open()


def test_files_without_the_suffix_are_left_out_where_others_are(tmp_path, caplog):
    write_slices(tmp_path, "image/{}.png", "mask/{}_mask.png")
    Image.fromarray(np.zeros((6, 5), np.uint8)).save(tmp_path / "mask" / "legend.png")
    reader = Source("image_mask", tmp_path, names=FileNames(mask_suffix="_mask", skip_unpaired=True)).open()
    assert len(reader) == 2 and "missing for 1 files, which are left out: legend.png" in caplog.text


def test_a_suffix_of_no_file_is_an_error_also_where_others_are_left_out(tmp_path):
    write_slices(tmp_path, "image/{}.png", "mask/{}.png")
    with pytest.raises(UNetError, match="does not end with _mask, as mask_suffix says"):
        Source("image_mask", tmp_path, names=FileNames(mask_suffix="_mask", skip_unpaired=True)).open()


def test_names_are_for_two_folders(tmp_path):
    with pytest.raises(UNetError, match="side by side .dataset image_mask or membrane., and dataset is folders"):
        Source("folders", tmp_path, names=FileNames(mask_suffix="_m")).open()


def write_stack_pair(folder, name, pages, mask_pages=None):
    for kind, count in (("image", pages), ("mask", mask_pages or pages)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        stack = np.arange(count, dtype=np.uint8)[:, None, None] + np.zeros((1, 6, 5), np.uint8)
        tifffile.imwrite(folder / kind / f"{name}.tif", stack if kind == "image" else np.minimum(stack, 1),
                         photometric="minisblack")


def test_pages_are_samples(tmp_path):
    """Each with the mask of its page; a file is not divided between the parts."""
    for name, pages in (("a", 1), ("b", 3), ("c", 2)):
        write_stack_pair(tmp_path, name, pages)
    source = Source("image_mask", tmp_path, split=0.5)
    pairs = source.open()
    assert [pairs.name(index) for index in range(6)] == ["a", "b[0]", "b[1]", "b[2]", "c[0]", "c[1]"]
    assert [pairs.entry(index, tmp_path) for index in (0, 3)] == ["image/a.tif", "image/b.tif[2]"]
    assert [int(pairs[index][1].max()) for index in range(6)] == [0, 0, 1, 1, 0, 1]
    assert source.divide(pairs) == ([0, 1, 2, 3], [4, 5])


def test_pages_of_one_file_alone(tmp_path, caplog):
    write_stack_pair(tmp_path, "a", 4)
    source = Source("image_mask", tmp_path, split=0.5)
    assert source.divide(source.open()) == ([0, 1], [2, 3])
    assert "pages of one file both train and validate" in caplog.text


def test_pages_that_do_not_agree(tmp_path):
    write_stack_pair(tmp_path, "a", 4, 3)
    write_stack_pair(tmp_path, "b", 1, 2)
    with pytest.raises(UNetError, match="a.tif has 4, .*a.tif has 3, .*b.tif has 1, .*b.tif has 2"):
        Source("image_mask", tmp_path).open()


def test_files_that_are_not_read_are_counted(tmp_path, caplog):
    write_slices(tmp_path, "image/{}.png", "mask/{}.png")
    for name in ("x.czi", "y.czi"):
        (tmp_path / "image" / name).write_bytes(b"")
    assert len(Source("image_mask", tmp_path).open()) == 2
    assert "left out, since they are not read: 2 CZI: save it as OME-TIFF" in caplog.text
