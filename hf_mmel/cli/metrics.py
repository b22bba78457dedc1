"""Scores of the predictions, and the names of scores."""

import math
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from datasets import Dataset
from transformers import EvalPrediction

from .data_arguments import DataArguments
from .errors import UsageError
from .labels import Labels


try:
    import evaluate
    from sklearn import metrics
except ModuleNotFoundError as error:
    raise UsageError(f'The commands need {error.name}, which is not installed: pip install "hf_mmel[glue]"') from error

GLUE_METRIC = Path(__file__).with_name("glue_metric.py")
CLASS_SCORES = {name: getattr(metrics, f"{name}_score") for name in ("accuracy", "f1", "precision", "recall")}
NUMBER_SCORES = {"mse": metrics.mean_squared_error, "mae": metrics.mean_absolute_error}
_TIMES = ("_runtime", "_per_second", "_preparation_time")
_NUM_EXAMPLES = 8

ComputeMetrics: TypeAlias = Callable[[EvalPrediction], dict[str, float]]
Scorer: TypeAlias = Callable[[np.ndarray, np.ndarray], dict[str, Any]]  # of predictions and references


def outputs_of(predictions: Any, labels: Labels) -> np.ndarray:
    """
    Class ids `(B,)`, numbers `(B,)` for regression, or ones and zeros `(B, C)` for multi-label, from logits of shape
    `(B, C)` or a tuple that begins with them.
    """
    logits = predictions[0] if isinstance(predictions, tuple) else predictions
    if labels.names is None:
        return logits.squeeze(-1)
    if labels.is_multi_label:
        return (logits > 0).astype(int)  # a probability above one half
    return logits.argmax(-1)


def build_metrics(data_args: DataArguments, labels: Labels, cache_dir: str | None = None) -> ComputeMetrics:
    """
    The scores of an evaluation: `metric_name`, else the metrics of the GLUE task, else accuracy, micro F1 for
    multi-label, or the mean squared error and the correlations for regression. A metric of one class, such as F1, is
    that of class 1 of the data, whatever its index in the checkpoint.
    """
    score = _scorer(data_args, labels, cache_dir)
    if data_args.metric_name is not None:
        _check_fits(score, data_args.metric_name, labels)
    data_ids = None
    if labels.problem_type == "single_label_classification":
        data_ids = np.array([(labels.data_names or []).index(name) for name in labels.names or ()])

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        outputs, references = outputs_of(prediction.predictions, labels), np.asarray(prediction.label_ids)
        if labels.are_probabilities and references.ndim > 1:
            references = references.argmax(axis=1)  # the likeliest class
        if data_ids is not None:
            outputs, references = data_ids[outputs], data_ids[references]
        return score(outputs, references)

    return compute_metrics


def _check_fits(score: Scorer, name: str, labels: Labels) -> None:
    """Checks that a metric takes labels of this kind, by scoring two predictions."""
    is_regression = labels.names is None
    if name in (CLASS_SCORES if is_regression else NUMBER_SCORES):
        raise ValueError(
            f"metric_name is {name!r}, but the labels are {'numbers' if is_regression else 'classes'}; expected one "
            f"such as {', '.join(NUMBER_SCORES if is_regression else CLASS_SCORES)}."
        )
    examples = np.array([0.0, 1.0]) if is_regression else np.array([0, 1])
    if labels.is_multi_label:
        examples = np.eye(2, labels.num_outputs, dtype=int)
    try:
        score(examples, examples)
    except Exception as error:
        raise ValueError(
            f"metric_name is {name!r}, which does not take labels of the type {labels.problem_type}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _scorer(data_args: DataArguments, labels: Labels, cache_dir: str | None) -> Scorer:
    name, multi_label = data_args.metric_name, labels.is_multi_label
    if name is None and data_args.task_name is not None:
        return _load(str(GLUE_METRIC), data_args.task_name, None)
    if name is None and labels.names is None:
        correlations = _load(str(GLUE_METRIC), "stsb", None, combine=False)
        return lambda outputs, references: {
            "mse": float(metrics.mean_squared_error(references, outputs)),
            **correlations(outputs, references),
        }
    name = name or ("f1" if multi_label else "accuracy")
    score, options = (CLASS_SCORES | NUMBER_SCORES).get(name), {}
    if score is None:
        return _load(name, "multilabel" if multi_label else None, cache_dir)
    if name in ("f1", "precision", "recall"):
        average = "micro" if multi_label else "binary" if labels.num_outputs == 2 else "macro"
        options = {"average": average, "zero_division": 0.0}
    return lambda outputs, references: {name: float(score(references, outputs, **options))}


def _load(name: str, config: str | None, cache_dir: str | None, combine: bool = True) -> Scorer:
    """A metric of `evaluate`. If it has several scores, their mean is added as the combined score."""
    try:
        metric = evaluate.load(name, config, cache_dir=cache_dir, keep_in_memory=True)  # processes share no file
    except Exception as error:  # of the network, of paths, or of the metric's own code
        raise ValueError(
            f"metric_name is {name!r}; expected {', '.join([*CLASS_SCORES, *NUMBER_SCORES])}, or a metric that "
            f"evaluate can load: {type(error).__name__}: {error}"
        ) from error

    def score(outputs: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        scores = metric.compute(predictions=outputs, references=references)
        if combine and len(scores) > 1:
            scores["combined_score"] = float(np.mean(list(scores.values())))
        return scores

    return score


def score_names(compute_metrics: ComputeMetrics, dataset: Dataset, num_outputs: int) -> list[str]:
    """The names of the metrics of an evaluation, found by scoring random predictions."""
    labels = np.array(dataset[:_NUM_EXAMPLES]["label"])
    logits = np.random.default_rng(0).normal(size=(len(labels), num_outputs))
    return ["eval_loss", *_quiet_scores(compute_metrics, logits, labels)]


def _quiet_scores(compute_metrics: ComputeMetrics, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The scores by their names in an evaluation, without warnings of scores that are undefined for such examples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = compute_metrics(EvalPrediction(predictions=logits, label_ids=labels))
    return {f"eval_{name}": value for name, value in scores.items()}


class Guess(NamedTuple):
    """A prediction that is the same for all examples, and its scores by the names of an evaluation."""

    name: str
    scores: dict[str, float]


def majority_guess(compute_metrics: ComputeMetrics, dataset: Dataset, labels: Labels) -> Guess:
    """
    The prediction that a model makes if it has learned nothing: the most frequent class of the dataset, for several
    labels the more frequent answer to each, for regression the mean. It has no scores that are not numbers, and none
    if the metrics cannot be computed for it.
    """
    references = np.array(dataset["label"])
    if labels.names is None:
        name, logits = "the mean of the labels", np.full((len(references), 1), references.mean())
    elif labels.is_multi_label:
        name, logits = "the more frequent answer for each label", np.where(references.mean(axis=0) > 0.5, 1.0, -1.0)
    else:
        classes = references if references.ndim == 1 else references.argmax(axis=1)  # of probabilities, the likeliest
        counts = np.bincount(classes, minlength=labels.num_outputs)
        name, logits = "the majority class", np.eye(labels.num_outputs)[counts.argmax()]
    predictions = np.broadcast_to(logits, (len(references), labels.num_outputs))
    try:
        scores = _quiet_scores(compute_metrics, predictions, references)
    except Exception:  # of a metric's own code
        scores = {}
    return Guess(name, {score: value for score, value in scores.items() if math.isfinite(value)})


def is_time(name: str) -> bool:
    """Whether a metric is one of those that `Trainer` adds about the time of an evaluation."""
    return f"_{name}".endswith(_TIMES)


def scores_among(names: Iterable[str]) -> list[str]:
    """The names of scores among the names of metrics, without those of the second validation set of MNLI."""
    scores = [name for name in names if name.startswith("eval_") and not (is_time(name) or name.endswith("_mm"))]
    return [name for name in scores if name not in ("eval_loss", "eval_samples")]


def listed_scores(names: list[str]) -> str:
    """The names of the scores and of the loss, as options accept them."""
    return ", ".join(name.removeprefix("eval_") for name in [*scores_among(names), "eval_loss"])


def leading_metric(names: Iterable[str], chosen: str | None = None) -> str | None:
    """
    The metric that compares training runs: the chosen one, with or without its `eval_`, else the combined score or the
    first score of the task. `None` if there is no score.
    """
    if chosen is not None:
        return chosen if chosen.startswith("eval_") else f"eval_{chosen}"
    scores = scores_among(names)
    return "eval_combined_score" if "eval_combined_score" in scores else next(iter(scores), None)


def less_is_better(metric: str, greater_is_better: bool | None = None) -> bool:
    """Whether a metric is an error or a loss; for other metrics `greater_is_better` decides."""
    return greater_is_better is False or metric.removeprefix("eval_").removesuffix("_mm") in ("loss", *NUMBER_SCORES)
