#!/usr/bin/env bash
# Evaluates a checkpoint on one GPU. Without arguments it prints its usage.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

standalone eval GPU "$@"
