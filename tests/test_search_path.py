"""What stands in the folder where the user is, is never imported: Python and the launchers look for code elsewhere."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from src.data.worker_pool import call_for_each
from src.model_utils.python_process import forget_current_folder, python_command, without_current_folder
from tests.support.scripts import PROJECT, SCRIPTS, bash, call

# Names that Python, pip and the project import.
PLANTED = ("socket", "pip", "venv", "zipfile", "platform", "moxing", "multiprocessing", "json")


@pytest.fixture
def planted(tmp_path):
    """A folder of modules that each leave a file ``owned`` behind when they are imported."""
    code = f"open({str(tmp_path / 'owned')!r}, 'w')\nraise SystemExit('imported')\n"
    folder = tmp_path / "data"
    for name in ("src", "src/model_utils", "src/export"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(code)
    for name in PLANTED:
        (folder / f"{name}.py").write_text(code)
    yield folder
    assert not (tmp_path / "owned").exists()


def test_python_code(planted, tmp_path):
    """It still finds what PYTHONPATH names."""
    (tmp_path / "honest").mkdir()
    (tmp_path / "honest" / "helper.py").write_text("NAME = 'helper'")
    result = call(*python_command("import socket, json, helper; print(helper.NAME, *sys.argv[1:])", "a b"), cwd=planted,
                  PYTHONPATH=str(tmp_path / "honest"))
    assert (result.returncode, result.stdout) == (0, "helper a b\n"), result.stderr


def test_the_current_folder_would_come_first(tmp_path):
    """What python_command is for."""
    (tmp_path / "socket.py").write_text("print('imported')")
    assert call(sys.executable, "-c", "import socket", cwd=tmp_path).stdout == "imported\n"


def test_the_exporting_process(planted):
    """It ends at its input; up to there it has imported the project and nothing else of the folder."""
    from src.export.onnx_cache import EXPORT

    result = call(*python_command(EXPORT), cwd=planted, PYTHONPATH=str(PROJECT))
    assert result.returncode == 1 and "JSONDecodeError" in result.stderr, result.stderr


def test_the_copying_process(planted):
    """A moxing of the current folder is none of ModelArts."""
    from src.model_utils import moxing_adapter

    result = subprocess.run(python_command(moxing_adapter.COPY, "a", "b"), cwd=planted, capture_output=True, text=True,
                            check=False)
    assert "No module named 'moxing'" in result.stderr


def test_worker_processes(planted, monkeypatch):
    monkeypatch.chdir(planted)
    assert sorted(call_for_each(abs, [-1, -2, -3], 2, str)) == [1, 2, 3]
    assert "PYTHONSAFEPATH" not in os.environ


@pytest.mark.slow
def test_worker_processes_of_python_3_10(planted, tmp_path):
    """In an interpreter of that version, if there is one; it needs no packages for this."""
    found = [*Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/3.10*/bin/python"),
             *filter(None, [shutil.which("python3.10")])]
    if not found:
        pytest.skip("no Python 3.10")
    (tmp_path / "job.py").write_text(f"""
import multiprocessing, os, sys
from multiprocessing import resource_tracker
sys.path.insert(0, {str(PROJECT)!r})
from src.model_utils.python_process import without_current_folder
if __name__ == "__main__":
    os.chdir({str(planted)!r})
    with without_current_folder():
        resource_tracker.ensure_running()
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.map(abs, [-3]))
""")
    result = call(found[0], "job.py", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "[3]\n"), result.stderr


EMPTY_ENTRIES = [":{}", "{}:", "{}::{}", ":", ":::{}"]


@pytest.fixture
def honest(tmp_path):
    """A folder that PYTHONPATH names."""
    folder = tmp_path / "honest"
    folder.mkdir()
    (folder / "helper.py").write_text("NAME = 'helper'")
    return folder


@pytest.mark.parametrize("search", EMPTY_ENTRIES)
def test_empty_entries_of_the_search_path(planted, honest, search, monkeypatch):
    """Each stands for the current folder. What Python reads before the script, nobody can mend."""
    monkeypatch.setenv("PYTHONPATH", search.format(honest, honest))
    monkeypatch.chdir(planted)
    monkeypatch.setattr(sys, "path", ["script", *sys.path[1:], str(planted)])
    forget_current_folder()
    assert str(planted) not in sys.path and sys.path[0] == "script"
    assert set(os.environ["PYTHONPATH"].split(":")) == {str(honest) if "{" in search else ""}
    result = call(*python_command("import json, socket"), cwd=planted, PYTHONPATH=os.environ["PYTHONPATH"])
    assert result.returncode == 0, result.stderr


def test_a_named_current_folder_stays(honest, monkeypatch):
    """The user has named it."""
    monkeypatch.setenv("PYTHONPATH", f".:{honest}")
    monkeypatch.chdir(honest)
    monkeypatch.setattr(sys, "path", ["script", str(honest)])
    forget_current_folder()
    assert sys.path == ["script", str(honest)] and os.environ["PYTHONPATH"] == f".:{honest}"
    monkeypatch.setenv("PYTHONPATH", f"::{honest}")
    forget_current_folder()
    assert sys.path == ["script", str(honest)] and os.environ["PYTHONPATH"] == str(honest)


@pytest.mark.parametrize("search", ["", *EMPTY_ENTRIES])
def test_libraries_of_programs_that_are_started(honest, search):
    """OpenCV adds its own folder, and an empty entry where the variable was not set."""
    code = "import os\nfrom src.model_utils.python_process import forget_current_folder\nforget_current_folder()\n" \
           "import cv2\nprint(os.environ['LD_LIBRARY_PATH'])"
    result = call(*python_command(code), PYTHONPATH=str(PROJECT), LD_LIBRARY_PATH=search.format(honest, honest))
    assert result.returncode == 0, result.stderr
    folders = result.stdout.strip().split(":")
    assert all(folders) and set(folders[1:]) == {str(honest) if "{" in search else "/dev/null"}


@pytest.mark.slow
@pytest.mark.parametrize("package, looks_for", [
    ("mindspore", "libge_runner.so"), ("matplotlib.figure", "matplotlibrc"), ("bioimageio.spec", ".env")])
def test_packages_that_look_into_the_current_folder(tmp_path, package, looks_for):
    """They do not see it. Afterwards the current folder is what it was."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    pytest.importorskip(package)
    code = f"import os\nfrom src.model_utils.packages import import_blindly\nimport_blindly()\n" \
           f"import {package}\nprint(os.getcwd())"
    result = call("strace", "-f", "-qq", "-e", "trace=openat,stat,newfstatat,chdir,fchdir", "-o", tmp_path / "calls",
                  *python_command(code), cwd=tmp_path, PYTHONPATH=str(PROJECT))
    assert (result.returncode, result.stdout) == (0, f"{tmp_path}\n"), result.stderr
    away = False
    for line in (tmp_path / "calls").read_text().splitlines():
        away = "chdir(\"/\")" in line or away and "fchdir(" not in line
        assert away or not re.search(rf'"([^/"]*/)*{re.escape(looks_for)}"', line) or '"/' in line, line


def test_settings_of_the_current_folder(tmp_path):
    """A pipe would be waited for; and figures look the same everywhere."""
    os.mkfifo(tmp_path / "matplotlibrc")
    code = "from src.model_utils.packages import import_blindly\nimport_blindly()\nimport matplotlib.figure"
    result = call(*python_command(code), cwd=tmp_path, PYTHONPATH=str(PROJECT), timeout=60)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr


@pytest.mark.parametrize("search", EMPTY_ENTRIES)
def test_empty_entries_in_a_launcher(planted, honest, search):
    code = (f'set -euo pipefail; source "{SCRIPTS}/lib/environment.sh"; echo "$PYTHONPATH $LD_LIBRARY_PATH"; '
            f'"{sys.executable}" "{SCRIPTS}/lib/option_values.py" rst_path --rst_path=a')
    search_path = search.format(honest, honest)
    result = bash("-c", code, cwd=planted, PYTHONPATH=search_path, LD_LIBRARY_PATH=search_path)
    expected = "" if search == ":" else f"{honest}:{honest}" if search.count("{") > 1 else str(honest)
    assert (result.returncode, result.stdout) == (0, f"{expected} {expected}\na\n"), result.stderr


def test_the_variable_is_put_back(monkeypatch):
    monkeypatch.setenv("PYTHONSAFEPATH", "0")
    with without_current_folder():
        assert os.environ["PYTHONSAFEPATH"] == "1"
    assert os.environ["PYTHONSAFEPATH"] == "0"


def test_shell_scripts_start_python_on_purpose():
    """With -c and -m, Python gets -I, unless the script has gone to the project's folder before."""
    for path in [*SCRIPTS.glob("*.sh"), *SCRIPTS.glob("lib/*.sh"), PROJECT / ".ci" / "run"]:
        lines = path.read_text().splitlines()
        inside = next((number for number, line in enumerate(lines) if line.strip() == 'cd "$PROJECT_DIR"'), len(lines))
        for number, line in enumerate(lines[:inside], 1):
            if re.search(r'(python\w*|PYTHON|"\$1")["}]* -[cm] ', line.partition("# ")[0]):
                pytest.fail(f"{path.name}, line {number}: {line.strip()}")


def test_options_in_a_launcher(planted):
    result = call(sys.executable, SCRIPTS / "lib" / "option_values.py", "result_path", "rst_path", "--rst_path=a b",
                  "--result_path=c", cwd=planted)
    assert (result.returncode, result.stdout) == (0, "c\na b\n"), result.stderr


@pytest.mark.slow
def test_environment_in_a_launcher(planted, tmp_path):
    """Making a virtual environment, as the first call of quickstart.sh does."""
    (tmp_path / "scripts" / "lib").mkdir(parents=True)
    (tmp_path / "scripts" / "lib" / "environment.sh").write_text((SCRIPTS / "lib" / "environment.sh").read_text())
    (tmp_path / "requirements.txt").write_text("")
    code = f'set -euo pipefail; source "{tmp_path}/scripts/lib/environment.sh"; use_environment requirements.txt'
    result = bash("-c", code, cwd=planted)
    assert result.returncode == 0 and (tmp_path / ".venv" / "installed-requirements.txt").exists(), result.stderr
