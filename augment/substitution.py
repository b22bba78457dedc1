"""Substitution of words by candidates, from any source."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .configurable import check_probability
from .core.batch import Batch
from .core.candidates import Candidates
from .core.edits import Edits
from .core.lexicon import Lexicon, build_lexicon, encode_after
from .core.sampling import draw
from .core.words import Words
from .languages.language import ENGLISH, check_lang
from .word_augmenter import WordAugmenter


Pieces = tuple[int, ...]


class Substitution(WordAugmenter):
    """
    Replaces words by candidates.

    A subclass is a source of candidates: it gives `candidates`. Which words a variant replaces, and by which of
    their candidates, is drawn here. The variants of an example differ from each other and from it as far as the
    candidates allow.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        replace_prob (`float`, *optional*, defaults to 0.3):
            Probability in (0, 1] that a word with candidates is replaced, on condition that at least one is.
        constraints: Which words may change, see `WordAugmenter`.

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.
    """

    def __init__(self, tokenizer, *, replace_prob: float = 0.3, **constraints):
        super().__init__(tokenizer, **constraints)
        check_probability("replace_prob", replace_prob)
        self.replace_prob = replace_prob

    @abstractmethod
    def candidates(self, batch: Batch, words: Words) -> Candidates:
        """
        The candidates of words. Others call it with `source.eligible_words(batch)`, or a part of these words.

        Args:
            batch (`Batch`): B rows of token ids.
            words (`Words`): W words of the batch. The token ids of each are `words.pieces(batch.ids)`.

        Returns:
            `Candidates`: of those words that have any, in the same order. `Candidates.of` makes them from lists of
            token ids, `candidates_of_texts` from lists of texts. They are a pure function of each word and its row.
        """

    def candidates_of_texts(self, batch: Batch, words: Words, texts: Sequence[Sequence[str]]) -> Candidates:
        """
        Candidates from texts, tokenised as they stand in the place of their word.

        Texts that have an unknown token, or the token ids of their word or of another of its texts, are left out.

        Args:
            batch (`Batch`): B rows of token ids.
            words (`Words`): W words of the batch.
            texts (`Sequence` of length W): The texts that may replace each word, without spaces around them.

        Raises:
            `ValueError`: if the number of lists differs from the number of words.
        """
        if len(texts) != len(words):
            raise ValueError(f"Received lists of texts for {len(texts)} words; expected {len(words)} lists.")
        encoded = self._encoded(words.pieces(batch.ids), texts)
        return Candidates.of(words, [[pieces for pieces in dict.fromkeys(group) if pieces] for group in encoded])

    def _encoded(self, words: Sequence[Pieces], texts: Sequence[Iterable[str]]) -> list[list[Pieces]]:
        """The ids of texts in the place of words with these pieces, none for unknown ones and for the word itself."""
        encoded: list[list[Pieces]] = [[] for _ in words]
        for is_spaced, before in ((True, "a "), (False, "(")):
            alike = [i for i, word in enumerate(words) if self.finder.spaced[word[0]] == is_spaced]
            flat = [(i, text) for i in alike for text in texts[i]]
            found = encode_after(self.tokenizer, [text for _, text in flat], before)
            for (i, _), pieces in zip(flat, found, strict=True):
                encoded[i].append(() if pieces == words[i] else pieces)
        return encoded

    @property
    def most_replaced(self) -> int | None:
        """Largest number of words that one variant replaces, or `None` for no limit."""
        return self.max_replaced

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        candidates = self.candidates(batch, self.eligible_words(batch))
        limits = None if self.most_replaced is None else np.full(len(batch), self.most_replaced)
        choice = draw(candidates, self.room(batch), keys, num_variants, self.replace_prob, limits)
        return Edits.of_choice(batch, candidates, choice)


class FromLexicon(Substitution):
    """Replaces words by their candidates in a lexicon."""

    _lexicon: Lexicon

    def candidates(self, batch: Batch, words: Words) -> Candidates:
        return self._known(batch, self.segmented(batch, words))

    def segmented(self, batch: Batch, words: Words) -> Words:
        """The words with each known phrase as one word, the longest phrases first."""
        runs, num_words = words.runs_of(self._lexicon.phrases.astype(np.int64))
        entries = self._lexicon.lookup(batch.ids, runs.start, runs.length)
        found = np.flatnonzero(entries >= 0)
        if not len(found):
            return words
        runs, entries, num_words = runs[found], entries[found], num_words[found]
        is_word = (self._counts(runs, entries) > 0) | (self._lexicon.count[entries] == 0)
        runs, num_words = runs[is_word], num_words[is_word]
        return words.with_runs(runs[np.lexsort((runs.start, -num_words))])

    def _counts(self, words: Words, entries: np.ndarray) -> np.ndarray:
        """How many candidates each word or phrase has where it stands, given its entry: `(W,)`."""
        lexicon = self._lexicon
        count = np.where(words.after_article, lexicon.count_after_article[entries], lexicon.count[entries])
        return np.where(words.first | ~lexicon.capitalised[entries], count, 0)

    def _known(self, batch: Batch, words: Words) -> Candidates:
        """The candidates of the words or phrases that have an entry."""
        lexicon = self._lexicon
        entries = lexicon.lookup(batch.ids, words.start, words.length)
        known = np.flatnonzero(entries >= 0)
        words, entries = words[known], entries[known]
        count = self._counts(words, entries)
        usable = np.flatnonzero(count)
        entries = entries[usable]
        return Candidates(
            words[usable],
            lexicon.first[entries].astype(np.int64),
            count[usable].astype(np.int64),
            lexicon.candidates,
            lexicon.offsets,
            lexicon.pieces,
            lexicon.longest,
        )


class LexiconSubstitution(FromLexicon):
    """
    Replaces words and phrases by others from a list of your own.

    A lower-case word stands for its forms in lower case, capitalised and in capitals, and its candidates take the case
    of the form. A word with a capital ("NLP", "Best Regards") is replaced only where it is spelt so, if the tokenizer
    keeps case, and by candidates as they are spelt. A phrase is replaced as a whole, as one word, if all of its words
    may change. The longest phrase counts, before the words in it.

    Other capitalised words inside a sentence, mostly names, stay if the tokenizer keeps case. After "a" and "an",
    candidates start with a vowel letter exactly if the word does.

    A Chinese word is found wherever its characters stand, as is one of another script without spaces. The longest word
    counts.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        words (`Mapping[str, Sequence[str]]`):
            Words of letters only, or phrases of such words with one space between them, each with its candidates.
        lang (`str`, *optional*, defaults to `"eng"`):
            The language of the words, an ISO 639-3 code. "a" and "an" are articles in English alone.
        options: `replace_prob` of `Substitution`, and the constraints of `WordAugmenter`.

    Raises:
        `ValueError`: if a word or phrase has other characters than letters and single spaces, or is its own candidate.

    Example:

    ```python
    >>> augmenter = LexiconSubstitution(tokenizer, {"movie": ["film", "motion picture"]})
    >>> augmenter.augment_text("A movie.", num_variants=2, seed=0)
    ['A film.', 'A motion picture.']
    ```
    """

    def __init__(self, tokenizer, words: Mapping[str, Sequence[str]], *, lang: str = ENGLISH, **options):
        super().__init__(tokenizer, **options)
        if not isinstance(words, Mapping):
            raise TypeError(f"words is {words!r:.100}; expected a dict of words, each with a list of candidates.")
        for word, candidates in words.items():
            if not all(part.isalpha() for part in word.split(" ")):
                raise ValueError(
                    f"The lexicon has the word {word!r:.100}; expected letters only, in one word or in several words "
                    "with one space between them."
                )
            texts = not isinstance(candidates, str) and all(isinstance(text, str) and text for text in candidates)
            if not texts or word in candidates:
                raise ValueError(f"The lexicon offers {candidates!r} for {word!r}; expected a list of other words.")
        self.words = dict(words)
        self.lang = check_lang(lang)
        known = {word: candidates for word, candidates in words.items() if candidates}
        self._lexicon = build_lexicon(tokenizer, known, has_articles=lang == ENGLISH)
