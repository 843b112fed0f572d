#!/usr/bin/env bash
# Downloads MindSpore Lite's Python wheel and unpacks it, to try C++ inference on a CPU: it holds the headers, the
# runtime and a converter. Nothing is installed. If it was unpacked before, nothing is done.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/mindspore_lite.sh"

if [ $# -gt 1 ] || [[ "${1:-}" == -* ]]; then
  show_usage "Usage: bash scripts/get_mindspore_lite.sh [DIR]    the default of DIR is .mindspore_lite beside README.md" \
    "$@"
fi

lock="$PROJECT_DIR/scripts/lib/mindspore_lite.lock"
version=$(sed -n 's/^mindspore-lite==\([0-9.]*\).*/\1/p' "$lock")
target=${1:-$PROJECT_DIR/.mindspore_lite}
marker="$target/mindspore_lite/include/api/model.h"
if [ -f "$marker" ]; then
  # Its programs and libraries are run: nobody else may have made it. -H looks at what a link leads to.
  [ -n "$(find -H "$target" -maxdepth 0 \( -user "$(id -u)" -o -user 0 \) ! -perm /022)" ] ||
    fail 2 "$target belongs to another user, or other users can write it; remove it or give another folder"
  echo "MindSpore Lite is there already: $target"
  exit 0
fi
[ ! -e "$target" ] || fail 2 "$target exists and is not MindSpore Lite's wheel; remove it or give another folder"
machine="$(uname -s) $(uname -m)"
[ "$machine" = "Linux x86_64" ] || fail 2 "the wheel is for Linux x86_64, this is $machine; take a release package of \
MindSpore Lite and set MS_LITE_HOME"
find_python
"$PYTHON" -I -m pip --version >/dev/null 2>&1 || fail 2 "$PYTHON has no pip; set PYTHON to one that has"

mkdir -p "$(dirname "$target")"
# In the same folder as the target, so that a rename makes it appear whole.
work=$(mktemp -d "$(dirname "$target")/.mindspore_lite.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "downloading mindspore-lite $version (170 MB, 0.7 GB unpacked) ..."
"$PYTHON" -I -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.7 \
  --platform manylinux1_x86_64 --dest "$work" --require-hashes --requirement "$lock" ||
  fail 1 "mindspore-lite $version could not be downloaded (see above); or set MS_LITE_HOME to a release package"
mkdir "$work/unpacked"
"$PYTHON" -I -m zipfile -e "$work"/mindspore_lite-*.whl "$work/unpacked"
[ -f "$work/unpacked/mindspore_lite/include/api/model.h" ] || fail 1 "the wheel holds no headers"
chmod 755 "$work/unpacked"
mv -T "$work/unpacked" "$target"
echo "MindSpore Lite: $target"
