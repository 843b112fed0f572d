"""Messages are lines of text, whatever the names and files hold that they speak of."""
import logging
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from src.model_utils.errors import UNetError, encodable, printable
from src.model_utils.script import PlainFormatter, guarded


@pytest.mark.parametrize("text, shown", [
    ("cell 1.png", "cell 1.png"), ("Zellkérne 细胞", "Zellkérne 细胞"), ("a\nerror: b", "a\\nerror: b"),
    ("\x1b[2J\x1b]0;x\a", "\\x1b[2J\\x1b]0;x\\x07"), ("\u202egnp.exe", "\\u202egnp.exe"), ("\udcff", "\\xff"),
    ("\ud800", "\\ud800"), ("\x9b1m", "\\x9b1m"), ("\r", "\\r"), ("", "")])
def test_control_characters(text, shown):
    assert printable(text) == shown == str(UNetError(text))


def test_what_has_no_place_in_utf_8():
    """Bytes of a name in Latin-1, and half of a pair; everything else stays, control characters too."""
    name = os.fsdecode("é\n²".encode("latin-1"))
    assert encodable(f"{name}\ud83d µ\x1b") == "\\xe9\n\\xb2\\ud83d µ\x1b"


@pytest.mark.parametrize("error", [UNetError("a\n\x1b[31mb"), KeyError("\x1b[31m")])
def test_scripts_print_one_line(capsys, error):
    def work():
        raise error
    guarded(work)
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1 and "\x1b" not in printed


def test_a_python_without_the_packages(capsys):
    def work():
        raise ModuleNotFoundError("No module named 'tqdm'", name="tqdm")
    assert guarded(work) == 2
    printed = capsys.readouterr().err
    assert f"{sys.executable} has no package tqdm" in printed and "pip install -r requirements.txt" in printed


def test_lines_of_the_log():
    """Tables have several lines; the name of a file has none."""
    def line(message, *arguments):
        return PlainFormatter().format(logging.LogRecord("unet", logging.INFO, "", 1, message, arguments, None))
    assert line("%s: %d of 3\n1 2\n3 4\x1b", Path("a\nforged"), 2) == "a\\nforged: 2 of 3\n1 2\n3 4\\x1b"
    assert line("%s, %s: %.1f", "a\nforged", UNetError("b\nc"), np.float32(2)) == "a\\nforged, b\\nc: 2.0"
    assert line("100 %") == "100 %"
    try:
        raise UNetError("a\nb")
    except UNetError:
        record = logging.LogRecord("unet", logging.INFO, "", 1, "x", (), sys.exc_info())
    assert PlainFormatter().format(record).startswith("x\nTraceback")
