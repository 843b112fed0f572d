"""One geometry: the mask that predict.py writes is the one that eval.py scores, in every pixel, for every YAML file."""
import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.image_files import list_image_files
from src.data.input_options import GEOMETRY, follow, input_options, network_input
from src.data.layouts import LAYOUTS
from src.data.sample_transforms import Geometry
from src.data.samples import create_samples
from src.data.trained_geometry import TrainedGeometry
from src.evaluation.evaluate import ScoreOptions, evaluate
from src.inference import file_predictor
from src.inference.loaded_network import LoadedNetwork
from src.inference.predict import predict
from src.model_utils.config import parse_options
from src.networks.registry import output_size
from src.tiling.predictor import Windows
from tests.support.scripts import PROJECT

YAML_FILES = sorted([*PROJECT.glob("unet_*.yaml"), *(PROJECT / "configs").glob("unet_*.yaml")])
SIZES = [(60, 90), (72, 64), (81, 81), (90, 53), (64, 100), (70, 75)]      # (height, width) of the images


def picture(size, channels, seed):
    """Blobs, (H, W) or (H, W, channels) uint8."""
    noise = np.random.default_rng(seed).random((*size, channels))
    smooth = cv2.GaussianBlur(noise, (0, 0), 4).reshape(noise.shape)
    levels = 255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return levels.astype(np.uint8).squeeze()


def write_data(folder, config):
    """Write a small data set of the layout of the options; returns the files that predict.py gets."""
    channels, classes = config.num_channels, config.num_classes
    if config.dataset == "ISBI":
        pages = np.stack([picture((60, 90), 1, seed) for seed in range(10)])
        folder.mkdir()
        tifffile.imwrite(folder / "train-volume.tif", pages)
        tifffile.imwrite(folder / "train-labels.tif", np.where(pages > 120, 255, 0).astype(np.uint8))
        return folder / "train-volume.tif"
    for number, size in enumerate(SIZES):
        image = picture(size, channels, number)
        mask = image.reshape(*size, channels)[..., 0] // 64 % classes
        if config.num_classes == 2:
            mask *= 255
        part = ("train", "val")[number % 2]
        places = {"image_mask": (f"{part}/image/{number}.png", f"{part}/mask/{number}.png"),
                  "membrane": (f"train/image/{number}.png", f"train/label/{number}.png"),
                  "COCO": (f"{part}/{number}/image.png", f"{part}/{number}/mask.png")}
        for array, place in zip((image, mask), places.get(config.dataset, (f"{number}/image.png",
                                                                            f"{number}/mask.png"))):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / place)
        (folder.parent / "in").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder.parent / "in" / f"{number}.png")
    return folder.parent / "in"


def stand_in(config):
    """A network of one layer, which gives every class somewhere, with the sizes of the one that the options name."""
    def predict(images):
        shown = np.stack([cv2.blur(image.mean(axis=0), (5, 5), borderType=cv2.BORDER_CONSTANT) for image in images])
        height, width = output_size(config.model_name, shown.shape[1:])
        top, left = (shown.shape[1] - height) // 2, (shown.shape[2] - width) // 2
        shown = shown[:, top:top + height, left:left + width, None] - shown.mean()
        if config.eval_activate == "Sigmoid":
            return 1 / (1 + np.exp(-3 * shown))
        scores = np.exp(-40 * (shown.clip(-1, 1) - np.linspace(-1, 1, config.network_classes, dtype=np.float32)) ** 2)
        return scores / scores.sum(axis=-1, keepdims=True)
    return predict


def masks_of(monkeypatch, tmp_path, *argv):
    """(masks that eval.py scores, masks that predict.py writes), name -> (H, W) class numbers."""
    data = tmp_path / "data"
    config = parse_options([*argv, f"--data_path={data}", f"--output_path={tmp_path / 'out'}"], "")
    files = write_data(data, config)
    training, _ = create_samples(config)
    stored = {"normalize": training.transform.normalization.mode,
              GEOMETRY: TrainedGeometry(config.dataset, training.transform.geometry, training.areas()).as_dict()}
    activate = "Sigmoid" if config.eval_activate == "Sigmoid" else "Softmax"

    def load(options):
        options = follow(options, stored, "stand-in")
        return LoadedNetwork(stand_in(options), "stand-in", "CPU", None, Windows.for_mindspore(options, None), 1.0,
                             activate, stored, options)
    network, scored = load(config), {}
    _, samples = create_samples(network.config)
    evaluate(network.for_evaluation(), samples, ScoreOptions.from_config(config),
             lambda image: scored.update({samples.name(image.index): image.predicted}))

    monkeypatch.setattr(file_predictor, "load_network", load)
    assert predict(config.replace(data_path=str(files))) == 0
    written = {}
    for file in list_image_files(files):
        mask, = (tmp_path / "out" / "predictions").glob(f"{file.name}.*")
        written[file.name] = tifffile.imread(mask) if mask.suffix == ".tif" else np.asarray(Image.open(mask))
    if config.num_classes == 2:
        written = {name: mask // 255 for name, mask in written.items()}
    return scored, written


def compare(scored, written):
    """The pixels that differ; every mask must have more than one class."""
    differing = 0
    for name, mask in scored.items():
        assert len(np.unique(mask)) > 1
        other = written["train-volume"][int(name.split()[-1])] if "train-volume" in written else written[name]
        assert other.shape == mask.shape
        differing += np.count_nonzero(other != mask)
    return differing


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.stem)
def test_predict_writes_what_eval_scores(monkeypatch, tmp_path, path):
    """At the label's own size, images of unequal sizes and stacks: no pixel differs."""
    scored, written = masks_of(monkeypatch, tmp_path, f"--config_path={path}", "--eval_resize=True")
    assert len(scored) >= 2 and compare(scored, written) == 0


@pytest.mark.parametrize("argv", [
    ["--dataset=ISBI", "--model_name=unet_simple"], ["--dataset=Cell_nuclei", "--num_channels=3"],
    ["--dataset=image_mask", "--normalize=zscore"], ["--dataset=membrane", "--normalize=percentile"],
    ["--dataset=COCO", "--split=1.0", "--num_channels=3", "--num_classes=5"],
    ["--dataset=image_mask", "--model_name=unet_medical", "--train_crop=220", "--crop=[36,36]"],
    ["--dataset=image_mask", "--eval_activate=Argmax", "--tile_size=240"],
], ids=["stack", "nuclei", "zscore", "percentile", "classes", "valid", "argmax"])
def test_native(monkeypatch, tmp_path, argv):
    """Images of unequal sizes, each predicted and scored in its own size."""
    scored, written = masks_of(monkeypatch, tmp_path, "--image_size=native", "--train_crop=64", *argv)
    assert compare(scored, written) == 0


@pytest.mark.parametrize("argv", [["--tta=True"], ["--eval_activate=Argmax"], ["--normalize=zscore"],
                                  ["--model_name=unet_medical", "--image_size=[252,236]", "--crop=[68,52]"]],
                         ids=["tta", "argmax", "zscore", "valid"])
def test_oblong_images(monkeypatch, tmp_path, argv):
    """Squeezed by two factors, as training squeezed them."""
    scored, written = masks_of(monkeypatch, tmp_path, "--dataset=image_mask", "--image_size=[96,64]",
                               "--eval_resize=True", *argv)
    assert compare(scored, written) == 0


def test_what_is_far_from_the_training_is_scaled_evenly(monkeypatch, tmp_path, caplog):
    """A line says so; with --scale every image is scaled, and with a small tile_size cut."""
    caplog.set_level("INFO", "unet")
    geometry = TrainedGeometry("image_mask", TrainedGeometry.of_options(
        parse_options(["--image_size=[96,64]", "--dataset=image_mask"], "")).sizes, (4000, 8000))
    assert [geometry.knows(size) for size in ((10, 99), (10, 100), (160, 200), (160, 201))] == [
        False, True, True, False]
    Image.fromarray(picture((300, 200), 1, 0)).save(tmp_path / "large.png")

    def messages(*argv):
        config = parse_options(["--dataset=image_mask", f"--data_path={tmp_path / 'large.png'}",
                                f"--output_path={tmp_path / 'out'}", *argv], "")
        config = follow(config, {GEOMETRY: geometry.as_dict()}, "stand-in")
        network = LoadedNetwork(stand_in(config), "stand-in", "CPU", None, Windows.for_mindspore(config, None),
                                config.scale or 0.5, "Softmax", {GEOMETRY: geometry.as_dict()}, config)
        monkeypatch.setattr(file_predictor, "load_network", lambda _: network)
        caplog.clear()
        predict(config)
        assert np.asarray(Image.open(tmp_path / "out" / "predictions" / "large.png")).shape == (300, 200)
        return caplog.text
    assert "large.png (200x300): more than 4 times as many pixels, or as few, as the images of the training; scaled " \
        "by 0.5 for both sides, and predicted in windows" in messages()
    assert "as many" not in messages("--scale=0.25")
    assert "scaled by 0.5 and predicted in windows, not resized to 96x64 as in training: tile_size is 48" in messages(
        "--tile_size=48")


def test_sizes_that_are_stored_are_followed(caplog):
    """They win over a YAML file; those on the command line are kept, with a warning."""
    caplog.set_level("INFO", "unet")
    trained = TrainedGeometry("ISBI", TrainedGeometry.of_options(parse_options(["--image_size=[64,96]"], "")).sizes)
    stored = {GEOMETRY: trained.as_dict()}
    for dataset in LAYOUTS:
        config = follow(parse_options([f"--dataset={dataset}"], ""), stored, "a.ckpt")
        assert TrainedGeometry.of_options(config).sizes == trained.sizes
    assert caplog.text == ""
    config = follow(parse_options(["--config_path=unet_quickstart_config.yaml"], ""), stored, "a.ckpt")
    assert config.image_size == [64, 96] and "image_size [64, 96] and crop None, as a.ckpt was trained" in caplog.text
    config = follow(parse_options(["--image_size=[32,32]"], ""), stored, "a.ckpt")
    assert config.image_size == [32, 32] and "a.ckpt was trained with [64, 96] and None" in caplog.text
    native = {GEOMETRY: {"dataset": "ISBI", "input": "native", "areas": [10, 20]}}
    assert follow(parse_options([], ""), native, "a.ckpt").image_size == "native"


def test_checkpoints_from_before_sizes_were_stored():
    """The options in the checkpoint say them; the area of the images follows from the scale."""
    state = {"step": 1, "dataset": "Cell_nuclei", "image_size": [96, 64], "crop": None, "scale": 0.5}
    assert TrainedGeometry.of_dict(input_options(state)[GEOMETRY]) == TrainedGeometry(
        "Cell_nuclei", Geometry((64, 96), (64, 96)), (4 * 96 * 64, 4 * 96 * 64))
    assert GEOMETRY not in input_options({"step": 1, "scale": 1.0})


def test_the_input_of_a_network_from_the_hub():
    """Resized as in training, or in its own size."""
    config, image = parse_options(["--dataset=image_mask"], ""), picture((60, 90), 1, 0)
    assert network_input(image, config).shape == (1, 1, 60, 90)
    trained = TrainedGeometry("image_mask", Geometry((96, 64), (96, 64)))
    expected = cv2.resize(image, (64, 96)) / np.float32(127.5) - 1
    np.testing.assert_allclose(network_input(image, config, geometry=trained)[0, 0], expected, atol=1e-6)
    native = TrainedGeometry("image_mask", None)
    assert network_input(image, config, geometry=native).shape == (1, 1, 60, 90)


@pytest.mark.parametrize("stored", [{"dataset": "ISBI"}, {"dataset": "none", "input": "native", "areas": None},
                                    {"dataset": "ISBI", "input": [4], "content": [4, 4], "areas": None}, 7])
def test_sizes_that_cannot_be_read(stored):
    with pytest.raises(ValueError):
        TrainedGeometry.of_dict(stored)
