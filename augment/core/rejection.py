"""K different variants of each row, for an augmenter that draws one at a time."""

from collections.abc import Callable

import numpy as np

from .batch import Batch
from .edits import Edits
from .ragged import is_first, run_hashes
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
    # All variants known so far: the row itself, which is draw -1, and the draws that gave something new.
    row, number = np.arange(len(batch)), np.full(len(batch), -1)
    content = run_hashes(batch.ids, batch.starts, batch.lengths)
    short, num_draws, num_drawn = row, 0, 0
    rounds: list[list[Edits]] = []
    for times in _DRAWS_PER_ROUND:
        draws = np.arange(num_draws, num_draws + times * num_variants, dtype=np.uint64)
        num_draws += len(draws)
        drawn = np.repeat(short, len(draws))
        variants, draw_keys = batch.take(drawn), mix(keys[drawn] + np.tile(draws, len(short)) * GOLDEN)
        rounds.append([])
        for stage in stages:
            rounds[-1].append(stage(variants, draw_keys))
            variants = rounds[-1][-1].apply(variants)
        row = np.concatenate([row, drawn])
        number = np.concatenate([number, np.arange(num_drawn, num_drawn + len(drawn))])
        content = np.concatenate([content, run_hashes(variants.ids, variants.starts, variants.lengths)])
        num_drawn += len(drawn)
        new = _is_new(row, content)
        row, number, content = row[new], number[new], content[new]
        short = np.flatnonzero(np.bincount(row, minlength=len(batch)) <= num_variants)
        if not len(short):
            break
    by_row = row.argsort(kind="stable")
    row, number = row[by_row], number[by_row]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    chosen = np.full((num_variants, len(batch)), -1)
    taken = (rank > 0) & (rank <= num_variants)
    chosen[rank[taken] - 1, row[taken]] = number[taken]
    edits, *later = (Edits.select(parts, chosen.ravel()) for parts in zip(*rounds, strict=True))
    rows = batch.take(np.tile(np.arange(len(batch)), num_variants)) if later else batch
    for stage_edits in later:
        edits = edits.then(rows, stage_edits)
    return edits


def _is_new(row: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Whether each item is the first of its row with this content, `(N,)`."""
    order = np.lexsort((content, row))
    new = np.empty(len(row), dtype=bool)
    new[order] = is_first(row[order]) | is_first(content[order])
    return new
