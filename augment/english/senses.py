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
    nouns = {line[:8]: line.split(" ", 5)[4] for line in data_lines(wordnet, "noun")}
    return {
        f"{line[:8]}-{pos}": _parse_synset(line, pos, senses, nouns)
        for pos, file_name in PARTS_OF_SPEECH.items()
        for line in data_lines(wordnet, file_name)
    }


class Pointer(NamedTuple):
    """From a synset, or from one of its words, to another one."""

    symbol: str
    target: str  # offset of a synset
    pos: str  # its part of speech, as in `PARTS_OF_SPEECH`
    words: tuple[int, int]  # indices of the two words in their synsets, -1 for the whole synset


def split_line(line: str) -> tuple[str, list[str], list[Pointer]]:
    """Offset, lower-case names and pointers of the synset that a line of a data file describes."""
    fields = line.partition("|")[0].split()
    num_words = int(fields[3], 16)
    names = [_MARKER.sub("", name).lower() for name in fields[4 : 4 + 2 * num_words : 2]]
    start = 5 + 2 * num_words
    pointers = []
    for i in range(start, start + 4 * int(fields[start - 1]), 4):
        symbol, target, pos, numbers = fields[i : i + 4]
        words = int(numbers[:2], 16) - 1, int(numbers[2:], 16) - 1
        pointers.append(Pointer(symbol, target, "a" if pos == "s" else pos, words))
    return fields[0], names, pointers


def data_lines(wordnet, file_name: str) -> Iterator[str]:
    """Lines of a data file, without the licence at its beginning, whose lines start with a space."""
    with wordnet.open(f"data.{file_name}") as stream:
        return (line for line in stream.read().splitlines() if line and line[0] != " ")


def _read_sense_index(wordnet) -> dict[tuple[str, str, str], tuple[int, int]]:
    """`(lower-case name, part of speech, offset)` -> `(count, number)` for every sense."""
    senses = {}
    with wordnet.open("index.sense") as stream:
        for line in stream.read().splitlines():
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

    # Pointers and frames give the number of their member in hexadecimal, from 1; 0 means the whole synset.
    usage: dict[int, set[str]] = defaultdict(set)
    frames: dict[int, set[int]] = defaultdict(set)
    for i in range(start, end, 4):
        if fields[i] == ";u":
            usage[int(fields[i + 3][:2], 16)].add(nouns[fields[i + 1]].lower())
    if pos == "v":
        for i in range(end + 1, len(fields), 3):
            frames[int(fields[i + 2], 16)].add(int(fields[i + 1]))

    members = []
    for i, marked in enumerate(names, start=1):
        name = _MARKER.sub("", marked) if pos == "a" else marked
        count, number = senses.get((name.lower(), pos, offset), (0, 0))
        own_frames, own_usage = frozenset(frames[0] | frames[i]), frozenset(usage[0] | usage[i])
        members.append(Member(name, pos, marked[len(name) :], own_frames, own_usage, count, number))
    return tuple(members)
