"""What an evaluation says, writes and draws: log lines, metrics.json, pictures, the metrics of the ISBI board."""
import json

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.layouts import Source
from src.data.mask_pixels import MaskOptions
from src.data.sample_transforms import FolderTransform, Geometry, StackTransform
from src.data.samples import open_samples
from src.evaluation.isbi_metrics import BestThreshold, BoardMetrics
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.report.drawing import palette
from src.report.evaluation import evaluate_and_report, hard_table
from tests.support.data import write_pairs


@pytest.fixture
def folder(tmp_path):
    data = write_pairs(tmp_path / "data", [f"{k}" for k in range(5)], classes=9)
    return data, tmp_path / "out"


def test_log_lines_metrics_and_drawings(folder, caplog):
    """With 99 classes, of which the labels have nine."""
    data, out = folder
    config = parse_options([f"--data_path={data}", f"--output_path={out}", "--num_classes=99", "--show_eval=True"], "")
    _, samples = open_samples(Source("folders", data, 3, MaskOptions(99), split=0.4),
                              FolderTransform(Geometry((40, 48), (40, 48))))
    answers = iter([samples[k][1] for k in range(len(samples))])
    (out / "draw_eval").mkdir(parents=True)
    (out / "draw_eval" / "predict-77.png").write_text("of an earlier run")
    caplog.set_level("INFO", "unet")
    scores = evaluate_and_report(lambda _: np.eye(99, dtype=np.float32)[next(answers)][None], samples, config,
                                 "some.ckpt", "eval.py", "CPU")
    lines = caplog.text
    assert lines.count("single dice coeff is: ") == 3 and "IOU is: " in lines
    assert f"============== Cross valid dice coeff is: {scores.mean_dice}" in lines
    assert f"============== Cross valid IOU is: {scores.mean_iou}" in lines
    saved = json.loads((out / "metrics.json").read_text())
    assert saved["soft"]["dice_coeff"] == scores.mean_dice and saved["model"] == "some.ckpt"
    assert [image["name"] for image in saved["soft"]["per_image"]] == ["2", "3", "4"]
    assert saved["hard"]["IoU"]["mean"] == 1.0 and saved["hard"]["IoU"]["per_class"][50] is None
    assert "hard metrics of the foreground, mean over the images: acc: 1.0000, hard_iou: 1.0000, " in lines
    assert saved["hard_per_image"]["hard_iou"] == scores.metric("hard_iou") == pytest.approx(1, abs=1e-5)
    drawings = sorted(path.name for path in (out / "draw_eval").iterdir())
    assert drawings == [f"{kind}-{k}.png" for kind in ("mask", "predict") for k in (1, 2, 3)]
    colors = palette(config.color, 99)
    np.testing.assert_array_equal(np.asarray(Image.open(out / "draw_eval" / "mask-2.png")), colors[samples[1][1]])


@pytest.mark.parametrize("place, lost", [
    ("file", {"metrics.json", "draw_eval", "report.html"}),         # a file where the folder is to be
    ("/proc/none/out", {"metrics.json", "draw_eval", "report.html"}),     # a folder that nobody can make
    ("out", {"draw_eval"})])                                        # a file where the folder of the pictures is to be
def test_files_that_cannot_be_written_are_left_out(sample, tmp_path, caplog, place, lost):
    """The scores are printed all the same; each kind of file that is lost costs one warning."""
    (tmp_path / "file").write_text("")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "draw_eval").write_text("")
    caplog.set_level("INFO", "unet")
    out = tmp_path / place
    board_report(sample, out, 96, "--isbi_metrics=False", "--show_eval=True", "--report=True")
    assert "Cross valid dice coeff is: " in caplog.text
    warnings = [line for line in caplog.messages if line.startswith("WARNING: cannot ")]
    assert len(warnings) == len(lost), warnings
    assert all(line.endswith("; going on without it") for line in warnings)
    for name in {"metrics.json", "report.html"} - lost:
        assert (out / name).is_file()


def test_a_folder_of_another_machine_is_not_made(sample, tmp_path, caplog):
    """The model zoo's YAML files name /cache/train."""
    out = tmp_path / "cache" / "train"
    yaml = tmp_path / "zoo.yaml"
    yaml.write_text(f"output_path: {out}\n")
    caplog.set_level("INFO", "unet")

    def report(*argv):
        _, samples = open_samples(Source("ISBI", sample), StackTransform(Geometry((96, 96), (96, 96))))
        answers = iter([samples[k][1] for k in range(len(samples))])
        config = parse_options([f"--config_path={yaml}", "--show_eval=True", "--report=True", *argv], "")
        evaluate_and_report(lambda _: np.eye(2, dtype=np.float32)[next(answers)][None], samples, config, "", "eval.py",
                            "CPU")

    report()
    assert not (tmp_path / "cache").exists() and "Cross valid dice coeff is: " in caplog.text
    assert f"WARNING: there is no folder {out}, which the YAML file names" in caplog.text
    report(f"--output_path={out}")
    assert (out / "metrics.json").is_file()
    (out / "metrics.json").unlink()
    report()
    assert {"metrics.json", "report.html", "draw_eval"} <= {path.name for path in out.iterdir()}


def test_the_network_names_the_classes(sample, tmp_path, caplog):
    """Those that its file names, where neither the options nor the data set do."""
    caplog.set_level("INFO", "unet")
    _, samples = open_samples(Source("ISBI", sample), StackTransform(Geometry((96, 96), (96, 96))))
    config = parse_options([f"--output_path={tmp_path}", "--report=True"], "")
    evaluate_and_report(lambda images: np.zeros((1, 96, 96, 2), np.float32), samples, config, "", "eval.py", "CPU",
                        ["membrane", "cell"])
    assert json.loads((tmp_path / "metrics.json").read_text())["classes"] == ["membrane", "cell"]
    assert "  membrane " in caplog.text and "membrane" in (tmp_path / "report.html").read_text()


# ---- the ISBI board's metrics


def board_report(sample, out, side, *argv):
    """Report a perfect predictor on the sample's slices, resized to ``side``; returns the Scores."""
    _, samples = open_samples(Source("ISBI", sample), StackTransform(Geometry((side, side), (side, side))))
    answers = iter([samples[k][1] for k in range(len(samples))])
    config = parse_options([f"--output_path={out}", "--isbi_metrics=True", *argv], "")
    return evaluate_and_report(lambda _: np.eye(2, dtype=np.float32)[next(answers)][None], samples, config,
                               "some.ckpt", "eval.py", "CPU"), samples


def test_board_metrics_are_reported(sample, tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    scores, _ = board_report(sample, tmp_path, 96)
    assert scores.board == {name: BestThreshold(pytest.approx(1), 1) for name in ("V_rand", "V_info")}
    assert "V_rand: 1.000000, threshold of the membrane probability: 1.0\nINFO" in caplog.text
    assert "V_info: 1.000000, threshold of the membrane probability: 1.0\nINFO" in caplog.text
    saved = json.loads((tmp_path / "metrics.json").read_text())["isbi_board"]
    assert saved["V_rand"] == {"value": scores.board["V_rand"].value, "threshold": 1.0}


def test_board_metrics_are_of_the_labels_own_size(sample, tmp_path):
    """A prediction that is perfect at 48x48 is not at 96x96: the probability is resized, the label is not."""
    scores, samples = board_report(sample, tmp_path, 48)
    assert scores.mean_dice == pytest.approx(1, abs=1e-5)
    labels, expected = tifffile.imread(sample / "train-labels.tif"), BoardMetrics()
    for k, index in enumerate(samples.indices):
        expected.add(labels[index], cv2.resize(samples[k][1].astype(np.float32), (96, 96)))
    assert scores.board == expected.best() and 0.5 < scores.board["V_rand"].value < 1


def test_board_metrics_need_two_classes_and_a_cell(sample, tmp_path, caplog):
    with pytest.raises(UNetError, match="num_classes is 3; set isbi_metrics to False"):
        board_report(sample, tmp_path, 96, "--num_classes=3")
    (tmp_path / "data").mkdir()
    stack = np.zeros((5, 16, 16), np.uint8)
    for name in ("train-volume.tif", "train-labels.tif"):
        tifffile.imwrite(tmp_path / "data" / name, stack, photometric="minisblack")
    scores, _ = board_report(tmp_path / "data", tmp_path, 16)
    assert scores.board == {} and "no validation label has a cell" in caplog.text
    assert "isbi_board" not in json.loads((tmp_path / "metrics.json").read_text())


def test_the_palette_continues_after_the_given_colors():
    colors = palette([[1, 2, 3], [4, 5, 6]], 40)
    assert colors.shape == (40, 3) and colors[1].tolist() == [4, 5, 6]
    assert len({tuple(color) for color in colors.tolist()}) == 40
    assert palette([[1, 2, 3]] * 5, 2).shape[0] >= 2


def test_table_of_many_classes_is_short():
    from src.evaluation.metrics import ClassCounts

    assert len(hard_table(ClassCounts(2).summary(), ["background", "cell"])) == 5
    assert len(hard_table(ClassCounts(81).summary(), ["some"] * 81)) == 3
