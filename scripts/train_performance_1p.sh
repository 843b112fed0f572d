#!/usr/bin/env bash
# Trains unet_keras for about 50 steps on one card and prints the speed; without arguments it prints its usage.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/train_1p.sh"

STEPS=${STEPS:-50}      # at least that many: whole passes over the training images

prepare train_performance_1p "$@"
STEPS=$(whole_number STEPS "$STEPS")
passes=$("$PYTHON" "$PROJECT_DIR/scripts/lib/step_rate.py" passes "$STEPS" "${GIVEN[@]}")
run_here train.py "${GIVEN[@]}" "--repeat=$passes" "--epochs=$passes" --run_eval=False
"$PYTHON" "$PROJECT_DIR/scripts/lib/step_rate.py" rate "$RUN/output"
