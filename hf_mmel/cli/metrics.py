"""Scores and predictions of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
from datasets import Dataset
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    recall_score,
)
from transformers import EvalPrediction, Trainer

from augment.core.atomic_file import atomic_write

from .args import DataArguments
from .labels import Labels


GLUE_METRICS = Path(__file__).parents[1] / "metrics" / "glue.py"
OF_CLASSES = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
OF_NUMBERS = {"mse": mean_squared_error, "mae": mean_absolute_error}


def outputs_of(predictions: np.ndarray | tuple, labels: Labels) -> np.ndarray:
    """
    Class ids `(B,)`, numbers `(B,)` for regression, or ones and zeros `(B, C)` of several labels, from logits of shape
    `(B, C)`.
    """
    logits = predictions[0] if isinstance(predictions, tuple) else predictions
    if labels.problem_type == "regression":
        return logits.squeeze(-1)
    if labels.problem_type == "multi_label_classification":
        return (logits > 0).astype(int)  # a probability above one half
    return logits.argmax(-1)


def build_metrics(
    data_args: DataArguments, labels: Labels, cache_dir: str | None = None
) -> Callable[[EvalPrediction], dict[str, float]]:
    """
    The scores of an evaluation: `metric_name`, else the metrics of the GLUE task, else accuracy, the micro F1 of
    several labels, or the mean squared error and the correlations of regression.

    Where a metric counts one class alone, that is the data's class 1, wherever the checkpoint keeps it.

    Raises:
        `ValueError`: if there is no such metric.
    """
    score = _scorer(data_args, labels, cache_dir)
    _check_fits(score, data_args.metric_name, labels)
    single = labels.problem_type == "single_label_classification"
    data_ids = np.array([labels.data_names.index(name) for name in labels.names]) if single else None

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        outputs, references = outputs_of(prediction.predictions, labels), prediction.label_ids
        if single:
            outputs, references = data_ids[outputs], data_ids[references]
        return score(outputs, references)

    return compute_metrics


def _check_fits(score: Callable, name: str | None, labels: Labels) -> None:
    """Refuses a metric that does not take such labels, of which it is shown two that are all right."""
    of_numbers = labels.problem_type == "regression"
    if (name in OF_NUMBERS and not of_numbers) or (name in ("accuracy", *OF_CLASSES) and of_numbers):
        fitting = OF_NUMBERS if of_numbers else ("accuracy", *OF_CLASSES)
        raise ValueError(
            f"metric_name is {name!r}, but the labels are {'numbers' if of_numbers else 'classes'}; expected one such "
            f"as {', '.join(fitting)}."
        )
    if name is None:
        return
    examples = np.array([0.0, 1.0]) if of_numbers else np.array([0, 1])
    if labels.problem_type == "multi_label_classification":
        examples = np.eye(2, labels.num_outputs, dtype=int)
    try:
        score(examples, examples)
    except Exception as error:
        raise ValueError(
            f"metric_name is {name!r}, which does not take labels of the type {labels.problem_type}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _scorer(
    data_args: DataArguments, labels: Labels, cache_dir: str | None
) -> Callable[[np.ndarray, np.ndarray], dict[str, Any]]:
    """The function from predictions and references to scores by name."""
    name, several = data_args.metric_name, labels.problem_type == "multi_label_classification"
    if name is None and data_args.task_name is not None:
        return _loaded(str(GLUE_METRICS), data_args.task_name, None)
    if name is None and labels.problem_type == "regression":
        correlations = _loaded(str(GLUE_METRICS), "stsb", None, combine=False)
        return lambda outputs, references: {
            "mse": float(mean_squared_error(references, outputs)),
            **correlations(outputs, references),
        }
    name = name or ("f1" if several else "accuracy")
    if name == "accuracy":
        return lambda outputs, references: {name: float(accuracy_score(references, outputs))}
    if name in OF_NUMBERS:
        return lambda outputs, references: {name: float(OF_NUMBERS[name](references, outputs))}
    if name in OF_CLASSES:
        average = "micro" if several else "binary" if labels.num_outputs == 2 else "macro"
        return lambda outputs, references: {
            name: float(OF_CLASSES[name](references, outputs, average=average, zero_division=0.0))
        }
    return _loaded(name, "multilabel" if several else None, cache_dir)


def _loaded(
    name: str, config: str | None, cache_dir: str | None, combine: bool = True
) -> Callable[[np.ndarray, np.ndarray], dict[str, Any]]:
    """A metric of `evaluate`; where it has several scores, their mean is the combined score."""
    try:
        metric = evaluate.load(name, config, cache_dir=cache_dir, keep_in_memory=True)  # processes share no file
    except Exception as error:  # of the network, of paths, or of the metric's own code
        raise ValueError(
            f"metric_name is {name!r}; expected accuracy, {', '.join([*OF_CLASSES, *OF_NUMBERS])}, or a metric that "
            f"evaluate can load: {type(error).__name__}: {error}"
        ) from error

    def score(outputs: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        scores = metric.compute(predictions=outputs, references=references)
        if combine and len(scores) > 1:
            scores["combined_score"] = float(np.mean(list(scores.values())))
        return scores

    return score


def predict_in_order(trainer: Trainer, dataset: Dataset) -> np.ndarray | tuple:
    """
    What a model predicts on each example, in the order of the data. Under "group_by_length" `Trainer` puts examples of
    like length together, in evaluation and prediction as well, and gives predictions in that order.
    """
    strategy, trainer.args.train_sampling_strategy = trainer.args.train_sampling_strategy, "sequential"
    try:
        return trainer.predict(dataset, metric_key_prefix="predict").predictions
    finally:
        trainer.args.train_sampling_strategy = strategy


def write_predictions(file: Path, outputs: np.ndarray, labels: Labels) -> None:
    """
    Writes one line per example: its index and its class, its number, or the list of its classes in JSON.
    """

    def shown(output: np.ndarray) -> str:
        if labels.problem_type == "regression":
            return f"{output:.3f}"
        if labels.problem_type == "multi_label_classification":
            return json.dumps([labels.names[i] for i in np.flatnonzero(output)], ensure_ascii=False)
        return labels.names[output]

    lines = [f"{i}\t{shown(output)}" for i, output in enumerate(outputs)]
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as lines_of_file:
        lines_of_file.write(("\n".join(["index\tprediction", *lines]) + "\n").encode())
