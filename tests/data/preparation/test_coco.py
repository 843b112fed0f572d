"""COCO annotations to masks of class numbers."""
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coder

from src.data.preparation.coco import _find
from src.data.preparation.coco_annotations import Photograph, read_annotations
from src.data.preparation.prepare import create_tasks
from src.data.preparation.task_pool import run_tasks
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from tests.support.coco import runs
from tests.support.scripts import assert_one_line_error
from tests.support.scripts import run as run_script

CLASSES = ["background", "cat", "dog"]
CATEGORIES = [{"id": 90, "name": "cat"}, {"id": 7, "name": "dog"}]     # the ids are not the class numbers


def box(left, top, right, bottom):
    return [left, top, right, top, right, bottom, left, bottom]


def annotation(number, image, category, segmentation, crowd=0):
    return {"id": number, "image_id": image, "category_id": category, "segmentation": segmentation, "iscrowd": crowd}


def write_raw(folder, annotations, images=("a", "b"), size=(20, 30)):
    """Write pictures NAME.jpg, numbered from 0, and their annotation file; returns the options that name them."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for name in filter(str.isalpha, images):
        Image.new("RGB", size[::-1], (10, 200, 30)).save(folder / "photos" / f"{name}.jpg")
    content = {"images": [{"id": number, "file_name": f"{name}.jpg", "height": size[0], "width": size[1]}
                          for number, name in enumerate(images)],
               "annotations": annotations, "categories": CATEGORIES}
    (folder / "some.json").write_text(json.dumps(content))
    return [f"--anno_json={folder / 'some.json'}", f"--coco_dir={folder / 'photos'}"]


def options(target, *arguments):
    return ["--dataset=COCO", "-d", str(target), "--num_classes=3", f"--coco_classes={','.join(CLASSES)}",
            *map(str, arguments)]


def prepare(target, *arguments):
    return run_script("preprocess_dataset.py", *options(target, *arguments))


def mask_of(folder):
    return np.asarray(Image.open(folder / "mask.png"))


def test_earlier_instances_win_and_crowds_count(tmp_path):
    crowd = np.zeros((20, 30), np.uint8)
    crowd[15:, :] = 1
    raw = write_raw(tmp_path / "raw", [
        annotation(1, 0, 7, [box(2, 2, 12, 12)]),                                   # a dog
        annotation(2, 0, 90, [box(8, 2, 20, 12)]),                                  # a cat, partly behind it
        annotation(3, 0, 90, runs(crowd), crowd=1),
        annotation(4, 0, 7, [box(22, 0, 26, 4), box(22, 6, 26, 10)]),               # a dog in two pieces
        annotation(5, 0, 7, {"size": [20, 30], "counts": coder.encode(np.asfortranarray(crowd))["counts"].decode()}),
    ])
    result = prepare(tmp_path / "out", *raw)
    assert result.returncode == 0, result.stderr
    assert "2 items: 2 made (of 5 parts)" in result.stdout
    expected = np.zeros((20, 30), np.uint8)
    expected[2:12, 8:20] = 1
    expected[2:12, 2:12] = 2
    expected[15:, :] = 1
    expected[0:4, 22:26] = expected[6:10, 22:26] = 2
    assert np.array_equal(mask_of(tmp_path / "out" / "a"), expected)
    assert not mask_of(tmp_path / "out" / "b").any()
    assert Image.open(tmp_path / "out" / "a" / "image.png").mode == "RGB"
    assert json.loads((tmp_path / "out" / "classes.json").read_text()) == CLASSES


def test_split_one_makes_train_and_val(tmp_path):
    raw = write_raw(tmp_path / "raw", [annotation(1, 0, 90, [box(0, 0, 4, 4)])])
    more = write_raw(tmp_path / "val", [annotation(1, 0, 7, [box(0, 0, 4, 4)])], images=("c",))
    result = prepare(tmp_path / "data", "--split=1.0", *raw,
                     *(option.replace("--", "--val_") for option in more), "--save_path", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out" / "train").iterdir()) == ["a", "b"]
    assert mask_of(tmp_path / "out" / "train" / "a").max() == 1 and mask_of(tmp_path / "out" / "val" / "c").max() == 2
    assert not (tmp_path / "data").exists()
    assert "--val_anno_json" in refusal(tmp_path / "data", "--split=1.0", *raw)


def test_bad_items_are_named_and_the_rest_goes_on(tmp_path):
    names = [*"abcdefgh"]
    raw = write_raw(tmp_path / "raw", [
        annotation(11, 0, 90, [[1, 1, 9, 9, 9, 1, 1]]), annotation(12, 1, 90, {"size": [20, 30], "counts": [3, 5]}),
        annotation(13, 2, 90, [[-1e9, 0, 5, 5, 9, 9]]), annotation(14, 7, 90, [box(0, 0, 4, 4)]),
        annotation(15, 6, 90, {"size": [20, 30], "counts": "`"}),
    ], names)
    photos = tmp_path / "raw" / "photos"
    (photos / "d.jpg").unlink()
    (photos / "e.jpg").write_bytes((photos / "e.jpg").read_bytes()[:300])
    Image.new("RGB", (31, 20)).save(photos / "f.jpg")
    result = prepare(tmp_path / "out", *raw)
    assert result.returncode == 1
    lines = sorted(result.stderr.splitlines())
    for name, line, words in zip(names, lines, ["annotation 11", "annotation 12", "annotation 13", "is missing",
                                                "cannot be read", "31x20, the annotation file says 30x20",
                                                "annotation 15"]):
        assert str(photos / f"{name}.jpg") in line and words in line, line
    assert len(lines) == 7
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["h"]


def refusal(target, *arguments):
    """What is said before anything is done."""
    with pytest.raises(UNetError) as caught:
        create_tasks(parse_options(options(target, *arguments), "test"))
    return str(caught.value)


def test_wrong_usage(tmp_path):
    fine = [annotation(1, 0, 7, [box(0, 0, 4, 4)])]
    raw = write_raw(tmp_path / "raw", fine)
    out = tmp_path / "out"
    assert_one_line_error(prepare(out, raw[0]), "coco_dir", "--coco_dir")
    assert "3 classes, num_classes is 4" in refusal(out, *raw, "--num_classes=4")
    message = refusal(out, *raw, "--coco_classes=background,cat,dogs")
    assert "'dogs', which is no category of" in message and message.endswith("did you mean dog?")
    assert "begins with 'cat'" in refusal(out, *raw, "--coco_classes=cat,dog,bird")
    assert "dog twice" in refusal(out, *raw, "--coco_classes=background,dog,dog")
    write_raw(tmp_path / "raw", fine, images=("a", "a"))
    assert "two images are called a" in refusal(out, *raw)
    write_raw(tmp_path / "raw", fine, images=("..",))
    assert "is not the name of an image" in refusal(out, *raw)
    for text in ('{"images": []}', "[1, 2", '{"images": [{"id": 1}], "annotations": [], "categories": []}'):
        (tmp_path / "raw" / "some.json").write_text(text)
        assert "not an annotation file" in refusal(out, *raw)
    assert not out.exists()


def drawn(tmp_path, content, *arguments, images=("a", "b")):
    """The masks of an annotation file of that content beside the pictures a and b of 20x30: name -> mask."""
    raw = write_raw(tmp_path / "raw", [], images)
    content = {"categories": CATEGORIES, **content}
    (tmp_path / "raw" / "some.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    counts = run_tasks(create_tasks(parse_options(options(tmp_path / "out", *raw, *arguments), "")), 1)
    assert not counts.bad
    return {path.parent.name: np.asarray(Image.open(path)) for path in (tmp_path / "out").glob("*/mask.png")}


def photos(*numbers, **more):
    return [{"id": number, "file_name": f"{name}.jpg", "height": 20, "width": 30, **more}
            for number, name in zip(numbers, "ab")]


@pytest.mark.parametrize("numbers", [("1", "2"), (1.0, 2.0), ("img_a", "img_b"), (1, "2")])
def test_ids_may_be_texts(tmp_path, numbers):
    masks = drawn(tmp_path, {"images": photos(*numbers), "annotations": [
        annotation(1, numbers[0], "90", [box(0, 0, 4, 4)]), annotation("x", numbers[1], 7.0, [box(0, 0, 5, 5)])]})
    assert (np.unique(masks["a"]).tolist(), np.unique(masks["b"]).tolist()) == ([0, 1], [0, 2])


def test_sizes_and_folders_that_the_file_does_not_have(tmp_path):
    images = [{"id": 1, "file_name": "train\\a.jpg"}, {"id": 2, "file_name": "elsewhere/b.jpg"}]
    masks = drawn(tmp_path, {"images": images, "annotations": [annotation(1, 2, 7, [box(0, 0, 4, 4)])]})
    assert masks["a"].shape == (20, 30) and masks["b"].max() == 2


def test_same_names_in_two_folders(tmp_path):
    for name in ("left", "right"):
        (tmp_path / "raw" / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (30, 20)).save(tmp_path / "raw" / "photos" / name / "c.jpg")
    images = [{"id": name, "file_name": f"{name}/c.jpg", "height": 20, "width": 30} for name in ("left", "right")]
    masks = drawn(tmp_path, {"images": images, "annotations": [annotation(1, "left", 7, [box(0, 0, 4, 4)])]})
    assert masks["left_c"].max() == 2 and masks["right_c"].max() == 0


def test_parts_that_cannot_be_drawn_are_counted(tmp_path, caplog):
    """Fewer than three points, no outline, nowhere; the other parts and the pictures stay."""
    no_outline = {"id": 5, "image_id": 2, "category_id": 7, "keypoints": [1, 2, 2]}
    masks = drawn(tmp_path, {"images": photos(1, 2), "annotations": [
        annotation(1, 1, 90, [box(0, 0, 4, 4), [9.5, 9.5]]), annotation(2, 1, 90, []), no_outline,
        annotation(3, 1, 90, [[30, 30, 50, 40]]), annotation(4, 1, 90, [[float("nan"), 4, 24, 4, 24, 24]])]})
    assert (masks["a"] == 1).sum() == 16 and masks["b"].max() == 0
    assert "parts with fewer than three points are left out: 5, of the annotations 1, 2, 5, 3, 4" in caplog.text


def test_some_of_the_categories(tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    masks = drawn(tmp_path, {"images": photos(1, 2), "annotations": [
        annotation(1, 1, 90, [box(0, 0, 4, 4)]), annotation(2, 2, 7, [box(0, 0, 4, 4)])]},
        "--coco_classes=[background,dog]", "--num_classes=2")
    assert masks["a"].max() == 0 and masks["b"].max() == 1
    assert "1 instances of 1 categories that coco_classes does not name are left out: cat" in caplog.text


@pytest.mark.parametrize("order, inner", [("file", 1), ("area", 2)])
def test_small_objects_stay_if_asked_for(tmp_path, order, inner):
    masks = drawn(tmp_path, {"images": photos(1), "annotations": [
        annotation(1, 1, 90, [box(2, 2, 20, 18)]), annotation(2, 1, 7, [box(8, 8, 12, 12)])]},
        f"--coco_draw_order={order}")
    assert masks["a"][10, 10] == inner and masks["a"][3, 3] == 1


@pytest.mark.parametrize("content, part", [
    ({"images": photos(1, 1), "annotations": []}, "image id 1 is there twice"),
    ({"images": photos(1, "1"), "annotations": []}, "image id 1 is there twice"),
    ({"images": photos(1), "annotations": [annotation(5, 1, 7, [box(0, 0, 4, 4)])] * 2}, "annotation id 5 is there"),
    ({"images": photos(1), "annotations": [annotation(5, 9, 7, [box(0, 0, 4, 4)])]},
     "annotation 5 belongs to image 9, which the file does not have .1 such"),
    ({"images": photos(1), "annotations": [annotation(5, 1, 8, [box(0, 0, 4, 4)])]}, "annotation 5 is of category 8"),
    ({"images": photos(1), "annotations": [annotation(5, 1, 7, None)]}, "none of the 1 annotations has an outline"),
    ({"images": photos(True), "annotations": []}, "not an annotation file .*the id True"),
    ({"images": photos(1), "annotations": [], "categories": CATEGORIES * 2}, "category id 90 is there twice")])
def test_annotation_files_that_contradict_themselves(tmp_path, content, part):
    with pytest.raises(UNetError, match=part):
        drawn(tmp_path, content)


def test_other_class_numbers_do_not_go_into_one_folder(tmp_path):
    raw = write_raw(tmp_path / "raw", [annotation(1, 0, 7, [box(0, 0, 4, 4)])])
    assert prepare(tmp_path / "out", *raw).returncode == 0
    assert "classes.json: the masks in this folder were made with other coco_classes" in refusal(
        tmp_path / "out", *raw, "--coco_classes=background,dog,cat")
    assert mask_of(tmp_path / "out" / "a").max() == 2


@pytest.mark.slow
def test_the_small_real_data_set(real_data, tmp_path):
    """Both YAML files, against the drawing of pycocotools in the order of the file."""
    from pycocotools.coco import COCO

    coco = real_data / "coco_mini"
    files = [f"--{part}anno_json={coco}/annotations/instances_{split}2017.json" for part, split in
               (("", "train"), ("val_", "val"))]
    files += [f"--{part}coco_dir={coco}/images/{split}2017" for part, split in (("", "train"), ("val_", "val"))]
    yaml = "--config_path=unet_nested_coco_config.yaml"
    result = run_script("preprocess_dataset.py", yaml, *files, "-d", tmp_path)
    assert result.returncode == 0, result.stderr
    assert "100 items: 100 made (of 852 parts)" in result.stdout
    places = {name: number for number, name in enumerate(parse_options([yaml], "test").coco_classes)}
    for split in ("train", "val"):
        annotations = COCO(coco / "annotations" / f"instances_{split}2017.json")
        for number in annotations.getImgIds():
            info = annotations.loadImgs(number)[0]
            expected = np.zeros((info["height"], info["width"]), np.uint8)
            for one in annotations.loadAnns(annotations.getAnnIds(imgIds=number, iscrowd=None)):
                name = annotations.loadCats(one["category_id"])[0]["name"]
                expected += (expected == 0) * annotations.annToMask(one) * np.uint8(places[name])
            folder = tmp_path / split / info["file_name"].removesuffix(".jpg")
            assert np.array_equal(mask_of(folder), expected), folder
            assert Image.open(folder / "image.png").size == expected.shape[::-1]


def test_photographs_stay_below_their_folder(tmp_path):
    """A path that leads out is that of another machine: the name counts."""
    write_raw(tmp_path, [annotation(1, 0, 90, [box(2, 2, 9, 9)])], images=("a",))
    Image.new("RGB", (30, 20), (1, 2, 3)).save(tmp_path / "secret.jpg")

    folder = tmp_path / "photos"
    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "x/../../secret.jpg"):
        assert _find(folder, Photograph(name, None)) == folder / "secret.jpg"       # which is not there
    for name in ("a.jpg", "../photos/a.jpg", "/elsewhere/a.jpg", "train2017/a.jpg"):
        assert _find(folder, Photograph(name, None)) == folder / "a.jpg"


def test_sizes_without_bounds(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [{"id": 1, "file_name": "a", "height": Infinity, "width": 1}]}')
    with pytest.raises(UNetError, match="not an annotation file of COCO's instances .OverflowError"):
        read_annotations(str(tmp_path / "a.json"))
