"""Ragged arrays: runs of different lengths, one after the other in a flat array."""

from collections.abc import Collection, Sequence
from itertools import chain

import numpy as np

from .randomness import mix


def flat(rows: Collection[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """R rows one after the other, and their bounds, `(R + 1,)`: row r is `items[bounds[r] : bounds[r + 1]]`."""
    bounds = np.cumsum([0, *map(len, rows)])
    return np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(bounds[-1])), bounds


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """`[start, start + length)` of each run, one after the other: `(N,)`, where N is the sum of the lengths."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)


def positions(lengths: np.ndarray) -> np.ndarray:
    """Position of each item in its run: `(N,)`, where N is the sum of the lengths."""
    return ranges(np.zeros_like(lengths), lengths)


def is_first(group: np.ndarray) -> np.ndarray:
    """Whether each item begins a group, for items of one group that stand together: `(N,)`."""
    first = np.ones(len(group), dtype=bool)
    first[1:] = group[1:] != group[:-1]
    return first


def positions_in(group: np.ndarray) -> np.ndarray:
    """Position of each item in its group, for items of one group that stand together: `(N,)`."""
    index = np.arange(len(group))
    return index - np.maximum.accumulate(np.where(is_first(group), index, 0))


def find(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of N wanted numbers is among known ones in increasing order, -1 where it is not: `(N,)`."""
    if not len(known):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, place, -1)


def run_hashes(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """64-bit hash of each run `ids[start : start + length]`, 0 for an empty run. It is the same in every process."""
    hashes = np.zeros(len(starts), dtype=np.uint64)
    some = lengths > 0
    starts, lengths = starts[some], lengths[some]
    if len(starts):
        position = positions(lengths)
        tokens = ids[np.repeat(starts, lengths) + position]
        hashes[some] = np.add.reduceat(mix((position << 32 | tokens).astype(np.uint64)), np.cumsum(lengths) - lengths)
    return hashes
