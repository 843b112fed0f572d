#!/usr/bin/env bash
# Calls run_infer_cpp.sh for an Ascend 310 or 310P card, with the arguments of older releases. They gave DEVICE_ID last,
# or NEED_PREPROCESS; the latter is y or n, which tells the two apart.
set -euo pipefail

USAGE="Usage: bash scripts/run_infer_310.sh NETWORK MINDIR_PATH NEED_PREPROCESS [DEVICE_ID]
   or: bash scripts/run_infer_310.sh NETWORK MINDIR_PATH [DEVICE_ID] NEED_PREPROCESS
NEED_PREPROCESS is y or n. The arguments are those of run_infer_cpp.sh; the default of DEVICE_ID is 0."
if [[ "${1:-}" =~ ^(-h|--help)$ ]]; then
  echo "$USAGE"
  exit
fi
case "$#:${3:-}:${4:-}" in
  3:[yn]: | 4:[yn]:*) set -- "$1" "$2" "$3" Ascend "${4:-0}" ;;
  4:*:[yn]) set -- "$1" "$2" "$4" Ascend "$3" ;;
  *)
    echo "$USAGE" >&2
    exit 2
    ;;
esac
exec bash "$(dirname "${BASH_SOURCE[0]}")/run_infer_cpp.sh" "$@"
