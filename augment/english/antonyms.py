"""Words of opposite meaning, which no variant puts in each other's place."""

import json
import logging
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from ..core.atomic_file import local_cache_folder, write_json
from ..core.lazy import word_cache
from .senses import PARTS_OF_SPEECH, file_lines, split_line, without_marker
from .wordnet_data import DOWNLOAD_COMMAND, load_wordnet, wordnet_fingerprint


logger = logging.getLogger(__name__)

_ANTONYM, _SIMILAR = "!", "&"
_NEGATING_PREFIXES = ("dis", "il", "im", "in", "ir", "mis", "non", "un")

Synset = tuple[str, str]  # part of speech and offset in its file


class Antonyms:
    """
    The antonyms of lower-case English words, in whatever inflection they are.

    They are those that are known of the lemmas of a word, and these lemmas with a negating prefix or ending, or
    without it (happy and unhappy, harmful and harmless), whether there are such words or not.

    Args:
        of_lemmas (`dict[str, list[str]]`): Lemma -> the lemmas of opposite meaning, as `read_antonyms` returns them.
    """

    def __init__(self, of_lemmas: Mapping[str, Sequence[str]]):
        self._of_lemmas = of_lemmas
        self._of_words: dict[str, frozenset[str]] = {}

    def of(self, word: str) -> frozenset[str]:
        """The lemmas of opposite meaning to some sense of a word."""
        if word not in self._of_words:
            lemmas = ({*_negations(lemma), *self._of_lemmas.get(lemma, ())} for lemma in lemmas_of(word))
            self._of_words[word] = frozenset().union(*lemmas)
        return self._of_words[word]

    def are_opposites(self, word: str, other: str) -> bool:
        """Whether the other word may be a form of an antonym of the word."""
        return not lemmas_of(other).isdisjoint(self.of(word))


@word_cache
def lemmas_of(word: str) -> frozenset[str]:
    """The lemmas that a lower-case word may be a form of, itself included: only itself without `lemminflect`."""
    try:
        from lemminflect import getAllLemmas
    except ImportError:
        return frozenset({word})
    return frozenset({word}.union(*getAllLemmas(word).values()))


def _negations(lemma: str) -> set[str]:
    """A lemma with negating prefixes and endings, and without its own."""
    stems = {lemma.removesuffix("ful")} | {lemma.removeprefix(prefix) for prefix in _NEGATING_PREFIXES}
    negated = {f"{prefix}{lemma}" for prefix in _NEGATING_PREFIXES} | {f"{lemma.removesuffix('ful')}less"}
    if lemma.endswith("less"):
        stem = lemma.removesuffix("less")
        stems |= {stem, f"{stem}ful"}
    return (negated | stems) - {lemma}


def read_antonyms(wordnet) -> dict[str, list[str]]:
    """
    Lemma -> the lemmas of opposite meaning, both in lower case and in sorted order.

    WordNet's adjectives are clusters around pairs of antonyms, such as wet and dry: every word of one cluster counts
    as an antonym of every word of the other.
    """
    names: dict[Synset, list[str]] = {}
    similar: dict[Synset, list[Synset]] = defaultdict(list)
    pairs: list[tuple[Synset, int, Synset, int]] = []  # synset and number of a word, and those of its antonym
    for pos, file_name in PARTS_OF_SPEECH.items():
        for line in file_lines(wordnet, f"data.{file_name}"):
            offset, words, pointers, _ = split_line(line)
            names[pos, offset] = [without_marker(word).lower().replace("_", " ") for word in words]
            for pointer in pointers:
                target = "a" if pointer.pos == "s" else pointer.pos, pointer.target
                if pointer.symbol == _SIMILAR:
                    similar[pos, offset].append(target)
                elif pointer.symbol == _ANTONYM:
                    pairs.append(((pos, offset), pointer.words[0], target, pointer.words[1]))

    antonyms: dict[str, set[str]] = defaultdict(set)
    for synset, index, target, target_index in pairs:
        if synset[0] == "a":  # the clusters of both
            own, others = ([name for s in (head, *similar[head]) for name in names[s]] for head in (synset, target))
        else:
            own, others = [names[synset][index - 1]], [names[target][target_index - 1]]
        for name in own:
            antonyms[name].update(others)
    return {name: sorted(others - {name}) for name, others in sorted(antonyms.items())}


def installed_antonyms() -> Antonyms:
    """
    The antonyms of the WordNet that NLTK opens, kept in the cache folder, since NLTK takes seconds to open WordNet.
    Without WordNet, which is warned of once, only those with a negating prefix or ending are known.
    """
    return _stored_antonyms(antonyms_fingerprint(), local_cache_folder())


@cache
def _stored_antonyms(digest: str | None, folder: Path) -> Antonyms:
    if digest is None:
        logger.warning(
            "WordNet is not installed, so that a word may be replaced by its antonym. Install it with: %s",
            DOWNLOAD_COMMAND,
        )
        return Antonyms({})
    path = folder / f"antonyms-{digest}.json"
    try:
        return Antonyms(json.loads(path.read_text()))
    except (OSError, ValueError):
        of_lemmas = read_antonyms(load_wordnet())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, of_lemmas)
    except OSError as error:
        logger.warning("WordNet's antonyms could not be cached in %s, so they will be read again: %s", path, error)
    return Antonyms(of_lemmas)


def antonyms_fingerprint() -> str | None:
    """A digest of WordNet and of this code; `None` if WordNet is not installed."""
    wordnet = wordnet_fingerprint()
    return None if wordnet is None else f"{zlib.crc32(wordnet.encode() + Path(__file__).read_bytes()):08x}"
