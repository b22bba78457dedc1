"""A check of whether texts are in the language of a lexicon."""

import logging
from collections.abc import Callable, Sequence

import numpy as np

from ..core.batch import Batch
from ..core.lexicon import Lexicon
from ..core.words import Words
from ..english.wordnet_data import DOWNLOAD_COMMAND
from .language import ENGLISH, STOP_WORD_LISTS


logger = logging.getLogger(__name__)

_MIN_WORDS = 200  # that are looked at before the check says anything
# Share of a text's words that are stop words of its language or have synonyms. With the English lexicon, it is 45 % in
# running English text, 30 % in labels of buttons, and 7 to 13 % in 16 other European languages.
_MIN_SHARE = 0.2


class LanguageCheck:
    """
    Looks at the first batches of texts, and warns once if too few of their words are known in the language. `segment`
    gives the words of a batch. A known word has an entry in one of the lexicons. The id `unknown` is no known word.
    """

    def __init__(self, segment: Callable[[Batch], Words], lexicons: Sequence[Lexicon], unknown: int | None, lang: str):
        self._segment, self._lexicons, self._unknown, self._lang = segment, lexicons, unknown, lang
        self._num_words = self._num_known = 0

    def add(self, batch: Batch) -> None:
        """Looks at a batch, if the check has not been made and the stop words of the language are known."""
        if self._num_words >= _MIN_WORDS or self._lang not in (ENGLISH, *STOP_WORD_LISTS):
            return
        words = self._segment(batch)
        known = np.zeros(len(words), dtype=bool)
        for lexicon in self._lexicons:
            known |= lexicon.lookup(batch.ids, words.start, words.length) >= 0
        self._num_known += int(known.sum())
        self._num_words += len(words) + int((batch.ids == self._unknown).sum())
        share = self._num_known / max(self._num_words, 1)
        if self._num_words >= _MIN_WORDS and share < _MIN_SHARE:
            logger.warning(
                "The texts seem to be in another language than lang=%r: %.0f %% of their first %d words are its stop "
                "words or have synonyms in it. Few words are replaced, and some wrongly. Set lang to the language of "
                "the texts, such as 'deu', 'spa' or 'cmn' (download it once with: %s --lang deu), or use "
                "MaskedLMSubstitution with a masked LM of this language and its lang.",
                self._lang,
                100 * share,
                self._num_words,
                DOWNLOAD_COMMAND,
            )
