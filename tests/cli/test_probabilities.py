"""Labels that are probabilities of the classes, as a list or a column for each class, from the file to the scores."""

import numpy as np
import pandas as pd
import pytest
from command_outputs import predictions
from conftest import SENTENCES
from transformers import AutoModelForSequenceClassification


NAMES = ["anger", "joy", "fear"]
PROBABILITIES = [[0.7, 0.2, 0.1], [0.1, 0.9, 0.0], [0.0, 0.25, 0.75]]
ACTIONS = ("--do_train", "--do_eval", "--do_predict", "--max_steps", 3)


def rows(labels=PROBABILITIES):
    return [{"text": text, "label": labels[i % len(labels)]} for i, text in enumerate(SENTENCES[:12])]


def in_columns(path):
    """The same in a csv, with a column for each class."""
    table = pd.DataFrame([{"text": row["text"], **dict(zip(NAMES, row["label"], strict=True))} for row in rows()])
    table.to_csv(path, index=False)
    return path


def options(file):
    return [f"--{split}_file={file}" for split in ("train", "validation", "test")]


def test_a_list_and_a_column_for_each_class_are_the_same_training(run, write, tmp_path):
    of_list = run(*options(write("rows.json", rows())), *ACTIONS, out="list")
    of_columns = run(
        *options(in_columns(tmp_path / "rows.csv")), *ACTIONS, "--label_column_name", ",".join(NAMES), out="columns"
    )
    assert of_list["eval_loss"] == of_columns["eval_loss"]
    configs = [
        AutoModelForSequenceClassification.from_pretrained(tmp_path / out).config for out in ("list", "columns")
    ]
    assert [config.problem_type for config in configs] == ["single_label_classification"] * 2
    assert list(configs[1].id2label.values()) == NAMES
    assert list(configs[0].id2label.values()) == ["LABEL_0", "LABEL_1", "LABEL_2"]


def test_scores_are_those_of_the_likeliest_class(run, write, tmp_path):
    metrics = run(*options(write("rows.json", rows())), "--do_train", "--do_eval", "--do_predict", "--max_steps", 3)
    predicted = np.array([int(name.removeprefix("LABEL_")) for name in predictions(tmp_path / "out")])
    likeliest = np.array([np.argmax(row["label"]) for row in rows()])
    assert metrics["eval_accuracy"] == pytest.approx((predicted == likeliest).mean())


def test_a_dry_run_shows_them(run, write, capsys):
    run(*options(write("rows.json", rows())), "--do_train", "--dry_run")
    assert "example 0, probabilities LABEL_0 0.7, LABEL_1 0.2, LABEL_2 0.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0.7, 0.2, 0.3]], r"the labels \[0.7, 0.2, 0.3\] in row 0 .* expected 3 probabilities"),
        ([[0.7, 0.3], [1.5, -0.5]], r"the labels \[1.5, -0.5\] in row 1"),
        ([[0.7, 0.3], [0.2, 0.3, 0.5]], r"the labels \[0.2, 0.3, 0.5\] in row 1 .* expected 2 probabilities"),
        ([[1.0]], "has 1 probabilities in row 0"),
    ],
)
def test_what_is_no_probability_is_named_with_its_row(run, write, capsys, labels, message):
    with pytest.raises((SystemExit, ValueError), match=message):
        run(*options(write("rows.json", rows(labels))), *ACTIONS)


def test_a_column_that_is_missing_or_no_number_is_named(run, tmp_path):
    file = in_columns(tmp_path / "rows.csv")
    with pytest.raises((SystemExit, ValueError), match="has no column 'trust'"):
        run(*options(file), *ACTIONS, "--label_column_name", "anger,trust")
    file.write_text(file.read_text().replace("0.7", "high", 1))
    with pytest.raises((SystemExit, ValueError), match="column 'anger' has 'high' in row 0"):
        run(*options(file), *ACTIONS, "--label_column_name", ",".join(NAMES))
