#!/usr/bin/env bash
# Trains on the Ascend cards of a rank table. Call it on each server of the table; it starts the ranks of that server.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

USAGE="Usage: bash scripts/run_distribute_train.sh RANK_TABLE_FILE DATASET [CONFIG_PATH] [--key=value ...]
  RANK_TABLE_FILE  JSON file of Ascend (version 1.0): servers, their cards, the ranks
  DATASET          folder of the data set
  CONFIG_PATH      YAML file; the default is unet_medical_config.yaml
Rank N logs to train_distributed_N/LOGN/log.log in the current folder. FOREGROUND=1 waits and returns the exit status.
Environment variables: SERVER_ID names this server in the table if its address does not; HCCL_CONNECT_TIMEOUT."
read_arguments 2 3 "$@"
table=$(existing_file RANK_TABLE_FILE "${ARGUMENTS[0]}")
dataset=$(existing_folder DATASET "${ARGUMENTS[1]}")
config=$(config_file CONFIG_PATH "${ARGUMENTS[2]:-$DEFAULT_CONFIG}")
find_python
found=$("$PYTHON" "$PROJECT_DIR/scripts/lib/rank_table.py" "$table")
mapfile -t places <<<"$found"     # RANK_SIZE, then a line "RANK_ID DEVICE_ID" for each rank of this server

make_run_folder train_distributed
note_cards
export RANK_TABLE_FILE="$table" MINDSPORE_HCCL_CONFIG_PATH="$table" RANK_SIZE="${places[0]}"
export HCCL_CONNECT_TIMEOUT="${HCCL_CONNECT_TIMEOUT:-600}"
rank_command "LOG{rank}/log.log" train.py --config_path="$config" --data_path="$dataset" --run_distribute=True \
  --device_target=Ascend --output_path="$RUN/output" ${OPTIONS[@]+"${OPTIONS[@]}"}
start_all() {
  local rank device
  while read -r rank device; do
    export RANK_ID=$rank DEVICE_ID=$device
    start "rank $rank" "LOG$rank/log.log" "${RANK[@]}"
    echo "rank $rank on card $device"
  done < <(printf '%s\n' "${places[@]:1}")
}
launch "LOG${places[1]%% *}/log.log"
