#!/usr/bin/env bash
# Evaluates a checkpoint on one Ascend card, or where device_target says. Without arguments it prints its usage.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

standalone eval Ascend "$@"
