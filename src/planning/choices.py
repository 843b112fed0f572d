"""From what a data set and the machine are to options, each with its reason.

Only arithmetic, unless the user names a network: to look up what it takes loads MindSpore.
"""
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from src.data.window_reader import LARGE
from src.model_utils.config import BOUNDARY
from src.model_utils.errors import UNetError
from src.model_utils.options import NATIVE
from src.networks.registry import entry, input_size
from src.planning.facts import DataFacts, Machine

MINUTES = 20            # if nothing says how long
STEP = 16               # sides of a network's input are multiples of it
SMALL_PATCH, PATCH, LARGE_PATCH = 128, 256, 384
SMALL_OBJECT = 64       # pixels; if objects are at most so wide, a batch of small patches shows more of the images
LARGE_OBJECT = 96       # pixels; from there on a larger patch shows more of the surroundings
# Images are resized if the object that a pixel of the foreground is in has this share of their side, and they are so
# large: then a patch would not show what it is.
FILLING, LONG_SIDE, RESIZED_SIDE, LARGEST_RESIZED = 0.25, 320, 320, 4096
# Membranes: a thin background between objects that fill the image.
THIN_GAP, FULL = 16, 0.5
PIXELS_PER_STEP = 4 * 256 * 256
MOST_BATCH = 16
STEPS_PER_EPOCH = 50    # at least
CONTRAST = 3            # percentile instead of range, if contrast differs by this factor
FEW_IMAGES = 100        # that train; below, augmentation has to make more of them
WARMUP = 50             # steps, or a tenth of the run
AVERAGE = 0.99          # ema_decay
RARE = 0.02             # share of the pixels
SHORT_MINUTES = 8       # in which elaborate augmentation does not pay

# Memory of unet_simple in GB: what it needs besides images, and for each image of 256x256 in a batch (docs/results).
COMPILED, STOCK = (0.75, 0.1), (2.7, 0.17)
MEMORY_SHARE = 0.6      # of the free memory


@dataclass(frozen=True)
class Choice:
    """The value of an option, or of several that belong together, and what it is because of."""
    options: dict[str, Any]
    because: str


def choose(data: DataFacts, machine: Machine, given: Mapping[str, Any]) -> list[Choice]:
    """Choose the options of a training.

    Args:
        data: the data set.
        machine: the machine.
        given: the options that the user gave; they are considered by what depends on them.
    """
    chosen: list[Choice] = []

    def take(*more: Choice) -> dict[str, Any]:
        chosen.extend(more)
        return {**{name: value for choice in chosen for name, value in choice.options.items()}, **given}

    now = take(*_classes(data), *_images(data), *_split(data))
    now = take(*_length(now), _size(data, now))
    now = take(*_network(data, machine, now))
    now = take(*_loss(data, now))
    now = take(*_augmentation(data, now), *_batch(data, machine, now))
    take(*_rate(data, machine, now), *_evaluation(data, now))
    return chosen


def _classes(data: DataFacts) -> Iterator[Choice]:
    yield Choice(dict(data.classes.options), data.classes.because)


def _images(data: DataFacts) -> Iterator[Choice]:
    if data.channels:
        yield Choice({"num_channels": data.channels}, data.because)
    if data.deep:
        yield Choice({"normalize": "percentile"}, f"{data.deep} of {data.looked_at} images have more than 8 bits")
    elif data.contrast >= CONTRAST:
        yield Choice({"normalize": "percentile"}, f"the range of numbers differs by a factor of {data.contrast:.1f} "
                                                  f"between images")
    else:
        yield Choice({"normalize": "range"}, f"8 bits, and ranges of numbers that differ by a factor of "
                                             f"{data.contrast:.1f} at most")


def _split(data: DataFacts) -> Iterator[Choice]:
    if data.train + data.valid == 1:
        yield Choice({"run_eval": False}, "one image: it trains, none validates, and there is no score and no "
                                          "best.ckpt")
    elif not data.valid:
        yield Choice({"run_eval": False}, "no image validates, and there is no score and no best.ckpt")


def _length(now: Mapping[str, Any]) -> Iterator[Choice]:
    if not any(now.get(name) for name in ("minutes", "total_steps", "epochs")):
        yield Choice({"minutes": MINUTES}, "neither minutes, epochs nor total_steps is given")


def _middle(data: DataFacts) -> tuple[int, int]:
    """Return the median height and width of the images."""
    heights, widths = (sorted(side) for side in zip(*data.sizes))
    return heights[len(heights) // 2], widths[len(widths) // 2]


def _are_whole(data: DataFacts) -> bool:
    """Return whether masks are read whole, which rims and the weights of borders need of those without numbers."""
    return max(map(math.prod, data.sizes)) <= LARGE


def is_membrane(data: DataFacts) -> bool:
    """Return whether the objects fill the image, and only thin membranes are between them."""
    return (len(data.shares) == 2 and not data.has_objects and _are_whole(data) and data.shares[1] > FULL
            and 0 < data.gap <= THIN_GAP and data.objects.per_image > 4)


def _size(data: DataFacts, now: Mapping[str, Any]) -> Choice:
    if now.get("image_size", NATIVE) != NATIVE:
        return Choice({"train_crop": 0, **_crop(now, now["image_size"])}, "image_size is given")
    height, width = _middle(data)
    objects, longest = data.objects, max(height, width)
    fills = objects.typical >= FILLING * min(height, width) and LONG_SIDE < longest <= LARGEST_RESIZED
    is_free = "image_size" not in now and not now.get("train_crop")
    if fills and is_free and data.dataset != "ISBI" and not data.has_objects and not is_membrane(data):
        scale = RESIZED_SIDE / longest
        size = _input(now, [_multiple(width * scale), _multiple(height * scale)])
        return Choice({"image_size": size, "train_crop": 0, "eval_resize": True, **_crop(now, size)},
                      f"most of the foreground is in objects {objects.typical:.0f} pixels wide, in images of "
                      f"{width}x{height}: a patch would not show them; scores are of the images' own sizes")
    are_small = objects.count > 0 and max(objects.largest, objects.typical) <= SMALL_OBJECT and not is_membrane(data)
    patch = LARGE_PATCH if objects.median >= LARGE_OBJECT else SMALL_PATCH if are_small else PATCH
    heights, widths = zip(*data.sizes)
    size = _input(now, [min(patch, _multiple(max(side), math.ceil)) for side in (heights, widths)])
    about = f"objects are {objects.smallest:.0f} to {objects.largest:.0f} pixels wide" if objects.count else (
        "the masks show no objects")
    return Choice({"image_size": NATIVE, "train_crop": size[0] if size[0] == size[1] else size,
                   **_crop(now, _sides(now.get("train_crop") or size))},
                  f"{about}, images {width}x{height}" + ("" if len(set(data.sizes)) == 1 else " and other sizes"))


def _input(now: Mapping[str, Any], label: list[int]) -> list[int]:
    """Return the size of the network's input for labels of a size: of the network that the user gave, if any."""
    return list(input_size(now["model_name"], (label[0], label[1]))) if "model_name" in now else label


def _crop(now: Mapping[str, Any], size: list[int]) -> dict[str, Any]:
    """Return the option crop, if the network that the user gave makes smaller logits of inputs of a size."""
    if "model_name" not in now:
        return {}
    rule = entry(now["model_name"]).network_class.output_size
    result = [rule(side) for side in size]
    return {} if None in result or result == size else {"crop": result}


def _sides(crop: int | list[int]) -> list[int]:
    return crop if isinstance(crop, list) else [crop, crop]


def _multiple(side: float, rounded: Any = round) -> int:
    return max(STEP, STEP * rounded(side / STEP))


def _network(data: DataFacts, machine: Machine, now: Mapping[str, Any]) -> Iterator[Choice]:
    given = entry(now["model_name"]) if "model_name" in now else None
    if given:
        yield Choice({"model_name": now["model_name"], "eval_activate": given.output.capitalize()},
                     f"what the output of {now['model_name']} means")
    elif machine.device == "CPU":
        yield Choice({"model_name": "unet_simple"}, f"{machine.cores} processor{'s' * (machine.cores > 1)}, on which "
                                                    f"UNet++ takes more than twice as long for a pixel")
    else:
        yield Choice({"model_name": "unet_nested"}, f"an {machine.device} has the speed for UNet++")
    if machine.device == "CPU":
        if machine.bfloat16:
            yield Choice({"cpu_precision": "bfloat16"}, "the processor multiplies bfloat16 by units of its own (AMX)")
    elif not given or "use_ds" in given.arguments.values():
        yield Choice({"use_ds": False}, "the head that predicts is the only one that trains")
    if not given or "feature_scale" in given.arguments.values():
        scale, share = (4, "a quarter") if machine.device == "CPU" and is_membrane(data) else (2, "half")
        yield Choice({"feature_scale": scale}, f"{share} of the paper's channels, the width with which such data were "
                                               f"measured")
    yield Choice({"weight_init": "he_uniform"}, "few steps are enough with it")


def _loss(data: DataFacts, now: Mapping[str, Any]) -> Iterator[Choice]:
    if data.has_objects and now["num_classes"] == 2 and _are_whole(data):
        # The rim is a third class, which a network of one output channel cannot tell apart.
        target = {} if now.get("eval_activate") == "Sigmoid" else {"target": BOUNDARY}
        yield Choice({**target, "border_weight": True}, f"the masks tell objects apart, {data.objects.touching:.0%} of "
                                                        f"which touch another one")
    if is_membrane(data):
        yield Choice({"loss": "cross_entropy+skeleton_recall", "border_weight": True, "class_weights": ["1", "2"]},
                     f"{data.shares[1]:.0%} foreground, with a background {data.gap:.0f} pixels wide in between: "
                     f"membranes, whose gaps would join objects")
        return
    rarest = min(range(1, len(data.shares)), key=lambda number: data.shares[number])
    yield Choice({"loss": "cross_entropy+dice"}, f"the rarest class has {100 * data.shares[rarest]:.2g} % of the "
                                                 f"pixels; Dice weighs classes alike")


def _augmentation(data: DataFacts, now: Mapping[str, Any]) -> Iterator[Choice]:
    if now["image_size"] != NATIVE:
        yield Choice({"train_augment": True, "augmentation": "default"}, "scale, crop and flips of resized images")
        return
    if is_membrane(data):
        yield Choice({"train_augment": False, "augment_flip": True, "augment_rot90": True, "augment_elastic": True,
                      "augment_gray": True}, "membranes run in all directions, at one scale")
        return
    minutes = now.get("minutes") or math.inf
    if minutes < SHORT_MINUTES:
        yield Choice({"train_augment": True, "augment_rot90": True}, f"flips and quarter turns; more does not pay in "
                                                                     f"{minutes:g} minutes")
    elif data.train < FEW_IMAGES:
        yield Choice({"train_augment": True, "augmentation": "strong", "augment_rot90": True},
                     f"fewer than {FEW_IMAGES} images train")
    else:
        yield Choice({"train_augment": True, "augment_rot90": True, "augment_scale": [0.7, 1.4]},
                     f"{data.train} images train; objects are {data.objects.smallest:.0f} to "
                     f"{data.objects.largest:.0f} pixels wide")


def _patch_size(now: Mapping[str, Any]) -> list[int]:
    size = now["train_crop"] or now["image_size"]
    if size == NATIVE:
        raise UNetError("train_crop is 0, and image_size native trains on patches; give their size, or leave "
                        "train_crop out")
    return _sides(size)


def _batch(data: DataFacts, machine: Machine, now: Mapping[str, Any]) -> Iterator[Choice]:
    pixels = math.prod(_patch_size(now))
    wanted = 2 if is_membrane(data) else max(1, min(MOST_BATCH, PIXELS_PER_STEP // pixels))
    batch, parts = wanted, 1
    base, each = COMPILED if machine.fast_operators or machine.device != "CPU" else STOCK
    each *= pixels / (256 * 256)
    while batch > 1 and machine.memory_gb and base + batch * each > MEMORY_SHARE * machine.memory_gb:
        batch, parts = batch // 2, parts * 2
    if "batch_size" in now:
        batch, parts = now["batch_size"], 1
    parts = now.get("accumulate_steps", parts)
    about = f"about {base + batch * each:.1f} of {machine.memory_gb:.1f} GB"
    yield Choice({"batch_size": batch, "accumulate_steps": parts},
                 about + (f", in {parts} parts for a batch of {batch * parts}" if parts > 1 else ""))
    yield _patches(data, now, batch * parts)


def _patches(data: DataFacts, now: Mapping[str, Any], batch: int) -> Choice:
    train = max(1, data.train if data.train and data.valid else data.train + data.valid - 1)
    least = math.ceil(STEPS_PER_EPOCH * batch / train)
    if now["image_size"] != NATIVE:
        return Choice({"repeat": max(1, least)}, f"an epoch has at least {STEPS_PER_EPOCH} steps")
    height, width = _middle(data)
    covering = math.ceil(height * width / math.prod(now.get("crop") or _patch_size(now)))
    share = 1 - data.shares[0]
    foreground = 0.0 if share > FULL / 2 else 0.33 if share > RARE else 0.5
    return Choice({"patches_per_image": max(covering, least), "repeat": 1, "foreground_patches": foreground},
                  f"{covering} cover an image, and an epoch has at least {STEPS_PER_EPOCH} steps; {share:.1%} of the "
                  f"pixels are foreground")


def _rate(data: DataFacts, machine: Machine, now: Mapping[str, Any]) -> Iterator[Choice]:
    lr = 0.002 if is_membrane(data) else 0.001
    warmup = 0 if is_membrane(data) else int(min(WARMUP, _steps(data, now) / 10))
    yield Choice({"lr": lr, "lr_schedule": "cosine", "weight_decay": 0.0, "warmup_steps": warmup},
                 f"measured with this loss ({now['loss']}); the cosine ends with the run")
    if machine.device == "CPU":     # elsewhere all weights would be copied at each step
        yield Choice({"ema_decay": AVERAGE}, f"the mean of the weights of {1 / (1 - AVERAGE):.0f} steps instead of "
                                             f"those of one")


def _steps(data: DataFacts, now: Mapping[str, Any]) -> float:
    """Return the number of steps of the run; infinity if minutes are still to fix it."""
    if now.get("total_steps"):
        return now["total_steps"]
    if now.get("minutes") or "epochs" not in now:
        return math.inf
    samples = max(1, data.train) * now.get("patches_per_image", 1) * now["repeat"]
    return now["epochs"] // now["repeat"] * (samples // (now["batch_size"] * now.get("accumulate_steps", 1)))


def _evaluation(data: DataFacts, now: Mapping[str, Any]) -> Iterator[Choice]:
    if now.get("run_eval") is not False:
        metrics = ["hard_iou", "hard_dice", "dice_coeff"]
        yield Choice({"run_eval": True, "eval_metrics": metrics}, "the first of the metrics chooses best.ckpt")
        if not now.get("minutes"):
            yield Choice({"eval_interval": 1}, "after each epoch")
    yield Choice({"keep_checkpoint_max": 2}, "besides best.ckpt")
