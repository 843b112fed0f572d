#!/usr/bin/env bash
# Trains on several devices with msrun, MindSpore's own launcher. With several servers, call it on each.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

USAGE="Usage: bash scripts/run_distribute_train_msrun.sh WORKER_NUM DATASET CONFIG_PATH DEVICE_TARGET \
[--key=value ...]
  WORKER_NUM     number of ranks on all servers together
  DATASET        folder of the data set
  CONFIG_PATH    YAML file
  DEVICE_TARGET  Ascend, GPU or CPU
Rank N logs to train_msrun_N/LOGN/log.log in the current folder. FOREGROUND=1 waits and returns the exit status.
Environment variables for several servers: MASTER_ADDR (address of server 0), MASTER_PORT (8118), NODE_RANK (number of
this server, from 0), LOCAL_WORKER_NUM (number of ranks on this server)."
read_arguments 4 4 "$@"
workers=$(rank_count "${ARGUMENTS[0]}")
dataset=$(existing_folder DATASET "${ARGUMENTS[1]}")
config=$(config_file CONFIG_PATH "${ARGUMENTS[2]}")
device=$(device_target "${ARGUMENTS[3]}")
find_python
find_servers "$workers"

make_run_folder train_msrun
if [ "$device" = Ascend ]; then note_cards; fi
rank_command "LOG{rank}/log.log" train.py --config_path="$config" --data_path="$dataset" --run_distribute=True \
  --device_target="$device" --output_path="$RUN/output" ${OPTIONS[@]+"${OPTIONS[@]}"}
start_all() { start_msrun "$workers"; }
launch "LOG$FIRST_RANK/log.log"
