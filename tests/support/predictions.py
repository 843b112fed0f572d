"""Predictions of one file."""
import tifffile

from src.inference.predict import predict
from src.model_utils.config import parse_options

SMALL = ["--model_name=unet_simple", "--weight_init=he_uniform"]
NETWORKS = {"simple": SMALL, "nested": ["--model_name=unet_nested", "--use_deconv=False", "--weight_init=he_uniform"],
            "medical": ["--model_name=unet_medical", "--weight_init=he_uniform"]}


def probabilities(argv, path):
    """(H, W) float32 of class 1, for one file."""
    out = path.parent.parent / "probabilities_of_one"
    assert predict(parse_options([*argv, f"--data_path={path}", f"--output_path={out}", "--save_probability=True"],
                                 "")) == 0
    return tifffile.imread(out / "probabilities" / f"{path.stem}.tif")
