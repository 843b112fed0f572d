#!/usr/bin/env bash
# Trains on several devices with msrun, MindSpore's own launcher. With several servers, call it on each.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

USAGE="Usage: bash scripts/run_distribute_train_msrun.sh [WORKER_NUM] [DATASET] [CONFIG_PATH] [DEVICE_TARGET] \
[--key=value ...]
  WORKER_NUM     number of ranks on all servers together
  DATASET        folder of the data set
  CONFIG_PATH    YAML file
  DEVICE_TARGET  Ascend, GPU or CPU
Rank N logs to train_msrun_N/LOGN/log.log in the current folder. FOREGROUND=1 waits and returns the exit status.
Environment variables for several servers: MASTER_ADDR (address of server 0), MASTER_PORT (8118), NODE_RANK (number of
this server, from 0), LOCAL_WORKER_NUM (number of ranks on this server)."
read_arguments 4 4 "$@"
workers=$(whole_number WORKER_NUM "${ARGUMENTS[0]}")
[ "$workers" -ge 1 ] || fail 2 "WORKER_NUM: expected at least 1, found 0"
dataset=$(existing_folder DATASET "${ARGUMENTS[1]}")
config=$(config_file CONFIG_PATH "${ARGUMENTS[2]}")
device=${ARGUMENTS[3]}
[[ "$device" =~ ^(Ascend|GPU|CPU)$ ]] || fail 2 "DEVICE_TARGET: expected Ascend, GPU or CPU, found '$device'"
if [ -n "${MASTER_ADDR:-}" ]; then
  [ -n "${NODE_RANK:-}" ] || fail 2 "MASTER_ADDR is set, so NODE_RANK must be: the number of this server, from 0"
  [ -n "${LOCAL_WORKER_NUM:-}" ] || fail 2 "MASTER_ADDR is set, so LOCAL_WORKER_NUM must be: the ranks of this server"
  address=$MASTER_ADDR
  node=$(whole_number NODE_RANK "$NODE_RANK")
  local_workers=$(whole_number LOCAL_WORKER_NUM "$LOCAL_WORKER_NUM")
  port=$(whole_number MASTER_PORT "${MASTER_PORT:-8118}")
else
  address=127.0.0.1 node=0 local_workers=$workers port=${MASTER_PORT:-}
fi
find_python
need_program msrun "it comes with MindSpore"
need_program python "msrun starts the ranks with it"
if [ -z "$port" ]; then
  port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
fi

make_run_folder train_msrun
if [ "$device" = Ascend ]; then note_cards; fi
rank_command "LOG{rank}/log.log" train.py --config_path="$config" --data_path="$dataset" --run_distribute=True \
  --device_target="$device" --output_path="$RUN/output" "${OPTIONS[@]}"
start_all() {
  # msrun starts a script with the python on the PATH, so RANK's first word, the interpreter, is left out.
  start msrun msrun.log msrun --worker_num="$workers" --local_worker_num="$local_workers" \
    --master_addr="$address" --master_port="$port" --node_rank="$node" --log_dir="$RUN/msrun" --join=True \
    "${RANK[@]:1}" >"$RUN/msrun.log" 2>&1
}
launch "LOG$((node * local_workers))/log.log"
