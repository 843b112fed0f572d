#!/usr/bin/env bash
# Trains on one GPU. Without arguments it prints its usage.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/launch.sh"

standalone train GPU "$@"
