"""WordNet's senses as plain records, read in bulk.

NLTK's `all_synsets` and `Lemma.count` build an object and search a file for every sense, which takes minutes of
CPU time for all of WordNet. A table of synonyms needs every sense once, so this module reads the same files through
NLTK's reader from front to back. The format is WordNet's own: see the manual pages wndb(5WN) and senseidx(5WN).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


PARTS_OF_SPEECH = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
_SENSE_KEY_POS = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}  # 5: adjective satellite
_MARKER = re.compile(r"\((?:p|a|ip)\)$")


class Member(NamedTuple):
    """One word in one sense.

    Attributes:
        name (`str`): The word as WordNet spells it, with underscores between words: `"motion_picture"`, `"IT"`.
        marker (`str`): Where an adjective may stand: `"(p)"` predicate only, `"(a)"` before the noun only, `"(ip)"`
            behind the noun, else `""`.
        frames (`frozenset[int]`): Numbers of the sentence frames a verb takes in this sense; empty otherwise.
        usage (`frozenset[str]`): Names of the usage domains, such as `"slang"` or `"ethnic_slur"`.
        count (`int`): How often the sense-tagged corpus uses the word in this sense.
        number (`int`): Rank of this sense among the word's senses of this part of speech, from 1.
    """

    name: str
    marker: str
    frames: frozenset[int]
    usage: frozenset[str]
    count: int
    number: int


class Synset(NamedTuple):
    """A set of words that share one sense: its part of speech (`"n"`, `"v"`, `"a"` or `"r"`) and its members."""

    pos: str
    members: tuple[Member, ...]


def read_synsets(wordnet) -> list[Synset]:
    """Read every synset of WordNet.

    Args:
        wordnet (`nltk.corpus.reader.WordNetCorpusReader`): The reader, as `load_wordnet` gives it.

    Returns:
        `list[Synset]`: Synsets in the order of the files, nouns first; satellites count as adjectives.
    """
    senses = _read_sense_index(wordnet)
    nouns = {line[:8]: line.split(" ", 5)[4] for line in _data_lines(wordnet, "noun")}
    return [
        _parse_synset(line, pos, senses, nouns)
        for pos, file_name in PARTS_OF_SPEECH.items()
        for line in _data_lines(wordnet, file_name)
    ]


def _data_lines(wordnet, file_name: str) -> Iterator[str]:
    """Lines of a data file, without the licence at its head, whose lines start with a space."""
    with wordnet.open(f"data.{file_name}") as stream:
        return (line for line in stream.read().splitlines() if line and line[0] != " ")


def _read_sense_index(wordnet) -> dict[tuple[str, str, str], tuple[int, int]]:
    """`(lower-case name, part of speech, offset)` -> `(count, number)` for every sense."""
    with wordnet.open("index.sense") as stream:
        lines = stream.read().splitlines()
    senses = {}
    for line in lines:
        key, offset, number, count = line.split()
        name, _, sense = key.partition("%")
        senses[name, _SENSE_KEY_POS[sense[0]], offset] = (int(count), int(number))
    return senses


def _parse_synset(line: str, pos: str, senses: dict, nouns: dict[str, str]) -> Synset:
    fields = line.partition("|")[0].split()
    offset, num_words = fields[0], int(fields[3], 16)
    names = fields[4 : 4 + 2 * num_words : 2]
    start = 5 + 2 * num_words
    end = start + 4 * int(fields[start - 1])

    # Pointers and frames name the member they belong to in hexadecimal, from 1; 0 stands for the whole synset.
    usage: dict[int, set[str]] = {}
    for i in range(start, end, 4):
        if fields[i] == ";u":
            usage.setdefault(int(fields[i + 3][:2], 16), set()).add(nouns[fields[i + 1]].lower())
    frames: dict[int, set[int]] = {}
    if pos == "v":
        for i in range(end + 1, len(fields), 3):
            frames.setdefault(int(fields[i + 2], 16), set()).add(int(fields[i + 1]))

    members = []
    for i, marked in enumerate(names, start=1):
        name = _MARKER.sub("", marked) if pos == "a" else marked
        count, number = senses.get((name.lower(), pos, offset), (0, 0))
        members.append(
            Member(
                name=name,
                marker=marked[len(name) :],
                frames=frozenset(frames.get(0, set()) | frames.get(i, set())),
                usage=frozenset(usage.get(0, set()) | usage.get(i, set())),
                count=count,
                number=number,
            )
        )
    return Synset(pos, tuple(members))
