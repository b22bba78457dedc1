"""What the command line refuses: early, before a model is loaded, with one message that says what to do."""

import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml
from transformers import BertConfig

from hf_mmel.cli import run as cli
from hf_mmel.cli.errors import usage_errors
from hf_mmel.cli.run import UsageError


ROOT = Path(__file__).parents[2]
GOOD = "text,label\na film,0\na movie,1\n"


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory, tokenizer):
    """A tokenizer and a configuration without weights: no test here comes to loading them."""
    path = tmp_path_factory.mktemp("model")
    tokenizer.save_pretrained(path)
    BertConfig(vocab_size=len(tokenizer), architectures=["BertForMaskedLM"]).save_pretrained(path)
    return path


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    loading = Mock(side_effect=AssertionError("a model was loaded"))
    monkeypatch.setattr("hf_mmel.cli.model.AutoModelForSequenceClassification.from_pretrained", loading)


@pytest.fixture
def run(model_dir, tmp_path):
    """Runs the command in a folder with good.csv and the files given as name and content."""

    def run(options, files=None):
        for name, content in {"good.csv": GOOD, **(files or {})}.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        options = options.replace("@", f"{tmp_path}/").split()
        argv = ["--model_name_or_path", model_dir, "--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache"]
        argv += ["--report_to", "none", "--use_cpu", "--augmenter", "none", *options]
        return cli.main([str(option) for option in argv])

    return run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--do_train", "no data to work on; pass --task_name"),
        ("--train_file @good.csv", "nothing to do; pass --do_train"),
        ("--do_train --task_name snli", "'snli'; expected one of cola, mnli, .* wnli"),
        ("--do_train --train_file @good.txt", r"good.txt'; expected a name that ends in \.csv, \.tsv, \.json"),
        ("--do_train --train_file @none.csv", "none.csv', and there is no such file"),
        ("--do_train --do_eval --train_file @good.csv", "no file for the validation data; pass --validation_file"),
        ("--do_predict --train_file @good.csv", "no file for the test data; pass --test_file"),
        ("--do_train --train_file @good.csv --max_train_samples 0", "max_train_samples is 0; expected"),
        ("--do_train --train_file @good.csv --max_seq_length -1", "max_seq_length is -1; expected"),
        ("--do_train --train_file @good.csv --lambda_p -1", "lambda_p is -1.0; expected"),
        ("--do_train --train_file @good.csv --lambda_q 1", "lambda_q"),
        ("--do_train --train_file @good.csv --lambda_p 2 --effective_num_variants 2", "leave one of them out"),
        ("--do_train --train_file @good.csv --reweighting_warmup 1", "reweighting_warmup is 1.0; expected a share"),
        ("--do_train --train_file @good.csv --resume_from_checkpoint @gone", "gone'; expected the folder"),
        (
            "--do_train --train_file @good.csv --text_column_names words",
            "no column 'words'; its columns are 'text', 'label'",
        ),
        (
            "--do_train --train_file @good.csv --text_column_names text,b,c",
            "no column 'b'; its columns are 'text', 'label'",
        ),
        (
            "--do_train --train_file @good.csv --text_column_names label",
            "text_column_names has 'label', which is the column of the labels",
        ),
        ("--do_train --train_file @good.csv --label_column_name gold", "no column 'gold'.*--label_column_name"),
        (
            "--do_train --train_file @good.csv --model_name_or_path @gone",
            "The configuration of '.*gone' cannot be loaded: there is no such folder",
        ),
        (
            "--do_train --train_file @good.csv --tokenizer_name @gone",
            "The tokenizer of '.*gone' cannot be loaded: there is no such folder",
        ),
        ("--do_train --task_name rte --dataset_name @gone", "gone cannot be read"),
    ],
)
def test_arguments_that_cannot_work_are_refused(run, options, message):
    with pytest.raises(UsageError, match=message):
        run(options)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.csv", "", "bad.csv has no rows"),
        ("bad.csv", "text,label\n", "bad.csv has no rows"),
        ("bad.json", "", "bad.json has no rows"),
        ("bad.json", "[]", "bad.json has no rows"),
        ("bad.json", '[{"text": "a", "label": 0}, {"text": null, "label": 1}]', "'text' has no text in row 1"),
        ("bad.json", '[{"text": "a", "label": 0}, {"text": "b"}]', "'label' has no label in row 1"),
        ("bad.csv", "text,label\na,0\nb,1\nc,\n", "'label' has no label in row 2"),
        ("bad.csv", "text,label\na,x\nb,x\n", r"'label' has too few classes, \['x'\]"),
        ("bad.json", '[{"text": "a", "label": [0]}]', r"column 'label' has too few classes, \['0'\]"),
        (
            "bad.json",
            '{"text": 1, "label": 0}\n{"text": 2, "label": 1}',
            "column 'text' holds .*int64.*; expected text",
        ),
        ("bad.json", '[{"text": "a", "label": 0.5}, {"text": "b", "label": null}]', "no label in row 1"),
        ("bad.csv", "text,label\na,0.5\nb,inf\n", "the label 'inf' in row 1 .* most labels are numbers"),
    ],
)
def test_training_data_that_cannot_work_is_refused(run, name, content, message):
    with pytest.raises(UsageError, match=message):
        run(f"--do_train --train_file @{name}", {name: content})


def test_a_label_that_training_does_not_know_is_refused_in_validation(run):
    options = "--do_train --do_eval --train_file @good.csv --validation_file @bad.csv"
    with pytest.raises(UsageError, match=r"bad.csv: column 'label' has the label '2' in row 1 .* one of 0, 1"):
        run(options, {"bad.csv": "text,label\na,0\nb,2\n"})


def test_a_class_id_out_of_range_is_refused(run, tmp_path):
    info = {"features": [{"name": "text", "dtype": "string"}, {"name": "label", "dtype": {"class_label": {}}}]}
    info["features"][1]["dtype"]["class_label"]["names"] = {"0": "no", "1": "yes"}
    configs = [{"config_name": "default", "data_files": [{"split": "train", "path": "train.jsonl"}]}]
    (tmp_path / "data").mkdir()
    files = {
        "data/README.md": f"---\n{yaml.safe_dump({'configs': configs, 'dataset_info': info})}---\n",
        "data/train.jsonl": '{"text": "a", "label": 1}\n{"text": "b", "label": -1}\n',
    }
    with pytest.raises(UsageError, match=r"the label '-1' in row 1 .* expected one of no, yes"):
        run("--do_train --dataset_name @data", files)


def test_a_split_that_is_missing_is_refused(run, tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(UsageError, match=r"no split .validation.; its splits are train.*--validation_split_name"):
        run("--do_eval --dataset_name @data", {"data/train.csv": GOOD})


def test_a_slow_tokenizer_is_refused_only_where_variants_are_made(run, monkeypatch):
    monkeypatch.setattr("transformers.PreTrainedTokenizerFast.is_fast", False)
    with pytest.raises(UsageError, match=r"slow tokenizer .* or --augmenter none"):
        run("--do_train --train_file @good.csv --augmenter wordnet")
    with pytest.raises(UsageError, match="a model was loaded"):
        run("--do_train --train_file @good.csv")


@pytest.mark.parametrize("error", [LookupError("WordNet is missing; run X"), ValueError("replace_prob is 2.0")])
def test_what_the_augmenter_refuses_ends_the_command(run, monkeypatch, error):
    monkeypatch.setattr("augment.Augmenter.from_dict", Mock(side_effect=error))
    with pytest.raises(UsageError, match=str(error)):
        run("--do_train --train_file @good.csv --augmenter wordnet")


def test_max_seq_length_is_cut_to_what_the_model_takes(run, caplog, monkeypatch):
    lengths = []
    encode = cli.encode_splits
    monkeypatch.setattr(
        "hf_mmel.cli.run.encode_splits",
        lambda *args: lengths.extend(map(len, (data := encode(*args))["train"]["input_ids"])) or data,
    )
    with pytest.raises(UsageError, match="a model was loaded"):
        run("--do_train --train_file @long.csv", {"long.csv": f"text,label\n{'a ' * 100},0\nfilm,1\n"})
    assert max(lengths) == 64
    assert "max_seq_length is 128, the model takes 64 tokens" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"[1, 2]", "a.json holds a list; expected arguments as keys"),
        ("a.json", b"{", "Expecting property name"),
        ("a.json", None, "No such file"),
        ("a.json", b'{"mmel_loss": "softer"}', "invalid choice: 'softer'.*; --help all lists every option"),
        (
            "a.yaml",
            b'{"model_name_or_path": "caf\xe9"}',
            "a.yaml cannot be read as UTF-8 text in YAML: .* position 27",
        ),
        ("a.yaml", b'"rte"', "a.yaml holds a str"),
        ("a.yaml", b"1: rte", "a.yaml has the key 1; expected names of arguments"),
        ("a.yaml", b"lr_scheduler_kwargs: {a: 2026-01-01}", "a.yaml.* cannot be written as JSON"),
    ],
)
def test_a_file_of_arguments_that_cannot_be_used_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        cli.main([str(tmp_path / name)])


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--per_device_train_batch_size=0", "per_device_train_batch_size is 0; expected a whole number >= 1"),
        ("--eval_accumulation_steps=0", "eval_accumulation_steps is 0; expected a whole number >= 1"),
        ("--cache_dir={a}", "cache_dir is '{a}'; datasets cannot use a folder with braces in its name"),
        ("--seed=-1", "seed is -1; expected a whole number from 0 to 4294967295"),
        ("--learning_rate=nan", "learning_rate is nan; expected a finite number >= 0"),
        ("--warmup_steps=1e400", "warmup_steps is inf; expected a finite number >= 0"),
        ("--max_grad_norm=nan", "max_grad_norm is nan; expected a number >= 0"),
        ("--adam_beta2=1", "adam_beta2 is 1.0; expected a number in [0, 1)"),
        ("--label_smoothing_factor=7", "label_smoothing_factor is 7.0; expected a number in [0, 1]"),
        ("--num_train_epochs=inf", "num_train_epochs is inf; expected a finite number"),
        ("--metric_name mse", "metric_name is 'mse', but the labels are classes; expected one such as accuracy"),
        ("--remove_splits test", "remove_splits is for datasets that hold all splits"),
        ("--test_split_name test", "test_split_name is for datasets that hold all splits"),
        ("--lambda_p much", "invalid float value: 'much'; --help"),
        ("--resume_from_checkpoint .", "resume_from_checkpoint is '.'; expected the folder of a complete checkpoint"),
    ],
)
def test_numbers_out_of_range_and_options_that_do_not_fit_are_refused_before_training(run, option, expected):
    with pytest.raises(UsageError, match=re.escape(expected)):
        run(f"--train_file @good.csv --validation_file @good.csv --do_train --do_eval {option}")


@pytest.mark.parametrize("text", ["token: hf_SECRET: x", "- [hf_SECRET", "token: 'hf_SECRET"])
def test_a_broken_yaml_is_refused_without_what_is_in_it(tmp_path, text):
    path = tmp_path / "arguments.yaml"
    path.write_text(f"task_name: rte\n{text}\n")
    with pytest.raises(UsageError, match=r"arguments.yaml is not YAML: .* in line \d") as error:
        cli.main([str(path)])
    assert "SECRET" not in str(error.value) and "\n" not in str(error.value)


def test_a_metric_of_classes_is_refused_for_numbers(run):
    files = {"floats.jsonl": "".join(f'{{"text": "film", "label": {i / 2}}}\n' for i in range(8))}
    with pytest.raises(UsageError, match="metric_name is 'f1', but the labels are numbers; expected one such as mse"):
        run("--train_file @floats.jsonl --validation_file @floats.jsonl --do_train --do_eval --metric_name f1", files)


def test_an_output_folder_that_is_a_file_is_refused(run, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match=r"output_dir is .*, which is a file; expected a folder"):
        run("--train_file @good.csv --do_train")


@pytest.mark.parametrize(("error", "said"), [(AssertionError(), "AssertionError"), (TypeError("a\n b"), "a b")])
def test_an_error_without_a_text_is_told_by_its_name(error, said):
    with pytest.raises(UsageError) as caught, usage_errors(Exception):
        raise error
    assert str(caught.value) == said


@pytest.mark.integration
def test_a_user_error_ends_the_command_with_one_line(tmp_path):
    command = [sys.executable, "run_glue_mmel.py", "--model_name_or_path", "x", "--do_train", "--task_name", "snli"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("run_glue_mmel.py: error: task_name is 'snli'")
    assert "Traceback" not in result.stderr
