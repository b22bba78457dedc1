"""Random numbers that are a pure function of their coordinates.

A generator object would make a draw depend on the draws before it. Here each draw hashes its own coordinates (seed,
word, number of the draw). A row of a large batch gets the numbers that it would get alone, and whole batches are drawn
at once. The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", 2014).
"""

from collections.abc import Sequence
from operator import index

import numpy as np


Seed = int | tuple[int, ...]

_MASK = (1 << 64) - 1
_WORD = 1 << 63
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # from one number of a stream to the next
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def mix(x: np.ndarray) -> np.ndarray:
    """Hashes 64-bit integers to 64 well-spread bits, element by element: `uint64` of any shape to the same shape."""
    x = x + GOLDEN
    for shift, factor in zip(_SHIFTS, _FACTORS, strict=False):
        x ^= x >> shift
        x *= factor
    x ^= x >> _SHIFTS[-1]
    return x


def row_keys(seeds: Sequence[Seed]) -> np.ndarray:
    """
    One 64-bit key per seed, `(B,)`. An int and a tuple of this int alone are the same seed. Raises a `TypeError` if a
    seed is neither an int nor a tuple of ints.
    """
    numbers = [seed for seed in seeds if type(seed) is int and -_WORD <= seed < _WORD]
    if len(numbers) == len(seeds) > 0:
        parts = np.fromiter(numbers, dtype=np.int64, count=len(numbers)).view(np.uint64)
        return mix(mix(parts + mix(np.zeros(1, dtype=np.uint64))))
    rows = [seed if isinstance(seed, tuple) else (seed,) for seed in seeds]
    try:
        parts = np.array([index(part) & _MASK for row in rows for part in row], dtype=np.uint64)
    except TypeError as error:
        raise TypeError(f"A seed is an int or a tuple of ints; received {list(seeds)[:3]!r}.") from error
    return run_keys(parts, np.array([len(row) for row in rows], dtype=np.int64))


def run_keys(numbers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """One 64-bit key for each run of numbers, `(R,)`, of runs of these lengths one after the other."""
    ends = lengths.cumsum()
    position = np.arange(len(numbers)) - np.repeat(ends - lengths, lengths)
    sums = np.zeros(len(numbers) + 1, dtype=np.uint64)
    mix(numbers + mix(position.astype(np.uint64))).cumsum(out=sums[1:])
    return mix(sums[ends] - sums[ends - lengths])


def unit(bits: np.ndarray) -> np.ndarray:
    """Numbers in `[0, 1)` from the high 32 of 64 random bits. `low_unit` uses the others."""
    return (bits >> np.uint64(32)).astype(np.float64) * 2.0**-32


def low_unit(bits: np.ndarray) -> np.ndarray:
    """Numbers in `[0, 1)` from the low 32 of 64 random bits."""
    return (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) * 2.0**-32
