"""What preprocess.py and postprocess.py exchange with another runtime, and one with a fixed answer to each input."""
import re

import numpy as np
from PIL import Image

from src.data.samples import create_samples
from src.data.transforms import to_unit_range
from src.evaluation.evaluate import ScoreOptions, evaluate
from src.model_utils.config import parse_options
from tests.support.scripts import run_here


class Exchange:
    """One data set with its options, its folders, and a runtime with a fixed answer to each input."""

    def __init__(self, tmp_path, data, *options):
        self.folder, self.labels = tmp_path, tmp_path / "label.npy"
        self.inputs, self.results, self.out = tmp_path / "in", tmp_path / "results", tmp_path / "out"
        self.argv = [f"--data_path={data}", f"--result_path={self.inputs}", f"--rst_path={self.results}",
                     f"--output_path={self.out}", *options]
        self.config = parse_options(self.argv, "")
        self.samples = create_samples(self.config)[1]

    def predict(self, images):
        """(1, C, H, W) -> (1, h, w, classes), (1, h, w, 1) or (1, h, w): a function of the pixel, cut to the output."""
        size = self.samples.transform.geometry.content
        top, left = ((have - want) // 2 for have, want in zip(images.shape[2:], size))
        gray = images.mean(axis=1)[:, top:top + size[0], left:left + size[1]]
        logits = np.stack([np.sin((number + 1) * gray * 2) for number in range(self.config.num_classes)], axis=-1)
        exponents = np.exp(logits)
        if self.config.eval_activate == "Sigmoid":
            return (exponents / (1 + exponents))[..., :1].astype(np.float32)
        if self.config.eval_activate == "Argmax":
            return logits.argmax(axis=-1).astype(np.int32)
        return (exponents / exponents.sum(axis=-1, keepdims=True)).astype(np.float32)

    def read(self, path):
        """What the runtime makes of an input file: (1, C, H, W) float32."""
        if path.suffix == ".bin":
            return np.fromfile(path, "<f4").reshape(1, *self.samples[0][0].shape)
        picture = np.asarray(Image.open(path))
        picture = picture[..., ::-1] if picture.ndim == 3 else picture[..., None]   # blue first
        return np.ascontiguousarray(to_unit_range(picture).transpose(2, 0, 1)[None])

    def preprocess(self):
        return run_here("preprocess.py", *self.argv, cwd=self.folder)

    def infer(self, predict=None):
        """All inputs through the network, results named as the C++ program names them."""
        self.results.mkdir(exist_ok=True)
        for path in self.inputs.glob("[!.]*"):
            (predict or self.predict)(self.read(path)).tofile(self.results / f"{path.stem}_0.bin")

    def postprocess(self, *more):
        return run_here("postprocess.py", *self.argv, *more, cwd=self.folder)

    def expected(self):
        return evaluate(self.predict, self.samples, ScoreOptions.from_config(self.config))


def scores(result):
    assert result.returncode == 0, result.stdout + result.stderr
    return [float(re.search(rf"^============== Cross valid {name} is: (.*)$", result.stdout, re.MULTILINE)[1])
            for name in ("dice coeff", "IOU")]
