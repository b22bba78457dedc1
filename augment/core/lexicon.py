"""The lexicon of one tokenizer: which runs of pieces may become which, as flat arrays."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from .atomic_file import atomic_write
from .lazy import Lazy
from .ragged import find, flat, run_hashes
from .scripts import is_unspaced


_FORMAT = 2  # of the file; raise it when the meaning of an array changes


@dataclass(frozen=True)
class Lexicon(Lazy):
    """
    Words as hashes of their pieces, with candidates as pieces.

    A surface form ("movies", "Movies", "MOVIES") has an entry of its own if its pieces differ, and its candidates are
    in the same case. The candidates of entry e are `candidates[first[e] : first[e] + count[e]]`. The first
    `count_after_article[e]` of them may follow the article of the word: they begin with a vowel letter if and only if
    the word does. A phrase of several words has entries of the same kind. An entry without candidates is a known word.

    Attributes:
        keys (`np.ndarray` of shape `(E,)`, `uint64`): Hash of each entry's pieces, sorted.
        first, count, count_after_article (`np.ndarray` of shape `(E,)`): The entry's candidates.
        capitalised (`np.ndarray` of shape `(E,)`, `bool`): Whether the form has a capital first letter only.
        candidates (`np.ndarray` of shape `(C,)`): Replacements, as rows of the next two.
        offsets (`np.ndarray` of shape `(S + 1,)`): Replacement s is `pieces[offsets[s] : offsets[s + 1]]`.
        pieces (`np.ndarray` of shape `(P,)`): Ids.
        one_piece (`np.ndarray` of shape `(N,)`): Entry of each of the tokenizer's N ids as a whole word, or -1. Most
            words are looked up here, without a hash.
        phrases (`np.ndarray` of shape `(L,)`): Numbers of words of the phrases with an entry, the largest first.
            A word of a script without spaces is a phrase of its characters or pieces, see `WordFinder`.
    """

    keys: np.ndarray
    first: np.ndarray
    count: np.ndarray
    count_after_article: np.ndarray
    capitalised: np.ndarray
    candidates: np.ndarray
    offsets: np.ndarray
    pieces: np.ndarray
    one_piece: np.ndarray
    phrases: np.ndarray

    @cached_property
    def longest(self) -> int:
        """Number of ids of the longest candidate."""
        return int(np.diff(self.offsets).max(initial=0))

    def lookup(self, ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Entry of each word, or -1, for words that are runs of `ids`: `(W,)`."""
        entries = self.one_piece[ids[starts]]
        longer = np.flatnonzero(lengths > 1)
        if len(longer):
            entries[longer] = find(self.keys, run_hashes(ids, starts[longer], lengths[longer]))
        return entries

    def save(self, path: Path, fingerprint: str) -> None:
        """Writes the lexicon with its fingerprint. A reader sees the whole file or none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            np.savez(file, fingerprint=np.array(fingerprint), **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path, fingerprint: str) -> "Lexicon | None":
        """The lexicon saved at `path`, or `None` if it is absent, damaged, or has another fingerprint."""
        try:
            with np.load(path, allow_pickle=False) as arrays:  # the checksums of the zip reveal damage
                if str(arrays["fingerprint"]) != fingerprint:
                    return None
                return cls(**{f.name: arrays[f.name] for f in fields(cls)})
        except Exception:  # a damaged archive may raise anything
            return None


def build_lexicon(tokenizer, words: Mapping[str, Sequence[str]], *, has_articles: bool = True) -> Lexicon:
    """
    Compiles candidates for a tokenizer. The words are words, or phrases of words with a space between them.

    Every word is entered as it is tokenised after a space, at the start of a text and after a punctuation mark, each
    in lower case, capitalised and in capitals, as far as the tokenizer distinguishes these. A word with a capital is
    entered only as it is spelt, with its candidates as they are spelt. Words and candidates with an unknown token are
    left out, and so are candidates with the pieces of their word or of another candidate. A word with an empty list of
    candidates gets an entry without candidates. `has_articles` is whether "a" and "an" are articles, as in English.
    """
    lower = {word: candidates for word, candidates in words.items() if word == word.lower()}
    spelt_out = {word: candidates for word, candidates in words.items() if word not in lower}
    # The spelling of a word with a capital counts before the forms that capitals make of a lower-case word.
    forms: list[tuple[Callable[[str], str], Mapping[str, Sequence[str]]]] = [(str.lower, lower), (str, spelt_out)]
    if has_case(tokenizer):
        forms += [(str.capitalize, lower), (str.upper, lower)]
    entries: dict[tuple[int, ...], tuple[list[tuple[int, ...]], int, bool]] = {}
    phrases: set[int] = set()
    for case, group in forms:
        texts = sorted({*group, *(candidate for candidates in group.values() for candidate in candidates)})
        for before in _contexts(tokenizer):
            spelt = dict(zip(texts, encode_after(tokenizer, [case(text) for text in texts], before), strict=True))
            for word, candidates in group.items():
                own = spelt[word]
                # Of two forms with the same pieces (two cases, to an uncased tokenizer), the first one counts.
                if not own or own in entries:
                    continue
                vowel = starts_with_vowel(word)
                options = [(text, spelt[text]) for text in candidates if spelt[text] not in ((), own)]
                same = {new: None for text, new in options if not has_articles or starts_with_vowel(text) == vowel}
                if options or not candidates:
                    replacements = list(same | {new: None for _, new in options})
                    entries[own] = replacements, len(same), case is str.capitalize
                    phrases.update((len(word), len(own)) if is_unspaced(word) else (len(word.split()),))

    ids, bounds = flat(entries)
    keys = run_hashes(ids, bounds[:-1], np.diff(bounds))
    order = np.argsort(keys)
    values = list(entries.values())
    rows = [values[i] for i in order]
    count = np.array([len(options) for options, _, _ in rows], dtype=np.int32)
    numbers: dict[tuple[int, ...], int] = {}
    table = [numbers.setdefault(option, len(numbers)) for options, _, _ in rows for option in options]
    pieces, offsets = flat(numbers)
    one_piece = np.full(max(tokenizer.get_vocab().values(), default=-1) + 1, -1, dtype=np.int32)
    alone = np.flatnonzero(np.diff(bounds)[order] == 1)  # entries of one piece
    one_piece[ids[bounds[order[alone]]]] = alone
    return Lexicon(
        keys=keys[order],
        first=(np.cumsum(count) - count).astype(np.int32),
        count=count,
        count_after_article=np.array([num for _, num, _ in rows], dtype=np.int32),
        capitalised=np.array([capitalised for _, _, capitalised in rows], dtype=bool),
        candidates=np.array(table, dtype=np.int32),
        offsets=offsets.astype(np.int32),
        pieces=pieces.astype(np.int32),
        one_piece=one_piece,
        phrases=np.array(sorted(phrases - {1}, reverse=True), dtype=np.int32),
    )


def tokenizer_fingerprint(tokenizer) -> str:
    """A digest of everything that determines how the tokenizer splits text."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    # A call of the tokenizer stores its padding and truncation in this state.
    state.pop("padding", None)
    state.pop("truncation", None)
    return hashlib.sha256(json.dumps([_FORMAT, state], sort_keys=True).encode()).hexdigest()


def encode_after(tokenizer, texts: list[str], before: str) -> list[tuple[int, ...]]:
    """Ids of each text right after `before`; none if an id is unknown, or the text begins inside a piece."""
    backend = tokenizer.backend_tokenizer
    # A call of the tokenizer stores its own settings here. The next call replaces them.
    backend.no_truncation()
    backend.no_padding()
    lead, *encodings = backend.encode_batch_fast(
        [before.strip(), *(before + text for text in texts)], add_special_tokens=False
    )
    lead, unknown = lead.ids, tokenizer.unk_token_id
    rows = (encoding.ids for encoding in encodings)
    return [
        tuple(ids[len(lead) :]) if ids[: len(lead)] == lead and (unknown is None or unknown not in ids) else ()
        for ids in rows
    ]


def has_case(tokenizer) -> bool:
    """Whether the tokenizer keeps upper and lower case apart."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    return normalizer is None or normalizer.normalize_str("A") != normalizer.normalize_str("a")


def _contexts(tokenizer) -> list[str]:
    """What may come before a word, as far as it changes the word's pieces: a space, nothing, a punctuation mark."""
    contexts = {encode_after(tokenizer, ["a"], before)[0]: before for before in ("(", "", "a ")}
    return list(contexts.values())[::-1]


def starts_with_vowel(text: str) -> bool:
    return text[:1].lower() in {"a", "e", "i", "o", "u"}
