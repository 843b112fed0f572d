# Sourced by the scripts around C++ inference: what environment.sh holds, and MS_LITE_HOME.
# shellcheck shell=bash

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# Where get_mindspore_lite.sh puts the wheel, and where the others look when MS_LITE_HOME is not set.
export MS_LITE_HOME="${MS_LITE_HOME:-$PROJECT_DIR/.mindspore_lite}"
