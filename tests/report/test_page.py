"""report.html: its content, and how a browser shows it."""
import json
import os
import re
import shlex
import shutil

import numpy as np
import pytest
from markupsafe import escape

from src import __version__
from src.evaluation.evaluate import ScoreOptions, evaluate
from src.evaluation.isbi_metrics import BestThreshold
from src.evaluation.metrics import METRIC_NAMES
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.report.gallery import Gallery
from src.report.history import STEP, VALIDATION, History, Row
from src.report.page import ReportInput, write_report

EVIL = "<script>alert('x')</script>"


class Samples:
    """Twelve images of 64x96 with a square of each class; the name of one is an attack."""
    keep_label_size = False

    def __init__(self, num_classes):
        self.num_classes = num_classes

    def __len__(self):
        return 12

    def __getitem__(self, index):
        classes = np.zeros((64, 96), np.uint8)
        for number in range(1, self.num_classes):
            classes[8:24 + index, 8 * number:8 * number + 8] = number
        return np.zeros((1, 64, 96), np.float32), classes

    def name(self, index):
        return f"{EVIL} of a rather long name, number {index}" if index == 3 else f"image-{index}"

    def pixels(self, index, size):
        return np.full((*size, 3), 90 + 10 * index, np.uint8)


def write(folder, num_classes, *argv):
    """Write the report of an invented run of 300 steps; each prediction is its label, shifted a little more."""
    history = History(folder)
    history.start(0)
    for step in range(1, 301):
        history.append(Row(step, 1 + (step - 1) // 100, STEP, 1 / step, 0.001, 0.5, 8.0, 0.01))
        if step % 100 == 0:
            history.append(Row(step, step // 100, VALIDATION, seconds=1.0, **dict.fromkeys(METRIC_NAMES, step / 400)))
    (folder / "dataset.json").write_text(json.dumps({
        **{part: {"samples": 12, "seen": 12, "sizes": {"96x64": 12}, "kinds": {"RGB": 12}, "foreground_fraction": 0.25,
                  "masks_without_foreground": [], "masks_of_one_class": [], "same_images": []}
           for part in ("training", "validation")}, "warnings": [f"training: {EVIL} is there twice"]}))
    samples = Samples(num_classes)
    predicted = iter([np.roll(samples[index][1], 1 + index, axis=0) for index in range(len(samples))])
    gallery = Gallery(samples)
    scores = evaluate(lambda _: np.eye(num_classes, dtype=np.float32)[next(predicted)][None], samples, ScoreOptions(),
                      gallery.add)
    config = parse_options([f"--output_path={folder}", f"--num_classes={num_classes}", *argv], "")
    return config, scores, write_report(config, ReportInput("eval.py", "some.ckpt", "CPU", scores, gallery))


@pytest.fixture(scope="module", params=[2, 9])
def written(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return write(folder, request.param, "--image_size=[96, 64]", "--eval_metrics=[dice_coeff, hard_iou]",
                 "--color=[[0, 0, 0], [9, 9, 9]]", "--coco_classes=[it's, b c]")


def test_the_page_shows_scores_images_curves_and_data(written):
    config, scores, path = written
    text = path.read_text()
    assert f"{scores.mean_dice:.4f}" in text and f"{scores.hard['IoU']['foreground']:.4f}" in text
    assert "unet_simple on ISBI" in text and "some.ckpt" in text and "on 12 validation images" in text
    assert text.count("<img ") == 2 * (5 + 5) and len(re.findall(r"<img [^>]*alt=\"[^\"]+\"", text)) == 20
    assert ("another class" in text) == (config.num_classes > 2)
    assert "The training ran 300 steps, up to epoch 3. The steps took\n2.5 minutes" in text
    assert f'UNet for MindSpore</th><td>{__version__}</td>' in text
    assert "25.0%" in text and "sizes (width x height)" in text
    assert path.stat().st_size < 1e6
    for rank, rows in (("worst", range(11, 6, -1)), ("best", range(5))):
        table = text.rpartition(f"The 5 {rank} of 12 images")[2].partition("</table>")[0]
        assert re.findall('<tr><th scope="row">([^<]+)<', table) == [escape(scores.names[row]) for row in rows]


def test_a_short_list_of_images_is_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(Samples, "__len__", lambda self: 6)
    text = write(tmp_path, 2)[2].read_text()
    assert text.count("Each image, the best first") == 2 and "worst of" not in text     # the table and its label


def test_the_page_loads_no_other_file(written):
    text = written[2].read_text()
    assert not re.search(r"(src|href)=\"(?!data:|#)", text) and "@import" not in text and "<script" not in text


def test_names_cannot_become_html(written):
    text = written[2].read_text()
    assert EVIL not in text and "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text


def test_the_command_has_the_same_options(written):
    config, _, path = written
    command, = re.findall(r"<pre>(.*?)</pre>", path.read_text(), re.DOTALL)
    _, script, *argv = shlex.split(command.replace("&#39;", "'").replace("&#34;", '"'))
    assert script == "eval.py" and parse_options(argv, "").as_dict() == config.as_dict()


def test_without_a_training_run_there_are_no_curves_and_no_data_set(tmp_path):
    """Without history.csv and dataset.json."""
    folder = tmp_path / "first"
    folder.mkdir()
    config, scores, path = write(folder, 2)
    scores.board = {"V_rand": BestThreshold(0.96875, 0.5)}
    for name in ("history.csv", "dataset.json"):
        (folder / name).unlink()
    text = write_report(config, ReportInput("eval.py", "some.ckpt", "CPU", scores, Gallery(Samples(2)))).read_text()
    assert "Curves" not in text and "Data set" not in text and "Confusion matrix" in text
    assert "<dt>V_rand</dt><dd>0.9688</dd>" in text
    (folder / "dataset.json").write_text("{}")
    with pytest.raises(UNetError, match=r"dataset\.json: not the file that train\.py writes"):
        write_report(config, ReportInput("eval.py", "some.ckpt", "CPU", scores, Gallery(Samples(2))))


# ---- in a browser


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not executable:
        pytest.skip("Chromium is not installed; apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        # A container's root has no sandbox.
        browser = playwright.chromium.launch(executable_path=executable,
                                             args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize("width, scheme", [(1400, "light"), (400, "dark")])
def test_a_browser_shows_the_page_without_faults(written, browser, width, scheme):
    """No errors, no requests, no overflow, and axe finds no fault of accessibility, including the contrast of AA."""
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    faults, requests = [], []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(written[2].as_uri())
    page.evaluate("document.querySelector('details').open = true")
    assert faults == [] and [url for url in requests if not url.startswith("data:")] == [written[2].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Only elements of the class scroll may be wider than the page.
    assert page.evaluate("""[...document.querySelectorAll('body *')].filter(
        element => !element.closest('.scroll, svg') && element.getBoundingClientRect().right > innerWidth + 1
        ).map(element => element.outerHTML.slice(0, 80))""") == []
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    assert [(fault["id"], [node["html"][:100] for node in fault["nodes"]])
            for fault in found.response["violations"]] == []
    page.close()
