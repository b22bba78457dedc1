"""
Easy data augmentation: words deleted, exchanged, or put in.

Source: Wei and Zou, "EDA: Easy data augmentation techniques for boosting performance on text classification tasks",
EMNLP 2019, https://arxiv.org/abs/1901.11196. Its fourth operation, the replacement of words by synonyms, is
[`WordNetSynonyms`].
"""

from typing import Any

import numpy as np

from .base import Augmenter
from .core.batch import Batch, Swaps
from .core.candidates import Candidates
from .core.lexicon import has_case
from .core.randomness import low_unit, mix, unit
from .core.rejection import different_variants
from .core.sampling import draw
from .core.words import Words, word_marker
from .substitution import Substitution
from .word_augmenter import WordAugmenter


class RandomDelete(WordAugmenter):
    """
    Deletes words, but never all words of a text.

    Where a tokenizer writes a word otherwise without a space before it, words without one stay: the word after would
    have to be written otherwise.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): The classifier's tokenizer, a fast one.
        replace_prob (`float`, *optional*, defaults to 0.1):
            Probability in (0, 1] that a word is deleted, on condition that at least one is.
        constraints: Which words may be deleted, see [`WordAugmenter`].

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.
    """

    deletes_words = True

    def __init__(self, tokenizer, *, replace_prob: float = 0.1, **constraints):
        super().__init__(tokenizer, **constraints)
        self.replace_prob = _probability(replace_prob)
        self._spelling = _Spelling(tokenizer)

    def _swaps(self, batch: Batch, num_variants: int, keys: np.ndarray, fit: bool) -> Swaps:
        # Rows that repeat a word have deletions that come to the same.
        return different_variants(batch, num_variants, keys, lambda rows, keys: [self._delete(rows, keys, fit)])

    def _delete(self, batch: Batch, keys: np.ndarray, fit: bool) -> Swaps:
        all_words = self._finder.words(batch.ids, batch.starts, batch.lengths)
        spare = np.bincount(_texts(self, batch, all_words), minlength=2 * len(batch)) - 1
        words = self._words(batch, fit)
        words = words[self._spelling.spaced[batch.ids[words.start]] & ~self._spelling.possessive(words, batch)]
        words = words[spare[_texts(self, batch, words)] > 0]
        limits = np.full(len(batch), len(batch.ids) if self.max_replaced is None else self.max_replaced)
        np.minimum.at(limits, words.row, spare[_texts(self, batch, words)])
        zeros = np.zeros(max(len(words), len(batch), 2), dtype=np.int64)
        first = zeros[: len(words)]
        nothing = Candidates(words, first, first + 1, zeros[:1], zeros[:2], zeros[:0], longest=0)
        choice = draw(nothing, zeros[: len(batch)], keys, 1, self.replace_prob, limits)
        return Swaps.of_choice(batch, nothing, choice)


class RandomSwap(WordAugmenter):
    """
    Exchanges words with others of the same text: one pair of words, and each further pair with a probability.

    Words that stand after a space are not exchanged with others, where the tokenizer writes them otherwise, and
    neither is the capitalised first word of a sentence, where it keeps case.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): The classifier's tokenizer, a fast one.
        replace_prob (`float`, *optional*, defaults to 0.1):
            Probability in (0, 1] of each pair but one, when all words are paired at random.
        constraints: Which words may move, see [`WordAugmenter`]; of `max_replaced`, a pair takes two.

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.
    """

    moves_words = True

    def __init__(self, tokenizer, *, replace_prob: float = 0.1, **constraints):
        super().__init__(tokenizer, **constraints)
        if self.max_replaced == 1:
            raise ValueError("max_replaced is 1; expected at least 2, since words change places in pairs.")
        self.replace_prob = _probability(replace_prob)
        self._spelling = _Spelling(tokenizer)

    def _swaps(self, batch: Batch, num_variants: int, keys: np.ndarray, fit: bool) -> Swaps:
        return different_variants(batch, num_variants, keys, lambda rows, keys: [self._exchange(rows, keys, fit)])

    def _exchange(self, batch: Batch, keys: np.ndarray, fit: bool) -> Swaps:
        words = self._words(batch, fit)
        words = words[~self._spelling.capital_of_sentence(words, batch)]
        group = 2 * _texts(self, batch, words) + self._spelling.spaced[batch.ids[words.start]]
        # In random order, the words of a group are paired as they come.
        order = np.lexsort((_bits(words.row, mix(keys)), group))
        group = group[order]
        even = np.flatnonzero((_place(group)[:-1] % 2 == 0) & (group[1:] == group[:-1]))
        left, right = words[order[even]], words[order[even + 1]]
        pairs = _some(left.row, mix(~keys), self.replace_prob)
        if self.max_replaced is not None:
            pairs = pairs[_place(left.row[pairs]) < self.max_replaced // 2]

        variants: list[list[tuple[int, int, list[int]]]] = [[] for _ in batch.rows]
        for one, other in ((left[pairs], right[pairs]), (right[pairs], left[pairs])):
            starts = (one.start - batch.starts[one.row]).tolist()
            olds, news = one.pieces(batch.ids), other.pieces(batch.ids)
            for row, start, old, new in zip(one.row.tolist(), starts, olds, news, strict=True):
                if old != new:
                    variants[row].append((start, start + len(old), list(new)))
        return Swaps.of_variants(map(sorted, variants))


class RandomInsert(Augmenter):
    """
    Puts in, after random words, what a source proposes in the place of random words of the same text: synonyms in EDA.

    Words are put in after those words only that the source may change, as its constraints say, and `max_replaced` of
    the source is the most words that a variant gets.

    Args:
        source ([`Substitution`]): The source, whose own `replace_prob` is not used.
        replace_prob (`float`, *optional*, defaults to 0.1):
            Probability in (0, 1] that a word is followed by a new one, besides the one that always is.

    Raises:
        `TypeError`: if the source is no substitution.
        `ValueError`: if `replace_prob` is out of range.
    """

    inserts_words = True

    def __init__(self, source: Substitution, *, replace_prob: float = 0.1):
        if not isinstance(source, Substitution):
            raise TypeError(f"source is {source!r:.100} of type {type(source).__name__}; expected a Substitution.")
        super().__init__(source.tokenizer)
        self.source = source
        self.replace_prob = _probability(replace_prob)
        self._spelling = _Spelling(source.tokenizer)

    def _swaps(self, batch: Batch, num_variants: int, keys: np.ndarray, fit: bool) -> Swaps:
        return different_variants(batch, num_variants, keys, lambda rows, keys: [self._insert(rows, keys, fit)])

    def _insert(self, batch: Batch, keys: np.ndarray, fit: bool) -> Swaps:
        source = self.source
        words = source._words(batch, fit)
        # What is put in stands after a space and inside a sentence, and so must the word that it would replace.
        inside = self._spelling.spaced[batch.ids[words.start]] & ~self._spelling.capital_of_sentence(words, batch)
        candidates = source._candidates(batch, words[inside])
        text, offered = _texts(source, batch, words), _texts(source, batch, candidates.words)
        first = np.searchsorted(offered, text, side="left")
        count = np.searchsorted(offered, text, side="right") - first
        usable = (count > 0) & ~self._spelling.possessive(words, batch)
        words, first, count = words[usable], first[usable], count[usable]

        bits = _bits(words.row, mix(keys))
        word = first + (unit(bits) * count).astype(np.int64)
        replacement = candidates.replacements(word, candidates.drawn(word, low_unit(bits)))
        places = _some(words.row, mix(~keys), self.replace_prob)
        if source.max_replaced is not None:
            places = places[_place(words.row[places]) < source.max_replaced]
        room = source._longest(fit) - batch.lengths
        variants: list[list[tuple[int, int, list[int]]]] = [[] for _ in batch.rows]
        chosen = words[places]
        starts = (chosen.start - batch.starts[chosen.row]).tolist()
        olds = chosen.pieces(batch.ids)
        for row, start, old, number in zip(
            chosen.row.tolist(), starts, olds, replacement[places].tolist(), strict=True
        ):
            new = candidates.pieces[candidates.offsets[number] : candidates.offsets[number + 1]].tolist()
            if 0 < len(new) <= room[row]:
                room[row] -= len(new)
                variants[row].append((start, start + len(old), [*old, *new]))
        return Swaps.of_variants(map(sorted, variants))


class _Spelling:
    """
    How a tokenizer writes words.

    Attributes:
        spaced (`np.ndarray` of shape `(N,)`):
            Whether each id, if it begins a word, is one for words after a space; all are, if one id serves everywhere.
    """

    def __init__(self, tokenizer):
        marker, vocabulary = word_marker(tokenizer), tokenizer.get_vocab()
        self.spaced = np.zeros(max(vocabulary.values(), default=-1) + 1, dtype=bool)
        self._apostrophe = self.spaced.copy()
        for token, index in vocabulary.items():
            self.spaced[index] = marker == "##" or token.startswith(marker)
            self._apostrophe[index] = token.startswith(("'", "’"))
        self._tokenizer = tokenizer
        self._keeps_case = has_case(tokenizer)
        self._capitalised: dict[tuple[int, ...], bool] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_capitalised": {}}  # else use would change the hash by which `datasets` knows a `map`

    def possessive(self, words: Words, batch: Batch) -> np.ndarray:
        """Whether an apostrophe follows each word, `(W,)`."""
        after = np.append(self._apostrophe[batch.ids], False)
        return after[words.start + words.length] & ~words.last

    def capital_of_sentence(self, words: Words, batch: Batch) -> np.ndarray:
        """Whether each word has a capital that it may owe to its place in a sentence, `(W,)`."""
        capital = words.first & self._keeps_case
        capital[capital] = [self._has_capital(pieces) for pieces in words[capital].pieces(batch.ids)]
        return capital

    def _has_capital(self, pieces: tuple[int, ...]) -> bool:
        if pieces not in self._capitalised:
            text = self._tokenizer.decode(list(pieces)).strip()
            self._capitalised[pieces] = text != text.lower()
        return self._capitalised[pieces]


def _probability(value: float) -> float:
    if not 0 < value <= 1:
        raise ValueError(f"replace_prob is {value}; expected a probability in (0, 1].")
    return value


def _nothing_for(words: Words) -> Candidates:
    """The candidates of words that may become nothing, and nothing else."""
    zeros = np.zeros(len(words) + 2, dtype=np.int64)
    return Candidates(words, zeros[2:], zeros[2:] + 1, zeros[:1], zeros[:2], zeros[:0], longest=0)


def _texts(augmenter: WordAugmenter, batch: Batch, words: Words) -> np.ndarray:
    """A number for the text that each word is of, in increasing order, `(W,)`: two texts to a row."""
    return 2 * words.row + augmenter._finder.segments(batch.ids, batch.starts, words)


def _place(group: np.ndarray) -> np.ndarray:
    """Place of each item within its group, the groups' items standing together, `(N,)`."""
    new = np.ones(len(group), dtype=bool)
    new[1:] = group[1:] != group[:-1]
    place = np.arange(len(group))
    return place - np.maximum.accumulate(np.where(new, place, 0))


def _bits(row: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Random bits for the items of rows, which depend on the row's key and the item's place in the row."""
    return mix(keys[row] ^ _place(row).astype(np.uint64))


def _some(row: np.ndarray, keys: np.ndarray, prob: float) -> np.ndarray:
    """Of the items of each row one at random, and each further one with a probability, in random order: `(N,)`."""
    bits = _bits(row, keys)
    order = np.lexsort((bits, row))
    return order[(_place(row) == 0) | (unit(mix(bits))[order] < prob)]
