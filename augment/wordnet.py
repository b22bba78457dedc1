"""WordNet synonyms, in the part of speech, inflection and case of the word that they replace."""

import hashlib
import logging
import os
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from .configurable import check_choice
from .core.atomic_file import local_cache_folder
from .core.batch import Batch
from .core.candidates import Candidates
from .core.lexicon import Lexicon, build_lexicon, tokenizer_fingerprint
from .core.words import Words
from .english.wordnet_data import wordnet_fingerprint
from .languages.check import LanguageCheck
from .languages.language import ENGLISH, check_lang, stop_words
from .languages.omw import load_tab, read_words
from .substitution import FromLexicon


READINGS = ("main", "all")

logger = logging.getLogger(__name__)

_CHECKED_ROWS = 200  # of a dataset


class WordNetSynonyms(FromLexicon):
    """
    Replaces words by WordNet synonyms: movies by films, ran by jogged.

    The synonyms of all English words are compiled once per tokenizer into a lexicon of pieces and cached on disk;
    after that, WordNet is not needed. A change of WordNet, of the dictionary of inflected forms or of this code leads
    to a new lexicon. Stop words, numbers, punctuation, special tokens and parts of hyphenated words stay. So do
    phrases that WordNet lists as one word ("red herring", "carry out"), and capitalised words inside a sentence,
    mostly names, if the tokenizer preserves case. A verb is replaced only by one that has all of its usual
    constructions.

    Other languages than English have their words from the Open Multilingual Wordnet. There, base forms are replaced by
    base forms, and inflected forms stay, since no inflection is known; nor does a synonym agree in gender with the
    words around it. In German, nouns are replaced although they are capitalised. Chinese words are found as runs of
    characters, the longest known word first. If the texts seem to be in another language than `lang`, a warning says
    so once.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        lang (`str`, *optional*, defaults to `"eng"`):
            The language of the texts, an ISO 639-3 code such as `"deu"`, `"spa"` or `"cmn"`. Each is downloaded once
            with `python -m augment download --lang deu`.
        min_sense_share (`float`, *optional*):
            Senses with less than this share of a word's uses in WordNet's tagged texts give no synonyms. In other
            languages than English, the uses are those of the English words of a sense. Defaults to 0.4, and to 0.01
            with `readings="all"`.
        multiword (`bool`, *optional*, defaults to `True`): Whether a synonym may have several words (motion picture).
        readings (`str`, *optional*, defaults to `"main"`):
            `"main"`: a word is taken in the part of speech that makes up at least 75 % of its uses. `"all"`: in that
            of at least half of them, and its synonyms may be rarer. Only the context tells which of them fit: see
            `source` of `MaskedLMSubstitution`.
        cache_dir (`str` or `Path`, *optional*):
            Folder of this machine where lexicons are stored. Defaults to `$HF_MMEL_CACHE` unless it is a URL, else
            `hf_mmel` in the user's cache folder.
        options: `replace_prob` of `Substitution`, and the constraints of `WordAugmenter`.

    Raises:
        `LookupError`: if the lexicon is not cached and WordNet is not installed, or has no data of the language.
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.

    Example:

    ```python
    >>> augmenter = WordNetSynonyms(tokenizer)
    >>> augmenter.augment_text("The movie was awful.", num_variants=2, seed=0)
    ['The film was awful.', 'The movie was terrible.']
    ```

    Source: Miller, "WordNet: a lexical database for English", Communications of the ACM 38(11), 1995, and Bond and
    Foster, "Linking and extending an open multilingual wordnet", ACL 2013.
    """

    def __init__(
        self,
        tokenizer,
        *,
        lang: str = ENGLISH,
        min_sense_share: float | None = None,
        multiword: bool = True,
        readings: str = "main",
        cache_dir: str | os.PathLike | None = None,
        **options,
    ):
        super().__init__(tokenizer, **options)
        check_choice("readings", readings, READINGS)
        if min_sense_share is None:
            min_sense_share = 0.01 if readings == "all" else 0.4
        if not 0 <= min_sense_share <= 1:
            raise ValueError(f"min_sense_share is {min_sense_share}; expected a share in [0, 1].")
        self.lang = check_lang(lang)
        self.min_sense_share = min_sense_share
        if readings == "all" and lang != ENGLISH:
            raise ValueError(f"readings is 'all' and lang is {lang!r}; expected 'main': only English has both.")
        self.multiword = multiword
        self.readings = readings
        self.cache_dir = None if cache_dir is None else os.fspath(cache_dir)
        self._lexicon = self._cached_lexicon()

    def _cached_lexicon(self) -> Lexicon:
        options = f"wordnet:{self.min_sense_share}:{self.multiword}:{tokenizer_fingerprint(self.tokenizer)}"
        options += "" if self.lang == ENGLISH else f":{self.lang}"
        options += "" if self.readings == "main" else f":{self.readings}"
        key = hashlib.sha256(f"{options}:{code_fingerprint()}".encode()).hexdigest()
        folder, sources = local_cache_folder(self.cache_dir), _sources_fingerprint(self.lang)
        path = folder / f"wordnet-{key[:16]}-{sources}.npz"
        if sources is None:  # it cannot be built here, so that the latest one is as good as any
            known = sorted(folder.glob(f"wordnet-{key[:16]}-*.npz"), key=lambda file: file.stat().st_mtime)
            path = known[-1] if known else path
        lexicon = Lexicon.load(path, key)
        if lexicon is None:
            lexicon = self._built_lexicon()
            try:
                lexicon.save(path, key)
            except OSError as error:
                logger.warning(
                    "The WordNet lexicon could not be cached in %s, so it will be built again: %s", path, error
                )
        return lexicon

    def _built_lexicon(self) -> Lexicon:
        from .english.wordnet_data import load_wordnet

        message = "Building the WordNet lexicon of this tokenizer once; this takes about 20 seconds."
        options: dict[str, Any] = {"min_sense_share": self.min_sense_share, "multiword": self.multiword}
        if self.lang == ENGLISH:
            from .english.phrases import read_phrases
            from .english.synonyms import build_synonyms

            wordnet = load_wordnet()
            logger.warning(message)
            synonyms = build_synonyms(wordnet, **options, for_context=self.readings == "all")
            return build_lexicon(self.tokenizer, read_phrases(wordnet, synonyms) | synonyms)
        from .languages.synonyms import build_synonyms as build_synonyms_of

        words, stops = read_words(load_tab(self.lang).read_text("utf-8"), self.lang), stop_words(self.lang)
        wordnet = load_wordnet()
        logger.warning(message)
        table = build_synonyms_of(wordnet, words, self.lang, stops, **options)
        known: dict[str, Sequence[str]] = dict.fromkeys(sorted(stops), ())
        return build_lexicon(self.tokenizer, known | table, has_articles=False)

    def precompute(self, dataset) -> "WordNetSynonyms":
        """Checks that the first rows of a dataset seem to be in the language `lang`, and warns if they do not."""
        if hasattr(dataset, "__len__"):
            rows = [dataset[i].get("input_ids", ()) for i in range(min(len(dataset), _CHECKED_ROWS))]
            nested = any(len(row) and np.ndim(row[0]) for row in rows)  # the choices of multiple choice
            self._check.add(Batch([choice for row in rows for choice in row] if nested else rows))
        return self

    def candidates(self, batch: Batch, words: Words) -> Candidates:
        self._check.add(batch)
        return super().candidates(batch, words)

    @cached_property
    def _check(self) -> LanguageCheck:
        lexicons = [self._lexicon]
        if self.lang == ENGLISH:  # the other lexicons have the stop words
            lexicons.append(build_lexicon(self.tokenizer, dict.fromkeys(sorted(stop_words(ENGLISH)), ())))
        segment = lambda batch: self.segmented(batch, self.finder.words(batch))  # noqa: E731
        return LanguageCheck(segment, lexicons, self.tokenizer.unk_token_id, self.lang)


@cache
def code_fingerprint(folder: Path = Path(__file__).parent) -> str:
    """
    A digest of the code that makes a lexicon: all modules of `augment.english` and `augment.languages`, and those that
    compile it. The folder is that of the package.
    """
    core = (folder / "core" / name for name in ("lexicon.py", "ragged.py", "randomness.py", "scripts.py"))
    digest = hashlib.sha256()
    for path in [*sorted((folder / "english").glob("*.py")), *sorted((folder / "languages").glob("*.py")), *core]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _sources_fingerprint(lang: str) -> str | None:
    """
    A digest of WordNet and, for English, the release of the dictionary of inflected forms, else the words of the
    language and its stop words; `None` if one of them is not installed.
    """
    try:
        if lang == ENGLISH:
            dictionary = version("lemminflect")
        else:
            dictionary = f"{crc32(load_tab(lang).read_bytes())}:{sorted(stop_words(lang))}"
    except (PackageNotFoundError, LookupError):
        return None
    data = wordnet_fingerprint()
    return None if data is None else hashlib.sha256(f"{data}:{dictionary}".encode()).hexdigest()[:16]
