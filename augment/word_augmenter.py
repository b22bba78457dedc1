"""Which words of an example an augmenter may touch."""

import re
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from .base import Augmenter
from .configurable import check_count
from .core.batch import Batch
from .core.words import WordFinder, Words


SEGMENTS = ("all", "first", "second")

_NO_LIMIT = 1 << 40  # tokens, or words


class WordAugmenter(Augmenter):
    """
    An augmenter of words, under constraints that all its kinds share.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]):
            The classifier's tokenizer, a fast one.
        max_length (`int`, *optional*):
            Longest variant in tokens; a replacement that would make a longer one is not made. The last word of a row
            of this length, which may have been cut, stays. Defaults to `tokenizer.model_max_length`.
        segments (`str`, *optional*, defaults to `"all"`):
            Which text of a pair may change: `"all"`, `"first"` or `"second"`.
        keep_words (`Iterable[str]`, *optional*):
            Words that stay, in any case.
        keep_pattern (`str`, *optional*):
            Words that this regular expression matches as a whole stay. It sees a word as the tokenizer has it,
            which may be in lower case and without accents.
        max_replaced (`int`, *optional*):
            Most words that one variant replaces.

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.
    """

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
        for name, value in (("max_length", max_length), ("max_replaced", max_replaced)):
            if value is not None:
                check_count(name, value)
        if segments not in SEGMENTS:
            raise ValueError(f"segments is {segments!r}; expected one of {', '.join(map(repr, SEGMENTS))}.")
        if isinstance(keep_words, str) or not isinstance(keep_words, Iterable):
            raise ValueError(f"keep_words is {keep_words!r:.100}; expected a list of words.")
        keep_words = tuple(sorted(keep_words) if isinstance(keep_words, set | frozenset) else keep_words)
        if not all(isinstance(word, str) for word in keep_words):
            raise ValueError(f"keep_words is {keep_words!r:.100}; expected a list of words.")
        try:
            pattern = None if keep_pattern is None else re.compile(keep_pattern)
        except re.error as error:
            raise ValueError(f"keep_pattern is {keep_pattern!r}, no regular expression: {error}.") from error
        self._finder = WordFinder(tokenizer)
        if segments != "all" and self._finder.separator is None:
            raise ValueError(f"segments is {segments!r}, but the tokenizer has no token that separates texts.")
        self.max_length = max_length
        self.segments = segments
        self.keep_words = keep_words
        self.keep_pattern = keep_pattern
        self.max_replaced = max_replaced
        normalizer = tokenizer.backend_tokenizer.normalizer  # which may take away accents
        spell = normalizer.normalize_str if normalizer is not None else str
        self._kept = dict.fromkeys(spell(word).strip().casefold() for word in keep_words)  # no set, whose order varies
        self._pattern = pattern

    _caches = (*Augmenter._caches, "_stays")

    @cached_property
    def _stays(self) -> dict[tuple[int, ...], bool]:
        """Whether a word, by its pieces, is to stay by its text."""
        return {}

    def _longest(self, fit: bool) -> int:
        """Most tokens that a variant may have."""
        return min(self.max_length or self.tokenizer.model_max_length, _NO_LIMIT) if fit else _NO_LIMIT

    def _words(self, batch: Batch, fit: bool) -> Words:
        """The words of a batch that may change."""
        words = self._finder.words(batch.ids, batch.starts, batch.lengths)
        if self.segments != "all":
            segment = self._finder.segments(batch.ids, batch.starts, words)
            words = words[segment == SEGMENTS.index(self.segments) - 1]
        full = batch.lengths >= self._longest(fit)
        if full.any():
            words = words[~(full[words.row] & words.last)]
        if batch.spans is not None:
            kept = np.concatenate([[0], np.cumsum(batch.kept())])
            words = words[kept[words.start + words.length] == kept[words.start]]
        if self._kept or self._pattern is not None:
            words = words[np.array([not self._to_stay(ids) for ids in words.pieces(batch.ids)], dtype=bool)]
        return words

    def _to_stay(self, pieces: tuple[int, ...]) -> bool:
        """Whether a word is to stay, by its text."""
        if pieces not in self._stays:
            word = self.tokenizer.decode(list(pieces)).strip()
            matches = self._pattern is not None and self._pattern.fullmatch(word) is not None
            self._stays[pieces] = matches or word.casefold() in self._kept
        return self._stays[pieces]
