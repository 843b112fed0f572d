"""Images without labels: which files they are, their order, and the names of their results."""
import pytest

from src.data.image_files import list_image_files
from src.model_utils.errors import UNetError


def test_order_and_names(tmp_path):
    for name in ("10.png", "9.png", "a.PNG", "a.bmp", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    assert [image.name for image in list_image_files(tmp_path)] == ["9", "10", "a.PNG", "a.bmp"]
    (tmp_path / "9.png").write_bytes(b"\x89PNG\r\n\x1a\n")
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
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(UNetError, match="unknown format; PNG"):
        list_image_files(tmp_path / "a.txt")


def test_files_that_are_not_read(tmp_path, caplog):
    for name in ("a.czi", "b.czi", "c.nii.gz"):
        (tmp_path / name).touch()
    with pytest.raises(UNetError, match="no images found; .*2 CZI: save it as OME-TIFF.*; 1 NIfTI: save its slices"):
        list_image_files(tmp_path)
    (tmp_path / "d.webp").touch()
    assert [image.name for image in list_image_files(tmp_path)] == ["d"]
    assert caplog.text.count("2 CZI: save it") == 1
