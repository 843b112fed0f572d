"""Which folders hold images and masks, and by which names they belong together."""
import pytest

from src.planning.pairing import IMAGE, MASK, RESULT, TEST, find_pairings, find_suffixes, role
from src.planning.tree import read_tree


@pytest.mark.parametrize("name, expected", [
    ("images", IMAGE), ("imgs", IMAGE), ("leftImg8bit", IMAGE), ("JPEGImages", IMAGE), ("masks", MASK),
    ("SegmentationClass", MASK), ("gtFine", MASK), ("1st_manual", MASK), ("train-labels", MASK), ("test_imgs", TEST),
    ("predictions", RESULT), ("masks_pred", RESULT), ("a", ""), ("2018", ""), ("newborn_images", IMAGE),
    ("new", TEST), ("latest", ""), ("UnlabelledImages", TEST)])
def test_what_names_say(name, expected):
    assert role(name) == expected


@pytest.mark.parametrize("images, masks, expected", [
    ({"a1", "a2"}, {"a1", "a2"}, ("", "")),
    ({"a1", "a2"}, {"a1_mask", "a2_mask"}, ("", "_mask")),
    ({"a1_img", "a2_img"}, {"a1_mask", "a2_mask"}, ("_img", "_mask")),
    ({"a1_img", "a2_img"}, {"a1", "a2"}, ("_img", "")),
    ({"volume"}, {"labels"}, ("volume", "labels")),
    ({"img_1", "img_2"}, {"mask_1", "mask_2"}, None),
    ({"a1", "a2"}, {"b7", "b8"}, None),
    (set(), {"b7"}, None), ({"a1"}, set(), None)])
def test_suffixes(images, masks, expected):
    assert find_suffixes(images, masks) == expected


def tree_of(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    return read_tree(folder)


def pairings(tree, base="", masks=()):
    return find_pairings(tree, base, lambda path: path.parent.name in masks)


def test_two_folders(tmp_path):
    (found,) = pairings(tree_of(tmp_path, "imgs/1.jpg", "imgs/2.jpg", "masks/1.png", "masks/2.png", "test/1.jpg"))
    assert (found.names, found.images) == (("imgs", "masks", "", ""), 2)


def test_files_without_partners(tmp_path):
    (found,) = pairings(tree_of(tmp_path, "x/1.png", "x/2.png", "x/3.png", "y/2.png", "y/3.png", "y/4.png"),
                        masks=["y"])
    assert (found.names[:2], found.images) == (("x", "y"), 2)
    assert (found.without_mask, found.without_image) == (["x/1.png"], ["y/4.png"])


def test_names_that_say_nothing_need_the_pixels(tmp_path):
    tree = tree_of(tmp_path, "x/1.png", "y/1.png")
    assert pairings(tree) == [] and pairings(tree, masks=["x", "y"]) == []
    assert pairings(tree, masks=["x"])[0].names[:2] == ("y", "x")


def test_one_folder(tmp_path):
    (found,) = pairings(tree_of(tmp_path, "1.jpg", "1_mask.gif", "2.jpg", "2_mask.gif", "3.jpg"))
    assert (found.names, found.images) == ((".", ".", "", "_mask"), 2)
    assert found.without_mask == ["3.jpg"]


def test_one_folder_whose_names_all_say_mask(tmp_path):
    """What a name does not share with its partner's decides."""
    (found,) = pairings(tree_of(tmp_path, *(f"segment_{number}{end}.png" for number in range(12)
                                            for end in ("", "_mask")), "segment_12.png", "label.png"))
    assert (found.names, found.images) == ((".", ".", "", "_mask"), 12)
    assert "segment_12.png" in found.without_mask


def test_masks_that_are_there_twice(tmp_path):
    names = [f"{number}_mask{ending}" for number in range(3) for ending in (".png", ".tif")]
    assert pairings(tree_of(tmp_path, *names)) == []


def test_parts_below_the_folders(tmp_path):
    found = pairings(tree_of(tmp_path, "images/train/1.png", "images/val/2.png", "masks/train/1.png",
                             "masks/val/2.png"))
    assert [one.names[:2] for one in found] == [("images/train", "masks/train"), ("images/val", "masks/val")]


def test_a_folder_for_each_image_is_no_pair_of_folders(tmp_path):
    tree = tree_of(tmp_path, *(f"p{number}/{part}/1.png" for number in range(40) for part in ("images", "masks")))
    assert find_pairings(tree, "", lambda path: pytest.fail("reads")) == []


def test_two_folders_of_masks(tmp_path):
    found = pairings(tree_of(tmp_path, "image/1.png", "mask/1.png", "label/1.png"))
    assert sorted(one.names[:2] for one in found) == [("image", "label"), ("image", "mask")]
