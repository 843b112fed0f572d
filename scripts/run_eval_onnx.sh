#!/usr/bin/env bash
# Evaluates an ONNX file, without MindSpore.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

USAGE="Usage: bash scripts/run_eval_onnx.sh DATASET_PATH ONNX_MODEL DEVICE_TARGET CONFIG_PATH [--key=value ...]
  DATASET_PATH   folder of the data set
  ONNX_MODEL     .onnx file
  DEVICE_TARGET  GPU or CPU
  CONFIG_PATH    YAML file
Log and results go to eval_onnx_N/ in the current folder. FOREGROUND=1 waits and returns the exit status."
read_arguments 4 4 "$@"
dataset=$(existing_folder DATASET_PATH "${ARGUMENTS[0]}")
model=$(existing_file ONNX_MODEL "${ARGUMENTS[1]}")
device=${ARGUMENTS[2]}
[[ "$device" =~ ^(GPU|CPU)$ ]] || fail 2 "DEVICE_TARGET: expected GPU or CPU, found '$device'"
config=$(config_file CONFIG_PATH "${ARGUMENTS[3]}")
find_python

make_run_folder eval_onnx
rank_command eval.log infer_unet_onnx.py --config_path="$config" --data_path="$dataset" --file_name="$model" \
  --device_target="$device" --output_path="$RUN/output" ${OPTIONS[@]+"${OPTIONS[@]}"}
start_all() { start "the run" eval.log "${RANK[@]}"; }
launch eval.log
