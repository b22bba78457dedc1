"""Substitution by words that a masked language model proposes."""

import numpy as np

from .configurable import check_choice
from .core.batch import Batch
from .core.candidates import Candidates
from .core.vocabulary import checked_inflection, keeps_inflection
from .core.words import Words
from .languages.language import ENGLISH, check_lang
from .mlm.masking import MASKINGS
from .mlm.source import MaskedLMSource, Questions


MULTI_PIECE = ("refill", "leave")


class MaskedLMSubstitution(MaskedLMSource):
    """
    Replaces words by words that a masked language model proposes, which fit the context: "a wonderful film" may become
    "a terrible film".

    The candidates of a word are the `top_m` most likely whole words with the same case, inflection and preceding space
    (or none). After "a" and "an", they start with a vowel letter exactly if the word does. A variant takes each
    candidate with probability `P ~ softmax(log P(word | context) / temperature)`. Stop words, numbers and parts of
    hyphenated words stay, and so do capitalised words inside a sentence, mostly names, if the tokenizer preserves
    case, and words that the dictionary lacks, with `keep_inflection`.

    The model takes far more time than everything else, and the candidates of a row never change, so `precompute`
    them for the training dataset. Other rows get their candidates on demand.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        model (`str`, `Path` or `transformers.PreTrainedModel`):
            A masked LM with the classifier's vocabulary: a name or path, which is loaded at first use, or the model.
        top_m (`int`, *optional*, defaults to 15): Maximum number of candidates of a word.
        temperature (`float`, *optional*, defaults to 1.0):
            Above 0. Near 0 the most likely candidate is always taken; at `float("inf")` all are equally likely.
        masking (`str`, *optional*, defaults to `"grouped"`):
            What the model is given. `"grouped"`: each forward pass over a row masks words that are far apart, about
            15 % of its tokens. `"single"`: one pass per word. `"none"`: one pass without masks.
        multi_piece (`str`, *optional*, defaults to `"refill"`):
            Words of several pieces are masked by one mask and become one piece (`"refill"`), or stay (`"leave"`).
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
        batch_tokens (`int`, *optional*): Tokens per batch of the model. Defaults to 2,048 on a CPU, else 32,768.
        cache_dir (`str` or `Path`, *optional*):
            Where tables are stored. Defaults to `$HF_MMEL_CACHE`, or `hf_mmel` in the user's cache folder.
        options: `replace_prob` of `Substitution`, and the constraints of `WordAugmenter`.

    Raises:
        `ImportError`: if inflection is kept and `lemminflect` is not installed.
        `LookupError`: if the stop words of another language than English are not installed.
        `ValueError`: if an argument is out of range, the model has another vocabulary, or the tokenizer has no mask,
            is slow or marks words in an unknown way.

    Example:

    ```python
    >>> augmenter = MaskedLMSubstitution(tokenizer, "google-bert/bert-base-uncased")
    >>> augmenter.precompute(train_dataset)
    >>> augmenter.augment_text("The movie was awful.", num_variants=2, seed=0)
    ['The story was awful.', 'The movie was wonderful.']
    ```

    Source: Kobayashi, "Contextual augmentation: data augmentation by words with paradigmatic relations", NAACL 2018,
    and Wu et al., "Conditional BERT contextual augmentation", ICCS 2019.
    """

    maskings = MASKINGS
    table_format = 2
    table_options = ("top_m", "masking", "multi_piece", "lang", "keep_inflection")

    def __init__(
        self,
        tokenizer,
        model,
        *,
        multi_piece: str = "refill",
        lang: str = ENGLISH,
        keep_inflection: bool | None = None,
        **options,
    ):
        super().__init__(tokenizer, model, **options)
        check_choice("multi_piece", multi_piece, MULTI_PIECE)
        self.multi_piece = multi_piece
        self.lang = check_lang(lang)
        self.keep_inflection = checked_inflection(keep_inflection, lang)

    @property
    def needs_tags(self) -> bool:
        return self.keep_inflection

    def questions(self, batch: Batch) -> Questions:
        words = self.finder.words(batch)
        if self.multi_piece == "leave":
            words = words[words.length == 1]
        group = self._vocabulary.groups_of(batch.ids, words).astype(np.int64)
        chosen = np.flatnonzero((group > 0) & (words.first | ~self._vocabulary.may_be_name(group)))
        words, kinds = words[chosen], group[chosen] << 16
        if self.keep_inflection:
            kinds |= self._vocabulary.tags_of(batch.ids, words)
        return Questions(words, kinds, np.where(words.length == 1, batch.ids[words.start], -1))

    def choices(self, kind: int) -> np.ndarray:
        ids = np.flatnonzero(self._vocabulary.group == kind >> 16)
        return ids[keeps_inflection(kind & 0xFFFF, self._vocabulary.tags[ids])] if self.keep_inflection else ids

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
