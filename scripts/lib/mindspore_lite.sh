# Sourced by the scripts for C++ inference: all of environment.sh, and MS_LITE_HOME.
# shellcheck shell=bash

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# get_mindspore_lite.sh puts the wheel into the default folder.
export MS_LITE_HOME="${MS_LITE_HOME:-$PROJECT_DIR/.mindspore_lite}"
