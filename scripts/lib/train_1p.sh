# Sourced by train_full_1p.sh and train_performance_1p.sh: unet_keras on one card.
# shellcheck shell=bash

source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

# prepare NAME "$@": sets RUN to a new folder NAME_N, and GIVEN to the options for both train.py and eval.py.
prepare() {
  local name=$1 option data=""
  shift
  USAGE="Usage: bash scripts/$name.sh --data_path=DIR [--key=value ...]
  DIR          folder of the data set: train/image/N.png, train/label/N.png
  --key=value  options of train.py; on a machine without an Ascend card --device_target=CPU
ASCEND_DEVICE_ID is the number of the card, 0 unless set. Results go to ${name}_N/ in the current folder."
  read_arguments 0 0 "$@"
  GIVEN=("--config_path=$PROJECT_DIR/configs/unet_keras_config.yaml")
  for option in ${OPTIONS[@]+"${OPTIONS[@]}"}; do
    case "$option" in
      --data_path=*) data=${option#*=} ;;
      --output_path=* | --output=*) fail 2 "results go to ${name}_N/ in the current folder; leave out ${option%%=*}" ;;
      *) GIVEN+=("$option") ;;
    esac
  done
  if [ -z "$data" ]; then show_usage "$USAGE"; fi
  data=$(existing_folder --data_path "$data") || exit
  DEVICE_ID=$(whole_number ASCEND_DEVICE_ID "${ASCEND_DEVICE_ID:-0}") || exit
  export DEVICE_ID
  find_python
  make_run_folder "$name"
  GIVEN+=("--data_path=$data" "--output_path=$RUN/output")
}

# run_here SCRIPT OPTION...: runs a script, and copies its output to SCRIPT.log in RUN; returns its exit status. After
# Ctrl-C, which reaches all processes, tee waits for the last lines of the script.
run_here() {
  local log
  log="$RUN/$(basename "$1" .py).log"
  "$PYTHON" "$PROJECT_DIR/$1" "${@:2}" 2>&1 | tee -i "$log"
}
