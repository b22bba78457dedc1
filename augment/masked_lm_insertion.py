"""Insertion of words that a masked language model proposes."""

from dataclasses import replace

import numpy as np

from .core.batch import Batch
from .core.candidates import Candidates
from .core.lazy import cached_method
from .core.lexicon import encode_after
from .core.ragged import ranges
from .core.runs import Runs
from .core.vocabulary import IN_SENTENCE, MODIFIER_TAGS, checked_inflection
from .core.words import Words
from .english.insertions import NEVER_INSERTED, can_separate
from .mlm.fill_mask import Questions
from .mlm.source import MaskedLMSource
from .substitution import Pieces


class MaskedLMInsertion(MaskedLMSource):
    """
    Inserts words that a masked language model proposes between two words: "the movie was awful" may become "the movie
    was truly awful".

    A place for a new word is between a function word and a word with a meaning of its own, with nothing but a space
    between them. So no word comes before or after a punctuation mark, a hyphen or an apostrophe. There is no place
    inside a name (before a capitalised word, if the tokenizer preserves case), a compound ("high school") or a fixed
    phrase ("of course"), nor after a negation or a word of degree ("not", "without", "very").

    The candidates are the `top_m` most likely whole words in lower case for a mask in this place. Stop words,
    negations, words of contrast and words that deny or weaken what follows ("supposedly", "fake") are never among
    them, and neither is the word after the place. After "a" they begin with a consonant letter, after "an" with a
    vowel letter. A variant takes each with probability `P ~ softmax(log P(word | context) / temperature)`.

    An insertion is an edit of the word before the place, to which the constraints apply: `keep_words` and `keep_spans`
    name words after which nothing is inserted, and `max_replaced` is the largest number of insertions. In labels of
    tokens, the new word has none (-100).

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        model (`str`, `Path` or `transformers.PreTrainedModel`): A masked LM, as for `MaskedLMSubstitution`.
        modifiers_only (`bool`, *optional*, defaults to `True`):
            Whether only adjectives and adverbs are inserted. Needs `lemminflect`.
        masking (`str`, *optional*, defaults to `"grouped"`):
            `"grouped"`: each forward pass over a row has masks in several places that are far apart. `"single"`: one
            pass per place.
        options: `top_m`, `temperature`, `device`, `dtype`, `batch_tokens` and `cache_dir` of `MaskedLMSubstitution`,
            the constraints of `WordAugmenter`, and `replace_prob` (`float`, *optional*, defaults to 0.3), the
            probability in (0, 1] that a place gets a word, on condition that at least one does.

    Raises:
        `ImportError`: if `modifiers_only` is set and `lemminflect` is not installed.
        `ValueError`: if an argument is out of range, the model has another vocabulary, or the tokenizer has no mask,
            is slow or marks words in an unknown way.

    Example:

    ```python
    >>> augmenter = MaskedLMInsertion(tokenizer, "google-bert/bert-base-uncased")
    >>> augmenter.precompute(train_dataset)
    >>> augmenter.augment_text("The movie was awful.", num_variants=2, seed=0)
    ['The movie was truly awful.', 'The whole movie was awful.']
    ```
    """

    inserts_words = True
    maskings = ("grouped", "single")
    table_format = "insertion-2"
    table_options = ("top_m", "masking", "modifiers_only")

    def __init__(self, tokenizer, model, *, modifiers_only: bool = True, masking: str = "grouped", **options):
        super().__init__(tokenizer, model, masking=masking, **options)
        self.modifiers_only = checked_inflection(modifiers_only, self.lang)

    @property
    def needs_tags(self) -> bool:
        return self.modifiers_only

    def questions(self, batch: Batch) -> Questions:
        words = self.finder.words(batch)
        side_by_side = (words.start[1:] == (words.start + words.length)[:-1]) & (words.row[1:] == words.row[:-1])
        first = np.flatnonzero(side_by_side)
        first = first[self._vocabulary.groups_of(batch.ids, words[first + 1]) == IN_SENTENCE]
        right = words[first + 1]
        pairs = zip(*(map(self._text, own.pieces(batch.ids)) for own in (words[first], right)), strict=True)
        articles = ("", "a", "an")
        article = np.array(
            [(articles.index(old) if old in articles else 0) if can_separate(old, new) else -1 for old, new in pairs],
            dtype=np.int64,
        )
        choices = Runs.of([*map(self._choices_after, articles), np.zeros(0, dtype=np.int64)], article)
        some = np.flatnonzero(choices.count)
        right = right[some]
        single = np.flatnonzero(right.length == 1)
        following = Runs.grouped(batch.ids[right.start[single]], single, len(right))
        return Questions(replace(right, length=np.zeros_like(right.length)), choices[some], following)

    @cached_method
    def _choices_after(self, article: str) -> np.ndarray:
        """The ids that may be inserted after an article, or `""` for another word."""
        vocabulary = self._vocabulary
        ids = np.flatnonzero(vocabulary.group == IN_SENTENCE)
        if self.modifiers_only:
            ids = ids[vocabulary.tags[ids] & MODIFIER_TAGS != 0]
        if article:
            ids = ids[vocabulary.vowels[ids] == (article == "an")]
        never = encode_after(self.tokenizer, sorted(NEVER_INSERTED), "a ")
        return ids[~np.isin(ids, [pieces[0] for pieces in never if len(pieces) == 1])]

    def candidates(self, batch: Batch, words: Words) -> Candidates:
        known, entries = self._proposed(batch, words.start + words.length)
        words, present = words[known], entries["ids"] >= 0
        count = present.sum(axis=1)
        # A replacement is the pieces of the word, and the new one in the place of the token after them.
        lengths = np.repeat(words.length + 1, count)
        pieces = batch.ids[ranges(np.repeat(words.start, count), lengths)]
        pieces[lengths.cumsum() - 1] = entries["ids"][present]
        return Candidates.of_arrays(words, count, lengths, pieces, self._cumulative(entries)[present])

    @cached_method
    def _text(self, pieces: Pieces) -> str:
        return self.tokenizer.decode(list(pieces)).strip().lower()
