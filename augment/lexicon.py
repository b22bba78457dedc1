"""The lexicon of one tokenizer: which runs of pieces may become which, as flat arrays."""

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from .randomness import mix


MAX_PIECES = 12  # longer words have no entry
_FORMAT = 1  # of the file; raise it when the meaning of an array changes


@dataclass(frozen=True)
class Lexicon:
    """
    Words as keys of their pieces, candidates as pieces.

    A surface form ("movies", "Movies", "MOVIES") has an entry of its own where its pieces differ, and its candidates are
    in the same case. Entry e offers `candidates[first[e] : first[e] + count[e]]`; those that begin with a vowel letter
    just as the word does, or do not just as it does not, come first and number `count_after_article[e]`.

    Attributes:
        keys (`np.ndarray` of shape `(E,)`, `uint64`): Hash of each entry's pieces, sorted.
        first, count, count_after_article (`np.ndarray` of shape `(E,)`): The entry's candidates.
        capitalised (`np.ndarray` of shape `(E,)`, `bool`): Whether the form has a capital first letter only.
        candidates (`np.ndarray` of shape `(C,)`): Replacements, as rows of the next two.
        offsets (`np.ndarray` of shape `(S + 1,)`): Replacement s is `pieces[offsets[s] : offsets[s + 1]]`.
        pieces (`np.ndarray` of shape `(P,)`): Ids.
    """

    keys: np.ndarray
    first: np.ndarray
    count: np.ndarray
    count_after_article: np.ndarray
    capitalised: np.ndarray
    candidates: np.ndarray
    offsets: np.ndarray
    pieces: np.ndarray

    def lookup(self, ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Entry of each word, -1 where it has none: words as runs of `ids`, shape `(W,)`."""
        if not len(self.keys) or not len(starts):
            return np.full(len(starts), -1)
        keys = _keys(ids, starts, lengths)
        entries = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where((self.keys[entries] == keys) & (lengths <= MAX_PIECES), entries, -1)

    def save(self, path: Path, fingerprint: str) -> None:
        """Writes the lexicon beside its fingerprint; a reader sees the whole file or none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(
                    file, fingerprint=np.array(fingerprint), **{f.name: getattr(self, f.name) for f in fields(self)}
                )
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: Path, fingerprint: str) -> "Lexicon | None":
        """The lexicon saved at `path`, `None` if it is absent, damaged, or was made for something else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:  # the zip's checksums show a flipped byte
                if str(arrays["fingerprint"]) != fingerprint:
                    return None
                return cls(**{f.name: arrays[f.name] for f in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None


def build_lexicon(tokenizer, words: Mapping[str, Sequence[str]]) -> Lexicon:
    """
    Compiles word-level candidates for a tokenizer.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): The tokenizer.
        words (`Mapping[str, Sequence[str]]`): Lower-case words and their replacements, each of one word or several.

    Every word is entered as it stands inside a text and, where that is spelt otherwise, at its beginning, each in lower
    case, capitalised and in capitals. Pieces with an unknown token are left out, on either side.
    """
    texts = sorted({*words, *(candidate for candidates in words.values() for candidate in candidates)})
    text_index = {text: i for i, text in enumerate(texts)}
    vowels = np.array([text[0] in "aeiou" for text in texts])
    flat = np.array([text_index[c] for candidates in words.values() for c in candidates], dtype=np.int64)
    word_of = np.repeat(np.arange(len(words)), [len(candidates) for candidates in words.values()])
    sources = np.array([text_index[word] for word in words], dtype=np.int64)

    keys, ranges, capitalised, candidate_rows, pieces = [], [], [], [], []
    num_rows = num_candidates = 0
    for case in (str.lower, str.capitalize, str.upper):
        for encode in (_inside, _at_start):
            encoded = encode(tokenizer, [case(text) for text in texts])
            spelt = np.array([bool(ids) for ids in encoded], dtype=bool)
            same = vowels[flat] == vowels[sources[word_of]]
            order = np.lexsort((np.arange(len(flat)), ~same, word_of))
            order = order[spelt[flat[order]]]
            count = np.bincount(word_of[order], minlength=len(words))
            count_same = np.bincount(word_of[order], weights=same[order], minlength=len(words)).astype(np.int64)
            first = np.cumsum(count) - count + num_candidates
            for word, source in enumerate(sources):
                if count[word] and spelt[source] and len(encoded[source]) <= MAX_PIECES:
                    keys.append(encoded[source])
                    ranges.append((first[word], count[word], count_same[word]))
                    capitalised.append(case is str.capitalize)
            candidate_rows.append(flat[order] + num_rows)
            pieces.extend(encoded)
            num_rows += len(encoded)
            num_candidates += len(order)

    lengths = np.array([len(ids) for ids in keys], dtype=np.int64)
    hashed = _keys(_flat(keys), np.cumsum(lengths) - lengths, lengths)
    # Where two forms have the same pieces (any case, to an uncased tokenizer) the first one stands.
    hashed, kept = np.unique(hashed, return_index=True)
    ranges = np.array(ranges, dtype=np.int64).reshape(-1, 3)[kept]
    used, candidates = np.unique(np.concatenate([_taken(candidate_rows, ranges)]), return_inverse=True)
    new_count = ranges[:, 1]
    offsets = np.cumsum([0, *(len(pieces[row]) for row in used)])
    return Lexicon(
        keys=hashed,
        first=(np.cumsum(new_count) - new_count).astype(np.int32),
        count=new_count.astype(np.int32),
        count_after_article=ranges[:, 2].astype(np.int32),
        capitalised=np.array(capitalised, dtype=bool)[kept],
        candidates=candidates.astype(np.int32),
        offsets=offsets.astype(np.int32),
        pieces=_flat([pieces[row] for row in used]).astype(np.int32),
    )


def tokenizer_fingerprint(tokenizer) -> str:
    """A digest of all that decides how the tokenizer cuts text."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    # Calling a tokenizer leaves its last padding and truncation in this state.
    state.pop("padding", None)
    state.pop("truncation", None)
    return hashlib.sha256(json.dumps([_FORMAT, state], sort_keys=True).encode()).hexdigest()


def _keys(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """64-bit hash of each run of at most `MAX_PIECES` tokens; longer ones are hashed by their beginning."""
    keys = lengths.astype(np.uint64)
    for position in range(min(int(lengths.max(initial=0)), MAX_PIECES)):
        there = lengths > position
        keys[there] = mix(keys[there] ^ ids[starts[there] + position].astype(np.uint64))
    return keys


def _inside(tokenizer, texts: list[str]) -> list[list[int]]:
    """Ids of each text after a space, in the middle of a sentence."""
    lead = tokenizer("a", add_special_tokens=False)["input_ids"]
    encoded = _encode(tokenizer, [f"a {text}" for text in texts])
    return [ids[len(lead) :] if ids[: len(lead)] == lead else [] for ids in encoded]


def _at_start(tokenizer, texts: list[str]) -> list[list[int]]:
    """Ids of each text where nothing stands before it."""
    return _encode(tokenizer, texts)


def _encode(tokenizer, texts: list[str]) -> list[list[int]]:
    unknown = tokenizer.unk_token_id
    if not texts:
        return []
    encoded = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    return [ids if unknown is None or unknown not in ids else [] for ids in encoded]


def _flat(rows: list[list[int]]) -> np.ndarray:
    return np.array([piece for row in rows for piece in row], dtype=np.int64)


def _taken(candidate_rows: list[np.ndarray], ranges: np.ndarray) -> np.ndarray:
    """Candidates of the kept entries, entry by entry."""
    rows = np.concatenate(candidate_rows)
    return np.concatenate([rows[:0], *(rows[first : first + count] for first, count, _ in ranges)])
