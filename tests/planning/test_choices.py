"""From facts to options."""
from dataclasses import replace

import pytest

from src.planning.choices import choose, is_membrane
from src.planning.facts import DataFacts, Machine, Objects
from src.planning.masks import Classes
from src.planning.plan import table

NUCLEI = DataFacts("folders", 536, 134, 64, [(256, 256), (256, 256), (520, 696)], 3, "RGB", 0, 9.0,
                   Classes({"num_classes": 2}, "numbers"), [0.87, 0.13], True, Objects(900, 40, 8, 18, 40, 22, 0.1), 60)
MEMBRANES = DataFacts("ISBI", 24, 6, 30, [(512, 512)] * 30, 1, "gray", 0, 1.5, Classes({"num_classes": 2}, "0, 255"),
                      [0.22, 0.78], False, Objects(2744, 114, 11, 27, 77, 83), 11.8)
PHOTOGRAPHS = DataFacts("COCO", 50, 50, 64, [(480, 640)] * 64, 3, "RGB", 0, 1.7, Classes({"num_classes": 15}, "names"),
                        [0.7, *[0.3 / 14] * 14], False, Objects(55, 2.3, 20, 80, 280, 279), 200)
CPU = Machine("CPU", 2, 16.0, True, False)


def options(data, machine=CPU, **given):
    """What is chosen; the table shows these values, or those that the user gave, and each of them once."""
    choices = choose(data, machine, given)
    found = {name: value for choice in choices for name, value in choice.options.items()}
    rows = dict(line.split(maxsplit=1) for line in table(choices, given)[1:])
    assert rows.keys() == found.keys() and len(rows) == sum(len(choice.options) for choice in choices)
    assert all(row.startswith(f"{given.get(name, found[name])}  ") for name, row in rows.items())
    return found


def test_nuclei_get_the_recipe_that_was_made_for_them():
    """configs/unet_nuclei_config.yaml, and what belongs to their numbers."""
    found = options(NUCLEI)
    assert found == {
        "num_classes": 2, "num_channels": 3, "normalize": "percentile", "minutes": 20, "repeat": 1,
        "image_size": "native", "train_crop": 128, "model_name": "unet_simple", "feature_scale": 2,
        "weight_init": "he_uniform",
        "target": "boundary", "border_weight": True, "loss": "cross_entropy+dice", "train_augment": True,
        "augment_rot90": True, "augment_scale": [0.7, 1.4], "batch_size": 16, "accumulate_steps": 1,
        "patches_per_image": 4, "foreground_patches": 0.33, "lr": 0.001, "lr_schedule": "cosine", "weight_decay": 0.0,
        "warmup_steps": 50, "ema_decay": 0.99, "run_eval": True, "keep_checkpoint_max": 2,
        "eval_metrics": ["hard_iou", "hard_dice", "dice_coeff"]}


def test_membranes():
    found = options(MEMBRANES)
    assert is_membrane(MEMBRANES) and not is_membrane(NUCLEI)
    assert (found["loss"], found["border_weight"], found["class_weights"]) == (
        "cross_entropy+skeleton_recall", True, ["1", "2"])
    assert (found["lr"], found["batch_size"], found["augment_elastic"]) == (0.002, 2, True)
    assert "target" not in found and found["warmup_steps"] == 0 and found["feature_scale"] == 4
    assert found["patches_per_image"] == 5      # 50 steps of 2 from 24 images


def test_objects_that_fill_photographs():
    found = options(PHOTOGRAPHS)
    assert (found["image_size"], found["train_crop"], found["eval_resize"]) == ([320, 240], 0, True)
    assert "patches_per_image" not in found and found["repeat"] == 3        # 50 steps of 3 from 50 images


@pytest.mark.parametrize("sizes, objects, expected", [
    ([(64, 64)], Objects(), 64), ([(100, 300)], Objects(), [112, 256]), ([(2000, 3000)], Objects(), 256),
    ([(2000, 3000)], Objects(10, 5, 90, 120, 200, 130), 384), ([(30, 40)], Objects(), [32, 48]),
    ([(2000, 3000)], Objects(10, 5, 20, 40, 64, 50), 128), ([(2000, 3000)], Objects(10, 5, 20, 40, 65, 50), 256),
    ([(2000, 3000)], Objects(10, 5, 20, 40, 64, 90), 256)])
def test_patches(sizes, objects, expected):
    """As large as the largest image, up to 256; 128 for small objects, 384 for large ones; multiples of 16."""
    assert options(replace(NUCLEI, sizes=sizes, objects=objects))["train_crop"] == expected


@pytest.mark.parametrize("memory, operators, batch, parts", [
    (16, True, 16, 1), (1.8, True, 8, 2), (1.45, True, 4, 4), (5, False, 4, 4), (5.3, False, 8, 2), (0, True, 16, 1)])
def test_batches_that_fit_into_the_memory(memory, operators, batch, parts):
    """0.75 + 0.1 GB for 256x256 pixels, or 2.7 + 0.17; at most 0.6 of what is free."""
    found = options(NUCLEI, Machine("CPU", 2, memory, operators))
    assert (found["batch_size"], found["accumulate_steps"]) == (batch, parts)


def test_small_patches_come_in_larger_batches():
    found = options(replace(NUCLEI, sizes=[(64, 64)], train=4, valid=2))
    assert found["batch_size"] == 16 and found["patches_per_image"] == 200
    assert options(replace(NUCLEI, sizes=[(112, 112)], objects=Objects()))["batch_size"] == 16
    assert options(replace(NUCLEI, sizes=[(160, 160)], objects=Objects()))["batch_size"] == 10


def test_images_of_many_bits_and_of_many_bands():
    found = options(replace(NUCLEI, deep=2, contrast=1, channels=4))
    assert (found["normalize"], found["num_channels"]) == ("percentile", 4)
    assert options(replace(NUCLEI, contrast=1))["normalize"] == "range"


def test_large_masks_are_not_read_whole():
    assert "target" not in options(replace(NUCLEI, sizes=[(9000, 9000)]))
    assert "border_weight" not in options(replace(MEMBRANES, sizes=[(9000, 9000)]))


def test_machines():
    assert options(NUCLEI, replace(CPU, bfloat16=True))["cpu_precision"] == "bfloat16"
    assert "cpu_precision" not in options(NUCLEI)
    on_ascend = options(NUCLEI, Machine("Ascend", 8, 64))
    assert on_ascend["model_name"] == "unet_nested" and "ema_decay" not in on_ascend


@pytest.mark.parametrize("train, valid, evaluates", [(0, 1, False), (1, 1, True), (6, 0, False), (2, 1, True)])
def test_without_validation_nothing_is_evaluated(train, valid, evaluates):
    found = options(replace(NUCLEI, train=train, valid=valid))
    assert found["run_eval"] == ("eval_metrics" in found) == evaluates


def test_the_warm_up_is_at_most_a_tenth_of_the_run():
    assert options(NUCLEI, total_steps=47)["warmup_steps"] == 4
    assert options(NUCLEI, epochs=2)["warmup_steps"] == 26      # 2 epochs of 134 steps
    assert options(NUCLEI, minutes=1)["warmup_steps"] == 50     # which minutes may shorten


def test_what_the_user_gave_is_considered():
    assert "minutes" not in options(NUCLEI, epochs=5) and "eval_interval" in options(NUCLEI, epochs=5)
    assert options(NUCLEI, minutes=3).get("augment_scale") is None
    assert options(NUCLEI, train_crop=256)["batch_size"] == 4
    resized = options(NUCLEI, image_size=[128, 128])
    assert "patches_per_image" not in resized and resized["train_crop"] == 0
    assert options(PHOTOGRAPHS, image_size="native")["train_crop"] == 256
    assert options(NUCLEI, minutes=20)["augment_scale"] == [0.7, 1.4]
    assert options(replace(NUCLEI, train=40), minutes=20)["augmentation"] == "strong"
    assert options(NUCLEI, accumulate_steps=4)["patches_per_image"] == 6      # 50 steps of 4 batches of 16


def test_a_patch_that_the_user_gave_is_not_resized_away():
    found = options(PHOTOGRAPHS, train_crop=128)
    assert found["image_size"] == "native" and found["batch_size"] == 16 and "eval_resize" not in found
    assert options(NUCLEI, image_size=[512, 512], train_crop=128)["batch_size"] == 16


@pytest.mark.parametrize("name, activate", [("unet_keras", "Sigmoid"), ("unet_bilinear", "Sigmoid"),
                                            ("unet_medical", "Softmax"), ("unet_nested", "Softmax")])
def test_a_network_that_the_user_gave_is_followed(name, activate):
    found = options(NUCLEI, model_name=name)
    assert (found["model_name"], found["eval_activate"]) == (name, activate)
    assert ("target" in found) == (activate == "Softmax") and found["border_weight"]
    assert ("feature_scale" in found) == (name == "unet_nested")
    assert ("use_ds" in options(NUCLEI, Machine("Ascend", 8, 64), model_name=name)) == (name == "unet_nested")


def test_patches_are_of_a_size_that_the_given_network_takes():
    """Those of unet_medical are larger than its labels, which are as large as the patches of other networks."""
    found = options(NUCLEI, model_name="unet_medical")
    assert (found["train_crop"], found["crop"], found["patches_per_image"]) == (316, [132, 132], 4)
    resized = options(PHOTOGRAPHS, model_name="unet_medical")
    assert (resized["image_size"], resized["crop"]) == ([508, 428], [324, 244])
    assert options(NUCLEI, model_name="unet_medical", train_crop=572)["crop"] == [388, 388]
    assert options(NUCLEI, model_name="unet_medical", image_size=[572, 572])["crop"] == [388, 388]
    assert "crop" not in options(NUCLEI, model_name="unet_medical", train_crop=128)       # which plan() refuses
    assert "crop" not in options(NUCLEI, model_name="unet_keras") and "crop" not in options(NUCLEI)
