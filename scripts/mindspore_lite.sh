# Sourced by the scripts around C++ inference: PROJECT_DIR, MS_LITE_HOME, and what they share.
# shellcheck shell=bash

PROJECT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Where get_mindspore_lite.sh puts the wheel, and where the others look when MS_LITE_HOME is not set.
export MS_LITE_HOME="${MS_LITE_HOME:-$PROJECT_DIR/.mindspore_lite}"

# fail STATUS MESSAGE...
fail() {
  local status=$1
  shift
  echo "error: $*" >&2
  exit "$status"
}

# find_python: sets PYTHON to the interpreter that the project's scripts run with, unless the user has set it.
find_python() {
  if [ -z "${PYTHON:-}" ]; then
    if [ -n "${VIRTUAL_ENV:-}" ]; then
      PYTHON="$VIRTUAL_ENV/bin/python"
    elif [ -x "$PROJECT_DIR/.venv/bin/python" ]; then
      PYTHON="$PROJECT_DIR/.venv/bin/python"
    else
      PYTHON=python3
    fi
  fi
  command -v "$PYTHON" >/dev/null || fail 2 "no Python: $PYTHON; set PYTHON to an interpreter"
}
