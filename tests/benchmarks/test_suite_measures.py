"""What the GLUE suite measures: on which data, with which typos, by which scores, and of which commit."""

import re
import subprocess
from functools import partial
from statistics import fmean

import numpy as np
import pytest
import torch
from conftest import SENTENCES, make_model
from datasets import Dataset
from transformers import Trainer

from benchmarks.suite import train
from benchmarks.suite.data import NUM_FORMS, hold_out, mistyped
from benchmarks.suite.scores import clean_scores, robustness
from benchmarks.suite.train import predict


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


TEXT = "An odd picture: boring, slow and dull; the Worst acting I ever saw"


def test_what_is_held_out_is_not_trained_on():
    train, held_out = hold_out(Dataset.from_dict({"i": range(100)}))
    assert sorted([*train["i"], *held_out["i"]]) == list(range(100)) and len(held_out) == 25
    assert hold_out(Dataset.from_dict({"i": range(100)}))[1]["i"][:] == held_out["i"][:]


def test_typos_are_the_same_every_time_and_leave_short_words_alone(tokenizer):
    texts = Dataset.from_dict({"a": [TEXT, "a 1234 is it"], "b": ["the plot", TEXT], "label": [0, 1]})
    first, *others = forms = mistyped(texts, ["a", "b"], tokenizer)
    assert [form.to_dict() for form in forms] == [form.to_dict() for form in mistyped(texts, ["a", "b"], tokenizer)]
    assert len(forms) == NUM_FORMS and all(
        form["a"][1] == "a 1234 is it" and form["b"][0] != "the plot" for form in forms
    )
    for form in [first["a"][0], *(other["b"][1] for other in others)]:
        assert form != TEXT
        before, after = (re.findall(r"\W+|\w+", text) for text in (TEXT, form))
        assert len(before) == len(after)
        assert all(a == b for a, b in zip(before, after, strict=True) if len(a) < 4 or not a.isalpha())


@pytest.mark.parametrize("kind", ["single_label_classification", "regression"])
def test_worst_is_below_mean_and_a_constant_model_is_as_good_on_perturbed_data(kind):
    random = np.random.default_rng(0)
    outputs = 1 if kind == "regression" else 2
    labels = random.integers(2, size=40)
    logits, forms = random.normal(size=(40, outputs)), random.normal(size=(40, 2, outputs))
    found, clean = robustness(logits, {"typo": forms}, labels, kind), clean_scores(logits, labels, kind)
    if kind == "regression":
        assert found["typo_worst_mse"] > max(found["typo_mean_mse"], clean["mse"]) and found["typo_mean_change"] > 0
    else:
        assert found["typo_worst_accuracy"] < min(found["typo_mean_accuracy"], clean["accuracy"])
        assert found["typo_worst_accuracy"] == fmean(
            all(row.argmax() == label for row in (one, *of))
            for one, of, label in zip(logits, forms, labels, strict=True)
        )
    logits[:], forms[:] = logits[0], logits[0]
    found, clean = robustness(logits, {"typo": forms}, labels, kind), clean_scores(logits, labels, kind)
    name = "mse" if kind == "regression" else "accuracy"
    assert found[f"typo_mean_{name}"] == pytest.approx(found[f"typo_worst_{name}"]) == pytest.approx(clean[name])


def test_the_commit_of_the_code_is_named_and_nothing_without_git(tmp_path, monkeypatch):
    train.commit.cache_clear()
    monkeypatch.setattr(train, "__file__", str(tmp_path / "train.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert train.commit() is None
    run = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True, text=True)
    run(["git", "init", "-q"])
    run(["git", "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-m", "one"])
    (tmp_path / "file").touch()
    run(["git", "add", "file"])
    train.commit.cache_clear()
    assert train.commit() == run(["git", "rev-parse", "--short", "HEAD"]).stdout.strip() + "-dirty"
    monkeypatch.setenv("PATH", str(tmp_path))
    train.commit.cache_clear()
    assert train.commit() is None
    train.commit.cache_clear()


def test_predictions_are_in_the_order_of_the_data(tokenizer, arguments):
    model = make_model(tokenizer, num_labels=2, initializer_range=0.3)
    args = arguments(train_sampling_strategy="group_by_length", per_device_eval_batch_size=2)
    sets = [Dataset.from_list([dict(tokenizer(text)) for text in texts]) for texts in (SENTENCES, SENTENCES[::-1])]
    one, other = predict(Trainer(model, args, processing_class=tokenizer), sets)
    model.eval()
    for i, text in enumerate(SENTENCES):
        with torch.no_grad():
            expected = model(**tokenizer(text, return_tensors="pt")).logits[0].numpy()
        assert one[i] == pytest.approx(expected, abs=1e-5)
        assert other[len(SENTENCES) - 1 - i] == pytest.approx(expected, abs=1e-5)
