"""The arguments of run_glue.py and run_classification.py: their names, their meaning, their command lines."""

import json
import os
from dataclasses import fields
from typing import get_type_hints

import pytest
from conftest import reviews
from datasets import Dataset, DatasetDict

from hf_mmel import MMELTrainingArguments
from hf_mmel.__main__ import parse
from hf_mmel.cli.arguments import Arguments
from hf_mmel.cli.errors import UsageError
from hf_mmel.cli.parser import read_options
from hf_mmel.cli.run import main, parse_arguments
from hf_mmel.compare.plan import read_plan


# All that both scripts take, but for the arguments of `TrainingArguments`.
NAMES = """
    task_name dataset_name dataset_config_name do_regression text_column_names text_column_delimiter train_split_name
    validation_split_name test_split_name remove_splits remove_columns label_column_name max_seq_length metric_name
    preprocessing_num_workers overwrite_cache pad_to_max_length shuffle_train_dataset shuffle_seed max_train_samples
    max_eval_samples max_predict_samples train_file validation_file test_file model_name_or_path config_name
    tokenizer_name cache_dir use_fast_tokenizer model_revision token trust_remote_code ignore_mismatched_sizes
"""
LEAST = ["--model_name_or_path", "model", "--task_name", "rte", "--do_eval", "--output_dir", "out"]


def parsed(*options):
    """The value of every argument."""
    return {name: value for group in parse_arguments([*LEAST, *options]) for name, value in vars(group).items()}


@pytest.mark.parametrize("name", NAMES.split())
def test_every_argument_of_both_scripts_is_known_with_hyphens_too(name, monkeypatch):
    monkeypatch.setattr("hf_mmel.cli.data_arguments.DataArguments.__post_init__", lambda self: None)
    value = (
        "7" if name in ("shuffle_seed", "max_seq_length", "preprocessing_num_workers") or "samples" in name else "1"
    )
    plain, hyphened = parsed(f"--{name}", value)[name], parsed(f"--{name.replace('_', '-')}", value)[name]
    assert plain == hyphened and str(plain) in (value, "True")


BOOLEANS = """
    overwrite_cache pad_to_max_length shuffle_train_dataset trust_remote_code use_fast_tokenizer overwrite_output_dir
    ignore_mismatched_sizes use_cpu remove_unused_columns scoring_bf16
"""


@pytest.mark.parametrize("name", BOOLEANS.split())
def test_every_boolean_can_be_negated(name):
    for no in (f"--no_{name}", f"--no-{name.replace('_', '-')}"):
        assert parsed(no)[name] is False
        assert parsed(f"--{name}", "true", no)[name] is False
    assert parsed(f"--{name}", "true")[name] is True


def test_help_lists_every_argument_with_its_text(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    words = capsys.readouterr().out.split()
    groups = get_type_hints(Arguments, localns={"MMELTrainingArguments": MMELTrainingArguments}).values()
    options = [option for group in groups for option in fields(group) if option.init]
    assert ended.value.code == 0 and {f"--{option.name}" for option in options} <= {word.strip(",") for word in words}
    for option in options:  # lines are broken at hyphens, too
        assert "".join(option.metadata["help"].split()).replace("%%", "%") in "".join(words)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("num_steps", "-1", "adversarial_num_steps is -1; expected a whole number >= 1"),
        ("step_size", "nan", "adversarial_step_size is nan; expected a finite number > 0"),
    ],
)
def test_an_adversary_out_of_range_is_refused_by_the_name_of_its_option(option, value, message):
    with pytest.raises(UsageError, match=message):
        parse_arguments([*LEAST, "--adversarial_num_steps", "1", f"--adversarial_{option}", value])


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("--max_seq_len", "--max_seq_length"),
        ("--max-seq-len", "--max_seq_length"),
        ("--max_seq_len=7", "--max_seq_length=7"),
        ("--output", "--output_dir"),
        ("--no_pad", "--no_pad_to_max_length"),
        ("--seed", "--seed"),  # although --seeds begins with it
        ("--no-such", "--no-such"),
        ("x=--max_seq_len", "x=--max_seq_len"),
    ],
)
def test_an_abbreviation_that_fits_one_option_is_that_option(given, full):
    assert read_options([given]) == [full]


def test_an_abbreviation_that_fits_several_options_is_refused_with_their_names():
    with pytest.raises(UsageError, match="--max_s may be any of --max_seq_length, --max_steps; write out"):
        read_options(["--max_s", "3"])
    with pytest.raises(UsageError, match=r"--hub may be any of .*, \.\.\.; write out") as caught:
        read_options(["--hub"])
    assert len(str(caught.value)) < 200


def test_a_comparison_knows_options_by_their_abbreviations():
    args = parse(["compare", "--output", "out", "--mmel_l", "hard"])
    with pytest.raises(UsageError, match="mmel_loss is not for a comparison"):
        read_plan(args)
    assert str(read_plan(parse(["compare", "--output", "out", "--augmenters", "delete"])).output_dir) == "out"


@pytest.mark.parametrize("option", ["--augmenter", "--seeds", "--max_steps"])
def test_two_hyphens_are_no_value(option, capsys):
    with pytest.raises(UsageError, match=f"argument {option}: '--' is not a value"):
        parse_arguments([*LEAST, f"{option}=--"])
    for command in (["compare"], ["report", "out"]):
        with pytest.raises(SystemExit):
            parse([*command, f"{option}=--"])
        assert f"argument {option}: '--' is not a value" in capsys.readouterr().err


def test_negations_change_no_default():
    before = parsed()
    assert before["pad_to_max_length"] is before["trust_remote_code"] is False
    assert before["use_fast_tokenizer"] is before["remove_unused_columns"] is True
    assert before["do_regression"] is before["scoring_bf16"] is None


@pytest.mark.parametrize(
    ("options", "value"), [([], None), (["--do_regression"], True), (["--no_do_regression"], False)]
)
def test_regression_is_asked_for_refused_or_left_to_the_data(options, value):
    own = ["--model_name_or_path", "model", "--dataset_name", "data", "--do_eval", "--output_dir", "out"]
    assert parse_arguments([*own, *options])[1].do_regression is value


@pytest.fixture
def at_hub(synonyms, mirror, model_dir, write, tmp_path, monkeypatch):
    """Folders named as the models and data sets of the Hub that the command lines ask for."""
    monkeypatch.chdir(tmp_path)
    for name in ("bert-base-cased", "google-bert/bert-base-cased", "google-bert/bert-base-uncased", "nyu-mll/glue"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        os.symlink(model_dir if "bert" in name else mirror[1], tmp_path / name)
    texts = {"text": "the film was bad .", "review_title": "bad", "review_body": "awful .", "product_category": "film"}

    def split(name, *labels):
        return Dataset.from_list([{**texts, name: label} for label in labels])

    unlabelled = split("label", -1)
    stars = {name: split("stars", 1, 2, 5, 1) for name in ("train", "validation", "test")}
    topics = {
        "train": split("topics", ["grain", "wheat"], []),
        "test": split("topics", ["corn"]),
        "unused": unlabelled,
    }
    DatasetDict(train=split("label", 0, 1, 1), test=split("label", 0, 1), unsupervised=unlabelled).save_to_disk("imdb")
    DatasetDict(stars).save_to_disk("amazon_reviews_multi")
    DatasetDict(topics).save_to_disk("reuters21578")
    write("train.json", reviews())
    write("val.json", reviews())


# As in the READMEs of the scripts and in their users' shell scripts; {out} is where the results go.
COMMAND_LINES = {
    "a GLUE task": """
        --model_name_or_path bert-base-cased --task_name mrpc --do_train --do_eval --max_seq_length 128
        --per_device_train_batch_size 32 --learning_rate 2e-5 --num_train_epochs 3 --output_dir {out}/
        """,
    "a data set of the Hub": """
        --model_name_or_path google-bert/bert-base-cased --dataset_name imdb --do_train --do_predict
        --max_seq_length 128 --per_device_train_batch_size 32 --learning_rate 2e-5 --num_train_epochs 3
        --output_dir {out}/
        """,
    "several columns": """
        --model_name_or_path google-bert/bert-base-uncased --dataset_name amazon_reviews_multi
        --dataset_config_name en --shuffle_train_dataset --metric_name accuracy
        --text_column_name review_title,review_body,product_category --text_column_delimiter \\n
        --label_column_name stars --do_train --do_eval --max_seq_length 512 --per_device_train_batch_size 32
        --learning_rate 2e-5 --num_train_epochs 1 --output_dir {out}/
        """,
    "several labels": """
        --model_name_or_path google-bert/bert-base-uncased --dataset_name reuters21578
        --dataset_config_name ModApte --shuffle_train_dataset --remove_splits unused --metric_name f1
        --text_column_name text --label_column_name topics --do_train --do_eval --max_seq_length 512
        --per_device_train_batch_size 32 --learning_rate 2e-5 --num_train_epochs 15 --output_dir {out}/
        """,
    "files": """
        --model_name_or_path bert-base-cased --train_file train.json --validation_file val.json --test_file val.json
        --do_train True --do_eval --do_predict --max_seq_length 64 --per_device_train_batch_size 8
        --per_device_eval_batch_size 16 --learning_rate 3e-5 --num_train_epochs 1 --pad_to_max_length False
        --use_fast_tokenizer False --overwrite_cache --eval_strategy epoch --save_strategy epoch --logging_steps 1
        --load_best_model_at_end --metric_for_best_model accuracy --overwrite_output_dir --seed 3 --output_dir {out}
        """,
    "a task beside files": """
        --model_name_or_path bert-base-cased --task_name mrpc --train_file no_such.csv --validation_file val.json
        --do_train --do_eval --do_predict --max_seq_len 128 --num_train_ep 1 --output_dir {out}
        """,
    "the test set of a task": """
        --model-name-or-path bert-base-cased --task-name mnli --do-train --do-eval --do-predict --no_pad_to_max_length
        --max-train-samples 3 --max-eval-samples 4 --max-predict-samples 5 --output-dir {out} --fp16 False
        """,
}
WRITTEN = {
    "a GLUE task": {"train_loss", "eval_accuracy", "eval_f1", "eval_combined_score"},
    "a data set of the Hub": {"train_loss", "predict_results_custom.txt"},
    "several columns": {"train_loss", "eval_accuracy"},
    "several labels": {"train_loss", "eval_f1"},
    "files": {"train_loss", "eval_accuracy", "predict_results_custom.txt"},
    "a task beside files": {"train_loss", "eval_f1", "predict_results_mrpc.txt"},
    "the test set of a task": {"eval_accuracy_mm", "predict_results_mnli.txt", "predict_results_mnli-mm.txt"},
}


@pytest.mark.integration
@pytest.mark.parametrize("case", COMMAND_LINES)
def test_command_lines_of_both_scripts_run_unchanged(case, at_hub, tmp_path):
    main([*COMMAND_LINES[case].format(out="out").split(), "--use_cpu", "--report_to", "none"])
    metrics = json.loads((tmp_path / "out" / "all_results.json").read_text())
    assert WRITTEN[case] <= {*metrics, *os.listdir("out")}
    assert "LABEL_" not in (tmp_path / "out" / "config.json").read_text()


@pytest.mark.parametrize("named", ["--task_name mrpc", "--dataset_name imdb --text_column_name text"])
def test_a_warning_says_that_a_task_or_a_dataset_wins_over_files(named, at_hub, caplog):
    files = "--train_file train.json --test_file val.json"
    options = f"--model_name_or_path bert-base-cased {named} {files} --do_train --dry_run --output_dir out"
    main(options.split())
    ignored = [record.getMessage() for record in caplog.records if "ignoring" in record.getMessage()]
    assert ignored == [f"The data is that of {named.split()[1]}; ignoring train_file, test_file, as run_glue.py does."]
