"""Augmenters of words, and the constraints on which words they may change."""

import re
from collections.abc import Iterable

import numpy as np

from .base import Augmenter
from .configurable import check_choice, check_count
from .core.batch import Batch
from .core.lazy import cached_method
from .core.scripts import is_unspaced, without_spaces
from .core.words import WordFinder, Words


SEGMENTS = ("all", "first", "second")

_NO_LIMIT = 1 << 40  # tokens


class WordAugmenter(Augmenter):
    """
    An augmenter that changes words, under constraints.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`):
            The classifier's tokenizer, a fast one.
        max_length (`int`, *optional*):
            Number of tokens of the longest variant; longer variants are not made. The last word of a row of this
            length, which may be truncated, stays. Defaults to `tokenizer.model_max_length`.
        segments (`str`, *optional*, defaults to `"all"`):
            Which text of a pair may change: `"all"`, `"first"` or `"second"`.
        keep_words (`Iterable[str]`, *optional*):
            Words that stay, in any case. A Chinese word stays wherever its characters stand.
        keep_pattern (`str`, *optional*):
            Words that match this regular expression as a whole stay. It sees each word as the tokenizer decodes it,
            which may be in lower case and without accents.
        max_replaced (`int`, *optional*):
            Largest number of words that one variant replaces.

    Attributes:
        finder (`WordFinder`): Finds the words of the tokenizer.
        joined_words (`bool`): Whether words that are joined to a larger one, as in "state-of-the-art", may change.

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.
    """

    joined_words = False

    def __init__(
        self,
        tokenizer,
        *,
        max_length: int | None = None,
        segments: str = "all",
        keep_words: Iterable[str] = (),
        keep_pattern: str | None = None,
        max_replaced: int | None = None,
    ):
        super().__init__(tokenizer)
        check_count("max_length", max_length, optional=True)
        check_count("max_replaced", max_replaced, optional=True)
        check_choice("segments", segments, SEGMENTS)
        if isinstance(keep_words, str) or not isinstance(keep_words, Iterable):
            raise ValueError(f"keep_words is {keep_words!r:.100}; expected a list of words.")
        keep_words = tuple(sorted(keep_words) if isinstance(keep_words, set | frozenset) else keep_words)
        if not all(isinstance(word, str) for word in keep_words):
            raise ValueError(f"keep_words is {keep_words!r:.100}; expected a list of words.")
        try:
            self._pattern = None if keep_pattern is None else re.compile(keep_pattern)
        except re.error as error:
            raise ValueError(f"keep_pattern is {keep_pattern!r}, not a regular expression: {error}.") from error
        self.finder = WordFinder(tokenizer)
        if segments != "all" and self.finder.separator is None:
            raise ValueError(f"segments is {segments!r}, but the tokenizer has no token that separates texts.")
        self.max_length = max_length
        self.segments = segments
        self.keep_words = keep_words
        self.keep_pattern = keep_pattern
        self.max_replaced = max_replaced
        normalizer = tokenizer.backend_tokenizer.normalizer  # which may remove accents
        spell = normalizer.normalize_str if normalizer is not None else str
        self._kept = dict.fromkeys(
            without_spaces(spell(word).strip()).casefold() for word in keep_words
        )  # a set has no fixed order
        unspaced = [word for word in self._kept if is_unspaced(word)]
        encoded = tokenizer(unspaced, add_special_tokens=False)["input_ids"] if unspaced else []
        self._kept_runs = sorted({*map(len, unspaced), *map(len, encoded)} - {1})

    def eligible_words(self, batch: Batch) -> Words:
        """The words of a batch that may change under the constraints."""
        words = self.finder.words(batch, self.joined_words)
        if self.segments != "all":
            words = words[self.finder.segments(batch, words) == SEGMENTS.index(self.segments) - 1]
        full = self.room(batch) == 0
        if full.any():
            words = words[~(full[words.row] & words.last)]
        if batch.kept is not None:
            kept = np.concatenate([[0], np.cumsum(batch.kept)])
            words = words[kept[words.start + words.length] == kept[words.start]]
        for num_words in self._kept_runs:
            runs = words.runs(num_words)
            stay = np.array([self._stays(pieces) for pieces in runs.pieces(batch.ids)], dtype=bool)
            change = np.zeros(len(batch.ids) + 1, dtype=np.int64)  # 1 where a run begins, -1 where it ends
            np.add.at(change, runs.start[stay], 1)
            np.add.at(change, (runs.start + runs.length)[stay], -1)
            words = words[change.cumsum()[words.start] == 0]
        if self._kept or self._pattern is not None:
            words = words[np.array([not self._stays(pieces) for pieces in words.pieces(batch.ids)], dtype=bool)]
        return words

    def room(self, batch: Batch) -> np.ndarray:
        """Number of tokens by which a variant of each row may be longer than the row, `(B,)`."""
        longest = min(self.max_length or self.tokenizer.model_max_length, _NO_LIMIT) if batch.bounded else _NO_LIMIT
        return np.maximum(longest - batch.lengths, 0)

    @cached_method
    def _stays(self, pieces: tuple[int, ...]) -> bool:
        """Whether a word with these pieces must stay because of `keep_words` or `keep_pattern`."""
        word = without_spaces(self.tokenizer.decode(list(pieces)).strip())
        return word.casefold() in self._kept or bool(self._pattern and self._pattern.fullmatch(word))
