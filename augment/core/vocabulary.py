"""The whole words among a tokenizer's ids, and which of them may replace which."""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property

import numpy as np

from ..english.antonyms import Antonyms, installed_antonyms, lemmas_of
from ..english.inflection import BASE_TAGS, inflections
from ..english.stopwords import OFFENSIVE_WORDS
from ..languages.language import CAPITAL_NOUNS, ENGLISH, stop_words
from .lazy import Lazy, cached_method, word_cache
from .lexicon import encode_after, starts_with_vowel
from .ragged import run_hashes
from .runs import Runs
from .scripts import is_unspaced, script_of
from .words import Words, piece_text, special_ids, word_marker


TAGS = ("NN", "NNS", "VB", "VBZ", "VBG", "VBD", "VBN", "JJ", "JJR", "JJS", "RB", "RBR", "RBS")

_BIT = {tag: 1 << i for i, tag in enumerate(TAGS)}
_ALL_TAGS = (1 << len(TAGS)) - 1
_REGULAR = 1 << len(TAGS)  # spelt with the ending of one of its tags
_ENDINGS = {"s": ("NNS", "VBZ"), "ing": ("VBG",), "ed": ("VBD", "VBN")}
_POS = {"NOUN": "n", "VERB": "v", "ADJ": "a", "ADV": "r"}
# Tags of one inflection. A plural and the third person of a verb count as one, since most nouns are verbs too.
_INFLECTIONS = (("NNS", "VBZ"), ("VBG",), ("VBD", "VBN"), ("JJR", "RBR"), ("JJS", "RBS"))
_CASES = (str.lower, str.capitalize, str.upper)

IN_SENTENCE = 2  # the group of words in lower case after a space
MODIFIER_TAGS = _BIT["JJ"] | _BIT["RB"]  # adjectives and adverbs that compare nothing


class Vocabulary(Lazy):
    """
    The ids of a tokenizer that are whole words.

    A whole word has two or more characters, all letters, and is tokenised as this one piece when it stands by itself.
    Stop words and offensive words are left out. A word may replace words of its `group`, `(N,)`: words of the same
    case that agree on whether the space before the word belongs to the piece. The group of other ids is 0.

    In languages other than English, words must be of the same script too, since the vocabulary may be that of many
    languages. A character of a script without spaces is a word. Offensive words are known for English alone.
    """

    def __init__(self, tokenizer, lang: str = ENGLISH):
        self._tokenizer = tokenizer
        self._lang = lang
        self._stop_words = stop_words(lang)
        self._scripts: dict[str, int] = {}
        self._texts, self._spaced = _beginnings(tokenizer)
        dtype = np.int8 if lang == ENGLISH else np.int16
        self._group = np.zeros(len(self._spaced), dtype=dtype)
        for piece, text in sorted(self._texts.items()):  # so that the numbers of scripts have one order
            self._group[piece] = self._group_of(text, self._spaced[piece])
        self.group = np.where(self._whole_words(), self._group, 0).astype(dtype)

    def __len__(self) -> int:
        return len(self.group)

    @cached_property
    def tags(self) -> np.ndarray:
        """
        The Penn tags of each whole word, `(N,)`, one bit each in the order of `TAGS`, and one more for words spelt
        with the ending of such a tag. Words that the dictionary lacks have none.
        """
        return self._of_words(word_tags, np.uint16)

    @cached_property
    def vowels(self) -> np.ndarray:
        """Whether each whole word begins with a vowel letter, `(N,)` `bool`."""
        return self._of_words(starts_with_vowel, bool)

    def _of_words(self, of_text: Callable[[str], int], dtype: type) -> np.ndarray:
        """What the function says of the text of each word, in lower case: `(N,)`."""
        values: np.ndarray = np.zeros(len(self), dtype=dtype)
        for piece in np.flatnonzero(self._group).tolist():
            values[piece] = of_text(self._texts[piece].lower())
        return values

    def groups_of(self, ids: np.ndarray, words: Words) -> np.ndarray:
        """Group of each word that lies in `ids`, of one piece or several: `(W,)`, 0 for stop words and the like."""
        return self._look_up(ids, words, self._group, lambda group, text: group)

    def tags_of(self, ids: np.ndarray, words: Words) -> np.ndarray:
        """Tags of each word that lies in `ids`, of one piece or several: `(W,)`, as in `tags`."""
        return self._look_up(ids, words, self.tags, lambda group, text: word_tags(text))

    def vowels_of(self, ids: np.ndarray, words: Words) -> np.ndarray:
        """Whether each word that lies in `ids`, of one piece or several, begins with a vowel letter: `(W,)`."""
        return self._look_up(ids, words, self.vowels, lambda group, text: starts_with_vowel(text))

    def antonyms_of(self, ids: np.ndarray, words: Words) -> Runs:
        """For each word that lies in `ids`, the whole words of opposite meaning, in any inflection; English only."""
        if self._lang != ENGLISH:
            return Runs.of([np.zeros(0, dtype=np.int64)], np.zeros(len(words), dtype=np.int64))
        _, first, number = np.unique(
            run_hashes(ids, words.start, words.length), return_index=True, return_inverse=True
        )
        return Runs.of([self._opposites_of(pieces) for pieces in words[first].pieces(ids)], number)

    @cached_method
    def _opposites_of(self, pieces: tuple[int, ...]) -> np.ndarray:
        """The whole words of opposite meaning to the word with these pieces."""
        text = self._texts.get(pieces[0], "") if len(pieces) == 1 else self._tokenizer.decode(list(pieces))
        lemmas = self._antonyms.of(text.strip().lower()) & self._with_lemma.keys()
        return np.array(sorted({i for lemma in lemmas for i in self._with_lemma[lemma]}), dtype=np.int64)

    @cached_property
    def _antonyms(self) -> Antonyms:
        return installed_antonyms()

    @cached_property
    def _with_lemma(self) -> dict[str, list[int]]:
        """Lemma -> the whole words that may be a form of it."""
        pieces: dict[str, list[int]] = defaultdict(list)
        for piece in np.flatnonzero(self.group).tolist():
            for lemma in lemmas_of(self._texts[piece].lower()):
                pieces[lemma].append(piece)
        return pieces

    def _look_up(
        self, ids: np.ndarray, words: Words, of_piece: np.ndarray, of_longer: Callable[[int, str], int]
    ) -> np.ndarray:
        """A property of each word: from an array for words of one piece, else computed from group and text."""
        values = of_piece[ids[words.start]]
        longer = np.flatnonzero(words.length > 1)
        for i, pieces in zip(longer.tolist(), words[longer].pieces(ids), strict=True):
            values[i] = of_longer(*self._of_longer(pieces))
        return values

    @cached_method
    def _of_longer(self, pieces: tuple[int, ...]) -> tuple[int, str]:
        """The group and the lower-case text of a word of several pieces."""
        text = self._tokenizer.decode(list(pieces)).strip()
        return self._group_of(text, self._spaced[pieces[0]]), text.lower()

    def fingerprint(self, with_tags: bool) -> str:
        """A digest of the words and, optionally, of their tags, which depend on the release of the dictionary."""
        digest = hashlib.sha256(self.group.tobytes())
        digest.update(self.tags.tobytes() if with_tags else b"")
        return digest.hexdigest()

    def _whole_words(self) -> np.ndarray:
        """Whether the tokenizer turns the text of each piece into this one piece."""
        whole = np.zeros(len(self._group), dtype=bool)
        spaced_texts = {text for piece, text in self._texts.items() if self._spaced[piece]}
        for spaced, before in ((True, "a "), (False, "(")):
            pieces = [
                piece
                for piece, text in self._texts.items()
                if self._spaced[piece] == spaced
                and self._group[piece]
                and (text in spaced_texts or (self._lang != ENGLISH and is_unspaced(text)))
            ]
            texts = [self._texts[piece] for piece in pieces]
            for piece, text, found in zip(pieces, texts, encode_after(self._tokenizer, texts, before), strict=True):
                whole[piece] = found == (piece,) and not (self._lang == ENGLISH and _is_offensive(text.lower()))
        return whole

    def _group_of(self, text: str, spaced: bool) -> int:
        """Group of a word by its text; 0 for stop words, single letters and words in mixed case."""
        least = 1 if self._lang != ENGLISH and is_unspaced(text) else 2
        if len(text) < least or not text.isalpha() or text.lower() in self._stop_words:
            return 0
        case = next((i for i, change in enumerate(_CASES) if change(text) == text), None)
        if case is None:
            return 0
        script = 0 if self._lang == ENGLISH else self._scripts.setdefault(script_of(text[0]), len(self._scripts))
        return 1 + 2 * (script * len(_CASES) + case) + bool(spaced)

    def may_be_name(self, group: np.ndarray) -> np.ndarray:
        """Whether words of these groups are mostly names inside a sentence: those with a capital first letter only."""
        if self._lang in CAPITAL_NOUNS:
            return np.zeros(len(group), dtype=bool)
        return (group - 1) // 2 % len(_CASES) == _CASES.index(str.capitalize)


def keeps_inflection(old: np.ndarray | int, new: np.ndarray) -> np.ndarray:
    """
    Whether words with the tags `new` may replace words with the tags `old`.

    They must share a tag, have the same inflection, and end in -s, -ed or -ing if the old word does so as an inflected
    form. Words that the dictionary does not have, most of them names and fragments, have no tags and replace none.
    """
    same = _INFLECTION[old & _ALL_TAGS] == _INFLECTION[new & _ALL_TAGS]
    return same & (old & new & _ALL_TAGS != 0) & (old & ~new & _REGULAR == 0)


def checked_inflection(keep_inflection: bool | None, lang: str) -> bool:
    """
    Whether candidates keep the inflection: the value, or by default if the language is English. Raises a `ValueError`
    if it is set for another language, and an `ImportError` if the dictionary of inflected forms is not installed.
    """
    if keep_inflection is None:
        keep_inflection = lang == ENGLISH
    if not keep_inflection:
        return False
    if lang != ENGLISH:
        raise ValueError(
            f"keep_inflection is True and lang is {lang!r}, but the dictionary of inflected forms is English; "
            "expected keep_inflection=False, or None for the default."
        )
    try:
        import lemminflect  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Inflection is kept with lemminflect's dictionary, which is not installed. Run "
            '`pip install "hf_mmel[wordnet]"`, or set keep_inflection=False, for insertions modifiers_only=False.'
        ) from error
    return True


@word_cache
def word_tags(word: str) -> int:
    """The tags of a lower-case word, see `Vocabulary.tags`."""
    from lemminflect import getAllLemmas

    tags = 0
    for part, lemmas in getAllLemmas(word).items():
        if part in _POS:
            pos = _POS[part]
            forms = {
                lemma: [tag for tag, spelt in inflections(lemma, pos).items() if word in spelt] for lemma in lemmas
            }
            # The dictionary lists many inflected forms as lemmas too: "movies", "found".
            if word in forms and not any(found for lemma, found in forms.items() if lemma != word):
                tags |= _BIT[BASE_TAGS[pos]]
            tags |= sum({_BIT[tag] for found in forms.values() for tag in found})
    if tags & _BIT["JJ"] and len(word) > 4:  # "talented" and "outstanding" are participles, but forms of no verb
        tags |= _BIT["VBN"] * word.endswith("ed") | _BIT["VBG"] * word.endswith("ing")
    if any(
        word.endswith(ending) and any(tags & _BIT[tag] for tag in inflected) for ending, inflected in _ENDINGS.items()
    ):
        tags |= _REGULAR
    return tags


def _inflection_table() -> np.ndarray:
    """The inflections of each of the `2 ** len(TAGS)` sets of tags, as bit masks."""
    sets = np.arange(1 << len(TAGS))
    table = np.zeros(len(sets), dtype=np.uint8)
    for i, tags in enumerate(_INFLECTIONS):
        table |= np.uint8(1 << i) * (sets & sum(_BIT[tag] for tag in tags) != 0)
    past_is_base = sets & _BIT["VB"] != 0  # put, set, come
    table[past_is_base] &= ~np.uint8(1 << _INFLECTIONS.index(("VBD", "VBN")))
    return table


_INFLECTION = _inflection_table()


def _beginnings(tokenizer) -> tuple[dict[int, str], np.ndarray]:
    """Texts of the pieces of letters that may begin a word, and whether each id is used after a space."""
    marker, special, vocabulary = word_marker(tokenizer), special_ids(tokenizer), tokenizer.get_vocab()
    texts: dict[int, str] = {}
    spaced = np.zeros(max(vocabulary.values(), default=-1) + 1, dtype=bool)
    for token, piece in vocabulary.items():
        marked = token.startswith(marker)
        if piece in special or (marked and marker == "##"):
            continue
        text = piece_text(token.removeprefix(marker), marker)
        spaced[piece] = marked or marker == "##"
        if text.isalpha():
            texts[piece] = text
    return texts, spaced


def _is_offensive(word: str) -> bool:
    return any(word.removesuffix(ending) in OFFENSIVE_WORDS for ending in ("", "s", "ed", "ing"))
