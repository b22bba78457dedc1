"""Random numbers that are a pure function of what they are for.

A generator object would tie a draw to the draws before it. Here each draw hashes its own coordinates (seed, word,
attempt), so that a row of a batch of thousands gets the numbers it would get alone, and whole batches are drawn at
once. The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
2014).
"""

from collections.abc import Sequence
from operator import index

import numpy as np


Seed = int | tuple[int, ...]

_MASK = (1 << 64) - 1
_WORD = 1 << 63
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # from one number of a stream to the next


def mix(x: np.ndarray) -> np.ndarray:
    """Hashes 64-bit integers to 64 well-spread bits, element by element: `uint64` of any shape to the same shape."""
    x = x + GOLDEN
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def row_keys(seeds: Sequence[Seed]) -> np.ndarray:
    """
    One 64-bit key per seed, `(B,)` `uint64`. An int and a tuple that holds it alone are the same seed.

    Raises:
        `TypeError`: if a seed is neither an int nor a tuple of ints.
    """
    if {*map(type, seeds)} == {int} and min(seeds) >= -_WORD and max(seeds) < _WORD:
        parts = np.fromiter(seeds, dtype=np.int64, count=len(seeds)).view(np.uint64)
        return mix(mix(parts + mix(np.zeros(1, dtype=np.uint64))))
    rows = [seed if isinstance(seed, tuple) else (seed,) for seed in seeds]
    try:
        parts = np.array([index(part) & _MASK for row in rows for part in row], dtype=np.uint64)
    except TypeError as error:
        raise TypeError(f"A seed is an int or a tuple of ints; received {list(seeds)[:3]!r}.") from error
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    ends = lengths.cumsum()
    place = np.arange(len(parts)) - np.repeat(ends - lengths, lengths)
    sums = np.zeros(len(parts) + 1, dtype=np.uint64)
    mix(parts + mix(place.astype(np.uint64))).cumsum(out=sums[1:])
    return mix(sums[ends] - sums[ends - lengths])


def unit(bits: np.ndarray) -> np.ndarray:
    """Numbers in `[0, 1)` from the high 32 of 64 random bits; the low 32 stay for [`low_unit`]."""
    return (bits >> np.uint64(32)).astype(np.float64) * 2.0**-32


def low_unit(bits: np.ndarray) -> np.ndarray:
    """Numbers in `[0, 1)` from the low 32 of 64 random bits."""
    return (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) * 2.0**-32
