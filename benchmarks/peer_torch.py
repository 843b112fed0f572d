"""The U-Net of unet_simple in PyTorch, trained by the recipe of this project: the same samples, loss and learning rate.

``peers.py`` starts it in its own environment: ``python peer_torch.py TASK OUTPUT MINUTES``. TASK/options.json holds the
options of this project. The learning rate follows the share of the minutes that is over instead of the steps.
"""
import json
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch_networks import UNet

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.data.samples import create_samples  # noqa: E402 - after the path to them
from src.model_utils.config import parse_options  # noqa: E402
from src.training.class_weights import given_weights  # noqa: E402

SMOOTH = 1e-6


def cross_entropy(logits, one_hot, weights, skeletons):
    """Return the mean over the pixels."""
    return (-(torch.log_softmax(logits, 1) * one_hot) * weights).sum(1).mean()


def dice(logits, one_hot, weights, skeletons):
    """Return 1 - Dice of squares, the mean over images and the classes that they have."""
    probability = torch.softmax(logits, 1)
    both = (probability * one_hot * weights).sum((2, 3))
    sizes = ((probability ** 2 + one_hot ** 2) * weights).sum((2, 3))
    return mean_lost(2 * both / (sizes + SMOOTH), one_hot)


def skeleton_recall(logits, one_hot, weights, skeletons):
    """Return 1 - recall of the skeletons, the mean over images and the classes that have one."""
    of_class = one_hot * skeletons * weights
    found = (torch.softmax(logits, 1) * of_class).sum((2, 3))
    return mean_lost(found / (of_class.sum((2, 3)) + SMOOTH), of_class)


def mean_lost(share, pixels):
    """Return 1 - (N, C) shares, the mean over images and the classes of which ``pixels`` (N, C, H, W) has some."""
    there = pixels.sum((2, 3)) > 0
    classes = there.sum(1)
    lost = 1 - (share * there).sum(1) / classes.clamp(min=1)
    return (lost * (classes > 0)).sum() / (classes > 0).sum().clamp(min=1)


LOSSES = {"cross_entropy": cross_entropy, "dice": dice, "skeleton_recall": skeleton_recall}


def losses_of(config):
    """Return the functions of the option ``loss``."""
    names = [name.strip() for name in config.loss.split("+")]
    for name in names:
        if name not in LOSSES:
            sys.exit(f"loss {name} has no counterpart here; known are {', '.join(LOSSES)}")
    for option, value in (("model_name", "unet_simple"), ("ignore_index", None), ("feature_scale", 2),
                          ("accumulate_steps", 1), ("cpu_precision", "float32"), ("weight_decay", 0.0)):
        if getattr(config, option) != value:
            sys.exit(f"{option} {getattr(config, option)} has no counterpart here; expected {value}")
    return [LOSSES[name] for name in names]


def initialize(network, weight_init):
    """Draw the convolutions' weights as the option ``weight_init`` says."""
    draw = {"he_uniform": torch.nn.init.kaiming_uniform_, "he_normal": torch.nn.init.kaiming_normal_}.get(weight_init)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            draw(parameter) if draw else torch.nn.init.normal_(parameter, std=0.01)


def rate(config, share, step, warm):
    """Return the learning rate of a step, from 0, when ``share`` of the minutes is over, ``warm`` of it for warm-up."""
    if config.lr_schedule == "constant":
        return config.lr
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    return config.min_lr + (config.lr - config.min_lr) * (1 + math.cos(math.pi * (share - warm) / (1 - warm))) / 2


def batches(samples, size):
    """Yield (images, labels), each prepared by a thread while the step before it runs."""
    with ThreadPoolExecutor(1) as pool:
        def prepare(step):
            return pool.submit(lambda: [samples[step * size + place] for place in range(size)])
        step, prepared = 0, prepare(0)
        while True:
            ready, prepared = prepared.result(), prepare(step + 1)
            yield tuple(torch.from_numpy(np.stack(part)) for part in zip(*ready))
            step += 1


def train(network, samples, config, minutes):
    """Train for some minutes; return the number of steps and the network's mean if ``ema_decay`` asks for one."""
    losses, classes = losses_of(config), config.network_classes
    of_class = given_weights(config.class_weights, classes) if config.class_weights else [1.0] * classes
    of_class = torch.tensor(of_class).reshape(1, -1, 1, 1)
    optimizer = torch.optim.Adam(network.parameters(), config.lr, weight_decay=config.weight_decay)
    mean = torch.optim.swa_utils.AveragedModel(network, use_buffers=True, avg_fn=lambda mean, weight, count: (
        mean + (1 - min(config.ema_decay, (1 + int(count)) / (10 + int(count)))) * (weight - mean)))
    started, warm = time.monotonic(), 0.0
    for step, (images, labels) in enumerate(batches(samples, config.batch_size)):
        share = (time.monotonic() - started) / (60 * minutes)
        if share >= 1:
            return step, (time.monotonic() - started) / 60, mean.module if config.ema_decay else network
        if step <= config.warmup_steps:
            warm = share
        optimizer.param_groups[0]["lr"] = rate(config, share, step, warm)
        logits = network(images.to(memory_format=torch.channels_last))
        one_hot, more = labels[:, :classes], labels[:, classes:]        # more: (N, 0, 1 or 2, H, W)
        weights = (one_hot * of_class).sum(1, keepdim=True)
        if more.shape[1]:
            weights = weights * more[:, :1]
        loss = sum(loss(logits, one_hot, weights, more[:, 1:]) for loss in losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if config.ema_decay:
            mean.update_parameters(network)
    raise AssertionError("batches has no end")


def main():
    """Train, and write the probabilities of class 1 of the validation images."""
    task, output, minutes = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    config = parse_options(json.loads((task / "options.json").read_text()), "")
    samples, validation = create_samples(config)
    torch.manual_seed(config.seed)
    network = UNet(config.num_channels, config.network_classes)
    initialize(network, config.weight_init)
    network = network.to(memory_format=torch.channels_last)
    steps, taken, network = train(network, samples, config, minutes)
    network.eval()
    for index in range(len(validation)):
        image = validation.transform.image(validation[index][0].transpose(1, 2, 0)) if (
            validation.transform.geometry is None) else validation[index][0].transpose(1, 2, 0)
        with torch.no_grad():
            logits = network(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None])
        np.save(output / f"{index:04}.npy", torch.softmax(logits, 1)[0, 1].numpy())
    (output / "made.json").write_text(json.dumps({"steps": steps, "minutes": taken}))


if __name__ == "__main__":
    main()
