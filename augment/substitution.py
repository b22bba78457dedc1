"""Substitution of words by candidates from a lexicon."""

from collections.abc import Mapping, Sequence

import numpy as np

from .base import Augmenter
from .candidates import Candidates
from .lexicon import Lexicon, build_lexicon
from .words import Words


class LexiconSubstitution(Augmenter):
    """
    Replaces words by others from a list of your own, in the case of the word that they replace.

    Capitalised words inside a sentence, most of them names, stay if the tokenizer tells them from others. After "a"
    and "an" only those candidates are taken that begin with a vowel letter just as the word does, or do not just as it
    does not.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): The classifier's tokenizer, a fast one.
        words (`Mapping[str, Sequence[str]]`): Lower-case words of letters only, each with its candidates.
        replace_prob, max_length, segments: As in [`Augmenter`].

    Raises:
        `ValueError`: if a word is not of lower-case letters, or is offered in its own place.

    Example:

    ```python
    >>> augmenter = LexiconSubstitution(tokenizer, {"movie": ["film", "motion picture"]})
    >>> augmenter.augment_text("A movie.", num_variants=2, seed=0)
    ['A film.', 'A motion picture.']
    ```
    """

    def __init__(
        self,
        tokenizer,
        words: Mapping[str, Sequence[str]],
        replace_prob: float = 0.3,
        max_length: int | None = None,
        segments: str = "all",
    ):
        super().__init__(tokenizer, replace_prob, max_length, segments)
        self._lexicon = self._compile(words)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(replace_prob={self.replace_prob}, max_length={self.max_length}, "
            f"segments={self.segments!r})"
        )

    def _compile(self, words: Mapping[str, Sequence[str]]) -> Lexicon:
        for word, candidates in words.items():
            if not (word.isalpha() and word == word.lower()):
                raise ValueError(f"The lexicon has the word {word!r}; expected lower-case letters only.")
            if isinstance(candidates, str) or not all(candidates) or word in candidates:
                raise ValueError(f"The lexicon offers {candidates!r} for {word!r}; expected a list of other words.")
        return build_lexicon(self.tokenizer, words)

    def _candidates(self, ids: np.ndarray, words: Words) -> Candidates:
        lexicon = self._lexicon
        entries = lexicon.lookup(ids, words.start, words.length)
        known = np.flatnonzero(entries >= 0)
        words, entries = words[known], entries[known]
        count = np.where(words.after_article, lexicon.count_after_article[entries], lexicon.count[entries])
        usable = np.flatnonzero((count > 0) & (words.first | ~lexicon.capitalised[entries]))
        words, entries = words[usable], entries[usable]
        return Candidates(
            words,
            lexicon.first[entries].astype(np.int64),
            count[usable].astype(np.int64),
            lexicon.candidates,
            lexicon.offsets,
            lexicon.pieces,
            lexicon.longest,
        )
