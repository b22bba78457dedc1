"""The command on a file of unlabelled texts."""

import json

import pytest
from command_outputs import log_of

from hf_mmel.cli import run as cli
from hf_mmel.cli.run import UsageError


ROWS = [{"text": text, "label": i % 2} for i, text in enumerate(["the film was awful", "good film", "a bad film"] * 2)]
TEXTS = [{"text": text} for text in ("an awful film", "a good actor", "good", "awful", "the actor was good")]


@pytest.fixture
def data(write):
    def data(name="more.jsonl", rows=TEXTS):
        return ["--train_file", write("train.jsonl", ROWS), "--do_train", "--unlabeled_file", write(name, rows)]

    return data


def logs_of(tmp_path):
    return [entry for entry in log_of(tmp_path / "out") if "loss" in entry]


@pytest.mark.parametrize("name", ["more.csv", "more.jsonl"])
def test_texts_without_labels_train(run, data, tmp_path, name):
    run(*data(name), "--unlabeled_ratio", 2, "--logging_steps", 1, "--save_strategy", "steps", "--save_steps", 3)
    assert all(entry["mmel/confident_unlabeled"] == 1 for entry in logs_of(tmp_path))
    assert "content of unlabeled_file" in json.loads((tmp_path / "out" / "contents.json").read_text())


def test_labels_in_the_file_are_not_read(run, data, tmp_path):
    run(*data(rows=[{**row, "label": "any", "note": 1} for row in TEXTS]), "--logging_steps", 1)
    assert all("mmel/loss_unlabeled" in entry for entry in logs_of(tmp_path))


def test_a_validation_file_is_evaluated_as_before(run, data, write):
    scores = run(*data(), "--do_eval", "--validation_file", write("dev.jsonl", ROWS))
    assert scores["eval_samples"] == 6 and scores["train_samples"] == 6


@pytest.mark.parametrize("option", ["--unlabeled_ratio", "--lambda_u"])
def test_a_file_that_does_not_count_is_not_read(run, data, tmp_path, option):
    run(*data(rows=[{"other": "good film"}]), option, 0, "--logging_steps", 1)
    assert not any("mmel/loss_unlabeled" in entry for entry in logs_of(tmp_path))


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"other": "good"}], (), "more.jsonl has no column 'text'"),
        ([{"text": None}], (), "has no text in row 0"),
        ([], (), "more.jsonl has no rows"),
        (TEXTS, ("--mmel_loss", "hard"), "mmel_loss='hard' has no divergence"),
        (TEXTS, ("--augmenter", "none"), "nothing makes the variants"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_model_is_loaded(run, data, monkeypatch, rows, options, message):
    monkeypatch.setattr(cli, "load_model", lambda *args: pytest.fail("a model was loaded"))
    with pytest.raises(UsageError, match=message):
        run(*data(rows=rows), "--text_column_names", "text", *options)


def test_a_missing_file_is_named(run, data, tmp_path):
    with pytest.raises(UsageError, match=r"unlabeled_file is '.*gone.csv', and there is no such file"):
        run(*data(), "--unlabeled_file", tmp_path / "gone.csv")


def test_a_dry_run_counts_unlabelled_examples(run, data, capsys):
    run(*data(), "--unlabeled_ratio", 1.5, "--dry_run")
    printed = " ".join(capsys.readouterr().out.split())
    assert "unlabelled examples 5, 1.5 for each training example" in printed
