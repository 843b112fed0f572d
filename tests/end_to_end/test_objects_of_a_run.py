"""Objects through the command line: training with a boundary class, scores, fitting, prediction, ONNX."""
import json

import pytest
import tifffile

from src.data.synthetic_cells import write_cells
from src.report.history import VALIDATION, read_history
from tests.support.scripts import run_here

OPTIONS = ["--model_name=unet_simple", "--dataset=folders", "--image_size=[64, 64]", "--target=boundary",
           "--device_target=CPU", "--context_mode=pynative"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, narrow_networks, exports_here, onnx_is_fastest):
    """(folder of the data, output folder) of a run of a few steps."""
    folder = tmp_path_factory.mktemp("objects")
    write_cells(folder / "data", 5, 64, 1)
    result = run_here("train.py", *OPTIONS, f"--data_path={folder / 'data'}", f"--output_path={folder / 'out'}",
                      "--epochs=2", "--repeat=2", "--batch_size=2", "--lr=0.001", "--run_eval=True",
                      "--border_weight=True", "--eval_metrics=[object_f1, dice_coeff]", "--monitor=object_f1",
                      "--class_weights=auto")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "object_f1: " in result.stdout
    return folder / "data", folder / "out"


@pytest.mark.slow
def test_training_monitors_objects(trained):
    row = next(row for row in read_history(trained[1] / "history.csv") if row.kind == VALIDATION)
    assert None not in (row.object_f1, row.object_accuracy, row.object_mean_accuracy, row.object_pq)
    assert "Metrics of objects" in (trained[1] / "report.html").read_text()


@pytest.mark.slow
def test_checkpoint_and_onnx_have_the_same_scores_and_objects(trained, tmp_path):
    data, out = trained
    checkpoint = out / "checkpoint" / "ckpt_0" / "best.ckpt"
    evaluated = run_here("eval.py", *OPTIONS, f"--data_path={data}", f"--output_path={tmp_path / 'eval'}",
                    f"--checkpoint_file_path={checkpoint}", "--object_metrics=True", "--fit_objects=True")
    assert evaluated.returncode == 0, evaluated.stdout + evaluated.stderr
    assert "objects fitted on 4 training images" in evaluated.stdout and (checkpoint.parent / "objects.json").is_file()
    exported = run_here("export.py", *OPTIONS, f"--checkpoint_file_path={checkpoint}",
                   f"--file_name={tmp_path / 'net.onnx'}", "--file_format=ONNX", "--batch_size=1")
    assert exported.returncode == 0, exported.stdout + exported.stderr
    (tmp_path / "objects.json").write_bytes((checkpoint.parent / "objects.json").read_bytes())
    again = run_here("infer_unet_onnx.py", *OPTIONS, f"--data_path={data}", f"--output_path={tmp_path / 'onnx'}",
                f"--file_name={tmp_path / 'net.onnx'}", "--object_metrics=True")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "objects as fitted" in again.stdout
    one, other = (json.loads((tmp_path / name / "metrics.json").read_text())["objects"] for name in ("eval", "onnx"))
    assert one["number"]["true"] == other["number"]["true"] > 0
    assert one["mean"]["0.5"]["f1"] == pytest.approx(other["mean"]["0.5"]["f1"], abs=0.1)
    result = run_here("predict.py", *OPTIONS, f"--data_path={data}", f"--output_path={tmp_path / 'masks'}",
                 f"--checkpoint_file_path={checkpoint}", "--objects=True", "--tta=True")
    assert result.returncode == 0, result.stdout + result.stderr
    labels = [tifffile.imread(path) for path in sorted((tmp_path / "masks" / "objects").iterdir())]
    assert len(labels) == 5 and {image.shape for image in labels} == {(64, 64)}
    rows = (tmp_path / "masks" / "objects.csv").read_text().splitlines()[1:]
    assert len(rows) == sum(int(image.max()) for image in labels)
    assert not rows or rows[0].startswith("cells_0")
