"""Words of a tokenised text, found on its token ids by the tokenizer's own word-start rule."""

import json
from dataclasses import dataclass, fields

import numpy as np


# A word glued to one of these is part of something larger (don't, state-of-the-art, 3-d, user@host), not a word to swap.
JOINERS = frozenset("'’`-‐‑_/\\@&+*#0123456789")


@dataclass(frozen=True)
class Words:
    """
    The words of a batch of rows whose tokens lie one after the other in one array.

    Attributes:
        row (`np.ndarray` of shape `(W,)`): Row of each word, in increasing order.
        start, length (`np.ndarray` of shape `(W,)`): First token of the word in that array, and number of tokens.
        first (`np.ndarray` of shape `(W,)`): Whether nothing that could be a word stands right before.
        last (`np.ndarray` of shape `(W,)`): Whether a special token, or nothing, stands right after.
        after_article (`np.ndarray` of shape `(W,)`): Whether "a" or "an" stands right before.
    """

    row: np.ndarray
    start: np.ndarray
    length: np.ndarray
    first: np.ndarray
    last: np.ndarray
    after_article: np.ndarray

    def __getitem__(self, keep: np.ndarray) -> "Words":
        return Words(*(getattr(self, field.name)[keep] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.row)


class WordFinder:
    """
    Finds the words in token ids: runs of pieces made of letters only, that nothing joins to a larger word.

    Knows the three ways in which fast tokenizers mark where a word starts: WordPiece marks every piece that does not
    start one (`##ing`), byte-level BPE and SentencePiece mark the piece after a space (`Ġmovie`, `▁movie`). In the
    latter two a run of letters also ends where the letters do.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): A fast tokenizer.

    Raises:
        `ValueError`: if the tokenizer is slow, or marks words in another way.
    """

    def __init__(self, tokenizer):
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(
                f"{type(tokenizer).__name__} is a slow tokenizer; expected a fast one, whose pieces tell where words "
                "start. Load it with AutoTokenizer.from_pretrained(...), or convert it to a PreTrainedTokenizerFast."
            )
        self.marker = _word_marker(tokenizer)
        vocabulary = tokenizer.get_vocab()
        self.num_ids = max(vocabulary.values(), default=-1) + 1
        special_ids = set(tokenizer.all_special_ids) | {
            index for index, token in tokenizer.added_tokens_decoder.items() if token.special
        }
        self._special, self._starts, self._letters, self._joins_left, self._joins_right = np.zeros(
            (5, self.num_ids), dtype=bool
        )
        self._possessive, self._apostrophe, self._letter_s, self._article = np.zeros((4, self.num_ids), dtype=bool)
        for token, index in vocabulary.items():
            if index in special_ids:
                self._special[index] = True
                continue
            marked = token.startswith(self.marker)
            text = _piece_text(token[len(self.marker) :] if marked else token, self.marker)
            self._starts[index] = marked != (self.marker == "##")
            # A lone marker carries the start of a word whose letters follow.
            self._letters[index] = text.isalpha() or (marked and not text)
            if text:
                self._joins_right[index] = text[0] in JOINERS
                self._joins_left[index] = text[-1] in JOINERS
            self._possessive[index] = text in ("'s", "’s")
            self._apostrophe[index] = text in ("'", "’")
            self._letter_s[index] = text == "s"
            self._article[index] = text.lower() in ("a", "an") and self._starts[index]
        self._sep_id = tokenizer.sep_token_id

    def words(self, ids: np.ndarray, row_starts: np.ndarray, row_lengths: np.ndarray) -> Words:
        """
        Args:
            ids (`np.ndarray` of shape `(T,)`): The tokens of B rows, one row after the other.
            row_starts, row_lengths (`np.ndarray` of shape `(B,)`): Where each row begins, and its length.

        Raises:
            `ValueError`: if an id is not in the tokenizer's vocabulary.
        """
        if len(ids) and not 0 <= ids.min() <= ids.max() < self.num_ids:
            raise ValueError(
                f"Token ids range from {ids.min()} to {ids.max()}; the tokenizer has ids 0 to {self.num_ids - 1}. "
                "Was the text tokenised with another tokenizer?"
            )
        total = len(ids)
        special, letters = self._special[ids], self._letters[ids]
        begins = np.zeros(total + 1, dtype=bool)  # one past the end, so that the last run has an end
        begins[row_starts[row_lengths > 0]] = True
        begins[total] = True
        row_begins = begins.copy()
        begins[:total] |= special | self._starts[ids]
        begins[1:total] |= special[:-1]
        if self.marker != "##":
            begins[1:total] |= letters[1:] != letters[:-1]
            begins[:total] |= ~letters
        starts = np.flatnonzero(begins[:total])
        lengths = np.diff(starts, append=total)

        is_word = letters[starts] & ~special[starts]
        long = lengths > 1
        if self.marker == "##" and long.any():  # "3d" is one word here, its first piece a digit or its second a letter
            is_word &= np.logical_and.reduceat(letters, starts)
        before = starts - 1
        has_before = ~row_begins[starts] & ~special[before]
        after = np.minimum(starts + lengths, total - 1)
        has_after = ~row_begins[starts + lengths] & ~special[after]
        # Only the marker tells "3 -d" from "3-d"; WordPiece has none for spaces, so there the two are the same.
        spaced = self.marker != "##"
        joined_before = has_before & self._joins_left[ids[before]] & ~(spaced & self._starts[ids[starts]])
        joined_after = has_after & self._joins_right[ids[after]] & ~(spaced & self._starts[ids[after]])
        second = np.minimum(after + 1, total - 1)
        possessive = self._possessive[ids[after]] | (
            self._apostrophe[ids[after]] & self._letter_s[ids[second]] & ~row_begins[after + 1]
        )
        is_word &= ~joined_before & ~(joined_after & ~possessive)

        keep = np.flatnonzero(is_word)
        starts, has_before, before = starts[keep], has_before[keep], before[keep]
        rows = np.repeat(np.arange(len(row_lengths)), row_lengths)
        return Words(
            row=rows[starts],
            start=starts,
            length=lengths[keep],
            first=~(has_before & letters[before]),
            last=~has_after[keep],
            after_article=has_before & self._article[ids[before]],
        )

    def segments(self, ids: np.ndarray, row_starts: np.ndarray, row_lengths: np.ndarray) -> np.ndarray:
        """Segment of each token, `(T,)`: 0 up to a row's first separator (it included), 1 after."""
        if self._sep_id is None:
            return np.zeros(len(ids), dtype=np.int64)
        separators = np.cumsum(ids == self._sep_id) - (ids == self._sep_id)
        before_row = np.repeat(separators[np.minimum(row_starts, len(ids) - 1)], row_lengths)
        return np.minimum(separators - before_row, 1)


def _word_marker(tokenizer) -> str:
    """`"##"`, `"Ġ"` or `"▁"`, read off the tokenizer's decoder."""
    decoder = json.loads(tokenizer.backend_tokenizer.to_str()).get("decoder") or {}
    decoders = decoder.get("decoders", [decoder])
    for part in decoders:
        if part.get("type") == "WordPiece" and part.get("prefix") == "##":
            return "##"
        if part.get("type") == "ByteLevel":
            return "Ġ"
        if part.get("type") == "Metaspace" or (part.get("type") == "Replace" and part["pattern"].get("String") == "▁"):
            return "▁"
    raise ValueError(
        f"{type(tokenizer).__name__} decodes with {[part.get('type') for part in decoders]}, from which the start of a "
        "word cannot be told; expected a WordPiece (##), byte-level BPE (Ġ) or SentencePiece (▁) tokenizer."
    )


def _piece_text(piece: str, marker: str) -> str:
    """What a piece stands for. Pieces of byte-level BPE spell bytes; cut characters come out as a letter."""
    if marker != "Ġ":
        return piece
    try:
        return bytes(_BYTE_OF_CHAR[char] for char in piece).decode("utf-8", errors="strict")
    except KeyError:  # an added token, written as it is
        return piece
    except UnicodeDecodeError:
        # Part of a character of several bytes. Taken for a letter, it makes its whole word an unknown one.
        return "\u00e9"


def _byte_of_char() -> dict[str, int]:
    """GPT-2's alphabet for bytes: printable ones stand for themselves, the rest for the characters from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHAR = _byte_of_char()
