#!/usr/bin/env bash
# Starts a container with this machine's accelerators and with the folders DATA_DIR and MODEL_DIR, which have the same
# paths in the container as here. New files belong to the user who starts it; DATA_DIR is read-only unless WRITE_DATA=1,
# or unless it is MODEL_DIR too.
set -euo pipefail
unset CDPATH     # with it, cd may print a path, and take one of another folder

fail() {
  echo "error: $1" >&2
  exit 2
}

# Prints the absolute path of a folder that can be mounted.
folder() {
  local path
  [ -d "$2" ] || fail "$1: no such folder: $2"
  path=$(cd "$2" && pwd -P)
  case "$path" in
    *[,\"]*) fail "$1: docker cannot mount a path with a comma or a quote in it: $path" ;;
  esac
  echo "$path"
}

USAGE="Usage: bash scripts/docker_start.sh [IMAGE] [DATA_DIR] [MODEL_DIR] [COMMAND ...]    \
the default of COMMAND is bash"
if [[ "${1:-}" =~ ^(-h|--help)$ ]]; then
  echo "$USAGE"
  exit
fi
if [ $# -lt 3 ] || [[ "$1" == -* ]]; then
  echo "$USAGE" >&2
  exit 2
fi
data=$(folder DATA_DIR "$2")
model=$(folder MODEL_DIR "$3")
image=$1
shift 3
[ $# -gt 0 ] || set -- bash
command -v docker >/dev/null || fail "docker is not installed, or not on the PATH"

# The default of /dev/shm, 64 MB, is too little for data workers.
options=(--rm --shm-size=2g --user "$(id -u):$(id -g)" --cap-drop=ALL --security-opt=no-new-privileges
  --env HOME=/tmp --workdir "$model")
if [ "$model" != "$data" ]; then
  [ "${WRITE_DATA:-0}" = 1 ] && access="" || access=,readonly
  options+=(--mount "type=bind,source=$data,target=$data$access")
fi
options+=(--mount "type=bind,source=$model,target=$model")
if [ -t 0 ] && [ -t 1 ]; then
  options+=(--interactive --tty)
fi

# UNET_DEV replaces /dev in the tests.
dev=${UNET_DEV:-/dev}
found=()
shopt -s nullglob
for device in "$dev"/davinci[0-9]*; do
  found+=("$(basename "$device")")
done
if [ ${#found[@]} -gt 0 ]; then
  groups=()
  for name in "${found[@]}" davinci_manager devmm_svm hisi_hdc; do
    if [ -e "$dev/$name" ]; then
      options+=("--device=$dev/$name")
      groups+=("$(stat --format=%g "$dev/$name")")
    fi
  done
  # Only their group may use them, and it is seldom the user's first group.
  while read -r group; do
    options+=(--group-add "$group")
  done < <(printf '%s\n' "${groups[@]}" | sort --unique)
  for path in /usr/local/Ascend/driver /usr/local/Ascend/add-ons /usr/local/dcmi /etc/ascend_install.info \
    "$(command -v npu-smi || true)"; do
    if [ -n "$path" ] && [ -e "$path" ]; then
      options+=(--mount "type=bind,source=$path,target=$path,readonly")
    fi
  done
fi
if command -v nvidia-smi >/dev/null; then
  options+=(--gpus all)
  found+=("all GPUs")
fi
if [ ${#found[@]} -gt 0 ]; then
  echo "accelerators: ${found[*]}" >&2
else
  echo "accelerators: none" >&2
fi
exec docker run "${options[@]}" "$image" "$@"
