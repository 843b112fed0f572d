"""StarDist on the nuclei, trained from random weights with its own defaults.

``peers.py`` starts it in its own environment: ``python peer_stardist.py TASK OUTPUT MINUTES``.
"""
import json
import sys
import time
from pathlib import Path

import numpy as np
from csbdeep.utils import normalize
from stardist.models import Config2D, StarDist2D
from tensorflow import keras

HELD_OUT = 20           # every 20th training image picks StarDist's thresholds
STEPS_OF_AN_EPOCH = 50


class Minutes(keras.callbacks.Callback):
    """Ends the training after some minutes, and counts its steps."""

    def __init__(self, minutes):
        super().__init__()
        self.minutes, self.steps, self.started = minutes, 0, None

    @property
    def taken(self):
        return (time.monotonic() - self.started) / 60

    def on_train_begin(self, logs=None):
        self.started = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.model.stop_training = self.taken >= self.minutes


def augment(image, label):
    """Flip, turn, and change contrast and brightness, as StarDist's example does."""
    turns, flip = np.random.randint(4), np.random.randint(2)
    image, label = np.rot90(image, turns), np.rot90(label, turns)
    if flip:
        image, label = image[::-1], label[::-1]
    return image * np.random.uniform(0.6, 2) + np.random.uniform(-0.2, 0.2), label


def main():
    """Train, choose the thresholds, and write the numbers of the objects in the validation images."""
    task, output, minutes = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    stored = [np.load(path) for path in sorted((task / "train").glob("*.npz"))]
    images = [normalize(one["image"], 1, 99.8, axis=(0, 1)) for one in stored]
    labels = [one["label"] for one in stored]
    np.random.seed(1)
    keras.utils.set_random_seed(1)
    model = StarDist2D(Config2D(n_rays=32, grid=(2, 2), n_channel_in=3, train_patch_size=(256, 256)), name="model",
                       basedir=str(output))
    clock = Minutes(minutes)
    model.prepare_for_training()
    model.callbacks.append(clock)
    held_out = images[::HELD_OUT], labels[::HELD_OUT]
    kept = [index for index in range(len(images)) if index % HELD_OUT]
    model.train([images[index] for index in kept], [labels[index] for index in kept], validation_data=held_out,
                augmenter=augment, epochs=10**6, steps_per_epoch=STEPS_OF_AN_EPOCH)
    taken = clock.taken
    model.optimize_thresholds(*held_out)
    for path in sorted((task / "validation").glob("*.npy")):
        found, _ = model.predict_instances(normalize(np.load(path), 1, 99.8, axis=(0, 1)))
        np.save(output / path.name, found.astype(np.int32))
    (output / "made.json").write_text(json.dumps({"steps": clock.steps, "minutes": taken}))


if __name__ == "__main__":
    main()
