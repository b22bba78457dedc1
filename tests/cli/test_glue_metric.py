"""The GLUE metric module against scikit-learn and SciPy called directly."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import evaluate
import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef


GLUE = str(Path(__file__).parents[2] / "hf_mmel" / "cli" / "glue_metric.py")
ACCURACY_TASKS = ["mnli", "mnli_matched", "mnli_mismatched", "qnli", "rte", "sst2", "wnli"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    opened = AssertionError("the metric module opened a network connection")
    monkeypatch.setattr("socket.socket.connect", Mock(side_effect=opened))


def score(task, predictions, references):
    return evaluate.load(GLUE, task, keep_in_memory=True).compute(predictions=predictions, references=references)


def random_classes(num_classes, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(num_classes, size=50), generator.integers(num_classes, size=50)


@pytest.mark.parametrize("task", ACCURACY_TASKS)
def test_accuracy_tasks_match_scikit_learn(task):
    predictions, references = random_classes(3 if task.startswith("mnli") else 2)
    assert score(task, predictions, references) == {"accuracy": accuracy_score(references, predictions)}


@pytest.mark.parametrize("task", ["mrpc", "qqp"])
def test_paraphrase_tasks_match_scikit_learn(task):
    predictions, references = random_classes(2)
    result = score(task, predictions, references)
    assert result == {"accuracy": accuracy_score(references, predictions), "f1": f1_score(references, predictions)}
    assert result["f1"] != f1_score(references, predictions, pos_label=0)


def test_cola_matches_scikit_learn():
    predictions, references = random_classes(2)
    expected = matthews_corrcoef(references, predictions)
    assert expected != 0
    assert score("cola", predictions, references) == {"matthews_correlation": pytest.approx(expected)}


def test_stsb_matches_scipy():
    generator = np.random.default_rng(0)
    references = generator.uniform(0, 5, size=50).astype(np.float32)
    predictions = (np.exp(references) + generator.normal(size=50)).astype(np.float32)
    result = score("stsb", predictions, references)
    assert result["pearson"] == pytest.approx(pearsonr(predictions, references).statistic, abs=1e-6)
    assert result["spearmanr"] == pytest.approx(spearmanr(predictions, references).statistic, abs=1e-6)
    assert abs(result["pearson"] - result["spearmanr"]) > 0.01


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("constant", ["predictions", "references"])
def test_stsb_with_a_constant_column_scores_zero(constant):
    columns = {"predictions": [0.0, 1.0, 2.0], "references": [3.0, 1.0, 2.0], constant: [2.5, 2.5, 2.5]}
    assert score("stsb", **columns) == {"pearson": 0.0, "spearmanr": 0.0}


def test_stsb_of_one_example_scores_zero():
    assert score("stsb", [1.5], [2.5]) == {"pearson": 0.0, "spearmanr": 0.0}


def test_stsb_keeps_not_a_number_visible():
    assert np.isnan(score("stsb", [0.0, float("nan"), 2.0], [0.0, 1.0, 2.0])["pearson"])


@pytest.mark.filterwarnings("error")
def test_never_predicting_the_positive_class_scores_zero():
    assert score("mrpc", [0, 0, 0], [0, 1, 1])["f1"] == 0.0
    assert score("cola", [0, 0, 0], [0, 1, 1])["matthews_correlation"] == 0.0


def test_scores_are_plain_floats():
    for task in ["rte", "mrpc", "cola", "stsb"]:
        result = score(task, [0, 1, 1, 0], [0, 1, 0, 1])
        assert {type(value) for value in result.values()} == {float}


@pytest.mark.parametrize("task", [None, "glue", "RTE"])
def test_unknown_task_is_refused_with_the_list_of_tasks(task):
    with pytest.raises(ValueError, match=r"Unknown GLUE task .*cola, mnli, .*wnli"):
        evaluate.load(GLUE, task)


@pytest.mark.integration
def test_processes_sharing_a_cache_do_not_disturb_each_other(tmp_path):
    program = (
        "import evaluate, sys\n"
        "for _ in range(20):\n"
        "    metric = evaluate.load(sys.argv[1], 'rte', keep_in_memory=True)\n"
        "    assert metric.compute(predictions=[0, 1], references=[0, 0]) == {'accuracy': 0.5}\n"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    environment = {key: value for key, value in environment.items() if key not in ("HF_MODULES_CACHE",)}
    runs = [subprocess.Popen([sys.executable, "-c", program, GLUE], env=environment) for _ in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
