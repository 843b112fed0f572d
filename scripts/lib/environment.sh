# Sourced by nearly all other scripts. Defines PROJECT_DIR, fail, show_usage, find_python and use_environment.
# bash 4.2 and 4.3 take an empty array for an unset variable, so arrays are expanded as ${NAME[@]+"${NAME[@]}"}.
# Python gets -I with -c and -m: it would import socket.py or src/ of the current folder, in which somebody's data may be.
# shellcheck shell=bash

unset CDPATH     # with it, cd may print a path, and take one of another folder

# without_empty NAME: takes out the empty entries of a variable, each of which stands for the current folder.
without_empty() {
  local path=":${!1:-}:"
  while [[ "$path" == *::* ]]; do path=${path//::/:}; done
  path=${path#:}
  export "$1=${path%:}"
}
without_empty PYTHONPATH
without_empty LD_LIBRARY_PATH

PROJECT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# fail STATUS MESSAGE...: prints the message and exits.
fail() {
  local status=$1
  shift
  echo "error: $*" >&2
  exit "$status"
}

# show_usage TEXT ARGUMENT...: prints the text and exits, with status 0 if the first argument asks for it, else with 2.
show_usage() {
  if [[ "${2:-}" =~ ^(-h|--help)$ ]]; then
    echo "$1"
    exit
  fi
  echo "$1" >&2
  exit 2
}

# printable: passes text on without control characters, which are commands to a terminal; logs can hold what files do.
printable() { LC_ALL=C tr -d '\000-\010\013-\037\177'; }

# no_file NAME PATH: says that there is no such file, or what is in its place, and exits.
no_file() {
  if [ -e "$2" ]; then fail 2 "$1: a $(stat -Lc %F -- "$2"), where a file is expected: $2"; fi
  fail 2 "$1: no such file: $2"
}

# absolute_file PATH: prints the absolute path. A link keeps its name: the file that it leads to may have another ending.
absolute_file() { echo "$(realpath -- "$(dirname -- "$1")")/$(basename -- "$1")"; }

# config_file NAME PATH: prints the absolute path of a YAML file. If there is none at PATH, the project's own one of that
# name is taken; unless PATH is a bare name, a warning says so.
config_file() {
  local file
  for file in "$2" "$PROJECT_DIR/configs/${2##*/}" "$PROJECT_DIR/${2##*/}"; do
    if [ -f "$file" ]; then
      if [ "$file" != "$2" ] && [[ "$2" == */* ]]; then echo "WARNING: $1: no such file: $2; using $file" >&2; fi
      absolute_file "$file"
      return
    fi
  done
  no_file "$1" "$2"
}

# find_python: sets PYTHON to the path of the interpreter for the project's scripts. The user's own PYTHON comes first.
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
  PYTHON=$(command -v "$PYTHON")
  if [[ "$PYTHON" != /* ]]; then PYTHON="$PWD/$PYTHON"; fi
}

# use_environment FILE...: makes PROJECT_DIR/.venv or reuses it, installs the requirements of FILE..., and puts
# .venv/bin first on the PATH.
use_environment() {
  local venv="$PROJECT_DIR/.venv" file
  if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -I -m pip --version >/dev/null 2>&1; then
    make_environment "$venv"
  fi
  for file in "$@"; do
    # A copy of the installed file tells the next run that there is nothing to install.
    if ! cmp -s "$PROJECT_DIR/$file" "$venv/installed-$file"; then
      echo "installing $file into $venv ..."
      (cd "$PROJECT_DIR" && "$venv/bin/python" -I -m pip install --quiet --disable-pip-version-check -r "$file")
      cp "$PROJECT_DIR/$file" "$venv/installed-$file"
    fi
  done
  export PATH="$venv/bin:$PATH"
}

make_environment() {
  local python="${PYTHON:-python3}" version
  version=$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || version="none"
  case "$version" in
    3.10 | 3.11 | 3.12) ;;
    *) fail 2 "MindSpore needs Python 3.10, 3.11 or 3.12; $python is $version. Set PYTHON to one of them." ;;
  esac
  echo "making $1 with Python $version ..."
  "$python" -I -m venv --clear "$1" ||
    fail 2 "$python cannot make a virtual environment; on Debian and Ubuntu install python3-venv."
}
