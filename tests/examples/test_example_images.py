"""The examples on images and on rare classes, on a few rows."""

import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image
from transformers import EvalPrediction


sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import class_imbalance
import image_classification
from _tiny import METHODS


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


@pytest.fixture
def cifar(tmp_path):
    """A folder laid out as CIFAR-10 is on the Hub, with sixteen images of two classes."""
    random = np.random.default_rng(0)
    features = Features({"img": Image(), "label": ClassLabel(names=["dark", "light"])})
    for split in ("train", "test"):
        pixels = [random.integers(0, 256, (32, 32, 3)) // 2 + 120 * (i % 2) for i in range(16)]
        rows = {"img": [image.astype(np.uint8) for image in pixels], "label": [i % 2 for i in range(16)]}
        Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "cifar" / f"{split}-00000-of-00001.parquet")
    return str(tmp_path / "cifar")


@pytest.mark.parametrize("model", ["resnet", "convnext"])
def test_the_image_example_compares_all_methods(model, cifar, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--data", cifar, "--model", model, "--epochs", "1", "--adversarial", "0.1"]
    results = image_classification.main(options)
    assert list(results) == list(METHODS) and "16 images, 1 epochs" in capsys.readouterr().out
    for runs in results.values():
        assert runs[0]["worst case"] <= min(runs[0]["of variants"], runs[0]["accuracy"]) <= 1


def test_the_worst_case_is_over_the_image_and_its_variants(cifar):
    rows = image_classification.read(cifar, "test", 4)
    assert len(rows) == 4 and rows[0]["pixel_values"].shape == (3, 32, 32)
    assert [row["labels"] for row in rows] == [0, 1, 0, 1]
    assert abs(float(rows[0]["pixel_values"].mean())) < 2  # normalised


def test_a_slice_has_one_rare_example_in_eleven():
    data = Dataset.from_dict({"label": [0, 1] * 100, "i": range(200)})
    drawn = class_imbalance.imbalanced_slice(data, 50, seed=1)
    assert sorted(drawn["label"]) == [0] * 5 + [1] * 50 and len(set(drawn["i"])) == 55
    assert drawn["i"][:] == class_imbalance.imbalanced_slice(data, 50, seed=1)["i"][:]
    assert drawn["i"][:] != class_imbalance.imbalanced_slice(data, 50, seed=2)["i"][:]


def test_recalls_are_of_the_classes():
    logits = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    found = class_imbalance.recall_scores(EvalPrediction(logits, np.array([0, 0, 1, 1])))
    assert found == {"recall of the rare class": 0.5, "balanced accuracy": 0.75}


def test_the_example_of_rare_classes_compares_all_methods(mirror, model_dir, synonyms, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "cache"))
    options = ["--model", model_dir, "--data", mirror[1], "--seeds", 1, "--num_majority", 4, "--epochs", 1]
    results = class_imbalance.main([str(option) for option in options])
    assert list(results) == list(class_imbalance.METHODS)
    assert "| soft, balanced |" in capsys.readouterr().out
