"""COCO annotations to masks of class numbers."""
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coder

from src.data.preparation.coco import draw_instances
from src.data.preparation.coco_masks import area
from src.data.preparation.prepare import create_tasks
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
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


def runs(mask):
    """The uncompressed run-length code of a mask: column by column, zeros first."""
    values = np.concatenate([[0], mask.T.ravel(), [2]])
    ends = np.flatnonzero(values[1:] != values[:-1])
    starts = np.concatenate([[0], ends[:-1]])
    return {"size": list(mask.shape), "counts": [int(count) for count in ends - starts]}


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
        annotation(11, 0, 90, [[1, 1, 5, 5]]), annotation(12, 1, 90, {"size": [20, 30], "counts": [3, 5]}),
        annotation(13, 2, 90, []), annotation(14, 7, 90, [box(0, 0, 4, 4)]),
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
    message = refusal(out, *raw, "--coco_classes=background,cat,bird")
    assert "annotation 1 " in message and "'dog'" in message
    assert "begins with 'cat'" in refusal(out, *raw, "--coco_classes=cat,dog,bird")
    assert "dog twice" in refusal(out, *raw, "--coco_classes=background,dog,dog")
    write_raw(tmp_path / "raw", fine, images=("a", "sub/../a"))
    assert "two images are called a" in refusal(out, *raw)
    write_raw(tmp_path / "raw", fine, images=("..",))
    assert "is not the name of an image" in refusal(out, *raw)
    for text in ('{"images": []}', "[1, 2", '{"images": [{"id": 1}], "annotations": [], "categories": []}'):
        (tmp_path / "raw" / "some.json").write_text(text)
        assert "not an annotation file" in refusal(out, *raw)
    assert not out.exists()


def test_other_class_numbers_do_not_go_into_one_folder(tmp_path):
    raw = write_raw(tmp_path / "raw", [annotation(1, 0, 7, [box(0, 0, 4, 4)])])
    assert prepare(tmp_path / "out", *raw).returncode == 0
    assert "classes.json: the masks in this folder were made with other coco_classes" in refusal(
        tmp_path / "out", *raw, "--coco_classes=background,dog,cat")
    assert mask_of(tmp_path / "out" / "a").max() == 2


@given(st.lists(st.integers(1, 5), max_size=6), st.integers(0, 2**32 - 1))
def test_the_first_instance_at_a_pixel_gives_its_class(picture, numbers, seed):
    rng = np.random.default_rng(seed)
    masks = [(rng.random((9, 14)) < 0.3).astype(np.uint8) for _ in numbers]
    instances = [(index, number, runs(mask)) for index, (number, mask) in enumerate(zip(numbers, masks))]
    expected = np.zeros((9, 14), np.uint8)
    for number, mask in zip(numbers, masks):
        expected += (expected == 0) * mask * np.uint8(number)
    assert np.array_equal(draw_instances(picture, (9, 14), instances)[0][1], expected)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "x.png"
    Image.new("L", (14, 9)).save(path)
    return path


@given(st.integers(1, 40), st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_compressed_codes_are_read(height, width, density, seed):
    mask = np.random.default_rng(seed).random((height, width)) < density
    text = coder.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(area({"size": [height, width], "counts": text}, height, width), mask)


@given(st.text(st.characters(min_codepoint=40, max_codepoint=130), max_size=30))
def test_damaged_codes_are_refused_or_read(text):
    with suppress(ValueError):
        assert area({"size": [20, 30], "counts": text}, 20, 30).shape == (20, 30)


@pytest.mark.parametrize("segmentation", [
    None, "x", [], [[]], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 6, 7]], [["a"] * 6], [[float("nan")] * 6], [[1e12] * 6],
    [1, 2, 3, 4, 5, 6], {}, {"size": [20, 30]}, {"size": [30, 20], "counts": [600]}, {"size": [20, 30], "counts": None},
    {"size": [20, 30], "counts": [599]}, {"size": [20, 30], "counts": [-1, 601]},
    {"size": [20, 30], "counts": [0.5] * 1200},
])
def test_what_is_no_segmentation(segmentation):
    with pytest.raises((ValueError, TypeError, KeyError)):
        area(segmentation, 20, 30)


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
