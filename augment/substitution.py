"""Substitution of words by candidates, whatever proposes them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from .core.batch import Batch, Swaps
from .core.candidates import Candidates
from .core.lexicon import Lexicon, build_lexicon
from .core.sampling import draw
from .core.words import Words
from .word_augmenter import WordAugmenter


class Substitution(WordAugmenter):
    """
    Replaces words by candidates.

    A subclass proposes the candidates; which words and which candidates a variant gets is drawn here. The variants of
    an example differ from each other and from it as far as the candidates allow.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): The classifier's tokenizer, a fast one.
        replace_prob (`float`, *optional*, defaults to 0.3):
            Probability in (0, 1] that a word which has candidates is replaced, on condition that at least one is.
        constraints: Which words may change, see [`WordAugmenter`].

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.
    """

    def __init__(self, tokenizer, *, replace_prob: float = 0.3, **constraints):
        super().__init__(tokenizer, **constraints)
        if not 0 < replace_prob <= 1:
            raise ValueError(f"replace_prob is {replace_prob}; expected a probability in (0, 1].")
        self.replace_prob = replace_prob

    @abstractmethod
    def _candidates(self, batch: Batch, words: Words) -> Candidates:
        """What may take the place of which of `words`, that lie in `batch.ids`."""

    def _swaps(self, batch: Batch, num_variants: int, keys: np.ndarray, fit: bool) -> Swaps:
        candidates = self._candidates(batch, self._words(batch, fit))
        room = np.maximum(self._longest(fit) - batch.lengths, 0)
        choice = draw(candidates, room, keys, num_variants, self.replace_prob, self._limits(candidates, len(batch)))
        return Swaps.of_choice(batch, candidates, choice)

    def _limits(self, candidates: Candidates, num_rows: int) -> np.ndarray | None:
        """Most words to replace in each row, `(B,)`, `None` where there is no limit."""
        return None if self.max_replaced is None else np.full(num_rows, self.max_replaced)


class FromLexicon(Substitution):
    """Replaces words by the candidates that a lexicon has for them."""

    _lexicon: Lexicon

    def _candidates(self, batch: Batch, words: Words) -> Candidates:
        lexicon = self._lexicon
        entries = lexicon.lookup(batch.ids, words.start, words.length)
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


class LexiconSubstitution(FromLexicon):
    """
    Replaces words by others from a list of your own, in the case of the word that they replace.

    Capitalised words inside a sentence, most of them names, stay if the tokenizer tells them from others. After "a"
    and "an" only those candidates are taken that begin with a vowel letter just as the word does, or do not just as it
    does not.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): The classifier's tokenizer, a fast one.
        words (`Mapping[str, Sequence[str]]`): Lower-case words of letters only, each with its candidates.
        options: `replace_prob` of [`Substitution`], and the constraints of [`WordAugmenter`].

    Raises:
        `ValueError`: if a word is not of lower-case letters, or is offered in its own place.

    Example:

    ```python
    >>> augmenter = LexiconSubstitution(tokenizer, {"movie": ["film", "motion picture"]})
    >>> augmenter.augment_text("A movie.", num_variants=2, seed=0)
    ['A film.', 'A motion picture.']
    ```
    """

    def __init__(self, tokenizer, words: Mapping[str, Sequence[str]], **options):
        super().__init__(tokenizer, **options)
        if not isinstance(words, Mapping):
            raise TypeError(f"words is {words!r:.100}; expected a dict of words, each with a list of candidates.")
        for word, candidates in words.items():
            if not (word.isalpha() and word == word.lower()):
                raise ValueError(f"The lexicon has the word {word!r}; expected lower-case letters only.")
            texts = not isinstance(candidates, str) and all(isinstance(text, str) and text for text in candidates)
            if not texts or word in candidates:
                raise ValueError(f"The lexicon offers {candidates!r} for {word!r}; expected a list of other words.")
        self.words = dict(words)
        self._lexicon = build_lexicon(tokenizer, words)
