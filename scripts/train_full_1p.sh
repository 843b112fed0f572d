#!/usr/bin/env bash
# Trains unet_keras in full on one card, then evaluates it; without arguments it prints its usage.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/train_1p.sh"

prepare train_full_1p "$@"
run_here train.py "${GIVEN[@]}"
checkpoint="$RUN/output/checkpoint/ckpt_0/best.ckpt"
# Without run_eval there is no best checkpoint; train.py prints the path of the last one.
[ -f "$checkpoint" ] || checkpoint=$(sed -n 's/^checkpoint: //p' "$RUN/train.log" | tail -n 1)
run_here eval.py "${GIVEN[@]}" "--checkpoint_file_path=$checkpoint"
