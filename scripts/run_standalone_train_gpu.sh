#!/usr/bin/env bash
# Trains on one GPU; without arguments it says how it is used.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

standalone train GPU "$@"
