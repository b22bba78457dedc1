"""What the runs of a comparison predict for each validation example, and the paired test of two settings over them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import signal, stats

from ..attack.results import FOLDER, is_misled, read_attack


PREDICTIONS = "eval_predictions{suffix}.npz"


class Predictions(NamedTuple):
    """The predictions on N examples with one class each."""

    logits: np.ndarray  # (N, C)
    labels: np.ndarray  # class ids, (N,)

    @property
    def correct(self) -> np.ndarray:
        """Which predictions are right, `(N,)`."""
        return self.logits.argmax(axis=1) == self.labels


def read_predictions(folder: Path, suffix: str = "") -> Predictions | None:
    """The predictions that a run left in its folder; `None` without a file, and if it cannot be read."""
    try:
        with np.load(folder / PREDICTIONS.format(suffix=suffix), allow_pickle=False) as arrays:
            logits, labels = arrays["logits"], arrays["label"]
    except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile):
        return None
    if labels.ndim == 2:  # probabilities of the classes
        labels = labels.argmax(axis=1)
    return Predictions(logits, labels) if logits.ndim == 2 and len(logits) == len(labels) > 0 else None


class AttackedRun(NamedTuple):
    """Which of N examples a run classifies correctly, `(N,)`: without an attack, and under all of the attacks."""

    clean: np.ndarray
    robust: np.ndarray

    @property
    def scores(self) -> dict[str, float]:
        """The accuracy, and the accuracy in the worst case."""
        return {"accuracy": float(self.clean.mean()), "worst_case_accuracy": float(self.robust.mean())}


def read_attacked(folder: Path) -> AttackedRun | None:
    """What the attack of a run has found; `None` if it has not finished."""
    found = read_attack(folder / FOLDER)
    if found is None:
        return None
    clean = np.array([row["prediction"] == row["label"] for row in found.rows])
    return AttackedRun(clean, clean & ~np.array([is_misled(row, found.attacks) for row in found.rows]))


class SeedTest(NamedTuple):
    """McNemar's exact test of two runs with the same seed."""

    only_baseline: int  # examples that the run of the baseline alone classifies correctly
    only_setting: int  # that the other one alone does
    p: float


class PairedTest(NamedTuple):
    """The paired test of a setting against the baseline over the examples."""

    num_examples: int
    p: float  # of all seeds together; of one seed that of McNemar's test
    seeds: dict[int, SeedTest]

    def to_dict(self) -> dict[str, Any]:
        """For `compare.json`."""
        return {"p": self.p, "seeds": {str(seed): test._asdict() for seed, test in self.seeds.items()}}


def mcnemar(baseline: np.ndarray, setting: np.ndarray) -> SeedTest:
    """
    McNemar's exact test, two-sided, given which of the same N examples two runs classify correctly, both `(N,)`.
    Without an example on which they differ p is 1.

    Source: McNemar, Psychometrika 12, 1947; for classifiers Dietterich, Neural Computation 10, 1998.
    """
    only_baseline, only_setting = int((baseline & ~setting).sum()), int((setting & ~baseline).sum())
    discordant = only_baseline + only_setting
    p = float(stats.binomtest(only_setting, discordant).pvalue) if discordant else 1.0
    return SeedTest(only_baseline, only_setting, p)


def paired_test(baseline: Mapping[int, np.ndarray], setting: Mapping[int, np.ndarray]) -> PairedTest | None:
    """
    The test over the seeds that both have, and that of each seed, given which of N examples each run classifies
    correctly. `None` without a shared seed, and if the runs have other numbers of examples.

    An example is one observation, however many seeds there are: the number d of seeds with which the setting alone is
    right, minus that with which the baseline alone is. If the two settings do not differ, d and -d are equally likely
    for each example. p is the share of all assignments of signs whose |sum of d| is at least the observed one; it is
    computed exactly. With one seed this is McNemar's exact test.

    Source: Fisher's randomisation test for pairs, The Design of Experiments, 1935, section 21.
    """
    seeds = [seed for seed in setting if seed in baseline]
    sizes = {len(of[seed]) for of in (baseline, setting) for seed in seeds}
    if len(sizes) != 1:
        return None
    differences = sum(setting[seed].astype(int) - baseline[seed].astype(int) for seed in seeds)
    tests = {seed: mcnemar(baseline[seed], setting[seed]) for seed in seeds}
    p = tests[seeds[0]].p if len(seeds) == 1 else sign_test(np.asarray(differences))
    return PairedTest(sizes.pop(), p, tests)


def sign_test(differences: np.ndarray) -> float:
    """The two-sided p of the sum of integers `(N,)`, each of which has either sign with the same probability."""
    sizes = np.abs(differences)
    # The distribution of (sum + total) / 2, the sum of the sizes of all positive ones.
    distribution = np.ones(1)
    for size in np.unique(sizes[sizes > 0]):
        count = int((sizes == size).sum())
        spread = np.zeros(size * count + 1)
        spread[::size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        distribution = signal.convolve(distribution, spread)
    sums = 2 * np.arange(len(distribution)) - sizes.sum()
    p = distribution[np.abs(sums) >= abs(differences.sum())].sum()
    return float(np.clip(p, 0, 1))
