"""Masks of images without labels, through the command line."""
import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.export.export import export
from src.inference.predict import predict
from src.inference.tiling import choose_window, predict_rows
from src.inference.window_predictor import load_predictor
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training import checkpoint
from src.training.fold_results import write_results
from tests.support.networks import network_of
from tests.support.scripts import assert_one_line_error

SMALL = ["--model_name=unet_simple", "--weight_init=he_uniform"]
NETWORKS = {"simple": SMALL, "nested": ["--model_name=unet_nested", "--use_deconv=False", "--weight_init=he_uniform"],
            "medical": ["--model_name=unet_medical", "--weight_init=he_uniform"]}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Checkpoints with random weights: one of each network, and ``other`` of unet_simple with other weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, argv in [*NETWORKS.items(), ("other", SMALL)]:
        checkpoint.save(network_of(argv), folder / f"{name}.ckpt", {"step": 1, "scale": 1.0})
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Folder of a gray PNG, a colour BMP, a 16-bit PNG, and an image of one pixel."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (60, 45), dtype=np.uint8)).save(folder / "2.png")
    Image.fromarray(rng.integers(0, 256, (33, 50, 3), dtype=np.uint8)).save(folder / "10.bmp")
    Image.fromarray(rng.integers(0, 65536, (40, 40), dtype=np.uint16)).save(folder / "deep.png")
    Image.fromarray(np.full((1, 1), 9, np.uint8)).save(folder / "one.png")
    return folder


def probabilities(argv, path):
    """(H, W) float32 of class 1, for one file."""
    out = path.parent.parent / "probabilities_of_one"
    assert predict(parse_options([*argv, f"--data_path={path}", f"--output_path={out}", "--save_probability=True"],
                                 "")) == 0
    return tifffile.imread(out / "probabilities" / f"{path.stem}.tif")


@pytest.mark.slow
def test_folder(run, checkpoints, images, tmp_path):
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    result = run("predict.py", *SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}",
                 f"--data_path={images}", f"--output_path={tmp_path / 'out'}", "--overlay=True",
                 "--save_probability=True")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    assert "ONNX Runtime is faster on a CPU than MindSpore's own kernels" in result.stdout
    assert "4 images of 4 files in " in result.stdout and " images/s" in result.stdout
    out = tmp_path / "out"
    for folder, ending in (("predictions", "png"), ("overlays", "png"), ("probabilities", "tif")):
        assert sorted(os.listdir(out / folder)) == sorted(f"{stem}.{ending}" for stem in ("2", "10", "deep", "one"))
    for stem, size in (("2", (60, 45)), ("10", (33, 50)), ("deep", (40, 40)), ("one", (1, 1))):
        mask = np.asarray(Image.open(out / "predictions" / f"{stem}.png"))
        probability = tifffile.imread(out / "probabilities" / f"{stem}.tif").reshape(size)
        assert mask.shape == size and set(np.unique(mask)) <= {0, 255}
        np.testing.assert_array_equal(mask == 255, probability > 0.5)
        assert np.asarray(Image.open(out / "overlays" / f"{stem}.png")).shape == (*size, 3)
    assert {path.name: path.read_bytes() for path in images.iterdir()} == before


@pytest.mark.slow
def test_stack(checkpoints, sample, tmp_path):
    """As many pages as the stack has, in its order; a page has the same mask as an image of its own."""
    argv = [*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}", f"--output_path={tmp_path / 'out'}"]
    assert predict(parse_options([*argv, f"--data_path={sample / 'train-volume.tif'}", "--overlay=True",
                                  "--isbi_submission=True"], "")) == 0
    masks = tifffile.imread(tmp_path / "out" / "predictions" / "train-volume.tif")
    assert masks.shape == (10, 96, 96) and masks.dtype == np.uint8
    assert tifffile.imread(tmp_path / "out" / "overlays" / "train-volume.tif").shape == (10, 96, 96, 3)
    cells = tifffile.imread(tmp_path / "out" / "submission" / "train-volume.tif")
    assert cells.shape == (10, 96, 96) and cells.dtype == np.float32
    np.testing.assert_array_equal(masks == 255, cells > 0.5)
    page = tifffile.imread(sample / "train-volume.tif")[7]
    Image.fromarray(page).save(tmp_path / "page.png")
    assert predict(parse_options([*argv, f"--data_path={tmp_path / 'page.png'}"], "")) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "predictions" / "page.png")), masks[7])


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_windows_agree_with_the_whole_and_mindspore_with_onnx(checkpoints, name):
    """One window, several windows, both backends: the same probabilities."""
    image = np.random.default_rng(1).integers(0, 256, (40, 140, 1), dtype=np.uint8)
    argv = [*NETWORKS[name], f"--checkpoint_file_path={checkpoints / name}.ckpt"]
    sides = {"simple": (288, 768), "nested": (384, 768), "medical": (188 + 16 * 4, 188 + 16 * 9)}[name]
    results = []
    for side, backend in ((sides[0], "onnx"), (sides[1], "onnx"), (sides[1], "mindspore")):
        config = parse_options([*argv, f"--backend={backend}", f"--tile_size={side}", "--device_target=CPU"],
                               "")
        predictor = load_predictor(config)
        window = choose_window(predictor.field, image.shape[:2], side, predictor.fixed_size)
        parts = list(predict_rows(image, window, predictor.predict_window))
        assert (window.core[1] < 140) == (side == sides[0])
        results.append(np.concatenate(parts))
    assert results[0].std() > 1e-3
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)
    np.testing.assert_allclose(results[1], results[2], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name, side", [("unet_bilinear", 384), ("unet_keras", 336)])
def test_one_output_channel(small_one_channel_networks, images, tmp_path, name, side):
    """Both classes by ONNX in several windows and by MindSpore in one; masks where class 1 is the more probable."""
    argv = [f"--model_name={name}", "--device_target=CPU", "--cpu_ops=off", "--backend=mindspore",
            f"--checkpoint_file_path={tmp_path / 'net.ckpt'}"]
    checkpoint.save(network_of(argv), tmp_path / "net.ckpt", {"step": 1, "scale": 1.0})
    exported = [*argv, f"--file_name={tmp_path / 'net.onnx'}"]
    export(parse_options([*exported, "--file_format=ONNX", "--eval_activate=Sigmoid", "--batch_size=1",
                          f"--height={side}", f"--width={side}"], ""))
    image = np.random.default_rng(1).integers(0, 256, (40, 300, 1), dtype=np.uint8)
    results = []
    for options in (exported, argv):
        predictor = load_predictor(parse_options(options, ""))
        window = choose_window(predictor.field, image.shape[:2], 768, predictor.fixed_size)
        assert (window.core[1] < 300) == (options is exported)
        results.append(np.concatenate(list(predict_rows(image, window, predictor.predict_window))))
    assert results[0].shape == (40, 300, 2) and results[0].std() > 1e-3
    np.testing.assert_allclose(results[0].sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)

    found = probabilities(exported, images / "2.png")
    assert found.shape == (60, 45) and 0 < found.min() < found.max() < 1
    mask = np.asarray(Image.open(images.parent / "probabilities_of_one" / "predictions" / "2.png"))
    np.testing.assert_array_equal(mask == 255, found > 0.5)


@pytest.mark.slow
def test_several_checkpoints_are_averaged(checkpoints, images):
    paths = [checkpoints / "simple.ckpt", checkpoints / "other.ckpt"]
    both, one, other = (probabilities([*SMALL, f"--checkpoint_file_path={value}"], images / "2.png")
                        for value in (f"{paths[0]},{paths[1]}", *paths))
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-6)
    assert np.abs(one - other).max() > 0.01


def as_folds(folder, paths):
    """A folder as train_folds.py leaves it, with ``paths`` as the best checkpoints of its folds."""
    for number, path in enumerate(paths, 1):
        place = folder / f"fold_{number}" / "checkpoint" / "ckpt_0"
        place.mkdir(parents=True)
        (place / "best.ckpt").symlink_to(path)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("argv", [["--backend=onnx", "--tta=True"], [
    "--backend=mindspore", "--context_mode=pynative", "--cpu_ops=off"]], ids=["onnx-tta", "mindspore"])
def test_a_folder_of_folds_is_averaged(checkpoints, tmp_path, argv, caplog, monkeypatch):
    """In windows that overlap: the mean of the single predictions, a, b and a."""
    # With tile_size there would be other files to export.
    monkeypatch.setattr("src.inference.predict.LARGEST_WINDOW", 64)
    caplog.set_level("INFO", "unet")
    paths = [checkpoints / f"{name}.ckpt" for name in ("simple", "other", "simple")]
    folds = as_folds(tmp_path / "folds", paths)
    (tmp_path / "in").mkdir()
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (20, 60), dtype=np.uint8)).save(tmp_path / "in/p.png")
    mean, one, other = (probabilities([*SMALL, *argv, f"--checkpoint_file_path={value}"],
                                      tmp_path / "in" / "p.png") for value in (folds, *paths[:2]))
    np.testing.assert_allclose(mean, (2 * one + other) / 3, atol=1e-6)
    assert np.abs(one - other).max() > 0.01
    assert f"the mean of 3 folds: {folds}/fold_1/checkpoint/ckpt_0/best.ckpt, " in caplog.text
    assert "WARNING" not in caplog.text


@pytest.mark.slow
def test_a_folder_of_folds_that_are_not_finished(checkpoints, tmp_path, caplog):
    folds = as_folds(tmp_path, [checkpoints / "simple.ckpt"])
    write_results(folds, "", {}, 5)
    assert load_predictor(parse_options([*SMALL, "--backend=onnx", f"--checkpoint_file_path={folds}"], ""))
    assert "WARNING: only 0 of 5 folds are finished" in caplog.text
    (folds / "fold_2").mkdir()
    with pytest.raises(UNetError, match="fold_2/checkpoint/ckpt_0: no checkpoint of unet_simple"):
        load_predictor(parse_options([*SMALL, f"--checkpoint_file_path={folds}"], ""))


@pytest.mark.slow
def test_test_time_augmentation(checkpoints, images, tmp_path):
    """The mean of the predictions of the image's 8 flips and turns; a square image is one square window."""
    pixels = np.asarray(Image.open(images / "2.png"))[:45]
    argv = [*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}"]
    (tmp_path / "in").mkdir()
    expected = np.zeros((45, 45))
    for turns in range(4):
        for flip in (1, -1):
            # 48 is a multiple of the stride, so windows start at the same pixels of the image and of its flips.
            view = np.rot90(np.pad(pixels, ((0, 3), (0, 3)), mode="reflect"), turns)[:, ::flip]
            Image.fromarray(view).save(tmp_path / "in" / "view.png")
            result = probabilities(argv, tmp_path / "in" / "view.png")
            expected += np.rot90(result[:, ::flip], -turns)[:45, :45] / 8
    Image.fromarray(np.pad(pixels, ((0, 3), (0, 3)), mode="reflect")).save(tmp_path / "in" / "square.png")
    found = probabilities([*argv, "--tta=True"], tmp_path / "in" / "square.png")
    np.testing.assert_allclose(found[:45, :45], expected, atol=1e-4)


@pytest.mark.slow
def test_scale(checkpoints, images, tmp_path):
    """The image is resized for the network, and the probabilities back."""
    import cv2

    pixels = np.asarray(Image.open(images / "2.png"))
    (tmp_path / "in").mkdir()
    Image.fromarray(cv2.resize(pixels, (90, 120))).save(tmp_path / "in" / "twice.png")
    argv = [*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}"]
    twice = probabilities(argv, tmp_path / "in" / "twice.png")
    found = probabilities([*argv, "--scale=2"], images / "2.png")
    # They differ only where OpenCV rounds a gray level the other way.
    np.testing.assert_allclose(found, cv2.resize(twice, (45, 60)), atol=5e-3)


@pytest.mark.slow
def test_onnx_file_without_mindspore(run, checkpoints, images, tmp_path):
    path = tmp_path / "net.onnx"
    result = run("export.py", *SMALL, f"--ckpt_path={checkpoints / 'simple.ckpt'}", "--file_format=ONNX",
                 "--width=80", "--height=64", "--batch_size=1", f"--file_name={path}", "--eval_activate=Argmax")
    assert result.returncode == 0, result.stderr
    (tmp_path / "mindspore.py").write_text("raise ImportError('MindSpore was imported')")
    result = run("predict.py", f"--file_name={path}", f"--data_path={images}", f"--output_path={tmp_path / 'out'}",
                 PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert_one_line_error(run("predict.py", f"--file_name={path}", f"--data_path={images}", "--num_channels=3"),
                          "takes 1 channel(s), num_channels is 3")
    assert np.asarray(Image.open(tmp_path / "out" / "predictions" / "2.png")).shape == (60, 45)
    result = run("predict.py", f"--file_name={path}", f"--data_path={images / '2.png'}", "--tta=True")
    assert_one_line_error(result, "must be square", "80x64")


@pytest.mark.slow
def test_bad_files(run, checkpoints, images, tmp_path):
    """A bad file among several is reported, and the others are predicted; a single bad file is an error."""
    folder = tmp_path / "in"
    folder.mkdir()
    data = (images / "2.png").read_bytes()
    (folder / "good.png").write_bytes(data)
    (folder / "bad.png").write_bytes(data[:-300])
    argv = [*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}", f"--output_path={tmp_path / 'out'}"]
    result = run("predict.py", *argv, f"--data_path={folder}")
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {folder / 'bad.png'}: ") and result.stderr.count("\n") == 1
    assert os.listdir(tmp_path / "out" / "predictions") == ["good.png"]
    assert "1 of 2 files could not be predicted" in result.stdout
    assert_one_line_error(run("predict.py", *argv, f"--data_path={folder / 'bad.png'}"), folder / "bad.png")


@pytest.mark.slow
def test_results_do_not_overwrite_the_images(run, checkpoints, images, tmp_path):
    folder = tmp_path / "out" / "predictions"
    folder.mkdir(parents=True)
    data = (images / "2.png").read_bytes()
    (folder / "2.png").write_bytes(data)
    result = run("predict.py", *SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}",
                 f"--data_path={folder}", f"--output_path={tmp_path / 'out'}")
    assert_one_line_error(result, folder / "2.png", "would overwrite the image")
    assert (folder / "2.png").read_bytes() == data


@pytest.mark.slow
def test_images_that_differ_only_by_extension(checkpoints, tmp_path):
    (tmp_path / "in").mkdir()
    for ending, level in (("png", 10), ("bmp", 200)):
        Image.fromarray(np.full((20, 20), level, np.uint8)).save(tmp_path / "in" / f"a.{ending}")
    assert predict(parse_options([*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}",
                                  f"--data_path={tmp_path / 'in'}", f"--output_path={tmp_path / 'out'}"], "")) == 0
    assert sorted(os.listdir(tmp_path / "out" / "predictions")) == ["a.bmp.png", "a.png.png"]


@pytest.mark.slow
def test_a_stack_with_a_damaged_page_leaves_nothing(checkpoints, sample, tmp_path):
    with tifffile.TiffFile(sample / "train-volume.tif") as file:
        end = file.pages[5].dataoffsets[0]
    data = bytearray((sample / "train-volume.tif").read_bytes())
    data[end:end + 40] = bytes(40)
    (tmp_path / "bad.tif").write_bytes(data)
    with pytest.raises(UNetError, match=r"bad\.tif"):
        predict(parse_options([*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}",
                               f"--data_path={tmp_path / 'bad.tif'}", f"--output_path={tmp_path / 'out'}"], ""))
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_sixteen_bits_are_the_upper_eight(checkpoints, images, tmp_path):
    argv = [*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}"]
    (tmp_path / "in").mkdir()
    pixels = np.asarray(Image.open(images / "deep.png"))
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(tmp_path / "in" / "upper.png")
    tifffile.imwrite(tmp_path / "in" / "deep.tif", pixels.astype(np.uint16))
    upper, png, tif = (probabilities(argv, path) for path in (
        tmp_path / "in" / "upper.png", images / "deep.png", tmp_path / "in" / "deep.tif"))
    np.testing.assert_array_equal(png, upper)
    np.testing.assert_array_equal(tif, upper)


@pytest.mark.slow
def test_models_of_different_scales_are_not_averaged(checkpoints, images, tmp_path):
    network = network_of(SMALL)
    other = checkpoint.save(network, tmp_path / "half.ckpt", {"step": 1, "scale": 0.5})
    argv = [*SMALL, f"--data_path={images / '2.png'}", "--backend=mindspore", "--cpu_ops=off",
            f"--checkpoint_file_path={checkpoints / 'simple.ckpt'},{other}", f"--output_path={tmp_path / 'out'}"]
    with pytest.raises(UNetError, match=r"different factors \(\[0.5, 1.0\]\); choose one with --scale"):
        load_predictor(parse_options(argv, ""))
    assert load_predictor(parse_options([*argv, "--scale=2"], "")).scale == 2
    assert load_predictor(parse_options([*argv, f"--checkpoint_file_path={other}"], "")).scale == 0.5
    # Folds are of one data set, each with the median of its own images.
    folds = as_folds(tmp_path / "folds", [checkpoints / "simple.ckpt", other])
    assert load_predictor(parse_options([*argv, f"--checkpoint_file_path={folds}"], "")).scale == 0.75
    folds = as_folds(tmp_path / "more folds", [other, checkpoints / "simple.ckpt", other])
    assert load_predictor(parse_options([*argv, f"--checkpoint_file_path={folds}"], "")).scale == 0.5


@pytest.mark.parametrize("argv, parts", [
    (["--data_path=/none"], ["no such file or folder: /none"]),
    (["--checkpoint_file_path=/none.ckpt"], ["no such checkpoint: /none.ckpt"]),
    (["--checkpoint_file_path="], ["nothing to predict with"]),
    (["--file_name=none.onnx"], ["no such ONNX file: none.onnx"]),
    pytest.param(["--model_name=unet_medical", "--tile_size=100"], ["cannot take an image of 100x100"],
                 marks=pytest.mark.slow),
])
def test_refusals(run, checkpoints, images, argv, parts):
    result = run("predict.py", f"--data_path={images}", f"--ckpt_path={checkpoints / 'simple.ckpt'}", *argv)
    assert_one_line_error(result, *parts)
