"""Drawing the K variants of each row: which words are replaced, and by which candidate."""

import numpy as np

from .candidates import Candidates
from .ragged import is_first
from .randomness import GOLDEN, low_unit, mix, unit


KEEP = -1  # the choice that leaves a word as it is

# Rows with at most this times K variants are enumerated: draws would mostly repeat earlier ones.
_FEW = 3
# Other rows are drawn this many times per variant.
_DRAWS = 2
# Rows that still lack variants are enumerated if they have at most this many variants, ...
_ENUMERABLE = 4096
# ... and otherwise drawn this many times per variant.
_MANY_DRAWS = 16
# Number of variants times words that are listed at once. Arrays of this size take about a hundred megabytes.
_MAX_LISTED = 1 << 21


def draw(
    candidates: Candidates,
    room: np.ndarray,
    keys: np.ndarray,
    num_variants: int,
    replace_prob: float,
    limits: np.ndarray | None = None,
) -> np.ndarray:
    """
    Draws K variants of each of B rows.

    A variant replaces each of the W words with probability `replace_prob`, on condition that it replaces at least one.
    The variants of a row differ from each other and from the row. If the candidates allow fewer than K, the rest are
    copies. A row's draws depend on its key and its words only. `room`, `keys` and `limits` are of shape `(B,)`: tokens
    by which a variant may be longer, random keys, and the largest number of words that a variant replaces.

    Returns the candidate of each word in each variant, `(K, W)`: from 0 to its count - 1, or `KEEP`.
    """
    choice = np.full((num_variants, len(candidates.words)), KEEP)
    if not len(candidates.words):
        return choice
    rows = _Rows(candidates, np.arange(len(candidates.words)), room, keys, limits)
    few = rows.log_total <= np.log2(_FEW * num_variants + 1)
    for listed in rows.split(few):
        choice[:, listed.word] = _enumerate(listed, num_variants, replace_prob)
    for drawn in rows.split(~few):
        choice[:, drawn.word], done = _sample(drawn, num_variants, _DRAWS * num_variants, replace_prob)
        if done.all():
            continue
        enumerable = drawn.log_total <= np.log2(_ENUMERABLE)
        for listed in drawn.split(~done & enumerable):
            choice[:, listed.word] = _enumerate(listed, num_variants, replace_prob)
        for rest in drawn.split(~done & ~enumerable):
            num_draws = _MANY_DRAWS * num_variants
            probs = np.linspace(replace_prob, 0.5, num_draws)[:, None]  # near 0 and 1 there are few variants
            choice[:, rest.word], _ = _sample(rest, num_variants, num_draws, probs)
    return choice


class _Rows:
    """R rows with words to replace: the words `word` of the candidates. Those of row r begin at `first[r]`."""

    def __init__(
        self, candidates: Candidates, word: np.ndarray, room: np.ndarray, keys: np.ndarray, limits: np.ndarray | None
    ):
        self.candidates, self.word = candidates, word
        self._of_batch = room, keys, limits
        row = candidates.words.row[word]
        new = is_first(row)
        self.group = new.cumsum() - 1
        self.first = new.nonzero()[0]
        self.count = candidates.count[word]
        self.log_radix = np.log2(self.count + 1)
        self.log_total = np.add.reduceat(self.log_radix, self.first)
        self.size = np.bincount(self.group)
        batch_row = row[self.first]
        self.keys, self.room = keys[batch_row], room[batch_row]
        self.limits = None if limits is None else limits[batch_row]
        # The longest replacement bounds the growth of a row, which mostly stays far below its room.
        self.tight = bool((self.size * candidates.longest > self.room).any())

    def split(self, chosen: np.ndarray) -> list["_Rows"]:
        """The chosen rows as a list of one item, which is empty if no row is chosen."""
        if chosen.all():
            return [self]
        word = self.word[chosen[self.group]]
        return [_Rows(self.candidates, word, *self._of_batch)] if len(word) else []

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over each row's words, `(N, W)` to `(N, R)`."""
        return np.add.reduceat(values, self.first, axis=1)

    def growth(self, choice: np.ndarray) -> np.ndarray:
        """Number of tokens by which each choice makes its row longer, `(N, W)` to `(N, W)`."""
        return np.where(choice == KEEP, 0, self.candidates.growth(self.word, np.maximum(choice, 0)))


def _enumerate(rows: _Rows, num_variants: int, replace_prob: float) -> np.ndarray:
    """Draws the variants, `(K, W)`, in blocks of rows that bound the memory."""
    num_rows = max(int(_MAX_LISTED / (np.exp2(rows.log_total.max()) * rows.size.max())), 1)
    choice = np.full((num_variants, len(rows.word)), KEEP)
    for begin in range(0, len(rows.first), num_rows):
        chosen = np.zeros(len(rows.first), dtype=bool)
        chosen[begin : begin + num_rows] = True
        (block,) = rows.split(chosen)
        choice[:, chosen[rows.group]] = _enumerate_block(block, num_variants, replace_prob)
    return choice


def _enumerate_block(rows: _Rows, num_variants: int, replace_prob: float) -> np.ndarray:
    """
    Draws the variants, `(K, W)`, without replacement from a list of all variants of each row.

    Such a draw is the K smallest of exponential variables whose rates are the probabilities of the variants
    (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
    """
    # A variant is a number with a digit for each word in base count + 1: 0 keeps the word, c + 1 takes candidate c.
    # These are small whole numbers, which floats divide exactly and much faster than ints.
    radix = (rows.count + 1).astype(np.float32)
    before = rows.log_radix.cumsum() - rows.log_radix
    stride = np.rint(np.exp2(before - before[rows.first][rows.group])).astype(np.float32)
    total = np.rint(np.exp2(rows.log_total)).astype(np.int64)
    number = np.arange(1, total.max())[:, None]
    digits = _digits(number, stride, radix)

    chances = replace_prob * rows.candidates.probability(rows.word, np.maximum(digits - 1, 0))
    probability = np.where(digits == 0, 1 - replace_prob, chances)
    rate = np.multiply.reduceat(probability, rows.first, axis=1)
    uniform = unit(mix(rows.keys ^ number.astype(np.uint64)))
    time = -np.log1p(-uniform) / np.maximum(rate, 1e-100)
    possible = number < total
    if rows.tight:
        possible &= rows.sums(rows.growth(digits - 1)) <= rows.room
    if rows.limits is not None:
        possible &= rows.sums((digits > 0).astype(np.int64)) <= rows.limits
    time[~possible] = np.inf

    choice = np.full((num_variants, len(rows.word)), KEEP)
    taken = time.argsort(axis=0, kind="stable")[:num_variants]
    number = np.where(np.arange(len(taken))[:, None] < possible.sum(axis=0), taken + 1, 0)
    choice[: len(taken)] = _digits(number[:, rows.group], stride, radix) - 1
    return choice


def _digits(number: np.ndarray, stride: np.ndarray, radix: np.ndarray) -> np.ndarray:
    """`number // stride % radix`, for numbers up to `_ENUMERABLE`."""
    quotient = np.floor((number.astype(np.float32) + np.float32(0.5)) / stride)
    return (quotient - radix * np.floor((quotient + np.float32(0.5)) / radix)).astype(np.int64)


def _sample(
    rows: _Rows, num_variants: int, num_draws: int, replace_prob: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The first K different variants among D draws, `(K, W)`, and whether each row has K of them, `(R,)`."""
    draw_number = np.arange(num_draws, dtype=np.uint64)[:, None]
    position = np.arange(len(rows.word)) - rows.first[rows.group]
    # The first replaced word, on condition that there is one, is a truncated geometric variable.
    log_keep = np.log1p(-np.minimum(replace_prob, 1 - 1e-12))
    uniform = unit(mix(rows.keys + draw_number * GOLDEN))
    start = np.floor(np.log1p(uniform * np.expm1(rows.size * log_keep)) / log_keep)[:, rows.group]
    # One hash per word and draw: its high half decides whether to replace the word, its low half by which candidate.
    streams = mix(rows.keys[rows.group] ^ ~position.astype(np.uint64))
    bits = mix(streams + draw_number * GOLDEN)
    replaced = (position == start) | ((position > start) & (unit(bits) < replace_prob))
    if rows.limits is not None:
        replaced &= _rank(rows, replaced, mix(bits)) < rows.limits[rows.group]
    drawn = np.full(replaced.shape, KEEP)
    drawn[replaced] = rows.candidates.drawn(
        np.broadcast_to(rows.word, drawn.shape)[replaced], low_unit(bits[replaced])
    )
    if rows.tight:
        _shorten(rows, drawn)

    # Sort by a hash of the variant, with the number of the draw in its low bits: repeated draws follow the first one.
    low = np.uint64(num_draws.bit_length())
    ranked = rows.sums((drawn + 1).astype(np.uint64) * streams) >> low << low | draw_number
    ranked.sort(axis=0)
    variant = ranked >> low
    taken = (ranked ^ (variant << low)).astype(np.int64)
    taken[variant == 0] = num_draws  # the original
    taken[1:][variant[1:] == variant[:-1]] = num_draws
    taken.sort(axis=0)
    taken = taken[:num_variants]
    found = taken < num_draws
    chosen = drawn[np.where(found, taken, 0)[:, rows.group], np.arange(len(rows.word))]
    return np.where(found[:, rows.group], chosen, KEEP), found[-1]


def _rank(rows: _Rows, replaced: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Rank of each replaced word among the replaced words of its row, in random order, `(D, W)`."""
    order = (rows.group + np.where(replaced, unit(bits) / 2, 0.5)).argsort(axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(order.shape[1]) - rows.first[rows.group], axis=1)
    return rank


def _shorten(rows: _Rows, drawn: np.ndarray) -> None:
    """Undoes, in place, the last of the lengthening replacements that a row has no room for."""
    growth = rows.growth(drawn)
    longer = np.maximum(growth, 0)
    so_far = np.cumsum(longer, axis=1)
    so_far -= (so_far - longer)[:, rows.first][:, rows.group]
    room = rows.room - rows.sums(np.minimum(growth, 0))
    drawn[(growth > 0) & (so_far > room[:, rows.group])] = KEEP
