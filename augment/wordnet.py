"""WordNet synonyms, in the part of speech, inflection and case of the word that they replace."""

import hashlib
import logging
import os
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .configurable import check_choice
from .core.atomic_file import cache_folder
from .core.lexicon import Lexicon, build_lexicon, tokenizer_fingerprint
from .english.wordnet_data import wordnet_fingerprint
from .substitution import FromLexicon


READINGS = ("main", "all")

logger = logging.getLogger(__name__)


class WordNetSynonyms(FromLexicon):
    """
    Replaces words by WordNet synonyms: movies by films, ran by jogged.

    The synonyms of all English words are compiled once per tokenizer into a lexicon of pieces and cached on disk;
    after that, WordNet is not needed. A change of WordNet, of the dictionary of inflected forms or of this code leads
    to a new lexicon. Stop words, numbers, punctuation, special tokens and parts of hyphenated words stay, and so do
    capitalised words inside a sentence, mostly names, if the tokenizer preserves case.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        min_sense_share (`float`, *optional*, defaults to 0.4):
            Senses with less than this share of a word's uses in WordNet's tagged texts give no synonyms.
        multiword (`bool`, *optional*, defaults to `True`): Whether a synonym may have several words (motion picture).
        readings (`str`, *optional*, defaults to `"main"`):
            `"main"`: a word is taken in the part of speech and in the senses that it mostly has. `"all"`: its
            candidates are the synonyms of one word in every part of speech and sense, and similar adjectives, whatever
            the two options above. Only the context tells which of them fit: see `source` of `MaskedLMSubstitution`.
        cache_dir (`str` or `Path`, *optional*):
            Where lexicons are stored. Defaults to `$HF_MMEL_CACHE`, or `hf_mmel` in the user's cache folder.
        options: `replace_prob` of `Substitution`, and the constraints of `WordAugmenter`.

    Raises:
        `LookupError`: if the lexicon is not cached and WordNet is not installed.
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.

    Example:

    ```python
    >>> augmenter = WordNetSynonyms(tokenizer)
    >>> augmenter.augment_text("The movie was awful.", num_variants=2, seed=0)
    ['The film was awful.', 'The movie was terrible.']
    ```

    Source: Miller, "WordNet: a lexical database for English", Communications of the ACM 38(11), 1995.
    """

    def __init__(
        self,
        tokenizer,
        *,
        min_sense_share: float = 0.4,
        multiword: bool = True,
        readings: str = "main",
        cache_dir: str | os.PathLike | None = None,
        **options,
    ):
        super().__init__(tokenizer, **options)
        if not 0 <= min_sense_share <= 1:
            raise ValueError(f"min_sense_share is {min_sense_share}; expected a share in [0, 1].")
        self.min_sense_share = min_sense_share
        check_choice("readings", readings, READINGS)
        self.multiword = multiword
        self.readings = readings
        self.cache_dir = None if cache_dir is None else os.fspath(cache_dir)
        self._lexicon = self._cached_lexicon()

    def _cached_lexicon(self) -> Lexicon:
        options = f"wordnet:{self.min_sense_share}:{self.multiword}:{tokenizer_fingerprint(self.tokenizer)}"
        options += "" if self.readings == "main" else f":{self.readings}"
        key = hashlib.sha256(f"{options}:{code_fingerprint()}".encode()).hexdigest()
        folder, sources = cache_folder(self.cache_dir), _sources_fingerprint()
        path = folder / f"wordnet-{key[:16]}-{sources}.npz"
        if sources is None:  # it cannot be built here, so that the latest one is as good as any
            known = sorted(folder.glob(f"wordnet-{key[:16]}-*.npz"), key=lambda file: file.stat().st_mtime)
            path = known[-1] if known else path
        lexicon = Lexicon.load(path, key)
        if lexicon is None:
            from .english.synonyms import build_related_words, build_synonyms
            from .english.wordnet_data import load_wordnet

            logger.warning("Building the WordNet lexicon of this tokenizer once; this takes about ten seconds.")
            build: Callable[[Any], dict[str, list[str]]] = build_related_words
            if self.readings == "main":
                build = partial(build_synonyms, min_sense_share=self.min_sense_share, multiword=self.multiword)
            lexicon = build_lexicon(self.tokenizer, build(load_wordnet()))
            try:
                lexicon.save(path, key)
            except OSError as error:
                logger.warning(
                    "The WordNet lexicon could not be cached in %s, so it will be built again: %s", path, error
                )
        return lexicon


@cache
def code_fingerprint(folder: Path = Path(__file__).parent) -> str:
    """
    A digest of the code that makes a lexicon: all modules of `augment.english`, and those that compile it. The folder
    is that of the package.
    """
    core = (folder / "core" / name for name in ("lexicon.py", "ragged.py", "randomness.py"))
    digest = hashlib.sha256()
    for path in [*sorted((folder / "english").glob("*.py")), *core]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _sources_fingerprint() -> str | None:
    """A digest of WordNet and the release of the dictionary of inflected forms; `None` if one is not installed."""
    try:
        dictionary = version("lemminflect")
    except PackageNotFoundError:
        return None
    data = wordnet_fingerprint()
    return None if data is None else hashlib.sha256(f"{data}:{dictionary}".encode()).hexdigest()[:16]
