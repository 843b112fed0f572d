#!/usr/bin/env bash
# Converts an ONNX file of export.py to a MindIR file that MindSpore Lite's wheel (get_mindspore_lite.sh) can read.
# It needs CPython 3.7, for which the wheel is built: PYTHON37, python3.7 on the PATH, or one of pyenv's.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/mindspore_lite.sh"

if [ $# -ne 2 ] || [[ "$1" == -* ]]; then show_usage "Usage: bash scripts/onnx_to_mindir.sh [ONNX] [MINDIR]" "$@"; fi
onnx=$1
mindir=$2
[[ "$mindir" == *.mindir ]] || mindir="$mindir.mindir"
[ -f "$onnx" ] || fail 2 "no such ONNX file: $onnx"
[ -f "$MS_LITE_HOME/mindspore_lite/converter.py" ] ||
  fail 2 "no Python wheel of MindSpore Lite at $MS_LITE_HOME; run scripts/get_mindspore_lite.sh"

# is_python37 PROGRAM: tries it, because pyenv's python3.7 can be on the PATH and still not start.
is_python37() {
  "$1" -I -c 'import platform, sys; sys.exit((platform.python_implementation(), sys.version_info[:2]) != ("CPython", (3, 7)))' \
    >/dev/null 2>&1
}

python37=
for candidate in "${PYTHON37:-python3.7}" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.7*/bin/python; do
  if is_python37 "$candidate"; then
    python37=$candidate
    break
  fi
done
[ -n "$python37" ] || fail 2 "no CPython 3.7 on the PATH or in pyenv (pyenv install 3.7); set PYTHON37 to its path"

find_python
# The converter would put the bytes of any file that the ONNX file names into the new one.
"$PYTHON" "$PROJECT_DIR/scripts/lib/copy_description.py" "$onnx"
mkdir -p "$(dirname "$mindir")"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! PYTHONPATH="$MS_LITE_HOME" "$python37" "$PROJECT_DIR/scripts/lib/onnx_to_mindir.py" "$onnx" "$mindir" >"$log" 2>&1; then
  grep -aF '[ERROR]' "$log" | head -n 3 | printable >&2 || true
  fail 1 "$(tail -n 1 "$log" | printable)"
fi
# What the ONNX file says about the network goes beside the new one.
"$PYTHON" "$PROJECT_DIR/scripts/lib/copy_description.py" "$onnx" "$mindir"
echo "converted: $mindir"
