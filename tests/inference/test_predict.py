"""Masks of images without labels, through the command line."""
import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.export.export import export
from src.inference.loading import load_network
from src.inference.predict import predict
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.tiling.predictor import on_pixels
from src.tiling.windows import predict_rows
from src.training import checkpoint
from tests.support.networks import network_of
from tests.support.owners import foreign_link
from tests.support.predictions import NETWORKS, SMALL, probabilities
from tests.support.scripts import assert_one_line_error, run_here


@pytest.mark.slow
def test_folder(run, checkpoints, images, tmp_path):
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    result = run("predict.py", *SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}",
                 f"--data_path={images}", f"--output_path={tmp_path / 'out'}", "--overlay=True",
                 "--save_probability=True")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    assert " runs this network fastest on this processor: " in result.stdout
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
        network = load_network(config)
        window = network.windows.of(image.shape[:2])
        parts = list(predict_rows(image, window, on_pixels(network.averaged(of_windows=True), -1)))
        assert (window.core[1] < 140) == (side == sides[0])
        results.append(np.concatenate(parts))
    assert results[0].std() > 1e-3
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)
    np.testing.assert_allclose(results[1], results[2], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name, side", [("unet_bilinear", 384), ("unet_keras", 336)])
def test_one_output_channel(narrow_networks, images, tmp_path, name, side):
    """Both classes by ONNX in several windows and by MindSpore in one; masks where class 1 is the more probable."""
    argv = [f"--model_name={name}", "--device_target=CPU", "--context_mode=pynative", "--backend=mindspore",
            f"--checkpoint_file_path={tmp_path / 'net.ckpt'}"]
    checkpoint.save(network_of(argv), tmp_path / "net.ckpt", {"step": 1, "scale": 1.0})
    exported = [*argv[:3], "--backend=onnx", f"--file_name={tmp_path / 'net.onnx'}"]
    export(parse_options([*argv, exported[-1], "--file_format=ONNX", "--eval_activate=Sigmoid", "--batch_size=1",
                          f"--height={side}", f"--width={side}"], ""))
    image = np.random.default_rng(1).integers(0, 256, (40, 256, 1), dtype=np.uint8)
    results = []
    for options in (exported, argv):
        network = load_network(parse_options(options, ""))
        window = network.windows.of(image.shape[:2])
        assert (window.core[1] < 256) == (options is exported)
        results.append(np.concatenate(list(predict_rows(image, window, on_pixels(network.predict, -1)))))
    assert results[0].shape == (40, 256, 2) and results[0].std() > 1e-3
    np.testing.assert_allclose(results[0].sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)

    found = probabilities(exported, images / "2.png")
    assert found.shape == (60, 45) and 0 < found.min() < found.max() < 1
    mask = np.asarray(Image.open(images.parent / "probabilities_of_one" / "predictions" / "2.png"))
    np.testing.assert_array_equal(mask == 255, found > 0.5)


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
    result = run_here("export.py", *SMALL, f"--ckpt_path={checkpoints / 'simple.ckpt'}", "--file_format=ONNX",
                 "--width=80", "--height=64", "--batch_size=1", f"--file_name={path}", "--eval_activate=Argmax")
    assert result.returncode == 0, result.stderr
    (tmp_path / "mindspore.py").write_text("raise ImportError('MindSpore was imported')")
    result = run("predict.py", f"--file_name={path}", f"--data_path={images}", f"--output_path={tmp_path / 'out'}",
                 PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert_one_line_error(run_here("predict.py", f"--file_name={path}", f"--data_path={images}", "--num_channels=3"),
                          "num_channels is 3, but", "was trained with num_channels 1")
    assert np.asarray(Image.open(tmp_path / "out" / "predictions" / "2.png")).shape == (60, 45)
    result = run_here("predict.py", f"--file_name={path}", f"--data_path={images / '2.png'}", "--tta=True")
    assert_one_line_error(result, "must be square", "80x64")


@pytest.mark.slow
def test_bad_files(checkpoints, images, tmp_path):
    """A bad file among several is reported, and the others are predicted; a single bad file is an error."""
    folder = tmp_path / "in"
    folder.mkdir()
    data = (images / "2.png").read_bytes()
    (folder / "good.png").write_bytes(data)
    (folder / "bad.png").write_bytes(data[:-300])
    argv = [*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}", f"--output_path={tmp_path / 'out'}"]
    result = run_here("predict.py", *argv, f"--data_path={folder}")
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {folder / 'bad.png'}: ") and result.stderr.count("\n") == 1
    assert os.listdir(tmp_path / "out" / "predictions") == ["good.png"]
    assert "1 of 2 files could not be predicted" in result.stdout
    assert_one_line_error(run_here("predict.py", *argv, f"--data_path={folder / 'bad.png'}"), folder / "bad.png")


@pytest.mark.slow
def test_results_do_not_overwrite_the_images(checkpoints, images, tmp_path):
    folder = tmp_path / "out" / "predictions"
    folder.mkdir(parents=True)
    data = (images / "2.png").read_bytes()
    (folder / "2.png").write_bytes(data)
    result = run_here("predict.py", *SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}",
                 f"--data_path={folder}", f"--output_path={tmp_path / 'out'}")
    assert_one_line_error(result, folder / "2.png", "would overwrite the image")
    assert (folder / "2.png").read_bytes() == data


@pytest.mark.slow
def test_a_link_of_another_user_among_the_results(checkpoints, images, tmp_path, monkeypatch):
    """Somebody else who can write the output folder wants results to replace this user's files."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "2.png").write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    foreign_link(tmp_path / "out" / "predictions", tmp_path / "own", monkeypatch)
    with pytest.raises(UNetError, match="out/predictions is a link of user"):
        predict(parse_options([*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}",
                               f"--data_path={images}", f"--output_path={tmp_path / 'out'}"], ""))
    assert os.listdir(tmp_path / "own") == ["2.png"] and (tmp_path / "own" / "2.png").read_bytes() == b"mine"


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
def test_the_numbers_of_images_are_mapped_as_in_training(checkpoints, images, tmp_path):
    """By range for a network without the option; by what its checkpoint says for others."""
    argv = [*SMALL, f"--checkpoint_file_path={checkpoints / 'simple.ckpt'}"]
    (tmp_path / "in").mkdir()
    pixels = np.asarray(Image.open(images / "2.png"))
    Image.fromarray(pixels).save(tmp_path / "in" / "8.png")
    deep = pixels.astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "in" / "16.png")
    tifffile.imwrite(tmp_path / "in" / "16.tif", deep, photometric="minisblack", tile=(16, 16))
    tifffile.imwrite(tmp_path / "in" / "white.tif", 65535 - deep, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "in" / "turned.tif", np.rot90(pixels), photometric="minisblack",
                     extratags=[(274, 3, 1, 6, True)])
    expected = probabilities(argv, tmp_path / "in" / "8.png")
    for name in ("16.png", "16.tif", "white.tif", "turned.tif"):
        np.testing.assert_allclose(probabilities(argv, tmp_path / "in" / name), expected, atol=1e-5)

    stored = {"normalize": "percentile", "normalize_percentiles": [0.0, 100.0], "input_range": [-1, 1], "channels": []}
    path = checkpoint.save(network_of(SMALL), tmp_path / "percentile.ckpt", {"step": 1, "scale": 1.0, **stored})
    argv = [*SMALL, f"--checkpoint_file_path={path}"]
    tifffile.imwrite(tmp_path / "in" / "12.tif", pixels.astype(np.uint16) * 4 + 500, photometric="minisblack")
    tifffile.imwrite(tmp_path / "in" / "ct.tif", pixels.astype(np.int16) * 3 - 1000, photometric="minisblack")
    tifffile.imwrite(tmp_path / "in" / "float.tif", pixels / np.float32(1e6), photometric="minisblack")
    expected = probabilities(argv, tmp_path / "in" / "8.png")
    for name in ("12.tif", "ct.tif", "float.tif"):
        np.testing.assert_allclose(probabilities(argv, tmp_path / "in" / name), expected, atol=1e-4)
    with pytest.raises(UNetError, match=r"normalize is zscore, but .*percentile\.ckpt was trained with normalize "
                                        r"percentile; leave normalize out"):
        probabilities([*argv, "--normalize=zscore"], tmp_path / "in" / "8.png")
    with pytest.raises(UNetError, match=r"trained with different normalize: \['range', 'percentile'\]"):
        probabilities([*SMALL, f"--ckpt_path={checkpoints / 'simple.ckpt'},{path}"], tmp_path / "in" / "8.png")


@pytest.mark.parametrize("backend", ["mindspore", "onnx"])
def test_the_classes_of_the_network_are_followed(tmp_path, narrow_networks, own_cache, backend):
    """Without a YAML file the number of classes and their names are those of the checkpoint; colours follow."""
    state = {"step": 1, "scale": 1.0, "num_classes": 4, "class_names": ["sky", "road", "tree", "<car>"]}
    path = checkpoint.save(network_of(["--num_classes=4", *SMALL]), tmp_path / "four.ckpt", state)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)).save(tmp_path / "a.png")
    argv = [f"--checkpoint_file_path={path}", f"--data_path={tmp_path / 'a.png'}", f"--output_path={tmp_path / 'out'}",
            f"--backend={backend}", "--context_mode=pynative", "--report=True", "--save_probability=True",
            "--overlay=True"]
    assert predict(parse_options(argv, "")) == 0
    found = tifffile.imread(tmp_path / "out" / "probabilities" / "a.tif")
    mask = np.asarray(Image.open(tmp_path / "out" / "predictions" / "a.png"))
    assert found.shape == (4, 40, 50)
    np.testing.assert_array_equal(mask, found.argmax(axis=0))
    page = (tmp_path / "out" / "prediction.html").read_text()
    assert all(name in page for name in ("road", "tree", "&lt;car&gt;")) and "<car>" not in page


@pytest.mark.parametrize("argv, parts", [
    (["--data_path=/none"], ["no such file or folder: /none"]),
    (["--checkpoint_file_path=/none.ckpt"], ["no such checkpoint: /none.ckpt"]),
    (["--checkpoint_file_path="], ["nothing to predict with"]),
    (["--file_name=none.onnx", "--checkpoint_file_path="], ["no such ONNX file: none.onnx"]),
    (["--file_name=none.onnx"], ["file_name none.onnx and checkpoint_file_path ", "give one of them"]),
    pytest.param(["--model_name=unet_medical", "--tile_size=100"], ["cannot take an image of 100x100"],
                 marks=pytest.mark.slow),
])
def test_refusals(checkpoints, images, argv, parts):
    result = run_here("predict.py", f"--data_path={images}", f"--ckpt_path={checkpoints / 'simple.ckpt'}", *argv)
    assert_one_line_error(result, *parts)
