#!/bin/sh
# The same as own_csv.sh on two processes: two GPUs, or two processes on the CPU where there is none.
#
#   sh examples/two_processes.sh [MODEL [OPTION...]]
#
# An update is on 2 x 4 examples, as many as on one process with --per_device_train_batch_size 8.
set -eu
cd "$(dirname "$0")/.."
model=${1:-google-bert/bert-base-uncased}
[ $# -eq 0 ] || shift

exec "${PYTHON:-python}" -m accelerate.commands.launch --config_file examples/accelerate/ddp.yaml --main_process_port 0 \
    run_glue_mmel.py \
    --model_name_or_path "$model" \
    --train_file examples/own_data/train.csv --validation_file examples/own_data/dev.csv \
    --text_column_names review --label_column_name verdict \
    --augmenter examples/own_data/words.json --mmel_loss soft --num_variants 4 \
    --do_train --do_eval --num_train_epochs 10 --per_device_train_batch_size 4 --learning_rate 5e-5 \
    --save_strategy no --report_to none --output_dir outputs/two_processes --overwrite_output_dir "$@"
