#!/usr/bin/env bash
# Calls run_infer_cpp.sh for an Ascend 310 or 310P card, with the arguments in the order of older releases.
# Usage: bash scripts/run_infer_310.sh [NETWORK] [MINDIR_PATH] [DEVICE_ID] [NEED_PREPROCESS]
set -euo pipefail

if [ $# -ne 4 ]; then
  echo "Usage: bash scripts/run_infer_310.sh [NETWORK] [MINDIR_PATH] [DEVICE_ID] [NEED_PREPROCESS]    (see" \
    "run_infer_cpp.sh)" >&2
  exit 2
fi
exec bash "$(dirname "${BASH_SOURCE[0]}")/run_infer_cpp.sh" "$1" "$2" "$4" Ascend "$3"
