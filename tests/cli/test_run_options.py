"""Options that `Trainer` takes and then fails on: one line before the first step, or a result."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import Mock

import pytest
from conftest import make_tokenizer, reviews
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    LlamaConfig,
    LlamaModel,
    RobertaConfig,
    RobertaModel,
)

from hf_mmel.__main__ import main as hf_mmel_command
from hf_mmel.cli import run as cli
from hf_mmel.cli.run import UsageError


ROOT = Path(__file__).parents[2]
ABSENT = {"wandb": "wandb", "bitsandbytes": "bitsandbytes", "galore": "galore_torch", "liger": "liger_kernel"}
BEST = ("--load_best_model_at_end", "--eval_strategy", "steps", "--save_strategy", "steps")
BEST += ("--eval_steps", "1", "--save_steps", "1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report_to", "wandb"], "wandb"),
        (["--optim", "adamw_8bit"], "bitsandbytes"),
        (["--optim", "galore_adamw", "--optim_target_modules", "all-linear"], "galore"),
        (["--use_liger_kernel"], "liger"),
        (["--lr_scheduler_type", "cosine_with_min_lr"], "min_lr"),
        (["--lr_scheduler_type", "polynomial", "--learning_rate", 0], "lr_end"),
        (["--lr_scheduler_type", "warmup_stable_decay"], "num_decay_steps"),
        (["--lr_scheduler_kwargs", '{"a": 1}'], "'a'"),
        (["--optim", "adafactor", "--optim_args", "foo"], "not enough values"),
        (["--gradient_checkpointing", "--gradient_checkpointing_kwargs", '{"a": 1}'], "a"),
        (["--dataloader_num_workers", -1], "dataloader_num_workers is -1; expected a whole number >= 0"),
        ([*BEST, "--metric_for_best_model", "f1"], "metric_for_best_model is 'f1'; expected one of accuracy, loss"),
        ([*BEST, "--metric_for_best_model", "accuracy", "--prediction_loss_only"], "expected one of loss"),
        (["--batch_eval_metrics"], "batch_eval_metrics"),
        (["--label_names", "bad", "good"], "label_names is ['bad', 'good']; expected labels alone"),
        ([*BEST, "--label_names", "label"], "label_names is ['label']; expected labels alone"),
        (["--dataloader_drop_last", "--max_train_samples", 3], "There are 3 training examples, and a batch"),
    ],
)
def test_what_no_training_can_be_made_with_is_refused_on_one_line_before_the_first_step(
    run, files, monkeypatch, options, message
):
    if message in ABSENT and find_spec(ABSENT[message]):
        pytest.skip(f"{ABSENT[message]} is installed")

    monkeypatch.setattr("torch.optim.AdamW.step", Mock(side_effect=AssertionError("a step was made")))
    with pytest.raises(UsageError) as caught:
        run("--do_train", "--do_eval", *files, *options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        ["--optim", "adafactor", "--optim_args", "scale_parameter=False,relative_step=False"],
        ["--optim", "sgd", "--lr_scheduler_type", "constant"],
        ["--lr_scheduler_type", "cosine_with_min_lr", "--lr_scheduler_kwargs", '{"min_lr": 1e-6}'],
        ["--lr_scheduler_type", "warmup_stable_decay", "--lr_scheduler_kwargs", '{"num_decay_steps": 1}'],
        [*BEST, "--metric_for_best_model", "accuracy"],
        [*BEST, "--metric_for_best_model", "eval_loss"],
        [*BEST, "--metric_for_best_model", "samples_per_second"],
        ["--prediction_loss_only"],
        ["--label_names", "labels"],
        ["--dataloader_drop_last", "--max_train_samples", 4],
        ["--dataloader_num_workers", 1],
    ],
)
def test_what_a_training_can_be_made_with_has_a_result(run, files, options):
    assert run("--do_train", "--do_eval", *files, *options)["eval_loss"] > 0


@pytest.mark.parametrize(
    "options", [["--dataloader_num_workers", -1], ["--batch_eval_metrics"], ["--eval_do_concat_batches", "false"]]
)
def test_an_evaluation_without_a_training_refuses_them_too(run, files, options):
    with pytest.raises(UsageError, match=options[0][2:]):
        run("--do_eval", *files, *options)


def test_predictions_cannot_be_written_of_a_loss_alone(run, files):
    with pytest.raises(UsageError, match="prediction_loss_only leaves no predictions to write"):
        run("--do_predict", "--test_file", files[1], "--prediction_loss_only")


def test_a_training_that_diverges_ends_with_one_line(run, files):
    with pytest.raises(UsageError, match="training has diverged") as caught:
        run("--do_train", *files, "--learning_rate", 1e38, "--max_steps", 20)
    assert "\n" not in str(caught.value)


def test_an_error_after_the_first_step_keeps_its_traceback(run, files, monkeypatch):
    step = Mock(side_effect=[None, ZeroDivisionError])
    monkeypatch.setattr("torch.optim.AdamW.step", step)
    with pytest.raises(ZeroDivisionError):
        run("--do_train", *files)


SIZES = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
MODELS = {
    "bert": (BertModel, BertConfig, {}, 16),
    "roberta": (RobertaModel, RobertaConfig, {"pad_token_id": 0}, 15),
    "deberta": (DebertaV2Model, DebertaV2Config, {"relative_attention": True, "position_biased_input": False}, None),
    "deberta_absolute": (DebertaV2Model, DebertaV2Config, {"position_biased_input": True}, 16),
    "llama": (LlamaModel, LlamaConfig, {"pad_token_id": 0}, None),
}


@pytest.mark.parametrize("max_seq_length", [128, 10**20])
@pytest.mark.parametrize("kind", MODELS)
def test_texts_are_cut_to_the_positions_of_the_model_where_its_tokenizer_knows_no_length(
    run, write, tmp_path, monkeypatch, kind, max_seq_length
):
    tokenizer = make_tokenizer("wordpiece")
    tokenizer.model_max_length = int(1e30)
    tokenizer.save_pretrained(tmp_path / "model")
    make, config, options, num_positions = MODELS[kind]
    options = {"vocab_size": len(tokenizer), "max_position_embeddings": 16, **SIZES, **options}
    make(config(**options)).save_pretrained(tmp_path / "model")
    rows = [{**row, "text": row["text"] * 30} for row in reviews()]
    long = write("long.csv", rows)
    lengths = []

    encode = cli.encode_splits
    monkeypatch.setattr(
        "hf_mmel.cli.run.encode_splits",
        lambda *args: lengths.extend(map(len, (data := encode(*args))["validation"]["input_ids"])) or data,
    )
    files = ["--train_file", write("train.csv", reviews()), "--validation_file", long]
    options = ["--do_train", "--do_eval", "--model_name_or_path", tmp_path / "model", "--max_steps", 1]
    run(*files, *options, "--max_seq_length", max_seq_length)
    full = max(len(tokenizer(row["text"])["input_ids"]) for row in rows)
    assert full > 128 and max(lengths) == (num_positions or min(full, max_seq_length))


@pytest.mark.parametrize("name", [os.fsdecode(b"sortie\xe9"), "nul\0"], ids=["not_utf8", "nul"])
def test_an_output_folder_whose_name_is_no_text_is_refused_before_the_training(run, files, tmp_path, name):
    with pytest.raises(UsageError, match=r"output_dir is .*; expected a name in UTF-8") as caught:
        run("--do_train", *files, "--output_dir", str(tmp_path / name))
    str(caught.value).encode()
    assert not list(tmp_path.glob("sortie*"))


@pytest.mark.parametrize("content", ['{"seed": %s}' % ("1" * 1_000_000), '{"a": ' + "[" * 10**5 + "]" * 10**5 + "}"])
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_file_of_options_that_no_reader_can_take_is_named(tmp_path, content, suffix):
    (file := tmp_path / f"options{suffix}").write_text(content)
    with pytest.raises(UsageError, match=f"options{suffix}"):
        cli.main([str(file)])


@pytest.mark.parametrize(
    "value", ["1" * 1_000_000, "[" * 10**5 + "]" * 10**5, "[" * 900 + "]" * 900], ids=["digits", "nested", "deep"]
)
@pytest.mark.parametrize("name", ["train.json", "train.jsonl", "own.json"])
@pytest.mark.parametrize("first", ["0", None], ids=["mixed", "alike"])
def test_json_that_no_reader_can_take_is_named(run, files, tmp_path, name, value, first):
    rows = [f'{{"text": "a film", "label": {label}}}' for label in (first or value, value)]
    content = {"train.json": f"[{rows[0]}, {rows[1]}]", "train.jsonl": "\n".join(rows)}
    content["own.json"] = f'{{"class": "RandomDelete", "replace_prob": {value}}}'
    (tmp_path / name).write_text(content[name])
    options = ["--augmenter", tmp_path / name] if name == "own.json" else ["--train_file", tmp_path / name]
    with pytest.raises(UsageError, match=name):
        run("--do_train", *files, *options)


@pytest.mark.integration
def test_what_a_narrow_encoding_lacks_is_written_otherwise(tmp_path):
    text = "a film — œuvre 影"
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": text}) + "\n")
    options = ["preview", "--file", str(tmp_path / "texts.jsonl"), "--augmenter", "swap", "--num_variants", "1"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-m", "augment", *options], cwd=ROOT, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"\\u5f71" in done.stdout and b"\\u2014" in done.stdout


def test_the_name_of_a_file_may_be_any_bytes(run, write, tmp_path):
    name = os.fsdecode(b"donn\xe9es.csv")
    write("train.csv", reviews()).rename(tmp_path / name)
    options = ["--train_file", tmp_path / name, "--validation_file", tmp_path / name, "--augmenter", "delete"]
    run("--do_train", "--do_eval", *options, "--save_strategy", "epoch")
    assert hf_mmel_command(["report", str(tmp_path / "out")]) == 0
    assert "donn?es.csv" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_brackets_in_texts_are_no_nesting(run, tmp_path):
    rows = [{"text": ':[ {{{ \\" ]' * 40, "label": i % 2} for i in range(150)]
    for name, indent in (("one.json", None), ("many.json", 1)):
        (tmp_path / name).write_text(json.dumps(rows, indent=indent))
        run("--do_train", "--train_file", tmp_path / name, "--augmenter", "none", out=f"out-{name}")
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run("--do_train", "--train_file", tmp_path / "lines.jsonl", "--augmenter", "none", out="lines")


@pytest.mark.parametrize(("options", "level"), [([], "INFO"), (["--log_level", "warning"], None)])
def test_the_command_says_how_many_examples_have_variants(run, files, caplog, options, level):
    run(*files, "--do_train", "--num_variants", 1, *options)
    found = [record for record in caplog.records if "training examples have variants" in record.getMessage()]
    assert [record.levelname for record in found] == ([level] if level else [])
