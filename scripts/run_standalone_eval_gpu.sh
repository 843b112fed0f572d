#!/usr/bin/env bash
# Evaluates a checkpoint on one GPU; without arguments it says how it is used.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

standalone eval GPU "$@"
