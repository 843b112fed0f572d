#!/usr/bin/env bash
# Builds build/unet_infer beside this file, and only what has changed since the last build.
# Usage: bash build.sh    MS_LITE_HOME names the folder of MindSpore Lite; the default is ../.mindspore_lite
#                         UNET_INFER_BUILD names the folder of what is built; the default is build/
set -euo pipefail
unset CDPATH     # with it, cd may print a path, and take one of another folder

if [ $# -ne 0 ]; then
  echo "Usage: bash build.sh    (MS_LITE_HOME=DIR names the folder of MindSpore Lite, UNET_INFER_BUILD=DIR that of the" \
    "program)" >&2
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
build=${UNET_INFER_BUILD:-$folder/build}
if ! mkdir -p -- "$build" 2>/dev/null || [ ! -w "$build" ]; then
  echo "error: cannot write into $build; name another folder with UNET_INFER_BUILD" >&2
  exit 2
fi
cmake -S "$folder" -B "$build" -DMS_LITE_HOME="$home"
cmake --build "$build" --parallel 2
