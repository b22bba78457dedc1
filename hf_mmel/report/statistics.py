"""What predictions say of a model: its calibration, its confusions, and variants that it takes for something else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


NUM_BINS = 15  # as Guo et al. have them


class Reliability(NamedTuple):
    """
    How often predictions of like confidence are right.

    Attributes:
        edges (`np.ndarray` of shape `(M + 1,)`): Of the bins, from 0 to 1.
        counts (`np.ndarray` of shape `(M,)`): Predictions in each bin.
        confidence, accuracy (`np.ndarray` of shape `(M,)`): Their means, NaN in a bin without predictions.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self) -> float:
        """
        The expected calibration error: the mean over predictions of the distance between accuracy and confidence of
        their bin.

        Source: Guo et al., ICML 2017, arXiv 1706.04599, equation 3.
        """
        used = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[used]
        return float((gaps * self.counts[used]).sum() / self.counts.sum())


def reliability(confidences: np.ndarray, correct: np.ndarray, num_bins: int = NUM_BINS) -> Reliability:
    """
    Puts predictions into bins of equal width by their confidence. An edge belongs to the bin below it.

    Args:
        confidences (`np.ndarray` of shape `(N,)`): Probabilities of what was predicted, in [0, 1].
        correct (`np.ndarray` of shape `(N,)`): Whether it was right.
        num_bins (`int`, *optional*, defaults to 15): M.

    Raises:
        `ValueError`: if there are no predictions, or a confidence is no probability.
    """
    confidences, correct = np.asarray(confidences, dtype=float), np.asarray(correct, dtype=float)
    if not confidences.size or not ((confidences >= 0) & (confidences <= 1)).all():
        raise ValueError(
            f"Received {confidences.size} confidences, of which {confidences.size and confidences.min()} is the least "
            f"and {confidences.size and confidences.max()} the largest; expected probabilities, one at least."
        )
    edges = np.linspace(0, 1, num_bins + 1)
    bins = np.searchsorted(edges[1:-1], confidences, side="left")
    counts = np.bincount(bins, minlength=num_bins)
    divisor = np.where(counts > 0, counts, np.nan)
    sums = (np.bincount(bins, values, minlength=num_bins) for values in (confidences, correct))
    return Reliability(edges, counts, *(total / divisor for total in sums))


def calibration(probabilities: np.ndarray, labels: np.ndarray) -> Reliability:
    """
    The reliability of a classifier: of the class that it predicts, or where an example has several labels, of the
    probability of each label.

    Args:
        probabilities (`np.ndarray` of shape `(N, C)`): Of the classes.
        labels (`np.ndarray` of shape `(N,)` or `(N, C)`): Class ids, or ones and zeros.
    """
    if labels.ndim == 2:
        return reliability(probabilities.ravel(), labels.ravel() > 0.5)
    return reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)


def confusion(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """How many examples of each class, a row, are predicted as each class, a column: `(C, C)`."""
    pairs = labels * num_classes + predictions
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


class LabelScores(NamedTuple):
    """How well one of several labels is found, by its number among the outputs."""

    label: int
    support: int
    predicted: int
    precision: float | None
    recall: float | None


def label_scores(labels: np.ndarray, probabilities: np.ndarray) -> list[LabelScores]:
    """Of each label, where an example has several: `labels` of ones and zeros and `probabilities`, both `(N, C)`."""
    given, found = labels > 0.5, probabilities > 0.5
    both = (given & found).sum(axis=0).tolist()
    return [
        LabelScores(
            i, support, predicted, hits / predicted if predicted else None, hits / support if support else None
        )
        for i, (hits, support, predicted) in enumerate(
            zip(both, given.sum(axis=0).tolist(), found.sum(axis=0).tolist(), strict=True)
        )
    ]


class Flip(NamedTuple):
    """
    A variant that the model takes for something else than its original.

    Attributes:
        variant (`int`): Its number.
        label (`int`): The label of the example: its class, or the one of several labels that is concerned.
        found (`int`): What the variant is taken for: a class, or 1 where it has the label and 0 where not.
        before (`float`): Probability of the right answer on the original.
        after (`float`): Probability of `found` on the variant.
    """

    variant: int
    label: int
    found: int
    before: float
    after: float


def label_flips(labels: np.ndarray, originals: np.ndarray, variants: np.ndarray) -> list[Flip]:
    """
    Variants that are predicted as something else, while their original is predicted as its label; the most confident
    ones first. Where an example has several labels, each of them is looked at by itself.

    Args:
        labels (`np.ndarray` of shape `(N,)` or `(N, C)`): Of the variants' examples: class ids, or ones and zeros.
        originals, variants (`np.ndarray` of shape `(N, C)`): Probabilities of the classes.
    """
    if labels.ndim == 2:
        right, before, after = labels > 0.5, originals > 0.5, variants > 0.5
        places = np.argwhere((before == right) & (after != right))
        sure = np.where(right, originals, 1 - originals), np.where(after, variants, 1 - variants)
        flips = [Flip(int(i), int(c), int(after[i, c]), float(sure[0][i, c]), float(sure[1][i, c])) for i, c in places]
    else:
        found = variants.argmax(axis=1)
        flips = [
            Flip(int(i), int(labels[i]), int(found[i]), float(originals[i, labels[i]]), float(variants[i, found[i]]))
            for i in np.flatnonzero((originals.argmax(axis=1) == labels) & (found != labels))
        ]
    return sorted(flips, key=lambda flip: (-flip.after, flip.variant, flip.label))


class Move(NamedTuple):
    """A variant, by its number, with the label of its example and the predictions on original and variant."""

    variant: int
    label: float
    before: float
    after: float


def moves(labels: np.ndarray, originals: np.ndarray, variants: np.ndarray) -> list[Move]:
    """
    Regression: variants whose prediction has moved away from that on the original, the farthest first, where the
    original's is near its label, that is with an error not above the median. All arrays are `(N,)`.
    """
    errors = np.abs(originals - labels)
    near = np.flatnonzero(errors <= np.median(errors)) if len(errors) else []
    found = [Move(int(i), float(labels[i]), float(originals[i]), float(variants[i])) for i in near]
    moved = (move for move in found if move.after != move.before)
    return sorted(moved, key=lambda move: (-abs(move.after - move.before), move.variant))
