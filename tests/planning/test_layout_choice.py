"""Which layouts a folder fits, which one is taken, and what is said if none does."""
import json

import numpy as np
import pytest
from PIL import Image

from src.data.stacks import IMAGE_STACK, LABEL_STACK
from src.data.tiff import write_stack
from src.model_utils.errors import UNetError
from src.planning.layouts import COCO, NUCLEI, find_layouts
from src.planning.masks import is_mask
from src.planning.picking import pick
from src.planning.tree import read_tree
from src.planning.unlabelled import link, main, unlabelled


def image(path, values=range(250)):
    """An image of noise, or of few values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(1).choice(np.array(values, np.uint8), (20, 24))).save(path)


def mask(path):
    image(path, [0, 255])


def stacks(folder, pages):
    folder.mkdir(parents=True, exist_ok=True)
    for name in (IMAGE_STACK, LABEL_STACK):
        write_stack(folder / name, np.zeros((pages, 16, 16), np.uint8))


def layouts(folder):
    return find_layouts(read_tree(folder), is_mask)


def picked(folder, **given):
    tree = read_tree(folder)
    return pick(tree, find_layouts(tree, is_mask), given)


def refused(folder, **given):
    with pytest.raises(UNetError) as error:
        picked(folder, **given)
    return str(error.value)


def test_stacks(tmp_path):
    stacks(tmp_path, 5)
    assert picked(tmp_path).options == {"dataset": "ISBI"}


def test_too_few_pages_for_folds_are_a_pair_of_files(tmp_path):
    stacks(tmp_path, 3)
    assert picked(tmp_path).options == {"dataset": "image_mask", "image_dir": ".", "mask_dir": ".",
                                        "image_suffix": "-volume", "mask_suffix": "-labels"}


def test_folders(tmp_path):
    for name in "abc":
        image(tmp_path / name / "image.png")
    mask(tmp_path / "a" / "mask.png")
    mask(tmp_path / "b" / "mask.png")
    found = picked(tmp_path)
    assert (found.options, found.images, found.without_mask) == ({"dataset": "folders"}, 2, ["c/image.png"])


def test_folders_with_parts(tmp_path):
    for name in ("train/a", "train/b", "val/c"):
        image(tmp_path / name / "image.png")
        mask(tmp_path / name / "mask.png")
    assert picked(tmp_path).options == {"dataset": "folders", "split": 1.0}


@pytest.mark.parametrize("folders, options", [
    (["image", "mask"], {"dataset": "image_mask"}),
    (["imgs", "gt"], {"dataset": "image_mask", "image_dir": "imgs", "mask_dir": "gt"}),
    (["train/image", "train/mask", "val/image", "val/mask"], {"dataset": "image_mask"}),
    (["train/image", "train/label"], {"dataset": "membrane"}),
    (["newborn_images", "newborn_gt"],
     {"dataset": "image_mask", "image_dir": "newborn_images", "mask_dir": "newborn_gt"}),
    (["train/x", "train/y"], {"dataset": "membrane", "image_dir": "x", "mask_dir": "y"})])
def test_side_by_side(tmp_path, folders, options):
    for folder in folders:
        for name in ("1.png", "2.png"):
            (mask if folder.endswith(("mask", "gt", "label", "y")) else image)(tmp_path / folder / name)
    found = picked(tmp_path)
    assert found.options == options and not found.notes


@pytest.mark.parametrize("val", ["val/labels", "valid/masks", "validation/masks"])
def test_validation_data_that_are_not_read_are_named(tmp_path, val):
    for folder in ("train/images", "train/masks", f"{val.split('/')[0]}/images", val):
        for name in ("1.png", "2.png"):
            (image if folder.endswith("images") else mask)(tmp_path / folder / name)
    found = picked(tmp_path)
    assert found.options["dataset"] == "membrane"
    (note,) = found.notes
    assert note.startswith(f"{tmp_path / val.split('/')[0]} is not read; called val, and with folders and files named")


def test_validation_folders_that_are_not_read_are_named(tmp_path):
    for name in ("train/a", "train/b", "valid/c"):
        image(tmp_path / name / "image.png")
        mask(tmp_path / name / "mask.png")
    (note,) = picked(tmp_path).notes
    assert note.startswith(f"{tmp_path / 'valid'} is not read")


def test_the_data_set_is_a_folder_inside(tmp_path):
    for name in ("1.png", "2.png"):
        image(tmp_path / "stage1" / "image" / name)
        mask(tmp_path / "stage1" / "mask" / name)
    assert picked(tmp_path).root == "stage1"


def test_raw_nuclei(tmp_path):
    for name in ("n1", "n2", "n3"):
        image(tmp_path / name / "images" / f"{name}.png")
    for name in ("n1", "n2"):
        for number in range(3):
            mask(tmp_path / name / "masks" / f"{number}.png")
    found = picked(tmp_path)
    assert (found.raw, found.images, found.without_mask) == (NUCLEI, 2, ["n3/images/n3.png"])


def annotations(path, names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": [{"id": name, "file_name": name} for name in names],
                                "categories": [{"id": 1, "name": "cat"}],
                                "annotations": [{"id": 1, "image_id": names[0], "category_id": 1,
                                                 "segmentation": []}]}))


def test_coco(tmp_path):
    image(tmp_path / "images" / "train" / "a.png")
    image(tmp_path / "images" / "val" / "b.png")
    annotations(tmp_path / "annotations" / "instances_train.json", ["a.png"])
    annotations(tmp_path / "annotations" / "instances_val.json", ["b.png"])
    found = picked(tmp_path)
    assert found.raw == COCO and found.options == {
        "dataset": "COCO", "split": 1.0, "anno_json": str(tmp_path / "annotations" / "instances_train.json"),
        "coco_dir": str(tmp_path / "images" / "train"),
        "val_anno_json": str(tmp_path / "annotations" / "instances_val.json"),
        "val_coco_dir": str(tmp_path / "images" / "val")}


def test_coco_with_several_annotations_that_may_validate(tmp_path):
    image(tmp_path / "photographs" / "a.png")
    for part in ("train", "val", "minival"):
        annotations(tmp_path / f"instances_{part}.json", ["a.png"])
    found = picked(tmp_path)
    assert found.options["anno_json"] == str(tmp_path / "instances_train.json") and "split" not in found.options
    (note,) = found.notes
    assert "instances_minival.json, instances_val.json" in note and "--val_anno_json=FILE" in note


@pytest.mark.parametrize("name", ["instances_latest", "validated", "instances_val2017", "test"])
def test_the_only_annotations_train(tmp_path, name):
    """Also if their name has another word in it, or says that they are for something else."""
    image(tmp_path / "photographs" / "a.png")
    annotations(tmp_path / f"{name}.json", ["a.png"])
    found = picked(tmp_path)
    assert found.options["anno_json"] == str(tmp_path / f"{name}.json") and not found.notes


def test_words_that_only_begin_like_others_leave_nothing_out(tmp_path):
    image(tmp_path / "photographs" / "a.png")
    annotations(tmp_path / "validated.json", ["a.png"])
    annotations(tmp_path / "instances_val.json", ["a.png"])
    found = picked(tmp_path).options
    assert found["anno_json"].endswith("validated.json") and found["val_anno_json"].endswith("instances_val.json")


def test_two_layouts_are_both_named_with_what_picks_them(tmp_path):
    for name in ("1.png", "2.png"):
        image(tmp_path / "image" / name)
        mask(tmp_path / "mask" / name)
        mask(tmp_path / "label" / name)
    message = refused(tmp_path)
    assert "2 layouts fit" in message and "--mask_dir=mask" in message and "--mask_dir=label" in message
    assert picked(tmp_path, mask_dir="label").options["mask_dir"] == "label"
    assert "mask_dir" not in picked(tmp_path, mask_dir="mask").options
    stacks(tmp_path, 6)
    assert "--dataset=ISBI" in refused(tmp_path) and picked(tmp_path, dataset="ISBI").options == {"dataset": "ISBI"}


def test_two_folders_that_fit(tmp_path):
    for folder in ("left", "right"):
        image(tmp_path / folder / "image" / "1.png")
        mask(tmp_path / folder / "mask" / "1.png")
    message = refused(tmp_path)
    assert f"--data_path={tmp_path / 'left'}" in message and f"--data_path={tmp_path / 'right'}" in message


def test_a_layout_that_is_given_but_does_not_fit_is_left_to_its_reader(tmp_path):
    image(tmp_path / "1.png")
    assert picked(tmp_path, dataset="folders").options == {}


def test_other_names_are_renamed_by_their_numbers(tmp_path):
    for number in range(5):
        image(tmp_path / "images" / f"img_{number}.png")
        mask(tmp_path / "masks" / f"m_{number}.png")
    assert ("rename: masks/m_0.png to masks/img_0.png, masks/m_1.png to masks/img_1.png, masks/m_2.png to "
            "masks/img_2.png and 2 more alike") in refused(tmp_path)


def test_folders_of_other_file_names(tmp_path):
    for name in "ab":
        image(tmp_path / name / "scan.png")
        mask(tmp_path / name / "scan_mask_2.png")
    assert "rename: a/scan.png to a/image.png, a/scan_mask_2.png to a/mask.png" in refused(tmp_path)


def test_images_without_any_mask(tmp_path, caplog):
    for number in range(3):
        image(tmp_path / "pictures" / f"{number}.png")
    (tmp_path / "notes.txt").write_text("x")
    caplog.set_level("INFO", "unet")
    message = refused(tmp_path)
    assert f"put the mask of 0.png into {tmp_path / 'mask' / '0.png'}" in message and "\n" not in message
    assert [line.strip() for line in caplog.messages] == [
        f"{tmp_path}/", "notes.txt (1 files: 1 .txt)", "pictures/", "0.png, 1.png, 2.png (3 files: 3 .png)"]


def test_no_image_at_all(tmp_path):
    (tmp_path / "scan.dcm").write_bytes(b"x")
    assert "it holds no image" in refused(tmp_path) and "1 DICOM" in refused(tmp_path)


def test_images_without_masks_are_found_for_prediction(tmp_path):
    data = tmp_path / "data"
    for name in ("1.png", "2.png", "3.png"):
        image(data / "image" / name)
        image(data / "test" / name)
    for name in ("1.png", "2.png"):
        mask(data / "mask" / name)
    mask(data / "test_masks" / "1.png")
    tree = read_tree(data)
    paths = unlabelled(tree, picked(data))
    assert paths == ["image/3.png", "test/1.png", "test/2.png", "test/3.png"]
    link(tree, paths, tmp_path / "links")
    assert (tmp_path / "links" / "test_1.png").resolve() == (data / "test" / "1.png").resolve()
    link(tree, paths, tmp_path / "links")       # the same links again
    assert len(list((tmp_path / "links").iterdir())) == len(paths)


def test_the_options_of_the_training_pick_the_layout(tmp_path, capsys):
    """Where several fit, a folder of masks that was named counts for the images without masks too."""
    data, links = tmp_path / "data", tmp_path / "links"
    for name in ("1.png", "2.png", "3.png"):
        image(data / "image" / name)
        mask(data / "masks_a" / name)
        if name != "3.png":
            mask(data / "masks_b" / name)
    argv = ["--minutes=3", "--config_path=auto", f"--data_path={data}", f"--output_path={links}"]
    assert main(argv) == 2
    assert "layouts fit; give --config_path=auto and the options" in capsys.readouterr().err
    assert main(["--mask_dir=masks_b", *argv]) == 0
    assert capsys.readouterr().out == "1\n" and [path.name for path in links.iterdir()] == ["image_3.png"]


def test_links_of_an_earlier_call_are_removed(tmp_path):
    """Of an image that has its mask by now, and of another data set with the same names."""
    for part in ("one", "two"):
        image(tmp_path / part / "a.png")
        image(tmp_path / part / "b.png")
    links = tmp_path / "links"
    link(read_tree(tmp_path / "one"), ["a.png", "b.png"], links)
    (links / "mine.png").write_text("mine")
    link(read_tree(tmp_path / "two"), ["b.png"], links)
    assert sorted(path.name for path in links.iterdir()) == ["b.png", "mine.png"]
    assert (links / "b.png").resolve() == tmp_path / "two" / "b.png" and (links / "mine.png").read_text() == "mine"


def test_links_replace_nothing(tmp_path):
    """Neither files of the user, nor each other where two paths give one name."""
    for name in ("a/b_c.png", "a_b/c.png"):
        image(tmp_path / "data" / name)
    tree, links = read_tree(tmp_path / "data"), tmp_path / "links"
    link(tree, ["a/b_c.png", "a_b/c.png"], links)
    assert {path.name: path.resolve().parent.name for path in links.iterdir()} == {
        "a_b_c.png": "a", "_a_b_c.png": "a_b"}
    (links / "a_b_c.png").unlink()
    (links / "a_b_c.png").write_text("mine")
    with pytest.raises(UNetError, match=r"links/a_b_c.png is there, and is no link; remove it, or"):
        link(tree, ["a/b_c.png"], links)
    assert (links / "a_b_c.png").read_text() == "mine"
