"""WordNet's senses as plain records.

This parses the files that NLTK's reader opens, in the format of the manual pages wndb(5WN) and senseidx(5WN). NLTK's
own `all_synsets` takes four times as long and three times the memory, and it finds no counts for words such as "earth"
that share a synset with "Earth".
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple


PARTS_OF_SPEECH = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
_SENSE_KEY_POS = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}  # 5: adjective satellite
_MARKER = re.compile(r"\((?:p|a|ip)\)$")


class Member(NamedTuple):
    """One word in one sense."""

    name: str  # with underscores between words: "motion_picture", "IT"
    pos: str  # "n", "v", "a" or "r"
    marker: str  # of an adjective: "(p)" predicate only, "(a)" before the noun only, "(ip)" after the noun, else ""
    frames: frozenset[int]  # numbers of a verb's sentence frames
    usage: frozenset[str]  # usage domains, such as "slang" or "ethnic_slur"
    frequency: int  # how often the sense-tagged corpus uses the word in this sense
    number: int  # rank of this sense among the word's senses of this part of speech, from 1


Synset = tuple[Member, ...]  # words that share one sense


def read_synsets(wordnet) -> dict[str, Synset]:
    """
    All synsets of a `WordNetCorpusReader` by offset and part of speech (`"00002098-a"`), in the order of its files,
    nouns first. Satellites are adjectives.
    """
    senses = _read_sense_index(wordnet)
    nouns = {line[:8]: line.split(" ", 5)[4] for line in file_lines(wordnet, "data.noun")}
    return {
        f"{line[:8]}-{pos}": _parse_synset(line, pos, senses, nouns)
        for pos, file_name in PARTS_OF_SPEECH.items()
        for line in file_lines(wordnet, f"data.{file_name}")
    }


class Pointer(NamedTuple):
    """From a synset, or from one of its words, to another one."""

    symbol: str
    target: str  # offset of a synset
    pos: str  # its part of speech, "s" for an adjective satellite
    numbers: str  # of the two words in their synsets, from 1, two hexadecimal digits each; 0 is the whole synset

    @property
    def words(self) -> tuple[int, int]:
        return int(self.numbers[:2], 16), int(self.numbers[2:], 16)


def split_line(line: str) -> tuple[str, list[str], list[Pointer], list[str]]:
    """Offset, names, pointers and sentence frames of the synset that a line of a data file describes."""
    fields = line.partition("|")[0].split()
    start = 5 + 2 * int(fields[3], 16)
    end = start + 4 * int(fields[start - 1])
    pointers = [Pointer(*fields[i : i + 4]) for i in range(start, end, 4)]
    return fields[0], fields[4 : start - 1 : 2], pointers, fields[end + 1 :]


def without_marker(name: str) -> str:
    """A name without the syntactic marker of an adjective."""
    return _MARKER.sub("", name)


def file_lines(wordnet, file_name: str) -> Iterator[str]:
    """Lines of a file, without the licence at its beginning, whose lines start with a space."""
    with wordnet.open(file_name) as stream:
        return (line for line in stream.read().splitlines() if line and line[0] != " ")


def _read_sense_index(wordnet) -> dict[tuple[str, str, str], tuple[int, int]]:
    """`(lower-case name, part of speech, offset)` -> `(count, number)` for every sense."""
    senses = {}
    for line in file_lines(wordnet, "index.sense"):
        key, offset, number, count = line.split()
        name, _, sense = key.partition("%")
        senses[name, _SENSE_KEY_POS[sense[0]], offset] = (int(count), int(number))
    return senses


def _parse_synset(line: str, pos: str, senses: dict, nouns: dict[str, str]) -> Synset:
    offset, names, pointers, frame_fields = split_line(line)
    # Pointers and frames give the number of their member, from 1; 0 means the whole synset.
    usage: dict[int, set[str]] = defaultdict(set)
    frames: dict[int, set[int]] = defaultdict(set)
    for pointer in pointers:
        if pointer.symbol == ";u":
            usage[pointer.words[0]].add(nouns[pointer.target].lower())
    if pos == "v":
        for frame, number in zip(frame_fields[1::3], frame_fields[2::3], strict=True):
            frames[int(number, 16)].add(int(frame))

    members = []
    for i, marked in enumerate(names, start=1):
        name = without_marker(marked) if pos == "a" else marked
        count, number = senses.get((name.lower(), pos, offset), (0, 0))
        own_frames, own_usage = frozenset(frames[0] | frames[i]), frozenset(usage[0] | usage[i])
        members.append(Member(name, pos, marked[len(name) :], own_frames, own_usage, count, number))
    return tuple(members)
