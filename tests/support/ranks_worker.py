"""One rank of the tests in test_ranks.py, started by msrun: trains several runs in one process group.

``ranks_worker.py FOLDER SAMPLE NUCLEI DAMAGED`` leaves what each run came to in rank_N.json beside FOLDER.
"""
import hashlib
import json
import sys
from pathlib import Path

import mindspore as ms
import numpy as np

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.runtime import start_runtime
from src.networks.layers import initialize
from src.training import checkpoint, run, trainer
from src.training.callbacks.callback import Callback
from tests.support.shallow_network import ShallowUNet

# 8 training samples, twice: 8 steps of 2 images; without batch norm, whose statistics are those of a batch.
CURVE = ["--image_size=[96,96]", "--train_crop=32", "--repeat=2", "--weight_init=he_uniform", "--lr=0.01",
         "--augment_rot90=True", "--device_target=CPU", "--cpu_ops=off"]
TINY = ["--image_size=[96,96]", "--repeat=2", "--distribute_epochs=2", "--device_target=CPU", "--lr=0.01",
        "--cpu_ops=off"]


class TinyNetwork(ms.nn.Cell):
    """A convolution instead of a U-Net, where the network does not matter."""

    def __init__(self, channels):
        super().__init__()
        self.final = ms.nn.Conv2d(channels, 2, 3, weight_init="normal")

    def construct(self, x):
        return self.final(x)


def build_without_norm(spec, layers):
    """A small network for CURVE."""
    network = ShallowUNet(spec.num_channels, spec.num_classes, use_bn=False, layers=layers)
    initialize(network, spec.weight_init)
    return network


class Losses(Callback):
    """Notes the loss of each step."""

    def __init__(self):
        self.losses = []

    def on_step_end(self, run):
        self.losses.append(run.loss)


def train(argv, at_step=lambda run: None, stop=lambda run: False):
    """One run: its losses, its last step and a hash of its weights, or its error; ``at_step`` may break it."""
    notes, current = Losses(), []
    real_batch, real_run = trainer.Trainer._next_batch, trainer.Trainer.run

    def run_with_notes(self, batches, interrupted):
        current.append(self)
        self.callbacks.insert(0, notes)
        real_run(self, batches, interrupted)

    def next_batch(iterator):
        batch = real_batch(iterator)
        return at_step(current[0]) or batch

    trainer.Trainer.run, trainer.Trainer._next_batch = run_with_notes, staticmethod(next_batch)
    try:
        done = run.train(parse_options(argv, ""), lambda: stop(current[0]))
    except UNetError as error:
        if "has lost the other ranks" in str(error):
            raise
        return {"error": str(error), "losses": notes.losses}
    finally:
        trainer.Trainer.run, trainer.Trainer._next_batch = real_run, staticmethod(real_batch)
    digest = hashlib.sha256()
    for parameter in done.train_network.trainable_params():
        digest.update(parameter.asnumpy().tobytes())
    return {"losses": notes.losses, "step": done.step, "weights": digest.hexdigest()}


def main(folder, sample, nuclei, damaged):
    """All runs, in this order on each rank."""
    folder.mkdir(exist_ok=True)
    runtime = start_runtime(parse_options(["--device_target=CPU", "--run_distribute=True"], ""))
    second = runtime.rank == 1
    results = {"rank": runtime.rank, "size": runtime.group_size}

    def tell(name, *argv, data=sample, into=None, **options):
        results[name] = train([*argv, "--run_distribute=True", f"--data_path={data}",
                               f"--output_path={folder / (into or name)}"], **options)

    run.build_network = build_without_norm
    tell("curve", *CURVE, "--batch_size=3", "--distribute_batchsize=1", "--distribute_epochs=2")

    run.build_network = lambda config, layers: TinyNetwork(config.num_channels)
    tell("whole", *TINY, "--batch_size=2", "--run_eval=True", "--eval_steps=2")
    # One rank alone sees a signal after its third step.
    both = ["--batch_size=2", "--is_save_on_master=False"]
    tell("again", *TINY, *both, into="whole")
    tell("stopped", *TINY, *both, stop=lambda run: second and run.step == 3)
    tell("stopped again", *TINY, *both, "--resume=True", f"--resume_ckpt={newest(folder / 'stopped', runtime.rank)}")
    tell("different steps", *TINY, "--batch_size=2", *(["--resume=True", f"--resume_ckpt="
         f"{newest(folder / 'stopped', 1)}"] if second else []))

    def not_a_number(run):
        if second and run.step == 2:
            return [ms.Tensor(np.full((2, channels, 96, 96), np.nan, np.float32)) for channels in (1, 2)]
        return None
    tell("not finite", *TINY, "--batch_size=2", at_step=not_a_number)
    tell("damaged", *TINY, "--dataset=folders", "--num_channels=3", "--image_size=[48,32]", "--batch_size=2",
         data=damaged if second else nuclei)

    def damaged_picture(run):
        if second and run.step == 2:
            raise UNetError("image.png is damaged")
    tell("meanwhile", *TINY, "--batch_size=2", "--run_eval=True", "--eval_steps=2", at_step=damaged_picture)
    tell("over", *TINY, "--batch_size=2", "--run_eval=True", "--resume=True",
         f"--resume_ckpt={newest(folder / 'stopped again', 0)}")

    save = checkpoint.save

    def full_disk(*args):
        raise UNetError("cannot write: No space left on device")
    checkpoint.save = full_disk
    tell("full disk", *TINY, "--batch_size=2", "--save_checkpoint_steps=2")
    checkpoint.save = save
    (folder.parent / f"rank_{runtime.rank}.json").write_text(json.dumps(results))


def newest(output, rank):
    """The newest checkpoint that a rank has saved."""
    return checkpoint.newest_readable(output / "checkpoint" / f"ckpt_{rank}", "unet_simple")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
