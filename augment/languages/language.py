"""What the sources of candidates know about each language."""

import re

from ..english.corpora import read_corpus
from ..english.stopwords import STOP_WORDS
from ..english.wordnet_data import DOWNLOAD_COMMAND


ENGLISH = "eng"
# Languages that write every noun with a capital, so that a capital inside a sentence is no sign of a name.
CAPITAL_NOUNS = frozenset({"deu", "ltz"})
# NLTK's lists of stop words.
STOP_WORD_LISTS = {
    "arb": "arabic", "aze": "azerbaijani", "ben": "bengali", "cat": "catalan", "cmn": "chinese", "dan": "danish",
    "deu": "german", "ell": "greek", "eus": "basque", "fin": "finnish", "fra": "french", "heb": "hebrew",
    "hun": "hungarian", "ind": "indonesian", "ita": "italian", "kaz": "kazakh", "nep": "nepali", "nld": "dutch",
    "nno": "norwegian", "nob": "norwegian", "por": "portuguese", "ron": "romanian", "rus": "russian",
    "slv": "slovene", "spa": "spanish", "swe": "swedish", "tgk": "tajik", "tur": "turkish",
}  # fmt: skip


def check_lang(lang: str) -> str:
    """The language, if it is a code of three letters; otherwise raises a `ValueError`."""
    if not isinstance(lang, str) or not re.fullmatch("[a-z]{3}", lang):
        raise ValueError(
            f"lang is {lang!r:.40}; expected an ISO 639-3 code of three letters, such as 'eng', 'deu' or 'cmn'."
        )
    return lang


def stop_words(lang: str) -> frozenset[str]:
    """
    The stop words of a language in lower case: our own list for English, NLTK's list for other languages, and none
    for languages without one. Raises a `LookupError` if NLTK's lists are not installed.
    """
    if lang == ENGLISH:
        return STOP_WORDS
    if lang not in STOP_WORD_LISTS:
        return frozenset()
    data = read_corpus(f"stopwords/{STOP_WORD_LISTS[lang]}")
    if data is None:
        raise LookupError(
            f"NLTK's stop words for lang={lang!r} were not found. Download them once with: {DOWNLOAD_COMMAND} "
            f"--lang {lang}"
        )
    return frozenset(word.strip().lower() for word in data.decode("utf-8").splitlines() if word.strip())
