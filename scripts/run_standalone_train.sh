#!/usr/bin/env bash
# Trains on one Ascend card, or where device_target says; without arguments it says how it is used.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

standalone train Ascend "$@"
