"""Substitution by words that a masked language model proposes."""

import os
from typing import Any

import numpy as np

from .configurable import check_choice, check_probability
from .core.batch import Batch
from .core.candidates import Candidates
from .core.given import check_object
from .core.lazy import cached_method
from .core.runs import Runs
from .core.vocabulary import checked_inflection, keeps_inflection
from .core.words import Words
from .english.antonyms import antonyms_fingerprint
from .languages.language import ENGLISH, check_lang
from .mlm.fill_mask import Questions
from .mlm.masking import MASKINGS
from .mlm.source import MaskedLMSource
from .substitution import Substitution


MULTI_PIECE = ("refill", "leave")


class MaskedLMSubstitution(MaskedLMSource):
    """
    Replaces words by words that a masked language model proposes, which fit the context.

    The candidates of a word are the `top_m` most likely whole words with the same case, inflection and preceding space
    (or none). In English, its antonyms in WordNet are never among them, and after "a" and "an" they start with a vowel
    letter exactly if the word does. A variant takes each candidate with probability
    `P ~ softmax(log P(word | context) / temperature)`. Stop words, numbers and parts of hyphenated words stay, and so
    do capitalised words inside a sentence, mostly names, if the tokenizer preserves case, and words that the
    dictionary lacks, with `keep_inflection`.

    The model takes far more time than everything else, and the candidates of a row never change, so `precompute`
    them for the training dataset. Other rows get their candidates on demand.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        model (`str`, `Path` or `transformers.PreTrainedModel`):
            A masked LM with the classifier's vocabulary: a name or path, which is loaded at first use, or the model.
        source (`Substitution`, *optional*):
            A source of related words, such as `WordNetSynonyms(tokenizer, readings="all")`. The model then only says
            which of a word's candidates fit the context; candidates of several pieces are left out. By default the
            model chooses among all whole words.
        top_m (`int`, *optional*, defaults to 8): Maximum number of candidates of a word.
        temperature (`float`, *optional*, defaults to 1.0):
            Above 0. Near 0 the most likely candidate is always taken; at `float("inf")` all are equally likely.
        min_probability (`float`, *optional*, defaults to 0.001): Least probability of a candidate in its place.
        masking (`str`, *optional*, defaults to `"none"`):
            What the model is given. `"none"`: one pass over the row as it is. The model sees the word, so that its
            candidates are close in meaning. `"grouped"`: each forward pass masks words that are far apart, about 15 %
            of the tokens; candidates fit the context, whatever the word means. `"single"`: one pass per word.
        multi_piece (`str`, *optional*, defaults to `"leave"`):
            Words of several pieces stay (`"leave"`), or are masked by one mask and become one piece (`"refill"`),
            without regard to what they mean.
        lang (`str`, *optional*, defaults to `"eng"`):
            The language of the texts, an ISO 639-3 code such as `"deu"` or `"cmn"`. Its stop words stay. In other
            languages than English, candidates have the script of their word, "a" is no article, and a character of
            Chinese is a word. In German, nouns inside a sentence are replaced although they are capitalised.
        keep_inflection (`bool`, *optional*):
            Whether candidates must have a part of speech and the inflection of the word. Defaults to `True` for
            English, which needs `lemminflect`. Other languages have no dictionary of inflected forms.
        device (`str`, *optional*): Where the model runs. Defaults to the GPU if there is one.
        dtype (`str`, *optional*):
            Floating-point type of the model. The default is `"bfloat16"` for a table if the device supports it, else
            `"float32"`. Without a table, rounding can change a candidate if the row is in another batch: in one of
            several thousand variants in `"float32"`, more often in 16 bits.
        batch_tokens (`int`, *optional*):
            Tokens per batch of the model. Defaults to 2,048 on a CPU, else 65,536. If the device runs out of memory,
            the batches are halved.
        cache_dir (`str` or `Path`, *optional*):
            Where tables are stored: a folder, or the URL of one in a store, such as `s3://bucket/cache`. Defaults to
            `$HF_MMEL_CACHE`, or `hf_mmel` in the user's cache folder.
        options: `replace_prob` of `Substitution`, and the constraints of `WordAugmenter`.

    Raises:
        `ImportError`: if inflection is kept and `lemminflect` is not installed.
        `LookupError`: if the stop words of another language than English are not installed.
        `ValueError`: if an argument is out of range, the model has another vocabulary, or the tokenizer has no mask,
            is slow or marks words in an unknown way.

    Example:

    ```python
    >>> source = WordNetSynonyms(tokenizer, readings="all")
    >>> augmenter = MaskedLMSubstitution(tokenizer, "google-bert/bert-base-uncased", source=source)
    >>> augmenter.precompute(train_dataset)
    >>> augmenter.augment_text("The movie was awful.", num_variants=2, seed=0)
    ['The film was awful.', 'The movie was terrible.']
    ```

    Source: Kobayashi, "Contextual augmentation: data augmentation by words with paradigmatic relations", NAACL 2018,
    and Wu et al., "Conditional BERT contextual augmentation", ICCS 2019.
    """

    maskings = MASKINGS
    table_format = 5
    table_options = ("top_m", "min_probability", "masking", "multi_piece", "lang", "keep_inflection", "fixed_by")

    def __init__(
        self,
        tokenizer,
        model,
        *,
        source: Substitution | None = None,
        top_m: int = 8,
        min_probability: float = 0.001,
        temperature: float = 1.0,
        masking: str = "none",
        multi_piece: str = "leave",
        lang: str = ENGLISH,
        keep_inflection: bool | None = None,
        device: str | None = None,
        dtype: str | None = None,
        batch_tokens: int | None = None,
        cache_dir: str | os.PathLike | None = None,
        **options,
    ):
        super().__init__(
            tokenizer,
            model,
            top_m=top_m,
            temperature=temperature,
            masking=masking,
            device=device,
            dtype=dtype,
            batch_tokens=batch_tokens,
            cache_dir=cache_dir,
            **options,
        )
        if source is not None:
            check_object("source", source, Substitution)
        check_probability("min_probability", min_probability, may_be_zero=True)
        check_choice("multi_piece", multi_piece, MULTI_PIECE)
        self.source = source
        self.min_probability = min_probability
        self.multi_piece = multi_piece
        self.lang = check_lang(lang)
        self.keep_inflection = checked_inflection(keep_inflection, lang)

    @property
    def fixed_by(self) -> dict[str, Any]:
        """What else determines the candidates: the antonyms that are left out, and the source."""
        source = None if self.source is None else self.source.to_dict()
        return {"antonyms": antonyms_fingerprint() if self.lang == ENGLISH else None, "source": source}

    @property
    def needs_tags(self) -> bool:
        return self.keep_inflection

    def questions(self, batch: Batch) -> Questions:
        choices_of = self._choices_of if self.source is None else self._choices_of_source
        words, choices = choices_of(batch, self.finder.words(batch))
        some = np.flatnonzero(choices.count)
        words, choices = words[some], choices[some]
        antonyms, single = self._vocabulary.antonyms_of(batch.ids, words), np.flatnonzero(words.length == 1)
        excluded = Runs.grouped(
            np.concatenate([batch.ids[words.start[single]], antonyms.flat()]),
            np.concatenate([single, np.repeat(np.arange(len(words)), antonyms.count)]),
            len(words),
        )
        return Questions(words, choices, excluded)

    def _choices_of(self, batch: Batch, words: Words) -> tuple[Words, Runs]:
        """The words that may become any other whole word of their kind, and these for each."""
        words = words[self._may_change(words)]
        group = self._vocabulary.groups_of(batch.ids, words).astype(np.int64)
        chosen = np.flatnonzero((group > 0) & (words.first | ~self._vocabulary.may_be_name(group)))
        words, kinds = words[chosen], group[chosen] << 16
        if self.keep_inflection:
            kinds |= self._vocabulary.tags_of(batch.ids, words)
        kinds, number = np.unique(kinds, return_inverse=True)
        return words, Runs.of([self._choices_of_kind(kind) for kind in kinds.tolist()], number)

    @cached_method
    def _choices_of_kind(self, kind: int) -> np.ndarray:
        """The whole words that a word may become, given its group and its tags."""
        ids = np.flatnonzero(self._vocabulary.group == kind >> 16)
        return ids[keeps_inflection(kind & 0xFFFF, self._vocabulary.tags[ids])] if self.keep_inflection else ids

    def _choices_of_source(self, batch: Batch, words: Words) -> tuple[Words, Runs]:
        """The words for which the source has candidates of one piece, and these for each."""
        assert self.source is not None
        candidates = self.source.candidates(batch, words).compact()
        pieces = candidates.pieces[candidates.offsets[:-1]].astype(np.int64)
        ids = np.where(np.diff(candidates.offsets) == 1, pieces, -1)
        is_phrase = candidates.words.length != words.length[np.searchsorted(words.start, candidates.words.start)]
        ids[np.repeat(is_phrase | ~self._may_change(candidates.words), candidates.count)] = -1
        if self.keep_inflection:
            tags = np.repeat(self._vocabulary.tags_of(batch.ids, candidates.words), candidates.count)
            ids[~keeps_inflection(tags, self._vocabulary.tags[ids])] = -1
        word = np.repeat(np.arange(len(candidates.words)), candidates.count)
        return candidates.words, Runs.grouped(ids[ids >= 0], word[ids >= 0], len(candidates.words))

    def _may_change(self, words: Words) -> np.ndarray:
        """Whether words have few enough pieces, `(W,)`."""
        return (words.length == 1) | (self.multi_piece == "refill")

    def candidates(self, batch: Batch, words: Words) -> Candidates:
        known, entries = self._proposed(batch, words.start)
        words = words[known]
        if self.lang == ENGLISH and words.after_article.any():
            words, entries = self._after_articles(batch, words, entries)
        pieces = np.arange(self.finder.num_ids + 1)
        return Candidates(
            words,
            np.arange(len(words)) * self.top_m,
            (entries["ids"] >= 0).sum(axis=1),
            entries["ids"].ravel(),
            pieces,
            pieces,
            1,
            self._cumulative(entries).ravel(),
        )

    def _after_articles(self, batch: Batch, words: Words, entries: np.ndarray) -> tuple[Words, np.ndarray]:
        """Removes candidates that do not fit the article before their word."""
        vowels = self._vocabulary.vowels_of(batch.ids, words)
        fits = ~words.after_article[:, None] | (self._vocabulary.vowels[entries["ids"]] == vowels[:, None])
        fits &= entries["ids"] >= 0
        order = (~fits).argsort(axis=1, kind="stable")
        fitting = entries.copy()
        for name, absent in (("ids", -1), ("scores", -np.inf)):
            fitting[name] = np.take_along_axis(np.where(fits, entries[name], absent), order, axis=1)
        some = fits.any(axis=1)
        return words[some], fitting[some]
