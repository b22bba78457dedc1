"""Drawing the K variants of each row: which words are replaced, and by which candidate."""

import numpy as np

from .candidates import Candidates
from .randomness import below, mix, unit


KEEP = -1  # the choice that leaves a word as it is

_ROUNDS = 6  # draws after which a row that still repeats itself is enumerated
_ENUMERABLE = 4096  # a row with more variants than this is never enumerated
_WORD_TO_FORCE = (1 << 32) - 1  # a word coordinate that no word has


def draw(
    candidates: Candidates, room: np.ndarray, keys: np.ndarray, num_variants: int, replace_prob: float
) -> np.ndarray:
    """
    Draws K variants of each of B rows. In a variant every word is replaced with probability `replace_prob`, by any of its
    candidates alike, and one word at least. The variants of a row differ from each other and from the original; where
    the candidates allow fewer than K, the rest are copies of the original.

    Args:
        candidates (`Candidates`): The W words that may be replaced.
        room (`np.ndarray` of shape `(B,)`): Tokens by which a variant of each row may be longer than the row.
        keys (`np.ndarray` of shape `(B,)`, `uint64`): Each row's seed. Draws depend on a row's key and words alone.
        num_variants (`int`): K.
        replace_prob (`float`): Probability in (0, 1] that a word is replaced.

    Returns:
        `np.ndarray` of shape `(K, W)`: the candidate of each word in each variant, from 0 to its count - 1, or `KEEP`.
    """
    row, num_rows = candidates.words.row, len(keys)
    choice = np.full((num_variants, len(row)), KEEP)
    if not len(row):
        return choice
    num_words = np.bincount(row, minlength=num_rows)
    first_word = np.cumsum(num_words) - num_words
    position = np.arange(len(row)) - first_word[row]  # a word's number within its row
    radix = candidates.count + 1
    log_total = np.bincount(row, weights=np.log2(radix), minlength=num_rows)
    tight = _longest_growth(candidates, num_rows) > room

    has_words = num_words > 0
    few = has_words & ~tight & (log_total <= np.log2(num_variants + 1) + 1e-9)
    choice = np.where(few[row], _all_variants(radix, row, log_total, keys, num_variants), choice)

    signatures = np.zeros((num_variants, num_rows), dtype=np.uint64)
    pending = np.tile(has_words & ~few, (num_variants, 1))
    for attempt in range(_ROUNDS):
        variant, row_of_variant = np.nonzero(pending)
        if not len(variant):
            break
        sizes = num_words[row_of_variant]
        ends = np.cumsum(sizes)
        word = np.arange(ends[-1]) - np.repeat(ends - sizes - first_word[row_of_variant], sizes)
        owner = np.repeat(np.arange(len(sizes)), sizes)

        # One hash per word and variant: its high half says whether to replace, its low half by which candidate.
        stream = keys[row_of_variant] ^ mix((np.uint64(attempt) << np.uint64(32)) | variant.astype(np.uint64))
        bits = mix(stream[owner] ^ mix(position[word].astype(np.uint64)))
        replaced = unit(bits) < replace_prob
        none = np.flatnonzero(~np.logical_or.reduceat(replaced, ends - sizes))
        replaced[(ends - sizes)[none] + below(mix(stream[none] ^ np.uint64(_WORD_TO_FORCE)), sizes[none])] = True
        drawn = np.where(replaced, below(bits, candidates.count[word]), KEEP)
        if tight.any():
            _shorten(candidates, word, drawn, ends - sizes, ends, room[row_of_variant], tight[row_of_variant])

        choice[variant[owner], word] = drawn
        codes = np.where(drawn == KEEP, 0, mix((position[word] << 32 | (drawn + 1)).astype(np.uint64)))
        signatures[variant, row_of_variant] = np.add.reduceat(codes, ends - sizes)
        pending = _repeats(signatures) & (has_words & ~few)

    for stuck in np.flatnonzero(pending.any(axis=0)):
        words = np.arange(first_word[stuck], first_word[stuck] + num_words[stuck])
        choice[:, words] = _complete(candidates, words, choice[:, words], ~pending[:, stuck], room[stuck], keys[stuck])
    return choice


def _repeats(signatures: np.ndarray) -> np.ndarray:
    """Where a variant of a row (a column) is the original or an earlier variant again."""
    order = np.argsort(signatures, axis=0, kind="stable")
    ranked = np.take_along_axis(signatures, order, axis=0)
    repeats = np.zeros(signatures.shape, dtype=bool)
    np.put_along_axis(repeats, order[1:], ranked[1:] == ranked[:-1], axis=0)
    return repeats | (signatures == 0)


def _all_variants(
    radix: np.ndarray, row: np.ndarray, log_total: np.ndarray, keys: np.ndarray, num_variants: int
) -> np.ndarray:
    """Choices `(K, W)` that list all variants of each row that has no more than K, from a random one on."""
    # A variant is a number whose digit for each word, in base count + 1, is 0 to keep it and its candidate + 1 else.
    total = np.rint(np.exp2(np.minimum(log_total, 40))).astype(np.int64) - 1
    logs = np.log2(radix)
    before = np.cumsum(logs) - logs
    new_row = np.flatnonzero(np.diff(row, prepend=-1))
    log_stride = before - np.repeat(before[new_row], np.diff(new_row, append=len(row)))
    stride = np.rint(np.exp2(np.minimum(log_stride, 40))).astype(np.int64)
    total, key = np.maximum(total, 1)[row], keys[row]
    variant = np.arange(num_variants)[:, None]
    offset = below(mix(key), total)
    number = np.where(variant < total, (variant + offset) % total + 1, 0)
    return number // stride % radix - 1


def _complete(
    candidates: Candidates, words: np.ndarray, choice: np.ndarray, done: np.ndarray, room: int, key: np.uint64
) -> np.ndarray:
    """One row's choices `(K, words)`, those that are not done taken from a list of all the variants it has."""
    choice = np.where(done[:, None], choice, KEEP)
    radix = candidates.count[words] + 1
    total = int(np.prod(radix.astype(np.float64)))
    if total > _ENUMERABLE:  # so many, and yet none found that fits the room: it allows none, or hardly any
        return choice
    stride = np.cumprod(radix) // radix
    every = np.arange(1, total)[:, None] // stride % radix - 1
    growth = np.where(every == KEEP, 0, candidates.growth(words, np.maximum(every, 0)))
    fitting = growth.sum(axis=1) <= room
    order = np.argsort(mix(key ^ np.arange(1, total, dtype=np.uint64)), kind="stable")
    every = every[order[fitting[order]]]
    used = {tuple(variant) for variant in choice[done].tolist()}
    fresh = [variant for variant in every.tolist() if tuple(variant) not in used]
    missing = np.flatnonzero(~done)[: len(fresh)]
    choice[missing] = fresh[: len(missing)]
    return choice


def _longest_growth(candidates: Candidates, num_rows: int) -> np.ndarray:
    """Tokens by which no variant of a row can be longer than the row, `(B,)`: a bound quick to compute."""
    longest = np.max(np.diff(candidates.offsets), initial=0)
    return np.bincount(
        candidates.words.row, weights=np.maximum(longest - candidates.words.length, 0), minlength=num_rows
    )


def _shorten(
    candidates: Candidates,
    word: np.ndarray,
    drawn: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    room: np.ndarray,
    tight: np.ndarray,
) -> None:
    """Takes back, in place, the last replacements that make a variant longer than its row has room for."""
    growth = np.where(drawn == KEEP, 0, candidates.growth(word, np.maximum(drawn, 0)))
    total = np.add.reduceat(growth, begins)
    for long in np.flatnonzero(tight & (total > room)):
        excess = total[long] - room[long]
        for i in reversed(range(begins[long], ends[long])):
            if excess > 0 and growth[i] > 0:
                drawn[i] = KEEP
                excess -= growth[i]
