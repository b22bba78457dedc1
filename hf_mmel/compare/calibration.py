"""How good the probabilities of a classifier are, and temperature scaling, which makes them better."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from ..report.statistics import calibration


NUM_PARTS = 5
_LARGEST = 100.0  # temperature; the smallest is its inverse


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean cross entropy in nats, from `logits` `(N, C)` and class ids `(N,)`."""
    return float(-log_softmax(logits.astype(float), axis=1)[np.arange(len(labels)), labels].mean())


def calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """The expected calibration error in 15 bins, as a report shows it, from `logits` `(N, C)` and class ids `(N,)`."""
    return calibration(np.exp(log_softmax(logits.astype(float), axis=1)), labels).ece


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """
    The temperature T in [0.01, 100] with the smallest log loss of softmax(logits / T). The limits are for predictions
    that are all right, or no better than chance.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, arXiv 1706.04599, section 4.2.
    """
    end = np.log(_LARGEST)

    def loss(log_t: float) -> float:
        return log_loss(logits / np.exp(log_t), labels)

    best = minimize_scalar(loss, bounds=(-end, end), method="bounded")
    return float(np.exp(best.x))


def scale_temperature(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Logits `(N, C)` of temperature scaling, and the temperature of each example, `(N,)`. The examples are divided at
    random into five parts, always the same ones; the temperature of a part is fitted to the other four, so that no
    example is scaled by its own label.
    """
    part = np.random.default_rng(0).permutation(len(labels)) % NUM_PARTS
    temperatures = np.ones(len(labels))
    for number in np.unique(part):
        others = part != number
        if others.any():
            temperatures[~others] = fit_temperature(logits[others], labels[others])
    return logits / temperatures[:, None], temperatures
