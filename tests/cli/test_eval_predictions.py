"""Predictions on the evaluated examples, kept for tests over examples."""

import numpy as np
import pytest
import torch
from conftest import results, reviews
from transformers import AutoModelForSequenceClassification, AutoTokenizer


pytestmark = pytest.mark.integration  # the command trains


def read(folder, suffix=""):
    with np.load(folder / f"eval_predictions{suffix}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_they_are_in_the_order_of_the_data_and_give_the_accuracy(run, write, tmp_path):
    rows = [{**row, "text": row["text"] + " very" * (7 * i % 5)} for i, row in enumerate(reviews())]
    files = ["--train_file", write("train.csv", rows), "--validation_file", write("val.csv", rows)]
    run(*files, "--do_train", "--do_eval", "--save_eval_predictions", "--train_sampling_strategy", "group_by_length")
    found = read(tmp_path / "out")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        logits = model(**tokenizer([row["text"] for row in rows], return_tensors="pt", padding=True)).logits
    assert found["id"].tolist() == list(range(16)) and found["logits"] == pytest.approx(logits.numpy(), abs=1e-5)
    assert found["label"].tolist() == [model.config.label2id[row["label"]] for row in rows]
    accuracy = (found["logits"].argmax(axis=1) == found["label"]).mean()
    assert results(tmp_path, "eval")["eval_accuracy"] == pytest.approx(accuracy)


def test_both_validation_sets_of_mnli_have_theirs(run, mirror, tmp_path):
    run(*mirror, "--task_name", "mnli", "--do_eval", "--save_eval_predictions")
    for suffix in ("", "_mm"):
        assert len(read(tmp_path / "out", suffix)["id"]) == results(tmp_path, "eval")[f"eval_samples{suffix}"]


def test_they_are_written_only_if_asked_for_and_on_resuming(run, files, tmp_path):
    run(*files, "--do_train", "--do_eval", "--save_strategy", "steps", "--save_steps", 1)
    assert not (tmp_path / "out" / "eval_predictions.npz").exists()
    run(*files, "--do_train", "--do_eval", "--save_strategy", "steps", "--save_steps", 1, "--save_eval_predictions")
    assert len(read(tmp_path / "out")["id"]) == 16


def test_without_outputs_there_is_no_file(run, files, tmp_path):
    run(*files, "--do_eval", "--save_eval_predictions", "--prediction_loss_only")
    assert not (tmp_path / "out" / "eval_predictions.npz").exists()
