"""Hashes by which runs and rows of ids are found again, the same in every process."""

import numpy as np

from .candidates import ranges
from .randomness import mix


def run_hashes(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """64-bit hash of each run `ids[start : start + length]`, the sum of those of its tokens in their places."""
    if not len(starts):
        return np.zeros(0, dtype=np.uint64)
    places = ranges(np.zeros_like(lengths), lengths)
    tokens = ids[np.repeat(starts, lengths) + places]
    return np.add.reduceat(mix((places << 32 | tokens).astype(np.uint64)), np.cumsum(lengths) - lengths)


def row_hashes(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """64-bit hash of each row of a flat array of ids, 0 for a row without tokens: `(B,)` `uint64`."""
    keys = np.zeros(len(lengths), dtype=np.uint64)
    some = lengths > 0
    keys[some] = run_hashes(ids, starts[some], lengths[some])
    return keys
