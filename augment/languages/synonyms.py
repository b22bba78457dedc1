"""Synonyms of words in languages other than English, from the Open Multilingual Wordnet."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

from ..core.scripts import is_unspaced
from ..english.senses import Synset, read_synsets
from ..english.synonyms import EXCLUDED_USAGE, MAX_CANDIDATES, MIN_LETTERS, MIN_SHARE, UNSEEN_COUNT
from .language import CAPITAL_NOUNS


_MIN_CHARACTERS = 2  # of a word in a script without spaces: single characters are parts of other words too often


def build_synonyms(
    wordnet,
    words: Mapping[str, Sequence[str]],
    lang: str,
    stop_words: frozenset[str],
    *,
    min_sense_share: float = 0.4,
    multiword: bool = True,
) -> dict[str, list[str]]:
    """
    Builds the table of synonyms of a language: every word that has some, with its candidates.

    `words` are the words of each synset, whose order and frequency the Open Multilingual Wordnet does not give. The
    count of a word in a sense is taken from English: n(s) is the count of the English words of synset s in WordNet's
    sense-tagged corpus, plus 0.5. Candidate c of word w must share enough of the meaning of both,

        Σ_s n(s) / Σ_{s ∋ w} n(s) >= min_sense_share   and   Σ_s n(s) / Σ_{s ∋ c} n(s) >= min_sense_share,

    where s runs over the synsets that contain both words, in the part of speech that makes up at least 75 % of each.
    So a word of one synset gets all of its synonyms, and a word of many gets those of its dominant sense, or those
    that share several senses with it.

    Words are base forms and become base forms: no inflection is known. Stop words, names and words of fewer than three
    letters (two characters, in scripts without spaces) are neither replaced nor offered. A name is a synset whose
    English words all have capitals. In scripts without spaces, words without candidates are in the table as well,
    with an empty list: they mark which characters are one word.
    """
    english = read_synsets(wordnet)
    weights = {synset: sum(member.frequency for member in english.get(synset, ())) + UNSEEN_COUNT for synset in words}
    senses: dict[str, list[str]] = defaultdict(list)
    for synset, names in words.items():
        for name in names:
            senses[name].append(synset)
    totals = {word: sum(weights[synset] for synset in own) for word, own in senses.items()}
    candidates = {
        synset: [name for name in names if _is_candidate(name, synset[-1], lang, stop_words, multiword)]
        for synset, names in words.items()
        if _gives_candidates(english.get(synset, ()))
    }

    table = {}
    for word in sorted(senses):
        pos = _dominant_part_of_speech(senses[word], weights)
        if pos is None or not _is_word(word, pos, lang) or word.lower() in stop_words:
            continue
        shared: dict[str, float] = defaultdict(float)
        for synset in senses[word]:
            for name in candidates.get(synset, ()) if synset[-1] == pos else ():
                shared[name] += weights[synset]
        shares = {name: min(weight / totals[word], weight / totals[name]) for name, weight in shared.items()}
        best = [name for name, share in shares.items() if name != word and share >= min_sense_share]
        if best or is_unspaced(word):
            table[word] = sorted(best, key=lambda name: (-shares[name], name))[:MAX_CANDIDATES]
    return table


def _dominant_part_of_speech(synsets: Sequence[str], weights: Mapping[str, float]) -> str | None:
    """The part of speech that makes up most of a word's uses, or `None` if none does."""
    uses: dict[str, float] = defaultdict(float)
    for synset in synsets:
        uses[synset[-1]] += weights[synset]
    best = max(uses, key=lambda pos: (uses[pos], pos))
    return best if uses[best] >= MIN_SHARE * sum(uses.values()) else None


def _gives_candidates(meaning: Synset) -> bool:
    """Whether a synset, given its English words, is a sense of plain words: no name, slang or insult."""
    return any(member.name == member.name.lower() and not member.usage & EXCLUDED_USAGE for member in meaning)


def _is_candidate(name: str, pos: str, lang: str, stop_words: frozenset[str], multiword: bool) -> bool:
    first, *others = name.split(" ")
    if first.lower() in stop_words or (others and not multiword):  # such as the pronoun of a reflexive verb
        return False
    if others:
        return all(_spells_word(part, pos, lang) for part in (first, *others))
    return _is_word(name, pos, lang)


def _is_word(text: str, pos: str, lang: str) -> bool:
    least = _MIN_CHARACTERS if is_unspaced(text) else MIN_LETTERS
    return len(text) >= least and _spells_word(text, pos, lang)


def _spells_word(text: str, pos: str, lang: str) -> bool:
    """Whether a text is spelt in letters, without capitals other than that of a noun in languages that have it."""
    is_capital_noun = pos == "n" and lang in CAPITAL_NOUNS and text == text.capitalize()
    letters = all(char.isalpha() or unicodedata.category(char)[0] == "M" for char in text)
    return letters and bool(text) and (text == text.lower() or is_capital_noun)
