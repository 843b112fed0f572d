#!/usr/bin/env bash
# Trains unet_keras for some 50 steps on one card and says how fast it is; without arguments it says how it is used.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/train_1p.sh"

STEPS=${STEPS:-50}      # at least so many: whole passes over the pictures

prepare train_performance_1p "$@"
STEPS=$(whole_number STEPS "$STEPS")
passes=$("$PYTHON" "$PROJECT_DIR/scripts/lib/step_rate.py" passes "$STEPS" "${GIVEN[@]}")
run_here train.py "${GIVEN[@]}" "--repeat=$passes" "--epochs=$passes" --run_eval=False --log_interval=1
"$PYTHON" "$PROJECT_DIR/scripts/lib/step_rate.py" rate "$RUN/train.log" "${GIVEN[@]}"
