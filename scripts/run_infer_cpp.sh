#!/usr/bin/env bash
# Runs C++ inference on the validation images and scores it: preprocess, build, infer, postprocess.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/mindspore_lite.sh"

USAGE="Usage: bash scripts/run_infer_cpp.sh NETWORK MINDIR_PATH NEED_PREPROCESS DEVICE_TYPE [DEVICE_ID]
  NETWORK          unet (unet_simple_config.yaml), unet++ (unet_nested_cell_config.yaml), or a YAML file
  MINDIR_PATH      the exported network
  NEED_PREPROCESS  y writes the inputs; n uses those of an earlier call. The program gets it too: with y it takes PNG
                   inputs, which preprocess.py writes for image folders with RESULT_FORMAT=auto
  DEVICE_TYPE      Ascend, GPU or CPU
  DEVICE_ID        number of the card; the default is 0
Environment variables: DATA_PATH, OUTPUT_PATH, IMAGE_SIZE, CROP, SPLIT, CROSS_VALID_IND, EVAL_ACTIVATE, RESULT_PATH,
RST_PATH and RESULT_FORMAT (here bin) replace the values of the YAML file; THREADS of the CPU; MS_LITE_HOME (default:
.mindspore_lite); UNET_INFER_BUILD, the folder of the program that is built (default: ascend310_infer/build); PYTHON.
In the current folder preprocess.log, build.log, infer.log and acc.log are written anew, whoever made them."
if [ $# -lt 4 ] || [ $# -gt 5 ]; then show_usage "$USAGE" "$@"; fi
network=$1
mindir=$2
need_preprocess=$3
device_type=$4
device_id=${5:-0}

case "$network" in
  unet) config="$PROJECT_DIR/unet_simple_config.yaml" ;;
  unet++) config="$PROJECT_DIR/unet_nested_cell_config.yaml" ;;
  *.yaml | *.yml) config=$(config_file NETWORK "$network") ;;
  *) fail 2 "NETWORK: expected unet, unet++ or a YAML file, found '$network'" ;;
esac
[ -f "$mindir" ] || fail 2 "no such MindIR file: $mindir"
[[ "$need_preprocess" =~ ^[yn]$ ]] || fail 2 "NEED_PREPROCESS: expected y or n, found '$need_preprocess'"
[[ "$device_type" =~ ^(Ascend|GPU|CPU)$ ]] || fail 2 "DEVICE_TYPE: expected Ascend, GPU or CPU, found '$device_type'"
[[ "$device_id" =~ ^[0-9]+$ ]] || fail 2 "DEVICE_ID: expected a number, found '$device_id'"

variables=(DATA_PATH OUTPUT_PATH IMAGE_SIZE CROP SPLIT CROSS_VALID_IND EVAL_ACTIVATE RESULT_PATH RST_PATH RESULT_FORMAT)
options=("--config_path=$config" --result_format=bin "--file_name=$mindir")
for name in "${variables[@]}"; do
  # The lists of files have one a line.
  if [[ "${!name:-}" == *$'\n'* ]]; then fail 2 "$name has a line break: $(printf %q "${!name}")"; fi
  if [ -n "${!name:-}" ]; then options+=("--${name,,}=${!name}"); fi
done

# step NAME COMMAND...: runs a command. If it fails, shows the last lines of NAME.log and exits with its status.
step() {
  local name=$1 status=0 last variable advice=""
  shift
  # Where others can put a link in its place, only a file that is made here is written.
  rm -f "$name.log"
  (set -o noclobber && "$@" >"$name.log" 2>&1) || status=$?
  if [ "$status" -ne 0 ]; then
    last=$(tail -n 5 "$name.log" | printable)
    echo "$last" >&2
    for variable in "${variables[@]}"; do
      if [[ "$last" == *"--${variable,,}"* ]]; then advice="$advice; --${variable,,} is here the variable $variable"; fi
    done
    fail "$status" "step $name failed with status $status; its log is $PWD/$name.log$advice"
  fi
}

find_python
found=$("$PYTHON" "$PROJECT_DIR/scripts/lib/option_values.py" result_path rst_path input_range "${options[@]}")
# Without IFS= the blanks at the ends of a path would go.
{ IFS= read -r inputs && IFS= read -r results && IFS= read -r input_range; } <<<"$found"
# YAML files of the model zoo leave result_path empty: the current folder, of which the program would take all files.
if [ -z "$inputs" ]; then
  inputs=./preprocess_Result/
  options+=("--result_path=$inputs")
fi
results=${results:-.}
if [ "$inputs" -ef "$results" ]; then fail 2 "result_path and rst_path are the same folder: $inputs; give two"; fi

if [ "$need_preprocess" = y ]; then
  step preprocess "$PYTHON" "$PROJECT_DIR/preprocess.py" "${options[@]}"
fi
step build bash "$PROJECT_DIR/ascend310_infer/build.sh"
# list_results begin|end: removes the results of the earlier call, or lists those of this one.
list_results() {
  "$PYTHON" "$PROJECT_DIR/scripts/lib/cpp_results.py" "$1" "$inputs" "$results" "$need_preprocess"
}
list_results begin
# However the program ends, what it has written until then is listed.
trap 'list_results end || true' EXIT
# What is said beside the model holds.
if [ -f "$mindir.json" ]; then input_range=; fi
program="${UNET_INFER_BUILD:-$PROJECT_DIR/ascend310_infer/build}/unet_infer"
step infer "$program" --mindir_path="$mindir" --dataset_path="$inputs" --result_path="$results" \
  --device_type="$device_type" --device_id="$device_id" --need_preprocess="$need_preprocess" \
  ${input_range:+--input_range="$input_range"} ${THREADS:+--threads="$THREADS"}
step acc "$PYTHON" "$PROJECT_DIR/postprocess.py" "${options[@]}"

cat time_Result/test_perform_static.txt
grep 'Cross valid dice coeff is:' acc.log
echo "logs: $PWD/infer.log, $PWD/acc.log; results: $results"
