#!/usr/bin/env bash
# Predicts the images of a folder on several devices with msrun, MindSpore's own launcher: the ranks share the files, and
# the results are those of one process. With several servers, call it on each; they must share the disk.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

USAGE="Usage: bash scripts/run_distribute_predict.sh WORKER_NUM IMAGES NETWORK CONFIG_PATH DEVICE_TARGET \
[--key=value ...]
  WORKER_NUM     number of ranks on all servers together
  IMAGES         folder of the images
  NETWORK        .ckpt or .onnx file, or the output folder of train_folds.py
  CONFIG_PATH    YAML file
  DEVICE_TARGET  Ascend, GPU or CPU
Results go to predict_msrun_N/output in the current folder, or to --output_path, where --skip_existing=True resumes
an earlier call; rank N logs to predict_msrun_N/LOGN/log.log. FOREGROUND=1 waits, shows how far all ranks are, and
returns the exit status.
Environment variables for several servers: MASTER_ADDR (address of server 0), MASTER_PORT (8118), NODE_RANK (number of
this server, from 0), LOCAL_WORKER_NUM (number of ranks on this server)."
read_arguments 5 5 "$@"
workers=$(rank_count "${ARGUMENTS[0]}")
images=$(existing_folder IMAGES "${ARGUMENTS[1]}")
network=${ARGUMENTS[2]}
[ -e "$network" ] || fail 2 "NETWORK: no such file or folder: $network"
network=$(absolute_file "$network")
if [[ "${network,,}" == *.onnx ]]; then network="--file_name=$network"; else network="--checkpoint_file_path=$network"; fi
config=$(config_file CONFIG_PATH "${ARGUMENTS[3]}")
device=$(device_target "${ARGUMENTS[4]}")
find_python
find_servers "$workers"

make_run_folder predict_msrun
if [ "$device" = Ascend ]; then note_cards; fi
rank_command "LOG{rank}/log.log" predict.py --config_path="$config" --data_path="$images" "$network" \
  --run_distribute=True --device_target="$device" --output_path="$RUN/output" ${OPTIONS[@]+"${OPTIONS[@]}"}
start_all() { start_msrun "$workers"; }

# The newest line of rank 0 about all ranks, over the one before it on a terminal.
shown=
show_progress() {
  local line=""
  if [ -f "$RUN/LOG0/log.log" ]; then line=$(tail -n 50 "$RUN/LOG0/log.log" | grep -a '^predicted ' | tail -n 1) || true; fi
  if [ -z "$line" ] || [ "$line" = "$shown" ]; then return; fi
  shown=$line
  if [ -t 1 ]; then printf '\r\033[K%s' "$line"; else echo "$line"; fi
}
end_progress() { if [ -n "$shown" ] && [ -t 1 ]; then echo; fi; }
launch "LOG$FIRST_RANK/log.log"
