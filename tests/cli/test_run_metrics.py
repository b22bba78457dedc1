"""The scores that a model is given, and those of a model that has learned nothing."""

import numpy as np
import pytest
from datasets import Dataset
from transformers import EvalPrediction

from hf_mmel.cli.data_arguments import DataArguments
from hf_mmel.cli.labels import REGRESSION, Labels
from hf_mmel.cli.metrics import build_metrics, majority_guess


def guess_of(labels, problem_type, num_outputs, metric_name=None):
    names = None if problem_type == "regression" else [str(i) for i in range(num_outputs)]
    kind = Labels(problem_type, names, names)
    metrics = build_metrics(DataArguments(dataset_name="data", metric_name=metric_name), kind)
    return majority_guess(metrics, Dataset.from_dict({"label": labels}), kind)


@pytest.mark.parametrize(
    ("labels", "metric_name", "score"),
    [([0, 1, 1, 2], "accuracy", 0.5), ([0, 0, 1], "f1", 0.0), ([0, 1, 1], "f1", 0.8), ([2], "accuracy", 1.0)],
)
def test_the_guess_of_classes_is_the_most_frequent_one(labels, metric_name, score):
    guess = guess_of(labels, "single_label_classification", max(labels) + 1, metric_name)
    assert guess == ("the majority class", {f"eval_{metric_name}": pytest.approx(score)})


def test_the_guess_of_numbers_is_their_mean():
    guess = guess_of([1.0, 2.0, 3.0], "regression", 1)
    assert guess.name == "the mean of the labels"
    assert guess.scores["eval_mse"] == pytest.approx(2 / 3) and guess.scores["eval_pearson"] == 0


def test_the_guess_of_several_labels_is_the_more_frequent_answer_to_each():
    labels = [[1, 0, 1], [1, 0, 0], [1, 1, 0]]
    guess = guess_of(labels, "multi_label_classification", 3)
    assert guess.name == "the more frequent answer for each label"
    assert guess.scores == {"eval_f1": pytest.approx(2 * 3 / (2 * 3 + 0 + 2))}


def test_scores_that_a_guess_does_not_have_are_left_out():
    kind = Labels("single_label_classification", ["a", "b"], ["a", "b"])
    data = Dataset.from_dict({"label": [0, 1, 1]})
    assert majority_guess(lambda _: {"x": np.nan, "y": 1.0}, data, kind).scores == {"eval_y": 1.0}
    assert majority_guess(lambda _: 1 / 0, data, kind).scores == {}


def test_the_guess_of_probabilities_is_the_class_that_is_most_often_the_likeliest():
    kind = Labels("single_label_classification", ["a", "b"], ["a", "b"])
    data = Dataset.from_dict({"label": [[0.4, 0.6], [0.3, 0.7], [1.0, 0.0]]})
    guess = majority_guess(lambda prediction: {"class": prediction.predictions[0].argmax()}, data, kind)
    assert guess == ("the majority class", {"eval_class": 1})


CLASSES = Labels("single_label_classification", ["b", "a"], ["a", "b"])  # the checkpoint's order is not the data's


MORE = Labels("single_label_classification", ["a", "b", "c"], ["a", "b", "c"])


@pytest.mark.parametrize(
    ("name", "labels", "outputs", "references", "expected"),
    [
        ("accuracy", CLASSES, [0, 0, 1, 0], [0, 1, 1, 1], {"accuracy": 2 / 4}),
        ("precision", CLASSES, [0, 0, 1, 0], [0, 1, 1, 1], {"precision": 1 / 3}),  # of b, the data's class 1
        ("recall", CLASSES, [0, 0, 1, 0], [0, 1, 1, 1], {"recall": 1 / 1}),
        ("f1", CLASSES, [0, 0, 1, 0], [0, 1, 1, 1], {"f1": 2 * 1 / (3 + 1)}),
        ("f1", MORE, [0, 0, 1, 2], [0, 1, 1, 1], {"f1": (2 / 3 + 2 / 4 + 0) / 3}),  # the mean over the classes
        ("mse", REGRESSION, [1.0, 2.0], [3.0, 2.0], {"mse": 4 / 2}),
        ("mae", REGRESSION, [1.0, 2.0], [3.0, 2.0], {"mae": 2 / 2}),
    ],
)
def test_scores_go_by_name(name, labels, outputs, references, expected):
    compute = build_metrics(DataArguments(dataset_name="data", metric_name=name), labels)
    logits = np.eye(labels.num_outputs)[outputs] if labels.names else np.array(outputs)[:, None]
    assert compute(EvalPrediction(logits, np.array(references))) == pytest.approx(expected)


def test_a_metric_may_be_a_module_of_ones_own(run, files, tmp_path):
    (tmp_path / "halves.py").write_text(
        "import datasets\n"
        "import evaluate\n"
        "class Halves(evaluate.Metric):\n"
        "    def _info(self):\n"
        "        value = datasets.Value('int64')\n"
        "        features = datasets.Features({'predictions': value, 'references': value})\n"
        "        return evaluate.MetricInfo(description='', citation='', features=features)\n"
        "    def _compute(self, predictions, references):\n"
        "        return {'half': 0.5, 'one': 1.0}\n"
    )
    metrics = run(*files, "--do_train", "--do_eval", "--metric_name", tmp_path / "halves.py")
    assert (metrics["eval_half"], metrics["eval_one"], metrics["eval_combined_score"]) == (0.5, 1.0, 0.75)
