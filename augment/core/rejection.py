"""K different variants of each row, for an augmenter that draws one at a time."""

from collections.abc import Callable

import numpy as np

from .batch import Batch
from .edits import Edits
from .ragged import is_first, positions_in, run_hashes
from .randomness import GOLDEN, mix


# Draws of each round, per variant wanted. Only rows that still lack variants enter the second round.
_DRAWS_PER_ROUND = (1, 8)

DrawOne = Callable[[Batch, np.ndarray], Edits]


def different_variants(batch: Batch, num_variants: int, keys: np.ndarray, *stages: DrawOne) -> Edits:
    """
    Draws one variant of each row again and again, and keeps those that are new.

    The K variants of a row differ from each other and from the row. After nine draws per variant, the variants that
    are still missing have no edits: they are copies of the row.

    Args:
        batch (`Batch`): The B rows.
        num_variants (`int`): K.
        keys (`np.ndarray` of shape `(B,)`, `uint64`): The random key of each row.
        stages (`Callable`):
            `stage(rows, keys)` gives the edits of one variant of each of N rows, a pure function of each row and its
            key. Of several stages, each edits what the stage before it has made.

    Returns:
        `Edits`: of K variants of each row.
    """
    if not len(batch):
        return Edits.of(())
    distinct = Distinct(batch, num_variants)
    num_draws = 0
    rounds: list[list[Edits]] = []
    for times in _DRAWS_PER_ROUND:
        draws = np.arange(num_draws, num_draws + times * num_variants, dtype=np.uint64)
        num_draws += len(draws)
        drawn = np.repeat(distinct.short, len(draws))
        variants, draw_keys = batch.take(drawn), mix(keys[drawn] + np.tile(draws, len(distinct.short)) * GOLDEN)
        rounds.append([])
        for stage in stages:
            rounds[-1].append(stage(variants, draw_keys))
            variants = rounds[-1][-1].apply(variants)
        distinct.add(drawn, variants)
        if not len(distinct.short):
            break
    edits, *later = (Edits.select(parts, distinct.chosen()) for parts in zip(*rounds, strict=True))
    rows = batch.take(np.tile(np.arange(len(batch)), num_variants)) if later else batch
    for stage_edits in later:
        edits = edits.then(rows, stage_edits)
    return edits


class Distinct:
    """
    The variants among many that differ from their row and from each other.

    Args:
        batch (`Batch`): The B rows.
        num_variants (`int`): K, how many variants of a row are wanted.

    Attributes:
        short (`np.ndarray` of shape `(S,)`): The rows with fewer than K variants so far.
    """

    def __init__(self, batch: Batch, num_variants: int):
        self._size, self._num_variants, self._num_added = len(batch), num_variants, 0
        self.short = np.arange(len(batch))
        # The row, number and hash of each. The row itself counts as a variant known from the start.
        self._known = self.short, np.full(len(batch), -1), run_hashes(batch.ids, batch.starts, batch.lengths)

    def add(self, row: np.ndarray, variants: Batch) -> None:
        """Adds N variants, of the rows with these numbers, `(N,)`. They are numbered in the order of their arrival."""
        number = np.arange(self._num_added, self._num_added + len(variants))
        self._num_added += len(variants)
        added = row, number, run_hashes(variants.ids, variants.starts, variants.lengths)
        row, number, content = (np.concatenate(both) for both in zip(self._known, added, strict=True))
        order = np.lexsort((content, row))
        new = np.sort(order[is_first(row[order]) | is_first(content[order])])
        self._known = row[new], number[new], content[new]
        self.short = np.flatnonzero(np.bincount(row[new], minlength=self._size) <= self._num_variants)

    def chosen(self) -> np.ndarray:
        """The numbers of the first K variants of each row, `(K * B,)`, -1 where there are fewer."""
        row, number, _ = self._known
        by_row = row.argsort(kind="stable")
        row, number = row[by_row], number[by_row]
        rank = positions_in(row)
        chosen = np.full((self._num_variants, self._size), -1)
        taken = (rank > 0) & (rank <= self._num_variants)
        chosen[rank[taken] - 1, row[taken]] = number[taken]
        return chosen.ravel()
