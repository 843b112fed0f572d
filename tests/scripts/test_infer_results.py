"""run_infer_cpp.sh and the files in its folder of results, with stand-ins for the program and its build."""
import json
import os

import pytest

from tests.support.scripts import PROJECT, assert_one_line_error, bash

LIST = ".run_infer_cpp.json"
# A TIFF file has two pages. FAIL_AT names the input at which the program fails.
PROGRAM = """
for argument in "$@"; do
  case "$argument" in
    --dataset_path=*) inputs=${argument#*=} ;;
    --result_path=*) results=${argument#*=} ;;
    --need_preprocess=*) pictures=${argument#*=} ;;
  esac
done
mkdir -p time_Result
echo "times" >time_Result/test_perform_static.txt
for path in "$inputs"/*; do
  name=${path##*/}
  if [ "$name" = "${FAIL_AT:-}" ]; then echo "half" >"$results/.x_0.unet-0123456789abcdef.bin"; exit 3; fi
  case "$name" in
    *.bin) echo new >"$results/${name%.*}_0.bin" ;;
    *.tif | *.TIF) [ "$pictures" = n ] || echo new | tee "$results/${name%.*}_0_0.bin" >"$results/${name%.*}_1_0.bin" ;;
  esac
done
"""


class Inference:
    """The launcher of a project whose Python scripts do nothing; its folders' names begin and end with blanks."""

    def __init__(self, folder):
        self.project, self.folder = folder / "project", folder / "here"
        self.inputs, self.results = self.folder / " in ", self.folder / " results "
        program = self.project / "ascend310_infer" / "build" / "unet_infer"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/usr/bin/env bash\n{PROGRAM}")
        program.chmod(0o755)
        (self.project / "ascend310_infer" / "build.sh").write_text("")
        (self.project / "preprocess.py").write_text("")
        (self.project / "postprocess.py").write_text("print('Cross valid dice coeff is: 1')")
        for name in ("scripts", "unet_simple_config.yaml"):
            (self.project / name).symlink_to(PROJECT / name)
        self.inputs.mkdir(parents=True)
        self.results.mkdir()
        (self.folder / "x.mindir").write_text("")
        self.put("a.bin", "b.bin", "c.tif", ".hidden.bin", "notes.txt")

    def put(self, *names):
        for name in names:
            (self.inputs / name).write_text("input")

    def run(self, need_preprocess="y", **environment):
        return bash(self.project / "scripts" / "run_infer_cpp.sh", "unet", "x.mindir", need_preprocess, "CPU",
                    cwd=self.folder, **{"RESULT_PATH": " in ", "RST_PATH": " results ", **environment})

    def found(self):
        return sorted(path.name for path in self.results.iterdir() if path.name != LIST)

    def listed(self):
        return json.loads((self.results / LIST).read_text())


@pytest.fixture
def inference(tmp_path):
    return Inference(tmp_path)


ALL = ["a_0.bin", "b_0.bin", "c_0_0.bin", "c_1_0.bin"]


def test_what_was_written_is_listed_and_removed(inference):
    """Nothing else goes: neither other results, nor files of the list that are folders now or lie elsewhere."""
    mine = ["other_0.bin", "a_1_0.bin", "d_0.bin", ".mine_0.unet-1.bin"]
    for name in mine:
        (inference.results / name).write_text("mine")
    for log in ("preprocess", "build", "infer", "acc"):     # rewritten, as in the model zoo
        (inference.folder / f"{log}.log").write_text("mine")
    result = inference.run()
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert inference.listed() == ALL and inference.found() == sorted(ALL + mine)
    assert "mine" not in "".join(path.read_text() for path in inference.folder.glob("*.log"))
    for name in ("b.bin", "c.tif"):
        (inference.inputs / name).unlink()
    (inference.results / "b_0.bin").unlink()
    (inference.results / "b_0.bin").mkdir()
    (inference.results / LIST).write_text(json.dumps([*ALL, "..", "../x.mindir"]))
    assert inference.run("n").returncode == 0
    assert inference.listed() == ["a_0.bin"] and inference.found() == sorted(["a_0.bin", "b_0.bin", *mine])
    assert all((inference.results / name).read_text() == "mine" for name in mine)
    assert (inference.folder / "x.mindir").is_file()


@pytest.mark.parametrize("name, need_preprocess", [("a_0.bin", "n"), ("c_0.bin", "y"), ("c_1_0.bin", "y"),
                                                   ("e_0.bin", "y"), ("e_1_0.bin", "y")])
def test_files_of_others_with_names_of_results(inference, name, need_preprocess):
    """Refused before the program runs, also at a second call."""
    inference.put("e.TIF")
    path = inference.results / name
    path.write_text("mine")
    for _ in range(2):
        assert_one_line_error(inference.run(need_preprocess), " results  holds 1 files", name,
                              "remove them, or give another folder with RST_PATH")
    assert path.read_text() == "mine" and inference.found() == [name]
    assert not (inference.folder / "infer.log").exists()
    path.unlink()
    assert inference.run(need_preprocess).returncode == 0


def test_a_link_to_nothing_is_somebodys_file(inference):
    (inference.results / "a_0.bin").symlink_to(inference.folder / "elsewhere")
    assert_one_line_error(inference.run(), "a_0.bin")
    assert not (inference.folder / "elsewhere").exists()


def test_pictures_that_the_program_does_not_take(inference):
    """With NEED_PREPROCESS n their names are free."""
    (inference.results / "c_1_0.bin").write_text("mine")
    assert inference.run("n").returncode == 0
    assert inference.listed() == ["a_0.bin", "b_0.bin"] and (inference.results / "c_1_0.bin").read_text() == "mine"


def test_a_program_that_fails_in_the_middle(inference):
    """What it wrote is listed; what it did not write yet may become somebody's file."""
    inference.put("d.bin")
    result = inference.run(FAIL_AT="d.bin")
    assert result.returncode == 3 and "step infer failed with status 3" in result.stderr
    assert inference.listed() == ALL
    (inference.results / "d_0.bin").write_text("mine")
    assert_one_line_error(inference.run(), "d_0.bin")
    assert inference.found() == sorted([".x_0.unet-0123456789abcdef.bin", *ALL, "d_0.bin"])
    (inference.results / "d_0.bin").unlink()
    assert inference.run().returncode == 0
    assert inference.listed() == inference.found() == [*ALL, "d_0.bin"]


def test_logs_are_not_written_through_links(inference):
    """Not even if somebody is quick enough to make the link between two steps of the launcher."""
    victim = inference.folder / "victim"
    victim.write_text("mine")
    (inference.folder / "infer.log").symlink_to(victim)
    result = inference.run()
    assert result.returncode == 0 and not (inference.folder / "infer.log").is_symlink(), result.stderr
    (inference.project / "bin").mkdir()
    rm = inference.project / "bin" / "rm"
    rm.write_text('#!/bin/sh\n/bin/rm "$@"\nln -s victim infer.log 2>/dev/null || true\n')
    rm.chmod(0o755)
    result = inference.run(PATH=f"{rm.parent}{os.pathsep}{os.environ['PATH']}")
    assert result.returncode == 1 and "infer.log: cannot overwrite existing file" in result.stderr, result.stderr
    assert victim.read_text() == "mine"


def test_options_that_a_step_asks_for(inference):
    """The launcher takes none, but variables of the environment."""
    (inference.project / "preprocess.py").write_text(
        "import sys\nif '--image_size' not in str(sys.argv): sys.exit('error: give it with --image_size=[256,256]')")
    result = inference.run()
    assert result.returncode == 1 and result.stderr.endswith(
        "preprocess.log; --image_size is here the variable IMAGE_SIZE\n"), result.stderr
    assert inference.run(IMAGE_SIZE="[256,256]").returncode == 0


def test_a_program_that_is_built_elsewhere(inference):
    build = inference.project / "ascend310_infer" / "build"
    build.rename(inference.folder / "built here")
    (build.parent / "build.sh").write_text('ls "$UNET_INFER_BUILD"')
    result = inference.run(UNET_INFER_BUILD="built here")
    assert result.returncode == 0 and inference.found() == ALL, result.stderr
    assert not build.exists()


def test_a_list_that_cannot_be_read(inference):
    (inference.results / LIST).write_text("{")
    assert_one_line_error(inference.run(), LIST, "what run_infer_cpp.sh wrote, cannot be read; remove it")
