# Sourced by the launchers: reads their arguments, makes their run folders, and watches the processes that they start.
# shellcheck shell=bash

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# Each process runs in a folder of its own; relative paths among its options are those of this folder.
export UNET_CALLED_FROM="$PWD"

# The YAML file where a launcher is given none, as in the model zoo's first release.
DEFAULT_CONFIG="$PROJECT_DIR/unet_medical_config.yaml"

# Seconds that the other ranks have to end by themselves after one has ended.
GRACE=${GRACE:-10}

# read_arguments LEAST MOST "$@": sets ARGUMENTS, and OPTIONS to the --key=value that follow them. With too few or too
# many arguments, or -h or --help, it prints USAGE and exits.
read_arguments() {
  local least=$1 most=$2
  shift 2
  ARGUMENTS=() OPTIONS=()
  while [ $# -gt 0 ] && [[ "$1" != -* ]]; do
    ARGUMENTS+=("$1")
    shift
  done
  while [[ "${1:-}" == --*=* ]]; do
    OPTIONS+=("$1")
    shift
  done
  if [ $# -gt 0 ] || [ ${#ARGUMENTS[@]} -lt "$least" ] || [ ${#ARGUMENTS[@]} -gt "$most" ]; then
    show_usage "$USAGE" "$@"
  fi
}

# existing_folder NAME PATH, existing_file NAME PATH: print the absolute path. NAME is that of the argument.
existing_folder() {
  [ -d "$2" ] || fail 2 "$1: no such folder: $2"
  realpath -- "$2"
}

existing_file() {
  [ -f "$2" ] || no_file "$1" "$2"
  absolute_file "$2"
}

# whole_number NAME VALUE: prints the number without leading zeros.
whole_number() {
  [[ "$2" =~ ^[0-9]{1,9}$ ]] || fail 2 "$1: expected a number, found '$2'"
  echo "$((10#$2))"
}

# need_program NAME ADVICE: puts the folder of PYTHON first on the PATH, and exits if the program is not on it.
need_program() {
  PATH="$(dirname "$(command -v "$PYTHON")"):$PATH"
  command -v "$1" >/dev/null || fail 2 "$1 is not on the PATH; $2"
}

# device_target VALUE: prints it.
device_target() {
  [[ "$1" =~ ^(Ascend|GPU|CPU)$ ]] || fail 2 "DEVICE_TARGET: expected Ascend, GPU or CPU, found '$1'"
  echo "$1"
}

# rank_count VALUE: prints WORKER_NUM, a number of at least 1.
rank_count() {
  local number
  number=$(whole_number WORKER_NUM "$1") || exit
  [ "$number" -ge 1 ] || fail 2 "WORKER_NUM: expected at least 1, found 0"
  echo "$number"
}

# find_servers WORKER_NUM: sets what msrun needs to know: ADDRESS, PORT, NODE, LOCAL_WORKER_NUM, and FIRST_RANK, the
# first rank of this server.
find_servers() {
  ADDRESS=127.0.0.1 NODE=0 PORT=${MASTER_PORT:-}
  if [ -n "${MASTER_ADDR:-}" ]; then
    [ -n "${NODE_RANK:-}" ] || fail 2 "MASTER_ADDR is set, so NODE_RANK must be: the number of this server, from 0"
    [ -n "${LOCAL_WORKER_NUM:-}" ] || fail 2 "MASTER_ADDR is set, so LOCAL_WORKER_NUM must be: the ranks of this server"
    ADDRESS=$MASTER_ADDR
    NODE=$(whole_number NODE_RANK "$NODE_RANK")
    LOCAL_WORKER_NUM=$(whole_number LOCAL_WORKER_NUM "$LOCAL_WORKER_NUM")
    PORT=$(whole_number MASTER_PORT "${MASTER_PORT:-8118}")
  else
    LOCAL_WORKER_NUM=$1
  fi
  export LOCAL_WORKER_NUM
  # shellcheck disable=SC2034  # for the launchers
  FIRST_RANK=$((NODE * LOCAL_WORKER_NUM))
  need_program msrun "it comes with MindSpore"
  need_program python "msrun starts the ranks with it"
  if [ -z "$PORT" ]; then
    PORT=$("$PYTHON" -I -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  fi
}

# start_msrun WORKER_NUM: starts the ranks, whose command is RANK.
start_msrun() {
  # msrun starts a script with the python on the PATH, so RANK's first word, the interpreter, is left out.
  start msrun msrun.log msrun --worker_num="$1" --local_worker_num="$LOCAL_WORKER_NUM" --master_addr="$ADDRESS" \
    --master_port="$PORT" --node_rank="$NODE" --log_dir="$RUN/msrun" --join=True "${RANK[@]:1}" >"$RUN/msrun.log" 2>&1
}

# make_run_folder NAME: makes the folder NAME_1, or NAME_2 and so on, in the current folder, and sets RUN to it. Only this
# user can write into it: processes are killed by the numbers that its files hold.
make_run_folder() {
  local number=1
  until (umask go-w && mkdir "$1_$number" 2>/dev/null); do
    [ -e "$1_$number" ] || [ -L "$1_$number" ] || fail 2 "cannot write into $PWD"
    number=$((number + 1))
  done
  RUN="$PWD/$1_$number"
}

# note_cards: writes what npu-smi says about the Ascend cards, which helps to find the reason of a failure.
note_cards() {
  if command -v npu-smi >/dev/null; then npu-smi info >"$RUN/npu-smi.log" 2>&1 || true; fi
}

# rank_command LOG SCRIPT ARGUMENT...: sets RANK to the command of one rank. LOG is in RUN; {rank} in it stands for the
# number of the rank.
rank_command() {
  local log=$1 script=$2
  shift 2
  RANK=("$PYTHON" "$PROJECT_DIR/scripts/lib/rank.py" "$RUN" "$log" "$PYTHON" "$PROJECT_DIR/$script" "$@")
}

# start NAME LOG COMMAND...: starts a process that writes to LOG in RUN. It has a session of its own, so that Ctrl-C
# reaches the ranks only once, through watch_ranks. Its folder is RUN: msrun loads MindSpore, whose libraries look for
# others in the current folder, too.
start() {
  NAMES+=("$1")
  LOGS+=("$RUN/$2")
  shift 2
  (cd "$RUN" && exec setsid "$@") </dev/null &
  PIDS+=("$!")
}

# show_progress: called again and again while the ranks run; a launcher may define another one.
show_progress() { :; }

# end_progress: called before other lines are printed; ends a line of progress on the terminal.
end_progress() { :; }

# launch LOG: calls start_all, which the launcher defines, and watches the processes, in the background unless
# FOREGROUND is 1.
launch() {
  if [ "${FOREGROUND:-0}" = 1 ]; then
    echo "pid: $$, log: $RUN/$1"
    watch_ranks
  fi
  (
    trap '' HUP
    watch_ranks
  ) >"$RUN/launch.log" 2>&1 </dev/null &
  echo "pid: $!, log: $RUN/$1, its end: $RUN/launch.log"
}

# watch_ranks: waits for all processes and exits with their status. If a rank fails, it ends the others after GRACE
# seconds, says which rank failed, and shows its last lines. It forwards signals to the ranks, which then stop together.
watch_ranks() {
  local since="" pid
  declare -A TOLD=()
  PIDS=() NAMES=() LOGS=() ASKED=
  trap 'ask TERM' TERM
  trap 'ask INT' INT
  start_all
  while any_runs; do
    show_progress
    if [ -n "$ASKED" ]; then pass_on; fi
    if [ -z "$since" ] && ends; then since=$SECONDS; fi
    if [ -n "$since" ] && [ $((SECONDS - since)) -ge "$GRACE" ]; then kill_all; fi
    sleep 0.3 || true
  done
  show_progress
  end_progress
  if [ -n "$since" ]; then kill_all; fi     # processes that a killed msrun or mpirun has left behind
  for pid in "${PIDS[@]}"; do wait "$pid" || true; done
  conclude
}

# ask SIGNAL: has the signal forwarded to all ranks.
ask() {
  ASKED=$1
  TOLD=()
  end_progress
  echo "SIG$1: passed on to the ranks"
}

# running_pid FILE: prints the number of a process in a file pid, if rank.py started that process for the folder of the
# file. Another one may have its number by now.
running_pid() {
  local pid=""
  if [ -s "$1" ]; then pid=$(<"$1"); fi
  [[ "$pid" =~ ^[1-9][0-9]*$ ]] && grep -qzxF "UNET_RANK_FOLDER=${1%/pid}" "/proc/$pid/environ" 2>/dev/null &&
    echo "$pid"
}

# pass_on: forwards the signal to the ranks that have not had it yet.
pass_on() {
  local file pid
  for file in "$RUN"/pid "$RUN"/LOG*/pid; do
    if pid=$(running_pid "$file") && [ -z "${TOLD[$pid]:-}" ]; then
      kill -s "$ASKED" "$pid" 2>/dev/null || true
      TOLD[$pid]=1
    fi
  done
}

any_runs() {
  local pid
  for pid in "${PIDS[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then return 0; fi
  done
  return 1
}

# ends: whether a rank has failed or, after a signal, has ended.
ends() {
  local file pid
  for file in "$RUN"/status "$RUN"/LOG*/status; do
    if [ -s "$file" ] && { [ -n "$ASKED" ] || [ "$(<"$file")" != 0 ]; }; then return 0; fi
  done
  for pid in "${PIDS[@]}"; do
    if ! kill -0 "$pid" 2>/dev/null && ! wait "$pid"; then return 0; fi
  done
  return 1
}

# kill_all: kills everything that is still running.
kill_all() {
  local pid file
  for pid in "${PIDS[@]}"; do
    # Waits at once, so that the shell does not print a line about the killed process.
    { kill -KILL -- "-$pid" && wait "$pid"; } 2>/dev/null || true
  done
  # msrun and mpirun give their processes sessions of their own.
  for file in "$RUN"/pid "$RUN"/*/pid; do
    if [ ! -s "${file%pid}status" ] && pid=$(running_pid "$file"); then kill -KILL "$pid" 2>/dev/null || true; fi
  done
}

# conclude: says how the run ended, and exits.
conclude() {
  local file first="" number status
  if [ -n "$ASKED" ]; then
    echo "stopped by SIG$ASKED; see the logs in $RUN"
    exit $((128 + $(kill -l "$ASKED")))
  fi
  for file in "$RUN"/status "$RUN"/LOG*/status; do
    if [ ! -s "$file" ] || [ "$(<"$file")" = 0 ]; then continue; fi
    # Finds the first rank that failed, not counting ranks that only followed another.
    if [ -z "$first" ] || { follows "$first" && ! follows "$file"; } ||
      { [ "$file" -ot "$first" ] && { follows "$first" || ! follows "$file"; }; }; then first=$file; fi
  done
  if [ -n "$first" ]; then
    number=$(basename "$(dirname "$first")")
    [[ "$number" == LOG* ]] && number="rank ${number#LOG}" || number="the run"
    report "$number" "$(<"$first")" "$(log_beside "$first")"
  fi
  for number in "${!PIDS[@]}"; do
    status=0
    wait "${PIDS[$number]}" || status=$?
    if [ "$status" -ne 0 ]; then report "${NAMES[$number]}" "$status" "${LOGS[$number]}"; fi
  done
  echo "finished: $RUN"
  exit 0
}

# follows STATUS_FILE: whether that rank ended because another one failed.
follows() {
  last_lines "$(log_beside "$1")" | grep -qE 'has failed, so rank|has lost the other ranks'
}

# log_beside STATUS_FILE: prints the path of the log in the same folder.
log_beside() {
  local log
  for log in "$(dirname "$1")"/{log,train,eval}.log; do
    if [ -f "$log" ]; then echo "$log"; fi
  done
}

# report NAME STATUS LOG: says how a process ended, shows its last lines, and exits with its status.
report() {
  local how="with status $2" name
  if [ "$2" -gt 128 ] && name=$(kill -l "$(($2 - 128))" 2>/dev/null); then how="by SIG$name (status $2)"; fi
  {
    echo "error: $1 ended $how; the last lines of $3:"
    last_lines "$3" | sed 's/^/  /'
  } >&2
  exit "$2"
}

# last_lines LOG: prints the last lines, without those that MindSpore prints at its end.
last_lines() {
  { grep -av '^\[INFO\]' "$1" || true; } | tail -n 5 | printable
}

# standalone train|eval Ascend|GPU ARGUMENT...: the whole of the four launchers for one device.
standalone() {
  local action=$1 device=$2 script run=$1 checkpoint="" given=()
  shift 2
  script="scripts/run_standalone_$action"
  if [ "$device" = GPU ]; then
    script+=_gpu
    [ "$action" = eval ] && run=eval_gpu || run=train_standalone_gpu
  fi
  [ "$action" = eval ] && checkpoint=" CHECKPOINT"
  USAGE="Usage: bash $script.sh DATASET$checkpoint [CONFIG_PATH [DEVICE_ID]] [--key=value ...]
  DATASET      folder of the data set${checkpoint:+
  CHECKPOINT   .ckpt file}
  CONFIG_PATH  YAML file; the default is unet_medical_config.yaml
  DEVICE_ID    number of the $device card; the default is 0
Log and results go to ${run}_N/ in the current folder. FOREGROUND=1 waits and returns the exit status."
  if [ -n "$checkpoint" ]; then read_arguments 2 4 "$@"; else read_arguments 1 3 "$@"; fi
  given+=("--data_path=$(existing_folder DATASET "${ARGUMENTS[0]}")") || exit
  if [ -n "$checkpoint" ]; then
    given+=("--checkpoint_file_path=$(existing_file CHECKPOINT "${ARGUMENTS[1]}")") || exit
    ARGUMENTS=("${ARGUMENTS[0]}" "${ARGUMENTS[2]:-}" "${ARGUMENTS[3]:-}")
  fi
  given+=("--config_path=$(config_file CONFIG_PATH "${ARGUMENTS[1]:-$DEFAULT_CONFIG}")") || exit
  DEVICE_ID=$(whole_number DEVICE_ID "${ARGUMENTS[2]:-0}") || exit
  if [ "$device" = GPU ]; then
    export CUDA_VISIBLE_DEVICES=$DEVICE_ID
    DEVICE_ID=0     # the only visible one
    given+=(--device_target=GPU)
  fi
  export DEVICE_ID
  find_python
  make_run_folder "$run"
  if [ "$device" = Ascend ]; then note_cards; fi
  rank_command "$action.log" "$action.py" "${given[@]}" "--output_path=$RUN/output" ${OPTIONS[@]+"${OPTIONS[@]}"}
  start_all() { start "the run" "$action.log" "${RANK[@]}"; }
  launch "$action.log"
}
