"""The notebook runs from its first cell to its last."""
import base64
import io
import re

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from tests.support.scripts import PROJECT

NOTEBOOK = PROJECT / "notebooks" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_no_outputs_are_kept(notebook):
    assert all(cell.outputs == [] and cell.execution_count is None for cell in notebook.cells
               if cell.cell_type == "code")


@pytest.mark.slow
def test_it_runs(notebook, tmp_path):
    """A single pass over the sample, into a folder of the test."""
    parameters, = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert 'output = PROJECT / "output" / "notebook"' in parameters.source
    parameters.source = f"output, passes = Path({str(tmp_path)!r}), 1"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "============== End Training ==============" in text
    dice, = re.findall(r"soft Dice ([\d.]+), hard foreground IoU", text)
    assert 0.5 < float(dice) < 1
    pictures = [Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) for output in outputs
                if output.output_type in ("display_data", "execute_result")]
    # The data, the curves, the prediction; and none of them is blank.
    assert len(pictures) == 3 and all(np.asarray(picture.convert("L")).std() > 10 for picture in pictures)
    assert (tmp_path / "report.html").is_file()
