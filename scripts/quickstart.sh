#!/usr/bin/env bash
# Sets everything up, trains and evaluates: on a sample data set, or on your own images and masks.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

USAGE="Usage: bash scripts/quickstart.sh [--sample=membranes|cells] [--output_path=OUT] [--key=value ...]
       bash scripts/quickstart.sh --data_path=DIR [--output_path=OUT] [--minutes=N] [--key=value ...]
The sample is membranes, like those of ISBI, or cells, whose objects are predicted too. With --data_path, train.py
chooses the options (--config_path=auto); the data are checked first, and images without masks that lie beside are
predicted, with their objects if the masks tell objects apart; --dry_run=True only shows the choices. Further options
are those of train.py and eval.py."
sample='' own_data='' own_output=''
given=()
while (($#)); do
  case "$1" in
    -h | --help) show_usage "$USAGE" "$1" ;;
    -d | --data_path | --output | --output_path | --sample)
      (($# > 1)) || fail 2 "$1: expected a value after it"
      set -- "${1/#-d/--data_path}=$2" "${@:3}"
      continue
      ;;
    --sample=membranes | --sample=cells) sample="${1#*=}" ;;
    --sample=*) fail 2 "$1: expected --sample=membranes or --sample=cells" ;;
    --data_path=?*) own_data="${1#*=}" ;;
    --output=?* | --output_path=?*) own_output="${1#*=}" ;;
    --data_path= | --output= | --output_path=) fail 2 "$1: expected a folder" ;;
    --data_url | --data_url=*) fail 2 "$1: not an option here; give the folder of your data with --data_path" ;;
    *) given+=("$1") ;;
  esac
  shift
done
set -- ${given[@]+"${given[@]}"}
if [[ -n "$own_data" ]]; then
  [[ -d "$own_data" ]] || fail 2 "--data_path: no such folder: $own_data"
  [[ -z "$sample" ]] || fail 2 "--sample=$sample and --data_path=$own_data: give one of them"
  data=$(realpath -- "$own_data")
  output="$PROJECT_DIR/output/$(basename -- "$data")"
elif [[ "$sample" == cells ]]; then
  data="$PROJECT_DIR/sample_data/cells" output="$PROJECT_DIR/output/quickstart_cells"
  config="$PROJECT_DIR/configs/unet_cells_config.yaml"
else
  sample=membranes data="$PROJECT_DIR/sample_data" output="$PROJECT_DIR/output/quickstart"
  config="$PROJECT_DIR/configs/unet_quickstart_config.yaml"
fi
output=$(realpath -m -- "${own_output:-$output}")
started=$SECONDS
export UNET_CALLED_FROM="$PWD"      # relative paths among the options are those of this folder
use_environment requirements.txt
cd "$PROJECT_DIR"

# train_own DATA OUTPUT [OPTION...]: the whole way from a folder of images and masks to objects.
train_own() {
  local data=$1 output=$2 best="$2/checkpoint/ckpt_0/best.ckpt" of_objects=() dry_run count found
  shift 2
  # By save_path the check and the training share the prepared data; one of the user comes later, and wins.
  local options=(--save_path="$output" "$@" --config_path=auto --data_path="$data")
  dry_run=$(python scripts/lib/option_values.py dry_run "${options[@]}")
  if [[ "$dry_run" == True ]]; then
    python train.py "${options[@]}" --output_path="$output"
    return
  fi
  python preprocess_dataset.py "${options[@]}" --output_path="$output/check" --check=True --report=True
  python train.py "${options[@]}" --output_path="$output" --overwrite=True
  if grep -q '^target: boundary' "$output/config.yaml"; then of_objects=(--objects=True); fi
  if [[ -f "$best" ]]; then
    python eval.py --config_path="$output/config.yaml" --checkpoint_file_path="$best" --show_eval=True --report=True \
      ${of_objects[@]+--object_metrics=True}
  else
    best=$(printf '%s\n' "$output"/checkpoint/ckpt_0/*.ckpt | sort -V | tail -n 1)      # the last one
    [[ -f "$best" ]] || fail 1 "the training has left no checkpoint in $output/checkpoint/ckpt_0; see what it says above"
  fi
  count=$(python -m src.planning.unlabelled "${options[@]}" --output_path="$output/without_masks")
  found="$count images without masks"
  if ((count)); then
    found+=", in $output/predicted"
    python predict.py --config_path="$output/config.yaml" --checkpoint_file_path="$best" --overlay=True \
      --data_path="$output/without_masks" --output_path="$output/predicted" ${of_objects[@]+"${of_objects[@]}"}
  fi
  cat <<END

Done in $((SECONDS - started)) s.
  check:      $output/check/report.html
  options:    $output/config.yaml
  checkpoint: $best
  report:     $output/report.html
  predicted:  $found
END
}

if [[ -n "$own_data" ]]; then
  train_own "$data" "$output" "$@"
  exit
fi

common=(--config_path="$config" --data_path="$data" --output_path="$output")

python -m src.data.synthetic --kind="$sample" --output="$data"
# So that the curves have points; an option of the user comes later, and wins.
python train.py --eval_steps=25 "$@" "${common[@]}" --run_eval=True --overwrite=True
python eval.py "$@" "${common[@]}" --checkpoint_file_path="$output/checkpoint/ckpt_0/best.ckpt" --show_eval=True
if [[ $sample == cells ]]; then
  python predict.py "$@" "${common[@]}" --checkpoint_file_path="$output/checkpoint/ckpt_0/best.ckpt" --objects=True \
    --overlay=True
  objects="
  objects:    $output/objects/ and $output/objects.csv, drawn in $output/overlays/"
fi

cat <<END

Done in $((SECONDS - started)) s.
  checkpoint: $output/checkpoint/ckpt_0/best.ckpt
  metrics:    $output/metrics.json
  images:     $output/draw_eval/  (predict-N.png beside mask-N.png; membranes black, cells red)${objects:-}
END
