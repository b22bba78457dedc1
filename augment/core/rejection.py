"""K different variants of each row, where an augmenter can only make one at a time."""

from collections.abc import Callable, Sequence

import numpy as np

from .batch import Batch, Swaps
from .candidates import ranges
from .hashing import row_hashes
from .randomness import GOLDEN, mix


# Attempts of each round per variant wanted. Rows that a round leaves short of variants go on to the next one.
_ROUNDS = (1, 8)


def different_variants(
    batch: Batch, num_variants: int, keys: np.ndarray, attempt: Callable[[Batch, np.ndarray], Sequence[Swaps]]
) -> Swaps:
    """
    K variants of each of B rows, of attempts at one. The variants of a row differ from each other and from it; where
    a bounded number of attempts gives fewer than K, the rest are copies.

    Args:
        batch (`Batch`): The B rows.
        num_variants (`int`): K.
        keys (`np.ndarray` of shape `(B,)`, `uint64`): Each row's seed.
        attempt (`Callable`):
            `attempt(batch, keys)` makes one variant of each of N rows, a pure function of a row and its key. It
            returns the swaps of one stage or several, each on what the one before it made.
    """
    if not len(batch):
        return Swaps.of_variants(())
    # What is known of each row: the original, which is attempt -1, and then the attempts that came to something new.
    row, number = np.arange(len(batch)), np.full(len(batch), -1)
    content = row_hashes(batch.ids, batch.starts, batch.lengths)
    short, rounds, num_draws, num_tried = row, [], 0, 0
    for times in _ROUNDS:
        draws = np.arange(num_draws, num_draws + times * num_variants, dtype=np.uint64)
        num_draws += len(draws)
        tried = np.repeat(short, len(draws))
        rounds.append(attempt(batch.take(tried), mix(keys[tried] + np.tile(draws, len(short)) * GOLDEN)))
        variants = Batch.of_arrays(batch.ids, batch.lengths).take(tried)
        for swaps in rounds[-1]:
            variants = swaps.applied(variants)
        row = np.concatenate([row, tried])
        number = np.concatenate([number, np.arange(num_tried, num_tried + len(tried))])
        content = np.concatenate([content, row_hashes(variants.ids, variants.starts, variants.lengths)])
        num_tried += len(tried)
        new = _new(row, content)
        row, number, content = row[new], number[new], content[new]
        short = np.flatnonzero(np.bincount(row, minlength=len(batch)) <= num_variants)
        if not len(short):
            break
    by_row = row.argsort(kind="stable")
    row, number = row[by_row], number[by_row]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    chosen = np.full((num_variants, len(batch)), -1)
    taken = (place > 0) & (place <= num_variants)
    chosen[place[taken] - 1, row[taken]] = number[taken]
    first, *later = (gathered(stages, chosen.ravel()) for stages in zip(*rounds, strict=True))
    rows = batch.take(np.tile(np.arange(len(batch)), num_variants)) if later else batch
    for swaps in later:
        first = first.then(rows, swaps)
    return first


def gathered(parts: Sequence[Swaps], numbers: np.ndarray) -> Swaps:
    """The variants so numbered, counted through all the parts; those with number -1 change nothing."""
    counts = np.concatenate([*(part.counts for part in parts), [0]])
    start, stop, length, pieces = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("start", "stop", "length", "pieces")
    )
    swap = ranges((counts.cumsum() - counts)[numbers], counts[numbers])
    first = np.concatenate([[0], counts[numbers].cumsum()])
    piece = ranges((length.cumsum() - length)[swap], length[swap])
    return Swaps(first, start[swap], stop[swap], length[swap], pieces[piece])


def _new(row: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Whether each item is the first of its row with this content, `(N,)`."""
    order = np.lexsort((content, row))
    same = (row[order[1:]] == row[order[:-1]]) & (content[order[1:]] == content[order[:-1]])
    new = np.ones(len(row), dtype=bool)
    new[order[1:][same]] = False
    return new
