"""A WordNet of about forty synsets in WordNet's own file format, so that NLTK's real reader opens it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from augment.english.wordnet_data import LEXNAMES


# One synset a line: its lexicographer file, then its members as name(marker)~usage:count. A head behind "&" makes a
# satellite of it, and the numbers behind "+" are its verb frames. Counts are invented where that makes a rule visible.
SYNSETS = """
noun.Tops entity
noun.animal aardvark:1
noun.communication movie:26 film:38 picture:3 motion_picture:9 picture_show
noun.artifact picture:40 painting:11
noun.artifact film:5 photographic_film
noun.person actor:14 player:1 histrion
noun.person player:20 participant:4
noun.artifact car:71 auto:2 automobile:15 machine motorcar:1
noun.artifact machine:25
noun.person child:148 kid:53 youngster:4
noun.animal mouse:9
noun.artifact mouse computer_mouse
noun.cognition information_technology IT
noun.group Lashkar-e-Toiba LET
noun.artifact saw:2 power_saw:1
noun.act meeting:30 group_meeting:2
noun.plant leaf:19 leafage:4
noun.event start:11 kickoff:4
noun.quantity ten:28 decade:5
noun.time term:10 term_of_office:2
noun.artifact marionette puppet
noun.person nurse:8
noun.communication slang:2
noun.person sailor:9 crewman:3 gob~slang:2
noun.person Frank:2
verb.perception see:530 behold:200 + 8
verb.motion run:66 jog:40 + 2
verb.body suck:4 + 8
verb.consumption breastfeed suckle suck:1 nurse wet-nurse + 9
verb.change begin:375 start:159 start_out:80 commence:8 + 1 2 8
verb.social meet:200 encounter:39 + 8
verb.motion leave:146 depart:90 + 1 2
verb.contact cut:50 slit:39 trim:35 + 8
verb.emotion satisfy:60 fulfill:30 + 8
verb.cognition interest:4 concern:3 + 9
verb.perception watch:50 view:35 look:30 + 8
adj.all big:107 large:139
adj.all beautiful:43
adj.all gorgeous:5 stunning:4 & beautiful
adj.all satisfying:1
adj.all interesting:20 absorbing:9
adj.all elder(a):5 older:3
adj.all frank:3 candid:1
adv.all quickly:49 rapidly:30 speedily:20 fast:35
"""

# `look` takes fewer frames than the rest of its synset: frame 2 alone.
MEMBER_FRAMES = {"look": [2], "watch": [8, 9], "view": [8, 9]}
EXCEPTIONS = {"noun": "children child\nmice mouse\nleaves leaf\n", "verb": "ran run\nsaw see\nleft leave\n"}
HEADER = "  1 This software and database is made for tests.\n  2 WordNet 3.0 Copyright: none.\n"
POS_OF_FILE = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
KEY_DIGIT = {"n": 1, "v": 2, "a": 3, "r": 4, "s": 5}


class Word(NamedTuple):
    name: str
    marker: str
    usage: str
    count: int
    lex_id: int


class Entry(NamedTuple):
    file: str
    lexname: str
    words: list[Word]
    head: str
    frames: list[int]

    @property
    def type(self) -> str:
        return "s" if self.head else POS_OF_FILE[self.file]


def write_mini_wordnet(folder: str | Path) -> Path:
    """Write the files NLTK's reader wants into `folder` and return it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    entries = parse_synsets(SYNSETS)
    offsets = find_offsets(entries)
    sense_keys = []
    for file in POS_OF_FILE:
        own = [entry for entry in entries if entry.file == file]
        lines = (data_line(entry, entries, offsets) for entry in own)
        (folder / f"data.{file}").write_text(HEADER + "".join(lines))
        index, keys = index_lines(own, entries, offsets)
        (folder / f"index.{file}").write_text(HEADER + index)
        (folder / f"{file}.exc").write_text(EXCEPTIONS.get(file, ""))
        sense_keys += keys
    sense_keys.sort()
    (folder / "index.sense").write_text("".join(f"{key} {o} {n} {c}\n" for key, o, n, c in sense_keys))
    (folder / "cntlist.rev").write_text("".join(f"{key} {n} {c}\n" for key, _, n, c in sense_keys if c))
    (folder / "lexnames").write_text(LEXNAMES)
    for path in [folder, *folder.iterdir()]:
        path.chmod(0o755 if path.is_dir() else 0o644)  # NLTK refuses what other accounts can write
    return folder


def parse_synsets(text: str) -> list[Entry]:
    entries, lex_ids = [], defaultdict(int)
    for line in text.strip().splitlines():
        line, _, frames = line.partition("+")
        line, _, head = line.partition("&")
        lexname, *tokens = line.split()
        words = []
        for token in tokens:
            token, _, count = token.partition(":")
            token, _, usage = token.partition("~")
            name, bracket, marker = token.partition("(")
            words.append(Word(name, bracket + marker, usage, int(count or 0), lex_ids[name.lower(), lexname]))
            lex_ids[name.lower(), lexname] += 1
        numbers = [int(number) for number in frames.split()]
        entries.append(Entry(lexname.partition(".")[0], lexname, words, head.strip(), numbers))
    return entries


def find_offsets(entries: list[Entry]) -> dict[int, str]:
    """Byte offset of every entry in its file, by identity; every offset is written with eight digits."""
    offsets = {id(entry): "0" * 8 for entry in entries}
    ends = dict.fromkeys(POS_OF_FILE, len(HEADER))
    places = {}
    for entry in entries:
        places[id(entry)] = f"{ends[entry.file]:08d}"
        ends[entry.file] += len(data_line(entry, entries, offsets))
    return places


def find_entry(entries: list[Entry], file: str, name: str) -> Entry:
    return next(entry for entry in entries if entry.file == file and entry.words[0].name == name)


def data_line(entry: Entry, entries: list[Entry], offsets: dict[int, str]) -> str:
    pointers = []
    if entry.head:
        pointers.append(f"& {offsets[id(find_entry(entries, 'adj', entry.head))]} a 0000")
    pointers += [f"& {offsets[id(other)]} s 0000" for other in entries if other.head == entry.words[0].name]
    for i, word in enumerate(entry.words, start=1):
        if word.usage:
            pointers.append(f";u {offsets[id(find_entry(entries, 'noun', word.usage))]} n {i:02x}00")
    fields = [offsets[id(entry)], LEX_NUMBERS[entry.lexname], entry.type, f"{len(entry.words):02x}"]
    fields += [f"{word.name}{word.marker} {word.lex_id:x}" for word in entry.words]
    fields += [f"{len(pointers):03d}", *pointers]
    if entry.file == "verb":
        frames = [(f, i) for i, w in enumerate(entry.words, start=1) for f in MEMBER_FRAMES.get(w.name, [])]
        if not frames:
            frames = [(f, 0) for f in entry.frames]
        fields += [f"{len(frames):02d}", *(f"+ {frame:02d} {i:02x}" for frame, i in frames)]
    return " ".join(fields) + f" | the sense of {entry.words[0].name}  \n"


def index_lines(own: list[Entry], entries: list[Entry], offsets: dict[int, str]) -> tuple[str, list[tuple]]:
    """The file's index and its sense keys; a word's senses are numbered from the most frequent one on."""
    senses = defaultdict(list)
    for entry in own:
        for word in entry.words:
            senses[word.name.lower()].append((word, entry))
    lines, keys = [], []
    for name in sorted(senses):
        ranked = sorted(senses[name], key=lambda sense: -sense[0].count)
        places = " ".join(offsets[id(entry)] for _, entry in ranked)
        tagged = sum(word.count > 0 for word, _ in ranked)
        lines.append(f"{name} {POS_OF_FILE[own[0].file]} {len(ranked)} 0 {len(ranked)} {tagged} {places}  \n")
        for number, (word, entry) in enumerate(ranked, start=1):
            head = f"{entry.head}:00" if entry.head else ":"
            key = f"{name}%{KEY_DIGIT[entry.type]}:{LEX_NUMBERS[entry.lexname]}:{word.lex_id:02d}:{head}"
            keys.append((key, offsets[id(entry)], number, word.count))
    return "".join(lines), keys


LEX_NUMBERS = {line.split("\t")[1]: line.split("\t")[0] for line in LEXNAMES.splitlines()}
