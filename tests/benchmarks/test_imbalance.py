"""The benchmark of rare classes: its slices, its scores, and that it runs nothing twice."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SENTENCES, make_model
from transformers import DataCollatorWithPadding

from benchmarks import imbalance
from hf_mmel import AdversarialVariants


class Stub(imbalance.Task):
    """Two classes of the tests' sentences, of which the first is rare."""

    rare, num_common, num_test, step_size = (0,), 20, 5, 0.5

    def __init__(self, args, tokenizer=None):
        self.options = {"max_steps": 2}
        self.processing_class, self.collator = tokenizer, tokenizer and DataCollatorWithPadding(tokenizer)

    def rows(self, seed):
        labels = [i % 2 for i in range(100)]
        chosen = self.chosen(labels, seed)
        return [{**self.processing_class(SENTENCES[i % 9]), "label": labels[i]} for i in chosen]

    def model(self):
        return make_model(self.processing_class)


def test_training_slices_are_one_to_ten_and_the_test_set_is_balanced(tokenizer):
    task = Stub(None, tokenizer)
    labels = [i % 2 for i in range(100)]
    for seed, counts in ((1, [2, 20]), (2, [2, 20]), (None, [5, 5])):
        chosen = task.chosen(labels, seed)
        assert len(set(chosen)) == len(chosen)
        assert np.bincount([labels[i] for i in chosen]).tolist() == counts
    assert task.chosen(labels, 1) == task.chosen(labels, 1) != task.chosen(labels, 2)


@pytest.mark.parametrize("method", imbalance.METHODS)
def test_each_method_trains_and_is_scored(tokenizer, tmp_path, method):
    result = imbalance.run(Stub(None, tokenizer), method, 1, tmp_path)
    assert set(result) == {*imbalance.SCORES, "seconds"}
    assert all(0 <= result[name] <= 1 for name in imbalance.SCORES)


def test_recalls_are_those_of_the_predictions(monkeypatch, tokenizer):
    """Clean inputs are all taken for the common class, attacked ones for the rare one."""

    def predicted(model, batch, attack, args):
        return torch.tensor([[1, 0]] * len(batch["labels"]))

    monkeypatch.setattr(imbalance, "predicted", predicted)
    found = imbalance.scores(None, Stub(None, tokenizer), SimpleNamespace(device="cpu"), seed=1)
    assert found == dict(zip(imbalance.SCORES, (0.0, 0.5, 1.0, 0.5), strict=True))


def test_the_attack_changes_predictions_and_leaves_clean_ones_alone(tokenizer, arguments):
    model, task = make_model(tokenizer, initializer_range=0.3).eval(), Stub(None, tokenizer)
    batch = task.collator(task.rows(None))
    clean, attacked = imbalance.predicted(model, batch, AdversarialVariants(3, 20.0), arguments()).T
    assert clean.equal(model(**batch).logits.argmax(dim=-1)) and not clean.equal(attacked)


def test_what_was_run_is_not_run_again(tmp_path, monkeypatch, capsys):
    runs = []

    def run(task, method, seed, work_dir):
        runs.append((method, seed))
        return dict.fromkeys(imbalance.SCORES, seed / 10) | {"seconds": 1.0}

    monkeypatch.setattr(imbalance, "run", run)
    monkeypatch.setitem(imbalance.TASKS, "sst2", Stub)
    options = ["--tasks", "sst2", "--methods", "none", "effective", "--work_dir", str(tmp_path)]
    assert imbalance.main([*options, "--num_seeds", "1"]) == 0 and imbalance.main([*options, "--num_seeds", "2"]) == 0
    assert runs == [("none", 1), ("effective", 1), ("none", 2), ("effective", 2)]
    assert "| sst2 | effective | 15.0 ± 7.1 |" in capsys.readouterr().out
    assert len([json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]) == 4
