"""The scores of a model: on the data as they are, and on perturbed ones, at their mean and at their worst."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from hf_mmel.report.predictions import outputs_of
from hf_mmel.report.statistics import calibration


def clean_scores(logits: np.ndarray, labels: np.ndarray, problem_type: str) -> dict[str, float]:
    """
    Accuracy and calibration error of a classifier, or the mean squared error of regression.

    Args:
        logits (`np.ndarray` of shape `(N, C)`): Of the examples.
        labels (`np.ndarray` of shape `(N,)`): Class ids, or numbers.
    """
    outputs = outputs_of(torch.from_numpy(logits), problem_type)
    if problem_type == "regression":
        return {"mse": float(np.mean((outputs - labels) ** 2))}
    right = outputs.argmax(axis=1) == labels
    return {"accuracy": float(right.mean()), "ece": calibration(outputs, labels).ece}


def robustness(
    logits: np.ndarray, perturbed: Mapping[str, np.ndarray], labels: np.ndarray, problem_type: str
) -> dict[str, float]:
    """
    For each perturbation, by its name, the mean over V perturbed forms of each example, and the worst case over these
    and the example itself: accuracies, or mean squared errors. For regression also how far predictions move.

    Args:
        logits (`np.ndarray` of shape `(N, C)`): Of the examples.
        perturbed (`Mapping[str, np.ndarray]`): Of perturbed forms of the first M of them, `(M, V, C)`.
        labels (`np.ndarray` of shape `(N,)`): Class ids, or numbers.
    """
    found = {}
    for name, of_forms in perturbed.items():
        forms = np.concatenate([logits[: len(of_forms), None], of_forms], axis=1)
        truth = labels[: len(of_forms), None]
        if problem_type == "regression":
            errors = (forms[..., 0] - truth) ** 2
            found[f"{name}_mean_mse"] = float(errors[:, 1:].mean())
            found[f"{name}_worst_mse"] = float(errors.max(axis=1).mean())
            found[f"{name}_mean_change"] = float(np.abs(forms[:, 1:, 0] - forms[:, :1, 0]).mean())
        else:
            right = forms.argmax(axis=2) == truth
            found[f"{name}_mean_accuracy"] = float(right[:, 1:].mean())
            found[f"{name}_worst_accuracy"] = float(right.all(axis=1).mean())
    return found
