#!/usr/bin/env bash
# Builds build/unet_infer beside this file, and only what has changed since the last build.
# Usage: bash build.sh    MS_LITE_HOME names the folder of MindSpore Lite; the default is ../.mindspore_lite
set -euo pipefail
unset CDPATH     # with it, cd may print a path, and take one of another folder

if [ $# -ne 0 ]; then
  echo "Usage: bash build.sh    (MS_LITE_HOME=DIR names the folder of MindSpore Lite)" >&2
  exit 2
fi
for tool in cmake c++; do
  if ! command -v "$tool" >/dev/null; then
    echo "error: $tool is not installed; install cmake (3.14 or newer) and a C++17 compiler" >&2
    exit 2
  fi
done

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${MS_LITE_HOME:-$folder/../.mindspore_lite}
if [ ! -d "$home" ]; then
  echo "error: no MindSpore Lite at $home; set MS_LITE_HOME to its folder, or run scripts/get_mindspore_lite.sh" >&2
  exit 2
fi
home=$(cd "$home" && pwd)
cmake -S "$folder" -B "$folder/build" -DMS_LITE_HOME="$home"
cmake --build "$folder/build" --parallel 2
