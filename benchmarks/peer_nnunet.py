"""nnU-Net v2 in two dimensions on the ISBI slices, with its own plan, augmentation and loss.

``peers.py`` starts it in its own environment: ``python peer_nnunet.py TASK OUTPUT MINUTES``. Its learning rate falls
with the share of the minutes that is over, by nnU-Net's power of 0.9, instead of with the share of 1000 epochs.
"""
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from skimage.io import imsave

DATASET = "Dataset001_ISBI"
PARTS = {"nnUNet_raw": "raw", "nnUNet_preprocessed": "preprocessed", "nnUNet_results": "results"}


def write_data(task, raw):
    """Write the training slices in nnU-Net's layout."""
    stored = [np.load(path) for path in sorted((task / "train").glob("*.npz"))]
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True, exist_ok=True)
    for index, one in enumerate(stored):
        imsave(raw / "imagesTr" / f"{index:04}_0000.png", one["image"], check_contrast=False)
        imsave(raw / "labelsTr" / f"{index:04}.png", one["label"].astype(np.uint8), check_contrast=False)
    (raw / "dataset.json").write_text(json.dumps({
        "channel_names": {"0": "gray"}, "labels": {"background": 0, "cell": 1}, "numTraining": len(stored),
        "file_ending": ".png", "overwrite_image_reader_writer": "NaturalImage2DIO"}))


def timed_trainer(base):
    """Return nnU-Net's trainer as one that trains for some minutes."""
    import torch

    class TimedTrainer(base):
        """``run_minutes`` instead of ``run_training``."""

        def run_minutes(self, minutes):
            """Train; return the number of steps and the minutes."""
            self.on_train_start()
            steps, started = 0, time.monotonic()
            while (share := (time.monotonic() - started) / (60 * minutes)) < 1:
                self.network.train()
                for group in self.optimizer.param_groups:
                    group["lr"] = self.initial_lr * (1 - share) ** 0.9
                self.train_step(next(self.dataloader_train))
                steps += 1
            taken = (time.monotonic() - started) / 60
            for loader in (self.dataloader_train, self.dataloader_val):
                loader._finish()        # ends its processes, as nnU-Net does at the end of a training
            return steps, taken

    torch.set_num_threads(os.cpu_count())
    return TimedTrainer


def main():
    """Plan, preprocess, train, and write the probabilities of class 1 of the validation images."""
    task, output, minutes = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    for variable, folder in PARTS.items():
        os.environ[variable] = str(output / folder)
    os.environ.update(nnUNet_n_proc_DA="1", nnUNet_compile="f")     # two cores; nnU-Net compiles only on a GPU
    write_data(task, output / "raw" / DATASET)

    import torch  # after the environment is set
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    extract_fingerprints([1], num_processes=1)
    plan_experiments([1])
    preprocess([1], configurations=["2d"], num_processes=[1])
    prepared = output / "preprocessed" / DATASET
    plans, dataset = (json.loads((prepared / name).read_text()) for name in ("nnUNetPlans.json", "dataset.json"))
    torch.manual_seed(1)
    trainer = timed_trainer(nnUNetTrainer)({**plans, "continue_training": False}, "2d", "all", dataset,
                                           device=torch.device("cpu"))
    trainer.initialize()
    steps, taken = trainer.run_minutes(minutes)

    predictor = nnUNetPredictor(perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False)
    trainer.set_deep_supervision_enabled(False)
    predictor.manual_initialization(trainer.network, trainer.plans_manager, trainer.configuration_manager,
                                    [trainer.network.state_dict()], dataset, "nnUNetTrainer",
                                    trainer.inference_allowed_mirroring_axes)
    for path in sorted((task / "validation").glob("*.npy")):
        image = np.load(path)[None, None].astype(np.float32)       # (channel, 1, H, W)
        _, probabilities = predictor.predict_single_npy_array(image, {"spacing": (999, 1, 1)}, None, None, True)
        np.save(output / path.name, probabilities[1, 0])
    (output / "made.json").write_text(json.dumps({"steps": steps, "minutes": taken}))


if __name__ == "__main__":
    main()
