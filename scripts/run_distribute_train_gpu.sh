#!/usr/bin/env bash
# Trains on the GPUs of this machine with mpirun, one rank on each.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

USAGE="Usage: bash scripts/run_distribute_train_gpu.sh RANKSIZE DATASET [CONFIG_PATH [CUDA_VISIBLE_DEVICES]] \
[--key=value ...]
  RANKSIZE              number of GPUs
  DATASET               folder of the data set
  CONFIG_PATH           YAML file; the default is unet_medical_config.yaml
  CUDA_VISIBLE_DEVICES  their numbers, such as 0,1,2,3; the default is the first RANKSIZE
Rank N logs to train_distributed_gpu_N/LOGN/log.log in the current folder. FOREGROUND=1 waits and returns the exit
status."
read_arguments 2 4 "$@"
size=$(whole_number RANKSIZE "${ARGUMENTS[0]}")
[ "$size" -ge 1 ] || fail 2 "RANKSIZE: expected at least 1, found 0"
dataset=$(existing_folder DATASET "${ARGUMENTS[1]}")
config=$(config_file CONFIG_PATH "${ARGUMENTS[2]:-$DEFAULT_CONFIG}")
cards=${ARGUMENTS[3]:-$(seq -s , 0 $((size - 1)))}
[[ "$cards" =~ ^[0-9]+(,[0-9]+)*$ ]] || fail 2 "CUDA_VISIBLE_DEVICES: expected numbers like 0,1,2,3, found '$cards'"
commas=${cards//[^,]/}
[ $((${#commas} + 1)) -ge "$size" ] || fail 2 "CUDA_VISIBLE_DEVICES: $cards are fewer than RANKSIZE $size"
find_python
need_program mpirun "install Open MPI"

make_run_folder train_distributed_gpu
export CUDA_VISIBLE_DEVICES=$cards RANK_SIZE=$size
allow=()
if [ "$(id -u)" = 0 ]; then allow=(--allow-run-as-root); fi
rank_command "LOG{rank}/log.log" train.py --config_path="$config" --data_path="$dataset" --run_distribute=True \
  --device_target=GPU --output_path="$RUN/output" ${OPTIONS[@]+"${OPTIONS[@]}"}
start_all() { start mpirun mpirun.log mpirun -n "$size" ${allow[@]+"${allow[@]}"} "${RANK[@]}" >"$RUN/mpirun.log" 2>&1; }
launch LOG0/log.log
