#!/usr/bin/env bash
# Sets everything up, makes a sample data set, trains on it and evaluates.
# Usage: bash scripts/quickstart.sh [--key=value ...]    options of train.py and eval.py but the two paths
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

use_environment requirements.txt

started=$SECONDS
data="$PROJECT_DIR/sample_data"
output="$PROJECT_DIR/output/quickstart"
common=(--config_path="$PROJECT_DIR/configs/unet_quickstart_config.yaml" --data_path="$data" --output_path="$output")

cd "$PROJECT_DIR"
python -m src.data.synthetic --output="$data"
python train.py "$@" "${common[@]}" --run_eval=True
python eval.py "$@" "${common[@]}" --checkpoint_file_path="$output/checkpoint/ckpt_0/best.ckpt" --show_eval=True

cat <<END

Done in $((SECONDS - started)) s.
  checkpoint: $output/checkpoint/ckpt_0/best.ckpt
  metrics:    $output/metrics.json
  images:     $output/draw_eval/  (predict-N.png beside mask-N.png; membranes black, cells red)
END
