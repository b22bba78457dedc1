"""Words of opposite meaning, which no variant puts in each other's place."""

import json
import logging
import zlib
from collections import defaultdict
from functools import cache
from pathlib import Path

from ..core.atomic_file import cache_folder, write_json
from .senses import PARTS_OF_SPEECH, data_lines, split_line
from .wordnet_data import DOWNLOAD_COMMAND, load_wordnet, wordnet_fingerprint


logger = logging.getLogger(__name__)

_ANTONYM, _SIMILAR = "!", "&"
_NEGATING_PREFIXES = ("dis", "il", "im", "in", "ir", "mis", "non", "un")

Synset = tuple[str, str]  # part of speech and offset in its file


@cache
def antonyms_of(word: str) -> frozenset[str]:
    """
    The lower-case lemmas of opposite meaning to some sense of a lower-case English word, in whatever inflection it is.

    They are the antonyms that WordNet has for the lemmas of the word, and these lemmas with a negating prefix or
    ending, or without it (happy and unhappy, harmful and harmless), whether there are such words or not. WordNet's
    adjectives are clusters around pairs of antonyms, such as wet and dry: every word of one cluster counts as an
    antonym of every word of the other.

    Without WordNet, which is warned of once, only the latter are known.
    """
    known = _antonyms_of_lemmas()
    return frozenset().union(*(_negations(lemma).union(known.get(lemma, ())) for lemma in lemmas_of(word)))


@cache
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
    """Lemma -> the lemmas of opposite meaning, both in lower case and in sorted order."""
    names: dict[Synset, list[str]] = {}
    similar: dict[Synset, list[Synset]] = defaultdict(list)
    pairs: list[tuple[Synset, int, Synset, int]] = []  # synset and index of a word, and those of its antonym
    for pos, file_name in PARTS_OF_SPEECH.items():
        for line in data_lines(wordnet, file_name):
            offset, words, pointers = split_line(line)
            names[pos, offset] = [word.replace("_", " ") for word in words]
            for pointer in pointers:
                target = pointer.pos, pointer.target
                if pointer.symbol == _SIMILAR:
                    similar[pos, offset].append(target)
                elif pointer.symbol == _ANTONYM:
                    pairs.append(((pos, offset), pointer.words[0], target, pointer.words[1]))

    antonyms: dict[str, set[str]] = defaultdict(set)
    for synset, index, target, target_index in pairs:
        if synset[0] == "a":  # the clusters of both
            own, others = ([name for s in (head, *similar[head]) for name in names[s]] for head in (synset, target))
        else:
            own, others = [names[synset][index]], [names[target][target_index]]
        for name in own:
            antonyms[name].update(others)
    return {name: sorted(others - {name}) for name, others in sorted(antonyms.items())}


@cache
def _antonyms_of_lemmas() -> dict[str, list[str]]:
    """What `read_antonyms` gives, kept in the cache folder, since NLTK takes seconds to open WordNet."""
    digest = antonyms_fingerprint()
    if digest is None:
        logger.warning(
            "WordNet is not installed, so that a word may be replaced by its antonym. Install it with: %s",
            DOWNLOAD_COMMAND,
        )
        return {}
    path = cache_folder() / f"antonyms-{digest}.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        antonyms = read_antonyms(load_wordnet())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, antonyms)
    except OSError as error:
        logger.warning("WordNet's antonyms could not be cached in %s, so they will be read again: %s", path, error)
    return antonyms


def antonyms_fingerprint() -> str | None:
    """A digest of WordNet and of this code; `None` if WordNet is not installed."""
    wordnet = wordnet_fingerprint()
    return None if wordnet is None else f"{zlib.crc32(wordnet.encode() + Path(__file__).read_bytes()):08x}"
