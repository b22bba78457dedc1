"""
The Open Multilingual Wordnet: words of other languages in the synsets of the English WordNet 3.0.

It comes as NLTK's packages `omw-2.0` or `omw-1.4`, and `extended_omw` for languages that these lack, whose words are
from Wiktionary. A language is one file of lines `00002098-a<TAB>deu:lemma<TAB>unfähig`. NLTK's reader finds the same
words, but takes seven times as long, since it opens the English synset of each line.

Source: Bond and Foster, "Linking and extending an open multilingual wordnet", ACL 2013.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from zipfile import Path as ZipPath

from ..english.corpora import corpora, read_corpus
from ..english.wordnet_data import DOWNLOAD_COMMAND, data_folder, download_with_nltk
from .language import STOP_WORD_LISTS, stop_words


PACKAGES = ("omw-2.0", "omw-1.4", "omw", "extended_omw")
_DOWNLOADED = ("omw-1.4", "extended_omw")
_KINDS = ("data", "wikt")


def find_tab(lang: str) -> Path | ZipPath | None:
    """The file with the words of a language, from the first package that has one, or `None`."""
    for package in PACKAGES:
        for corpus in corpora(package):
            folders = sorted((folder for folder in corpus.iterdir() if folder.is_dir()), key=lambda path: path.name)
            for kind in _KINDS:
                for folder in folders:
                    if (file := folder / f"wn-{kind}-{lang}.tab").is_file():
                        return file
    return None


def load_tab(lang: str) -> Path | ZipPath:
    """The file with the words of a language. Raises a `LookupError` if there is none."""
    tab = find_tab(lang)
    if tab is None:
        raise LookupError(
            f"The Open Multilingual Wordnet of lang={lang!r} was not found in NLTK's search path. Download it once "
            f"with: {DOWNLOAD_COMMAND} --lang {lang}"
        )
    return tab


def read_words(text: str, lang: str) -> Mapping[str, list[str]]:
    """Synset -> its words, from the text of a file. Satellites are adjectives; spaces stay between words."""
    words: dict[str, dict[str, None]] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) >= 3 and not line.startswith("#") and fields[1] in ("lemma", f"{lang}:lemma"):
            words.setdefault(fields[0].replace("-s", "-a"), {})[fields[-1].strip().replace("_", " ")] = None
    return {synset: list(names) for synset, names in words.items()}


def ensure_language(lang: str, target: str | os.PathLike | None = None) -> str:
    """
    Makes the words and the stop words of a language available: finds them, else downloads them from NLTK into the
    `nltk_data` folder `target`, by default as `ensure_wordnet`. Returns a sentence that says where they are. Raises a
    `LookupError` if NLTK has no such language, and a `RuntimeError` if it cannot be reached.
    """
    target, hint = data_folder(target)
    needs_list = lang in STOP_WORD_LISTS and read_corpus(f"stopwords/{STOP_WORD_LISTS[lang]}") is None
    for package in (*_DOWNLOADED, "stopwords"):
        if needs_list if package == "stopwords" else find_tab(lang) is None:
            try:
                download_with_nltk(package, target)
            except Exception as error:  # whatever the reason
                raise RuntimeError(
                    f"NLTK's package {package} could not be downloaded: {str(error) or type(error).__name__}. Where "
                    f"NLTK's server can be reached, run: python -m nltk.downloader -d {target} {package}"
                ) from error
    stop_words(lang)
    tab = find_tab(lang)
    if tab is None:
        raise LookupError(
            f"lang is {lang!r}, for which NLTK's packages {' and '.join(_DOWNLOADED)} have no words; expected an ISO "
            "639-3 code, such as 'deu', 'spa' or 'cmn'."
        )
    return f"The words of {lang!r} are in {tab}.{hint}"
