"""Attacks: variants of each example until the prediction is wrong, within a budget of queries of the classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from augment.base import Augmenter
from augment.compose import Compose, FirstOf, InTurn, OneOf, Sometimes
from augment.core.batch import Batch
from augment.core.randomness import row_keys
from augment.core.variant_table import example_keys
from augment.greedy import GreedySearch
from augment.substitution import Substitution

from .texts import Classifier, Originals, Texts


DRAWS = 16  # variants that are drawn at once; another number draws others


@dataclass
class Attempt:
    """The attack of one example."""

    label: int
    losses: dict[Texts, float]  # of the original and of the variants that were classified
    queries: int = 0  # variants that were classified
    wrong: tuple[float, Texts, int] | None = None  # a success: the largest loss, with the variant and its prediction


@dataclass
class Target:
    """Examples under attack, each with its own budget. Each is attacked until the first success."""

    classifier: Classifier
    originals: Originals
    attempts: list[Attempt]
    budget: int

    def is_over(self, i: int) -> bool:
        """Whether the attack of example i has succeeded, or has used its budget."""
        return self.attempts[i].wrong is not None or self.attempts[i].queries >= self.budget

    def query(self, of: Sequence[int], variants: Sequence[Texts]) -> np.ndarray:
        """
        The loss of N variants, `(N,)`, given the numbers of their examples; `-inf` if the attack of an example was
        over before its variant. All variants of an example in one call are a step: they are classified together, as
        far as its budget reaches, and its worst success is the one with the largest loss. Variants that are known
        cost nothing.
        """
        new: dict[tuple[int, Texts], None] = {}
        for i, variant in zip(of, variants, strict=True):
            attempt = self.attempts[i]
            if not self.is_over(i) and variant not in attempt.losses and (i, variant) not in new:
                new[i, variant] = None
                attempt.queries += 1
        labels = [self.attempts[i].label for i, _ in new]
        predictions, losses = self.classifier.predict([variant for _, variant in new], labels)
        for (i, variant), prediction, loss in zip(new, predictions, losses, strict=True):
            attempt = self.attempts[i]
            attempt.losses[variant] = loss
            if prediction != attempt.label and (attempt.wrong is None or loss > attempt.wrong[0]):
                attempt.wrong = loss, variant, prediction
        return np.array(
            [self.attempts[i].losses.get(variant, -np.inf) for i, variant in zip(of, variants, strict=True)]
        )


def random_attack(target: Target, augmenter: Augmenter, seed: int) -> None:
    """Tries random variants, one after the other. A smaller budget tries the first of them."""
    batch = Batch.of([{"input_ids": row["input_ids"]} for row in target.originals.rows])
    keys = example_keys(batch).tolist()
    for first in range(0, target.budget, DRAWS):
        rows = [i for i in range(len(batch)) if not target.is_over(i)]
        if not rows:
            break
        taken = batch.take(rows)
        drawn = augmenter.draw_edits(taken, DRAWS, row_keys([(seed, keys[i], first) for i in rows]))
        for number in range(min(DRAWS, target.budget - first)):
            edits = [drawn.of_variant(number * len(rows) + position, taken) for position in range(len(rows))]
            target.query(rows, [target.originals.variant(i, own) for i, own in zip(rows, edits, strict=True)])


def greedy_attack(target: Target, source: Substitution, seed: int) -> None:
    """
    Visits the words in a random order and keeps at each the candidate with the largest loss: algorithm 2 of Yi et al.,
    ICLR 2021, as `augment.GreedySearch` does it in training, but until the prediction is wrong. While there is budget
    left, it begins again with the original and another order, unless the order before has led to no new variant.
    """
    originals, attempts = target.originals, target.attempts
    keys = example_keys(Batch.of(originals.rows)).tolist()
    search = GreedySearch(source, num_positions=max(len(row["input_ids"]) for row in originals.rows))
    standing = [i for i in range(len(originals)) if not target.is_over(i)]
    order = 0
    while standing:
        before = [attempts[i].queries for i in standing]
        score = partial(_losses, target, standing)
        search.search([originals.rows[i] for i in standing], score, 1, [(seed, keys[i], order) for i in standing])
        progress = zip(standing, before, strict=True)
        standing = [i for i, queries in progress if attempts[i].queries > queries and not target.is_over(i)]
        order += 1


def _losses(target: Target, examples: Sequence[int], rows: list[dict[str, Any]], of: np.ndarray) -> np.ndarray:
    """The losses of rows that `GreedySearch` makes of examples with these numbers."""
    numbers = [examples[position] for position in of.tolist()]
    edits = [target.originals.edits(i, row) for i, row in zip(numbers, rows, strict=True)]
    return target.query(numbers, [target.originals.variant(i, own) for i, own in zip(numbers, edits, strict=True)])


ATTACKS: dict[str, Callable[[Target, Any, int], None]] = {"random": random_attack, "greedy": greedy_attack}


def candidates_of(augmenter: Augmenter) -> Substitution | None:
    """The source of candidates that an augmenter has or, joined to one, that its parts have; `None` without any."""
    if isinstance(augmenter, Substitution):
        return augmenter
    if not isinstance(augmenter, Compose | InTurn | OneOf | Sometimes):
        return None
    sources = [source for part in augmenter.parts if (source := candidates_of(part)) is not None]
    return FirstOf(sources) if len(sources) > 1 else next(iter(sources), None)
