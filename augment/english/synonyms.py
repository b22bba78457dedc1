"""Synonyms of English words from WordNet, in the word's own part of speech and inflection."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from ..configurable import check_count
from .inflection import BASE_TAGS, inflections
from .senses import Member, Synset, read_synsets
from .stopwords import OFFENSIVE_WORDS, STOP_WORDS


MIN_LETTERS = 3

# WordNet counts lemmas, not forms. One inflected form takes up about this share of a lemma's occurrences, so that a
# form that is a lemma itself ("meeting") is mostly that, unless the other lemma is much more frequent ("saw").
_INFLECTED_WEIGHT = 0.3
# Added to every sense's count: a sense that the tagged corpus lacks is rare, not impossible.
_UNSEEN_COUNT = 0.5
# A synonym that the corpus never has where it has the word this often is too rare to stand for it: "nestling" for
# "child".
_FREQUENT = 10

# "trouble oneself" stands for "trouble myself" and the like.
_NOT_IN_CANDIDATES = OFFENSIVE_WORDS | {"one", "oneself"}
_EXCLUDED_USAGE = {
    "archaism",
    "combining_form",
    "comparative",
    "dialect",
    "disparagement",
    "ethnic_slur",
    "obscenity",
    "plural",
    "slang",
    "superlative",
    "trade_name",
    "trademark",
}


def build_synonyms(
    wordnet,
    *,
    min_sense_share: float = 0.4,
    min_pos_share: float = 0.75,
    multiword: bool = True,
    max_candidates: int = 8,
) -> dict[str, list[str]]:
    """
    Build the table of synonyms: every word that has some, with its candidates.

    A word is read as the inflected form of one lemma, its dominant reading, and takes the candidates of that lemma in
    the same form: "movies" becomes "films", "began" becomes "started". Names, acronyms, stop words and words of fewer
    than three letters are neither replaced nor offered. With n(w, s) the count of word w in sense s in WordNet's
    sense-tagged corpus, candidate c of word w has to share enough of the meaning of both,

        Σ_s n(w, s) / n(w) >= min_sense_share   and   Σ_s n(c, s) / n(c) >= min_sense_share,

    where s runs over the senses that hold both words, and n(w), n(c) count all senses in all parts of speech. This
    leaves out rare senses of the word (suck: breastfeed) and of the candidate (film: picture). A word that the corpus
    lacks counts with its first sense, if it has one part of speech only.

    Args:
        wordnet (`nltk.corpus.reader.WordNetCorpusReader`): The reader, as `load_wordnet` gives it.
        min_sense_share (`float`, *optional*, defaults to 0.4): Share of a word's uses that the shared senses make up.
        min_pos_share (`float`, *optional*, defaults to 0.75):
            Share of a form's uses that its dominant reading makes up; forms below it ("meeting") have no synonyms.
        multiword (`bool`, *optional*, defaults to `True`): Whether a candidate may have several words.
        max_candidates (`int`, *optional*, defaults to 8): Most candidates kept for one word, the most frequent first.

    Returns:
        `dict[str, list[str]]`: Lower-case words in sorted order -> candidates, their words separated by spaces. The
        same WordNet gives the same table, byte for byte.

    Raises:
        `ValueError`: if a share is outside [0, 1] or `max_candidates` is below 1.

    Source: Miller, "WordNet: a lexical database for English", Communications of the ACM 38(11), 1995.
    """
    for name, share in (("min_sense_share", min_sense_share), ("min_pos_share", min_pos_share)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}; expected a share in [0, 1].")
    check_count("max_candidates", max_candidates)

    thesaurus = _Thesaurus(read_synsets(wordnet))
    readings = _read_forms(thesaurus)
    table = {}
    for form in sorted(readings):
        if len(form) < MIN_LETTERS or form in STOP_WORDS:
            continue
        reading = _dominant_reading(thesaurus, form, readings[form], min_pos_share)
        if reading is None or reading[0] in STOP_WORDS:
            continue
        tags = readings[form][reading]
        candidates = []
        for lemma in thesaurus.candidates(*reading, min_sense_share, multiword):
            candidate = _inflect(lemma, reading[1], tags)
            if candidate is not None and candidate not in (form, *candidates) and candidate not in STOP_WORDS:
                candidates.append(candidate)
        if candidates:
            table[form] = candidates[:max_candidates]
    return table


class _Sense(NamedTuple):
    member: Member
    synset: Synset


class _Thesaurus:
    """Senses by lower-case word."""

    def __init__(self, synsets: list[Synset]):
        self.senses: dict[str, list[_Sense]] = defaultdict(list)
        for synset in synsets:
            for member in synset.members:
                self.senses[member.name.lower()].append(_Sense(member, synset))

    def weight(self, word: str, pos: str) -> float:
        """How much a word is used as this part of speech, uncapitalised."""
        own = [s.member.count for s in self.senses[word] if s.synset.pos == pos and s.member.name == word]
        return sum(own) + _UNSEEN_COUNT * len(own)

    def name_weight(self, word: str) -> float:
        """How much a word is used as a name or an acronym."""
        own = [s.member.count for s in self.senses.get(word, ()) if s.member.name != word]
        return sum(own) + _UNSEEN_COUNT * len(own)

    def share(self, member: Member) -> float:
        """Share of a word's uses that one sense makes up."""
        senses = self.senses[member.name.lower()]
        total = sum(s.member.count for s in senses)
        if total:
            return member.count / total
        return float(member.number == 1 and len({s.synset.pos for s in senses}) == 1)

    def candidates(self, lemma: str, pos: str, min_sense_share: float, multiword: bool) -> list[str]:
        """Lemmas that may replace a lemma, words separated by spaces, the most frequent in the shared senses first."""
        shared: dict[str, list[tuple[Member, Member]]] = {}
        for sense in self.senses[lemma]:
            if sense.synset.pos != pos or sense.member.name != lemma or self.share(sense.member) == 0:
                continue
            for member in sense.synset.members:
                if member.name != lemma and _is_offered(member, sense.member, multiword):
                    shared.setdefault(member.name, []).append((sense.member, member))

        ranked = []
        for name, pairs in shared.items():
            count = sum(candidate.count for _, candidate in pairs)
            if (
                sum(self.share(word) for word, _ in pairs) >= min_sense_share
                and sum(self.share(candidate) for _, candidate in pairs) >= min_sense_share
                and (count or sum(word.count for word, _ in pairs) < _FREQUENT)
            ):
                ranked.append((-count, name.replace("_", " ")))
        # Sorting is stable: candidates of one count keep WordNet's order.
        return [name for _, name in sorted(ranked, key=lambda item: item[0])]


def _is_offered(candidate: Member, word: Member, multiword: bool) -> bool:
    """Whether a member of a synset may stand for another one."""
    words = candidate.name.split("_")
    return (
        (multiword or len(words) == 1)
        and all(_is_word(part) and part not in _NOT_IN_CANDIDATES for part in words)
        and (len(words) > 1 or (len(candidate.name) >= MIN_LETTERS and candidate.name not in STOP_WORDS))
        and not (candidate.usage | word.usage) & _EXCLUDED_USAGE
        # An adjective stays in its place, and a verb keeps its objects.
        and candidate.marker == word.marker
        and candidate.frames >= word.frames
    )


def _is_word(text: str) -> bool:
    return text.isalpha() and text.isascii() and text.islower()


def _read_forms(thesaurus: _Thesaurus) -> dict[str, dict[tuple[str, str], set[str]]]:
    """Form -> its readings -> tags: "ran" -> {("run", "v"): {"VBD"}}."""
    readings: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(dict)
    for lemma, senses in thesaurus.senses.items():
        if not _is_word(lemma):
            continue
        for pos in dict.fromkeys(sense.synset.pos for sense in senses if sense.member.name == lemma):
            readings[lemma].setdefault((lemma, pos), set()).add(BASE_TAGS[pos])
            for tag, forms in inflections(lemma, pos).items():
                for form in filter(_is_word, forms):
                    readings[form].setdefault((lemma, pos), set()).add(tag)
    return readings


def _dominant_reading(
    thesaurus: _Thesaurus, form: str, readings: dict[tuple[str, str], set[str]], min_pos_share: float
) -> tuple[str, str] | None:
    """The reading that makes up at least `min_pos_share` of a form's uses, `None` where none does."""
    weights = {
        reading: thesaurus.weight(*reading) * (1 if BASE_TAGS[reading[1]] in tags else _INFLECTED_WEIGHT)
        for reading, tags in readings.items()
    }
    total = sum(weights.values()) + thesaurus.name_weight(form)
    best = max(weights, key=lambda reading: (weights[reading], reading))
    if weights[best] < min_pos_share * total:
        return None
    # "A satisfying film" and "satisfying a need": the counts cannot tell a participle from the adjective it became.
    if best[1] == "v" and (form, "a") in readings and readings[best] & {"VBG", "VBN"}:
        return None
    return best


def _inflect(lemma: str, pos: str, tags: set[str]) -> str | None:
    """The one form of a lemma that serves all tags, else `None`: "jogged" is a past tense and a participle."""
    if "VB" in tags and "VBD" not in tags:
        tags = {"VB"}  # "run" and "come" are participles too, but seldom
    forms = inflections(lemma, pos)
    found = {lemma if tag == BASE_TAGS[pos] else forms.get(tag, (None,))[0] for tag in tags}
    return found.pop() if len(found) == 1 else None
