"""What the command line makes of data: files of all kinds, columns, splits, labels of all kinds, and scores."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest
import torch
from command_outputs import predictions
from conftest import reviews
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from transformers import AutoModelForSequenceClassification, BertConfig

from hf_mmel.cli import run as cli
from hf_mmel.cli.run import UsageError


pytestmark = pytest.mark.integration  # whole runs of the command


@pytest.fixture
def encoded(monkeypatch):
    """What the trainer is given, by split."""
    kept, encode = {}, cli.encode_splits
    monkeypatch.setattr("hf_mmel.cli.run.encode_splits", lambda *args: kept.update(encode(*args)) or kept)
    return kept


def saved(folder, **splits):
    DatasetDict({name: Dataset.from_list(rows) for name, rows in splits.items()}).save_to_disk(folder)
    return folder


def test_every_kind_of_file_gives_the_same_training(run, write, tmp_path):
    pd.DataFrame(reviews()).to_parquet(tmp_path / "train.parquet")
    Dataset.from_list(reviews()).save_to_disk(tmp_path / "train")
    files = [
        tmp_path / "train.parquet",
        tmp_path / "train",
        *(write(f"train.{k}", reviews()) for k in ("csv", "json")),
    ]
    options = ["--validation_file", write("val.jsonl", reviews()), "--do_train", "--do_eval", "--max_steps", 1]
    losses = {run("--train_file", file, *options, out=f"out{i}")["eval_loss"] for i, file in enumerate(files)}
    assert len(losses) == 1


@pytest.mark.parametrize("several", [True, False])
def test_a_data_set_may_be_a_folder_written_by_save_to_disk(run, tmp_path, several):
    if several:
        metrics = run("--dataset_name", saved(tmp_path / "data", train=reviews(), validation=reviews()[:6]), *ACTIONS)
        assert (metrics["train_samples"], metrics["eval_samples"]) == (16, 6)
    else:
        Dataset.from_list(reviews()).save_to_disk(tmp_path / "data")
        assert run("--dataset_name", tmp_path / "data", "--do_train")["train_samples"] == 16


ACTIONS = ("--do_train", "--do_eval")


@pytest.mark.parametrize("writable", [True, False])
def test_nothing_is_written_beside_data_in_a_folder_that_cannot_be_written_to(run, tmp_path, monkeypatch, writable):
    data = saved(tmp_path / "data", train=reviews(), validation=reviews())
    before, access = set(data.rglob("*")), os.access
    monkeypatch.setattr("os.access", lambda path, mode: access(path, mode) and (writable or Path(path) != data))
    run("--dataset_name", data, *ACTIONS)
    assert (set(data.rglob("*")) == before) != writable


def test_splits_go_by_the_names_that_are_given(run, tmp_path):
    data = saved(tmp_path / "data", a=reviews(), b=reviews()[:4], c=reviews()[:3], test=reviews()[:5])
    names = ["--train_split_name", "a", "--validation_split_name", "b", "--test_split_name", "c"]
    metrics = run("--dataset_name", data, *names, *ACTIONS, "--do_predict")
    assert (metrics["train_samples"], metrics["eval_samples"], len(predictions(tmp_path / "out"))) == (16, 4, 3)


def test_the_test_split_is_evaluated_where_there_is_no_other(run, tmp_path, caplog):
    data = saved(tmp_path / "data", train=reviews(), test=reviews()[:5])
    assert run("--dataset_name", data, *ACTIONS)["eval_samples"] == 5
    assert "has no validation split; evaluating its test split" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--remove_splits extra,train --do_train",
            "has no split 'train'; its splits are validation, test.*--train_split",
        ),
        (
            "--remove_splits gone --do_train",
            "remove_splits has 'gone'; the splits of .* are train, validation, test, extra",
        ),
        ("--validation_split_name dev --do_eval", "has no split 'dev'.*--validation_split_name"),
        ("--remove_columns text --do_train", "no column of strings; its columns are 'label'"),
        ("--remove_columns gone --do_train", "remove_columns has 'gone', but no data has such a column"),
        ("--preprocessing_num_workers 0 --do_train", "preprocessing_num_workers is 0; expected"),
        (
            "--metric_name gone/gone --do_eval",
            "metric_name is 'gone/gone'; expected accuracy, f1, .* evaluate can load",
        ),
        ("--class_weights 1,2,3 --do_train", "class_weights are 3 numbers; expected 2"),
        ("--do_regression --do_train", "has the label 'bad' in row 0 .* expected a finite number"),
        ("--task_name mnli --test_split_name test --do_predict", "mnli has two splits to evaluate and two to predict"),
        ("--task_name rte --no_do_regression --do_eval", "do_regression is given, but rte determines it"),
    ],
)
def test_data_arguments_that_cannot_work_are_refused(run, tmp_path, monkeypatch, options, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("hf_mmel.cli.run.load_model", None)  # is not reached
    splits = {name: reviews() for name in ("train", "validation", "test", "extra")}
    with pytest.raises(UsageError, match=message):
        run("--dataset_name", saved(tmp_path / "data", **splits), *options.split())


def test_two_columns_are_a_pair_and_joined_by_a_delimiter_one_text(run, write, tokenizer, encoded):
    rows = [{"a": "the film", "b": "a movie", "c": "good", "label": i % 2} for i in range(4)]
    file = write("train.csv", rows)

    def ids(columns, *options, out):
        names = ["--text_column_names", columns] if columns else []
        run("--train_file", file, "--do_train", "--max_steps", 1, *names, *options, out=out)
        return encoded["train"][0]["input_ids"]

    pair = tokenizer("the film", "a movie")["input_ids"]
    assert ids("a,b", out="pair") == ids("a, b", out="spaces") == ids(None, out="guessed") == pair
    assert ids("a,b", "--text_column_delimiter", " ", out="space") == tokenizer("the film a movie")["input_ids"]
    assert ids("c,a,b", out="three") == tokenizer("good the film a movie")["input_ids"]
    assert (
        ids("a,b,c", "--text_column_delimiter", " : ", out="colon")
        == tokenizer("the film : a movie : good")["input_ids"]
    )
    assert ids("b", "--text_column_delimiter", " : ", out="one") == tokenizer("a movie")["input_ids"]


def test_removed_columns_are_not_taken_for_text(run, write, tokenizer, encoded):
    rows = [{"id": "x", "words": "the film", "label": i % 2} for i in range(4)]
    run("--train_file", write("train.csv", rows), "--do_train", "--max_steps", 1, "--remove_columns", "id")
    assert encoded["train"][0]["input_ids"] == tokenizer("the film")["input_ids"]


def test_training_data_is_shuffled_by_its_own_seed_before_samples_are_taken(run, write, encoded):
    rows = [{"text": "film " * (i + 1), "label": i % 2} for i in range(12)]
    file = write("train.csv", rows)

    def lengths(*options, out):
        run("--train_file", file, "--do_train", "--max_steps", 1, "--max_train_samples", 6, *options, out=out)
        return [len(ids) - 2 for ids in encoded["train"]["input_ids"]]

    shuffle = ["--shuffle_train_dataset", "--shuffle_seed"]
    first, again, other = (lengths(*shuffle, seed, out=out) for seed, out in ((1, "a"), (1, "b"), (2, "c")))
    assert lengths(out="d") == [1, 2, 3, 4, 5, 6]
    assert first == again != other and len(set(first)) == 6 and max(first) > 6


def test_errors_name_the_row_of_the_file_in_spite_of_shuffling(run, write):
    rows = [*reviews((0.5, 1.5), num_examples=8), {"text": "a film", "label": None}]
    options = ["--train_file", write("train.json", rows), "--do_train", "--shuffle_train_dataset"]
    with pytest.raises(UsageError, match=r"train.json: column 'label' has no label in row 8"):
        run(*options)


def test_several_processes_tokenise_as_one(run, files, encoded):
    run(*files, "--do_train", "--max_steps", 1)
    expected = encoded["train"][:]
    run(*files, "--do_train", "--max_steps", 1, "--preprocessing_num_workers", 2, "--overwrite_cache", out="two")
    assert encoded["train"][:] == expected


NUMBERED = [{**row, "label": i % 3} for i, row in enumerate(reviews())]


def test_regression_may_be_asked_for_and_refused(run, write, tmp_path):
    train = write("train.json", NUMBERED)
    metrics = run("--train_file", train, "--validation_file", train, *ACTIONS, "--do_regression")
    assert metrics["eval_mse"] == pytest.approx(metrics["eval_loss"], rel=1e-5)
    assert {"eval_pearson", "eval_spearmanr"} <= metrics.keys() and "eval_combined_score" not in metrics
    with pytest.raises(UsageError, match="class_weights are given, but the problem type is 'regression'"):
        run("--train_file", train, "--do_train", "--do_regression", "--class_weights", "1,2", out="weights")
    floats = write("floats.json", [{**row, "label": row["label"] / 2} for row in NUMBERED])
    run("--train_file", floats, "--do_train", "--no_do_regression", out="classes")
    config = AutoModelForSequenceClassification.from_pretrained(tmp_path / "classes").config
    assert config.id2label == {0: "0.0", 1: "0.5", 2: "1.0"}


TOPICS = [
    {"text": "the film was awful .", "label": ["bad"]},
    {"text": "a good film", "label": ["good", "film"]},
    {"text": "the plot is terrible", "label": []},
]


@pytest.mark.parametrize("kind", ["names", "ids", "class labels"])
def test_rows_with_several_labels_are_learnt_and_predicted_as_lists(run, tmp_path, kind):
    names, rows = ["bad", "film", "good"], TOPICS
    if kind != "names":
        rows = [{**row, "label": [names.index(name) for name in row["label"]]} for row in rows]
    element = {"names": Value("string"), "ids": Value("int64"), "class labels": ClassLabel(names=names)}[kind]
    data = Dataset.from_list(rows * 4, features=Features({"text": Value("string"), "label": List(element)}))
    data.to_parquet(tmp_path / "data.parquet")
    files = [f"--{split}_file={tmp_path / 'data.parquet'}" for split in ("train", "validation", "test")]
    metrics = run(
        *files, *ACTIONS, "--do_predict", "--max_steps", 60, "--learning_rate", 1e-2, "--augmenter", "wordnet"
    )
    config = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config
    assert (config.problem_type, config.num_labels) == ("multi_label_classification", 3)
    shown = dict(enumerate(names if kind != "ids" else "012"))
    assert config.id2label == shown and config.label2id == {name: i for i, name in shown.items()}
    written = [json.loads(line) for line in predictions(tmp_path / "out")]
    assert written[:3] == [[shown[0]], [shown[1], shown[2]], []]
    assert metrics["eval_f1"] == 1.0


def test_several_labels_are_scored_by_micro_f1(run, write, model_dir, tmp_path):
    config = BertConfig.from_pretrained(
        model_dir, num_labels=3, problem_type="multi_label_classification", id2label=dict(enumerate("xyz"))
    )
    model = AutoModelForSequenceClassification.from_pretrained(model_dir, config=config)
    model.classifier.bias.data = torch.tensor([9.0, -9.0, 9.0])
    model.save_pretrained(tmp_path / "model")
    options = ["--model_name_or_path", tmp_path / "model", "--tokenizer_name", model_dir]
    labels = [["x"], ["x", "y"], [], ["z"]]
    file = write("val.json", [{"text": "a film", "label": row} for row in labels])
    metrics = run(*options, "--validation_file", file, "--test_file", file, "--do_eval", "--do_predict")
    # All rows are given x and z: 3 right of 8 given and of 4 true ones.
    assert metrics["eval_f1"] == pytest.approx(2 * 3 / (8 + 4))
    assert predictions(tmp_path / "out") == ['["x", "z"]'] * 4


def test_labels_that_training_lacks_are_added_where_rows_have_several(run, write, tmp_path, caplog):
    files = ["--train_file", write("train.json", TOPICS)]
    files += ["--validation_file", write("val.json", [{"text": "a film", "label": ["alien"]}])]
    run(*files, *ACTIONS)
    assert "has labels that training lacks: alien" in caplog.text
    config = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config
    assert list(config.id2label.values()) == ["bad", "film", "good", "alien"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["a"], None, ["b"]], "has no label in row 1"),
        ([["a"], ["b"], ["b", None]], "list with an empty label in row 2"),
        ([[0.0, 1.0], [1.0, 1.0]], "in row 1 .* expected 2 probabilities"),
        ([[["a"]], [["b"]]], "expected a class, a number, a list of the names or ids of classes, or a list of"),
    ],
)
def test_lists_of_labels_that_cannot_work_are_refused(run, write, labels, message):
    file = write("train.json", [{"text": "a film", "label": row} for row in labels])
    with pytest.raises(UsageError, match=rf"train.json: column 'label' .*{message}"):
        run("--train_file", file, "--do_train")


@pytest.mark.parametrize("several", [True, False])
def test_validation_labels_are_of_the_kind_of_training_labels(run, write, several):
    one, many = write("one.json", reviews()), write("many.json", TOPICS)
    files = [many, one] if several else [one, many]
    with pytest.raises(UsageError, match=r"holds .*; expected .*, as in the training data"):
        run("--train_file", files[0], "--validation_file", files[1], *ACTIONS)


# Faults of the scripts that this command takes the place of, by name.


@pytest.mark.parametrize("num_rows", [1, 2])
def test_one_or_two_training_rows_are_enough(run, write, tmp_path, num_rows):
    files = ["--train_file", write("train.csv", reviews(num_examples=2)), "--max_train_samples", num_rows]
    assert run(*files, "--do_train")["train_samples"] == num_rows
    one = write("one.json", [{"text": "the film was good .", "label": 0.5}])
    assert run("--train_file", one, "--do_train", out="one")["train_samples"] == 1


@pytest.mark.parametrize("labels", [None, ["", "", ""], ["?", "?", "?"], ["-1", "good", "unheard"], [-1, -1, -1]])
def test_an_unlabelled_test_file_is_predicted_whatever_its_labels(run, files, write, tmp_path, labels):
    rows = [{"text": row["text"]} for row in reviews(num_examples=3)]
    if labels is not None:
        rows = [{**row, "label": label} for row, label in zip(rows, labels, strict=True)]
    run(*files, "--test_file", write("test.csv", rows), "--do_train", "--do_predict")
    assert set(predictions(tmp_path / "out")) <= {"bad", "good"} and len(predictions(tmp_path / "out")) == 3


def test_no_test_split_is_asked_for_without_prediction(run, mirror, files, tmp_path):
    for file in (tmp_path / "glue" / "rte").glob("test*"):
        file.unlink()
    readme = (tmp_path / "glue" / "README.md").read_text()
    (tmp_path / "glue" / "README.md").write_text(readme.replace("  - path: rte/test-*\n    split: test\n", ""))
    assert "eval_accuracy" in run(*mirror, "--task_name", "rte", *ACTIONS)
    assert "eval_accuracy" in run(*files, "--test_file", files[1], *ACTIONS, out="file")
    assert not list(tmp_path.glob("*/predict_results*"))


def test_samples_to_predict_are_limited_in_both_test_sets_of_mnli(run, mirror, tmp_path):
    run(*mirror, "--task_name", "mnli", "--do_train", "--do_predict", "--max_predict_samples", 5)
    assert len(predictions(tmp_path / "out", "mnli")) == len(predictions(tmp_path / "out", "mnli-mm")) == 5


@pytest.mark.parametrize("labels", [(3, 7), ("bad", "good")])
def test_a_saved_model_names_its_classes_and_has_no_integer_names(run, write, tmp_path, monkeypatch, labels):
    configs, load = [], cli.load_model
    monkeypatch.setattr(
        "hf_mmel.cli.run.load_model", lambda args, config, *rest: configs.append(config) or load(args, config, *rest)
    )
    run("--train_file", write("train.csv", reviews(labels)), "--do_train")
    names = [str(label) for label in labels]
    for config in (configs[0], AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config):
        assert config.label2id == {name: i for i, name in enumerate(names)}
        assert config.id2label == dict(enumerate(names))
