"""Convert an ONNX file to MindIR with the converter of MindSpore Lite's Python wheel; see onnx_to_mindir.sh.

It runs in CPython 3.7, the newest that the wheel is built for, with the wheel's folder on PYTHONPATH.
"""
import os
import shutil
import sys
import tempfile
import types

try:
    import numpy  # noqa: F401
except ImportError:
    # The wheel imports it for its tensors, which the converter does not use.
    sys.modules["numpy"] = types.ModuleType("numpy")

import mindspore_lite


def convert(source, target):
    """Write ``target`` (.mindir), whole or not at all. Raises RuntimeError if the converter refuses ``source``."""
    # A folder that only this user can enter: in a shared one others could plant a link in the file's place.
    folder = tempfile.mkdtemp(prefix=".onnx_to_mindir.", dir=os.path.dirname(os.path.abspath(target)))
    stem = os.path.join(folder, "network")      # the converter appends .mindir
    try:
        converter = mindspore_lite.Converter()
        converter.save_type = mindspore_lite.ModelType.MINDIR
        converter.convert(fmk_type=mindspore_lite.FmkType.ONNX, model_file=source, output_file=stem)
        os.chmod(stem + ".mindir", 0o644)
        os.replace(stem + ".mindir", target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    try:
        convert(*sys.argv[1:])
    except (OSError, RuntimeError) as error:
        sys.exit(str(error).splitlines()[0])
