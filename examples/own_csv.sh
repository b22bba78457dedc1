#!/bin/sh
# Your own csv files by the command, whatever their columns are called, with words of your own as variants.
#
#   sh examples/own_csv.sh [MODEL [OPTION...]]
#
# MODEL is a name on the Hub or a folder; further options of run_glue_mmel.py win over those below.
set -eu
cd "$(dirname "$0")/.."
model=${1:-google-bert/bert-base-uncased}
[ $# -eq 0 ] || shift

exec "${PYTHON:-python}" run_glue_mmel.py \
    --model_name_or_path "$model" \
    --train_file examples/own_data/train.csv --validation_file examples/own_data/dev.csv \
    --text_column_names review --label_column_name verdict \
    --augmenter examples/own_data/words.json --mmel_loss soft --num_variants 4 \
    --do_train --do_eval --num_train_epochs 10 --per_device_train_batch_size 8 --learning_rate 5e-5 \
    --save_strategy no --report_to none --output_dir outputs/own_csv --overwrite_output_dir "$@"
