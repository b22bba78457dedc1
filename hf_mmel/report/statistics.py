"""Statistics of predictions: calibration, confusions, and variants that the model predicts differently."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats


NUM_BINS = 15  # as in Guo et al.
SMALL_ERROR = 0.03  # a calibration error below it does not matter
LARGEST_CHANCE = 0.05  # the error that chance may bring where predictions are said to be calibrated
LEAST_BINS = 3  # that have predictions, likewise
SIGNIFICANCE = 0.025


class Reliability(NamedTuple):
    """How often predictions are right, in M bins of their confidence."""

    edges: np.ndarray  # of the bins, from 0 to 1, (M + 1,)
    counts: np.ndarray  # of the predictions in each bin, (M,)
    confidence: np.ndarray  # the mean of each bin, NaN if it is empty, (M,)
    accuracy: np.ndarray  # likewise

    @property
    def num_used(self) -> int:
        """The number of bins that have predictions."""
        return int((self.counts > 0).sum())

    @property
    def chance(self) -> float:
        """
        The calibration error that calibrated predictions with these confidences rarely exceed by chance: its mean and
        two standard deviations. The gap of a bin is half-normal, with the binomial deviation of the bin's accuracy.
        """
        used = self.counts > 0
        counts, confidence = self.counts[used], self.confidence[used]
        deviations = np.sqrt(confidence * (1 - confidence) / counts) * counts / counts.sum()
        mean = math.sqrt(2 / math.pi) * deviations.sum()
        return float(mean + 2 * math.sqrt((1 - 2 / math.pi) * (deviations**2).sum()))

    @property
    def verdict(self) -> Literal["off", "calibrated", "few bins", "few predictions"]:
        """What the error says: an error or its absence, or that too few bins or predictions show neither."""
        if self.ece >= SMALL_ERROR and self.ece > self.chance:
            return "off"
        if self.num_used < LEAST_BINS:
            return "few bins"
        return "calibrated" if self.ece < SMALL_ERROR and self.chance <= LARGEST_CHANCE else "few predictions"

    @property
    def ece(self) -> float:
        """The expected calibration error, equation 3 of Guo et al., ICML 2017, arXiv 1706.04599."""
        used = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[used]
        return float((gaps * self.counts[used]).sum() / self.counts.sum())


def reliability(confidences: np.ndarray, correct: np.ndarray, num_bins: int = NUM_BINS) -> Reliability:
    """
    Bins predictions by `confidences` `(N,)`, the probabilities of what was predicted, in bins of equal width. An edge
    belongs to the bin below it. `correct` `(N,)` says whether each was right.
    """
    if not len(confidences) or not ((confidences >= 0) & (confidences <= 1)).all():
        limits = f", from {confidences.min()} to {confidences.max()}" if len(confidences) else ""
        raise ValueError(f"Received {len(confidences)} confidences{limits}; expected probabilities, at least one.")
    edges = np.linspace(0, 1, num_bins + 1)
    bins = np.searchsorted(edges[1:-1], confidences, side="left")
    counts = np.bincount(bins, minlength=num_bins)
    sums = [np.bincount(bins, values, minlength=num_bins) for values in (confidences, correct)]
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin
        return Reliability(edges, counts, sums[0] / counts, sums[1] / counts)


def calibration(probabilities: np.ndarray, labels: np.ndarray) -> Reliability:
    """
    The reliability of a classifier with `probabilities` `(N, C)`: of the class that it predicts, with `labels` `(N,)`,
    or for multi-label classification of each label, with `labels` `(N, C)` of ones and zeros.
    """
    if labels.ndim == 2:
        return reliability(probabilities.ravel(), labels.ravel() > 0.5)
    return reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)


class MajorityComparison(NamedTuple):
    """A classifier against the most frequent class; for multi-label, the more frequent answer for each label."""

    majority: int | None  # the class; `None` for multi-label classification
    share: float  # of the predictions that are right if all are the majority
    share_of_model: float
    is_beaten: bool  # whether the model is right more often by more than chance explains


def compare_with_majority(probabilities: np.ndarray, labels: np.ndarray) -> MajorityComparison:
    """
    Tests, by the sign test over the predictions of which either is right, whether a classifier with `probabilities`
    `(N, C)` beats the majority class of `labels`: class ids `(N,)`, or for multi-label classification `(N, C)`.
    """
    if labels.ndim == 2:
        majority, true = None, labels > 0.5
        right, majority_right = (probabilities > 0.5) == true, (true.mean(axis=0) > 0.5) == true
    else:
        majority = int(np.bincount(labels).argmax())
        right, majority_right = probabilities.argmax(axis=1) == labels, labels == majority
    better, worse = int((right & ~majority_right).sum()), int((majority_right & ~right).sum())
    is_beaten = better > 0 and stats.binomtest(better, better + worse, alternative="greater").pvalue <= SIGNIFICANCE
    return MajorityComparison(majority, float(majority_right.mean()), float(right.mean()), bool(is_beaten))


class LabelScores(NamedTuple):
    """Precision and recall of one label of multi-label classification; `None` without predictions or examples."""

    label: int
    support: int
    predicted: int
    precision: float | None
    recall: float | None


def label_scores(labels: np.ndarray, probabilities: np.ndarray) -> list[LabelScores]:
    """The scores of each label, from `labels` of ones and zeros and `probabilities`, both `(N, C)`."""
    true, predicted = labels > 0.5, probabilities > 0.5
    counts = np.stack([(true & predicted).sum(axis=0), true.sum(axis=0), predicted.sum(axis=0)], axis=1).tolist()
    return [
        LabelScores(i, support, found, hits / found if found else None, hits / support if support else None)
        for i, (hits, support, found) in enumerate(counts)
    ]


class Flip(NamedTuple):
    """A variant that is predicted as something else than its original, which is predicted correctly."""

    variant: int
    label: int  # the class of the example, or the label that is concerned
    predicted: int  # the class of the variant, or whether it has the label
    before: float  # probability of the correct answer on the original
    after: float  # probability of `predicted` on the variant


def label_flips(labels: np.ndarray, originals: np.ndarray, variants: np.ndarray) -> list[Flip]:
    """
    The flips of N variants, the most confident ones first, from the probabilities `(N, C)` on `originals` and
    `variants`. The `labels` of the examples are class ids `(N,)`, or for multi-label classification `(N, C)`.
    """
    if labels.ndim == 2:
        true, after = labels > 0.5, variants > 0.5
        i, label = (((originals > 0.5) == true) & (after != true)).nonzero()
        predicted = after[i, label].astype(int)
        before = np.where(true, originals, 1 - originals)[i, label]
        confidence = np.where(after, variants, 1 - variants)[i, label]
    else:
        (i,) = ((originals.argmax(axis=1) == labels) & (variants.argmax(axis=1) != labels)).nonzero()
        label, predicted = labels[i], variants.argmax(axis=1)[i]
        before, confidence = originals[i, label], variants[i, predicted]
    columns = (column.tolist() for column in (i, label, predicted, before, confidence))
    flips = (Flip(*row) for row in zip(*columns, strict=True))
    return sorted(flips, key=lambda flip: (-flip.after, flip.variant, flip.label))


class Shift(NamedTuple):
    """A variant of a regression example, with the label and the predictions on original and variant."""

    variant: int
    label: float
    before: float
    after: float


def prediction_shifts(labels: np.ndarray, originals: np.ndarray, variants: np.ndarray) -> list[Shift]:
    """
    For regression, the variants whose prediction differs from that on the original, the largest shift first. Only
    originals whose error is not above the median count. All arrays are `(N,)`.
    """
    if not len(labels):
        return []
    errors = np.abs(originals - labels)
    shifted = np.flatnonzero((errors <= np.median(errors)) & (variants != originals)).tolist()
    shifts = [Shift(i, float(labels[i]), float(originals[i]), float(variants[i])) for i in shifted]
    return sorted(shifts, key=lambda shift: (-abs(shift.after - shift.before), shift.variant))
