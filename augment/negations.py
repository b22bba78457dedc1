"""Augmenters that leave negations and words of contrast alone."""

from functools import cached_property

import numpy as np

from .core.batch import Batch
from .core.lexicon import Lexicon, build_lexicon
from .core.words import Words
from .english.negations import CONTRACTIONS, CONTRASTS, NEGATIONS
from .languages.language import ENGLISH, check_lang
from .word_augmenter import WordAugmenter


_CONTRACTIONS = {word.replace("'", mark) for word in CONTRACTIONS for mark in "'’"}


class KeepsNegations(WordAugmenter):
    """
    A word augmenter that leaves negations ("not", "never", "without") and words of contrast ("but", "although") as
    they are and where they are, since a text without them may have the opposite label.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        lang (`str`, *optional*, defaults to `"eng"`):
            Language of the texts, an ISO 639-3 code. The negations of languages other than English are not known.
        constraints: Which words may change, see `WordAugmenter`.
    """

    def __init__(self, tokenizer, *, lang: str = ENGLISH, **constraints):
        super().__init__(tokenizer, **constraints)
        self.lang = check_lang(lang)

    def eligible_words(self, batch: Batch) -> Words:
        words = super().eligible_words(batch)
        return words[~self._are_kept(batch, words)]

    def negations(self, batch: Batch) -> np.ndarray:
        """Places in `batch.ids` of negations, "n't" included, and words of contrast, in increasing order: `(N,)`."""
        words = self.finder.words(batch)
        places = [words.start[self._are_kept(batch, words)]]
        for pieces in self._contractions:
            if len(pieces) <= len(batch.ids):
                runs = np.lib.stride_tricks.sliding_window_view(batch.ids, len(pieces))
                places.append(np.flatnonzero((runs == pieces).all(axis=1)))
        return np.sort(np.concatenate(places))

    def _are_kept(self, batch: Batch, words: Words) -> np.ndarray:
        return self._kept_words.lookup(batch.ids, words.start, words.length) >= 0

    @cached_property
    def _kept_words(self) -> Lexicon:
        # The bytes of a curly apostrophe may be pieces of a word.
        words = sorted(NEGATIONS | CONTRASTS | _CONTRACTIONS) if self.lang == ENGLISH else ()
        return build_lexicon(self.tokenizer, dict.fromkeys(words, ()))

    @cached_property
    def _contractions(self) -> list[tuple[int, ...]]:
        """The pieces with which words such as "don't" end: those of "'t", with whatever belongs to the same pieces."""
        if self.lang != ENGLISH:
            return []
        texts = [case(text) for text in sorted(_CONTRACTIONS) for case in (str.lower, str.capitalize, str.upper)]
        encoded = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        rows = zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
        endings = {
            tuple(piece for piece, (_, end) in zip(ids, offsets, strict=True) if end > len(text) - 2)
            for text, ids, offsets in rows
        }
        return sorted(endings - {()})
