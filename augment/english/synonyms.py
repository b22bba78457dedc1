"""Synonyms of English words from WordNet, in the word's own part of speech and inflection."""

from collections import defaultdict
from collections.abc import Iterable

from .antonyms import Antonyms, read_antonyms
from .inflection import BASE_TAGS, inflections
from .senses import Member, Synset, read_synsets
from .stopwords import OFFENSIVE_WORDS, STOP_WORDS


MIN_LETTERS = 3
MAX_CANDIDATES = 8  # of a word
MIN_SHARE = 0.75  # of a form's uses that its dominant lemma makes up; other forms ("meeting") have no synonyms
_MIN_SHARE_FOR_CONTEXT = 0.5

# WordNet counts lemmas, not forms. One inflected form makes up about this share of a lemma's occurrences, so a form
# that is itself a lemma ("meeting") is mostly that lemma, unless the other lemma is much more frequent ("saw").
_INFLECTED_WEIGHT = 0.3
# Added to every sense's count: a sense that the tagged corpus lacks is rare, not impossible.
UNSEEN_COUNT = 0.5
# A synonym that the corpus lacks in a sense in which the word is this frequent is too rare: "nestling" for "child".
_FREQUENT = 10

# "trouble oneself" means "trouble myself" and the like.
_NOT_IN_CANDIDATES = OFFENSIVE_WORDS | {"one", "oneself"}
EXCLUDED_USAGE = {"archaism", "combining_form", "comparative", "dialect", "disparagement", "ethnic_slur", "obscenity"}
EXCLUDED_USAGE |= {"plural", "slang", "superlative", "trade_name", "trademark"}

# A verb stays unless its synonym has all constructions of the senses that make up this share of its uses. The sense in
# a text is not known: "make it worth watching" is no "create it worth watching".
_USUAL = 0.05
_USUAL_FOR_CONTEXT = 0.3

Analysis = tuple[str, str]  # a lemma and its part of speech


def build_synonyms(
    wordnet, *, min_sense_share: float = 0.4, multiword: bool = True, for_context: bool = False
) -> dict[str, list[str]]:
    """
    Builds the table of synonyms: every word that has some, with its candidates.

    A word is taken as the inflected form of its dominant lemma, and gets the candidates of that lemma in the same
    form: "movies" becomes "films", "began" becomes "started". Names, acronyms, stop words and words of fewer than
    three letters are neither replaced nor offered. With n(w, s) the count of word w in sense s in WordNet's
    sense-tagged corpus, candidate c of word w must share enough of the meaning of both,

        Σ_s n(w, s) / n(w) >= min_sense_share   and   Σ_s n(c, s) / n(c) >= min_sense_share,

    where s runs over the senses that contain both words, and n(w), n(c) count all senses in all parts of speech. This
    excludes rare senses of the word (suck: breastfeed) and of the candidate (film: picture). A word that the corpus
    lacks counts with its first sense, if it has only one part of speech.

    With `for_context`, for a model that chooses by the context, half of a word's uses make a lemma the dominant one,
    the corpus may lack a candidate, and a verb needs only the constructions of the senses that make up 30 % of the
    uses of the other.

    Returns lower-case words in sorted order, each with at most eight candidates, the most frequent first, with words
    separated by spaces.

    Source: Miller, "WordNet: a lexical database for English", Communications of the ACM 38(11), 1995.
    """
    antonyms = Antonyms(read_antonyms(wordnet))
    thesaurus = _Thesaurus(read_synsets(wordnet).values())
    forms = _analyses_of_forms(thesaurus)
    table = {}
    for form in sorted(forms):
        if len(form) < MIN_LETTERS or form in STOP_WORDS:
            continue
        analysis = _dominant_analysis(thesaurus, form, forms[form], for_context)
        if analysis is None or analysis[0] in STOP_WORDS:
            continue
        tags = forms[form][analysis]
        candidates: list[str] = []
        for lemma in thesaurus.candidates(*analysis, min_sense_share, multiword, for_context):
            candidate = _inflect(lemma, analysis[1], tags)
            if candidate is None or candidate in (form, *candidates) or candidate in STOP_WORDS:
                continue
            if not antonyms.are_opposites(form, candidate):
                candidates.append(candidate)
        if candidates:
            table[form] = candidates[:MAX_CANDIDATES]
    return table


class _Thesaurus:
    """The senses of each lower-case word, each with its synset."""

    def __init__(self, synsets: Iterable[Synset]):
        self.senses: dict[str, list[tuple[Member, Synset]]] = defaultdict(list)
        for synset in synsets:
            for member in synset:
                self.senses[member.name.lower()].append((member, synset))

    def members(self, word: str) -> list[Member]:
        return [member for member, _ in self.senses.get(word, ())]

    def share(self, member: Member) -> float:
        """Share of a word's uses that one sense makes up."""
        members = self.members(member.name.lower())
        if total := sum(m.frequency for m in members):
            return member.frequency / total
        return float(member.number == 1 and len({m.pos for m in members}) == 1)

    def frames(self, lemma: str, min_share: float = 0.0) -> frozenset[int]:
        """The sentence frames of a verb in the senses that make up this share of its uses as a verb."""
        verbs = [member for member in self.members(lemma.lower()) if member.pos == "v" and member.name == lemma]
        least = min_share * sum(member.frequency for member in verbs)
        return frozenset().union(*(member.frames for member in verbs if member.frequency >= least))

    def candidates(
        self, lemma: str, pos: str, min_sense_share: float, multiword: bool, unseen: bool = False
    ) -> list[str]:
        """
        Lemmas that may replace a lemma, words separated by spaces, the most frequent in the shared senses first. One
        that the corpus lacks in a sense in which the lemma is frequent is too rare, unless `unseen`.
        """
        shared: dict[str, list[tuple[Member, Member]]] = defaultdict(list)
        usual = _USUAL_FOR_CONTEXT if unseen else _USUAL
        frames = self.frames(lemma, usual) if pos == "v" else frozenset()
        for word, synset in self.senses[lemma]:
            if word.pos == pos and word.name == lemma and self.share(word) > 0:
                for member in synset:
                    if (
                        member.name != lemma
                        and _may_replace(member, word, multiword)
                        and frames <= self.frames(member.name)
                    ):
                        shared[member.name].append((word, member))

        counts = {}
        for name, pairs in shared.items():
            words, members = zip(*pairs, strict=True)
            count = sum(member.frequency for member in members)
            if (
                sum(map(self.share, words)) >= min_sense_share
                and sum(map(self.share, members)) >= min_sense_share
                and (count or unseen or sum(word.frequency for word in words) < _FREQUENT)
            ):
                counts[name.replace("_", " ")] = count
        # Sorting is stable: candidates with equal counts keep WordNet's order.
        return sorted(counts, key=lambda name: -counts[name])


def _may_replace(candidate: Member, word: Member, multiword: bool) -> bool:
    """Whether a member of a synset may replace another one."""
    words = candidate.name.split("_")
    return (
        (multiword or len(words) == 1)
        and all(_is_word(part) and part not in _NOT_IN_CANDIDATES for part in words)
        and (len(words) > 1 or (len(candidate.name) >= MIN_LETTERS and candidate.name not in STOP_WORDS))
        and not (candidate.usage | word.usage) & EXCLUDED_USAGE
        # "quick" for "quickly" and "easy" for "easily" are colloquial.
        and not (word.pos == "r" and word.name in (f"{candidate.name}ly", f"{candidate.name.removesuffix('y')}ily"))
        # An adjective keeps its position, and a verb its objects.
        and candidate.marker == word.marker
        and candidate.frames >= word.frames
    )


def _is_word(text: str) -> bool:
    return text.isalpha() and text.isascii() and text.islower()


def _analyses_of_forms(thesaurus: _Thesaurus) -> dict[str, dict[Analysis, set[str]]]:
    """Form -> its possible lemmas -> tags: "ran" -> {("run", "v"): {"VBD"}}."""
    forms: dict[str, dict[Analysis, set[str]]] = defaultdict(lambda: defaultdict(set))
    for lemma in filter(_is_word, thesaurus.senses):
        for pos in dict.fromkeys(member.pos for member in thesaurus.members(lemma) if member.name == lemma):
            forms[lemma][lemma, pos].add(BASE_TAGS[pos])
            for tag, spellings in inflections(lemma, pos).items():
                for form in filter(_is_word, spellings):
                    forms[form][lemma, pos].add(tag)
    return forms


def _dominant_analysis(
    thesaurus: _Thesaurus, form: str, analyses: dict[Analysis, set[str]], for_context: bool
) -> Analysis | None:
    """The lemma that makes up most of a form's uses, or `None` if none does."""

    def weight(members: Iterable[Member]) -> float:
        return sum(member.frequency + UNSEEN_COUNT for member in members)

    weights = {}
    for (lemma, pos), tags in analyses.items():
        uses = weight(m for m in thesaurus.members(lemma) if m.pos == pos and m.name == lemma)
        weights[lemma, pos] = uses * (1 if BASE_TAGS[pos] in tags else _INFLECTED_WEIGHT)
    as_name = weight(m for m in thesaurus.members(form) if m.name != form)  # or as an acronym
    best = max(weights, key=lambda analysis: (weights[analysis], analysis))
    least = _MIN_SHARE_FOR_CONTEXT if for_context else MIN_SHARE
    if weights[best] < least * (sum(weights.values()) + as_name):
        return None
    # "A satisfying film" and "satisfying a need": counts cannot tell a participle from an adjective.
    if not for_context and best[1] == "v" and (form, "a") in analyses and analyses[best] & {"VBG", "VBN"}:
        return None
    return best


def _inflect(lemma: str, pos: str, tags: set[str]) -> str | None:
    """The form of a lemma that has all these tags, or `None`: "jogged" is a past tense and a participle."""
    if "VB" in tags and "VBD" not in tags:
        tags = {"VB"}  # "run" and "come" are participles too, but seldom
    forms = inflections(lemma, pos)
    found = {lemma if tag == BASE_TAGS[pos] else forms.get(tag, (None,))[0] for tag in tags}
    return found.pop() if len(found) == 1 else None
