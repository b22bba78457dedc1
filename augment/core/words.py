"""Words of a tokenised text, found on its token ids by the tokenizer's own word-start rule."""

import json
import unicodedata
from dataclasses import dataclass, fields

import numpy as np


# A word glued to one of these is part of something larger (don't, state-of-the-art, user@host), not a word to swap.
# The last ones are soft hyphen, zero-width space, non-joiner and joiner, and word joiner.
JOINERS = frozenset("'’`-‐‑_/\\@&+*#\u00ad\u200b\u200c\u200d\u2060")
# What a sentence or a quotation may follow: a capital after it need not be that of a name.
OPENERS = frozenset('.!?…:"“”„«»‘([\n')

# What a piece is, one bit each.
_SPECIAL = 1 << 0  # no text
_BEGINS = 1 << 1  # a word that has this piece begins with it
_ENDS = 1 << 2  # a word that has this piece ends with it
_LETTERS = 1 << 3  # letters only
_SPACED = 1 << 4  # a space is known to stand before
_JOINS_LEFT = 1 << 5  # glues what stands before it to ...
_JOINS_RIGHT = 1 << 6  # ... or what stands after it to ...
_POSSESSIVE = 1 << 7
_APOSTROPHE = 1 << 8
_LETTER_S = 1 << 9
_ARTICLE = 1 << 10  # a, an
_LETTER_N = 1 << 11
_MARKER = 1 << 12  # the start of a word whose letters follow
_OPENS = 1 << 13


@dataclass(frozen=True)
class Words:
    """
    The words of a batch of rows whose tokens lie one after the other in one array.

    Attributes:
        row (`np.ndarray` of shape `(W,)`): Row of each word, in increasing order.
        start, length (`np.ndarray` of shape `(W,)`): First token of the word in that array, and number of tokens.
        first (`np.ndarray` of shape `(W,)`): Whether a sentence may begin with the word.
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

    @staticmethod
    def joined(parts: "list[Words]") -> "Words":
        """The words of several, one after the other."""
        return Words(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Words)))

    def pieces(self, ids: np.ndarray) -> list[tuple[int, ...]]:
        """The ids of each word, that lies in `ids`."""
        ids = ids.tolist()
        bounds = zip(self.start.tolist(), (self.start + self.length).tolist(), strict=True)
        return [tuple(ids[start:stop]) for start, stop in bounds]


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
        marker = word_marker(tokenizer)
        vocabulary = tokenizer.get_vocab()
        special = special_ids(tokenizer)
        self._flags = np.zeros(max(vocabulary.values(), default=-1) + 1, dtype=np.uint16)
        for token, index in vocabulary.items():
            self._flags[index] = _SPECIAL | _BEGINS | _ENDS if index in special else _piece_flags(token, marker)
        if marker != "##" and tokenizer.unk_token_id is not None and tokenizer.unk_token_id not in special:
            # Elsewhere a whole word is unknown, here part of one may be.
            self._flags[tokenizer.unk_token_id] |= _JOINS_LEFT | _JOINS_RIGHT
        self.separator = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id

    @property
    def num_ids(self) -> int:
        return len(self._flags)

    def words(self, ids: np.ndarray, row_starts: np.ndarray, row_lengths: np.ndarray) -> Words:
        """
        Args:
            ids (`np.ndarray` of shape `(T,)`): The tokens of B rows, one row after the other.
            row_starts, row_lengths (`np.ndarray` of shape `(B,)`): Where each row begins, and its length.

        Raises:
            `ValueError`: if an id is not in the tokenizer's vocabulary.
        """
        total = len(ids)
        if total and not 0 <= ids.min() <= ids.max() < self.num_ids:
            raise ValueError(
                f"Token ids range from {ids.min()} to {ids.max()}; the tokenizer has ids 0 to {self.num_ids - 1}. "
                "Was the text tokenised with another tokenizer?"
            )
        flags = np.zeros(total + 2, dtype=np.uint16)  # two more, so that each word has something after it
        flags[:total] = self._flags[ids]
        row_begins = np.zeros(total + 2, dtype=bool)
        row_begins[row_starts] = True
        row_begins[total:] = True
        begins = row_begins | (flags & _BEGINS != 0)
        begins[1:] |= flags[:-1] & _ENDS != 0

        starts = np.flatnonzero(begins[: total + 1])
        starts, ends = starts[:-1], starts[1:]
        if total:
            common = np.bitwise_and.reduceat(flags[:total], starts)  # of a marker alone these are the marker's
            letters = np.flatnonzero(common & (_LETTERS | _MARKER) == _LETTERS)
            starts, ends = starts[letters], ends[letters]

        # Where there is no text before or after, it is as if a special token stood there.
        before = np.where(row_begins[starts], _SPECIAL, flags[starts - 1])
        after = np.where(row_begins[ends], _SPECIAL, flags[ends])
        joined = (before & _JOINS_RIGHT != 0) & (flags[starts] & _SPACED == 0)
        joined_after = np.flatnonzero(after & (_JOINS_LEFT | _SPACED) == _JOINS_LEFT)
        if len(joined_after):
            mark, second = after[joined_after], ends[joined_after] + 1
            s_follows = (flags[second] & _LETTER_S != 0) & ~row_begins[second]
            possessive = (mark & _POSSESSIVE != 0) | ((mark & _APOSTROPHE != 0) & s_follows)
            joined[joined_after[~possessive]] = True

        keep = np.flatnonzero(~joined)
        starts, ends, before, after = starts[keep], ends[keep], before[keep], after[keep]
        # Some vocabularies spell an article in pieces: its marker apart, or the n of "an".
        n = (before & _LETTER_N != 0) & ~row_begins[starts - 1] & (flags[starts - 2] & _ARTICLE != 0)
        head = starts - 1 - n
        article = (n | (before & _ARTICLE != 0)) & (begins[head] | (flags[head - 1] & _MARKER != 0))
        return Words(
            row=np.repeat(np.arange(len(row_lengths)), row_lengths)[starts],
            start=starts,
            length=ends - starts,
            first=before & (_SPECIAL | _OPENS) != 0,
            last=after & _SPECIAL != 0,
            after_article=article,
        )

    def segments(self, ids: np.ndarray, row_starts: np.ndarray, words: Words) -> np.ndarray:
        """Segment of each word, `(W,)`: 0 up to a row's first separator, 1 after."""
        separators = np.concatenate([[0], np.cumsum(ids == self.separator)])
        return np.minimum(separators[words.start] - separators[row_starts[words.row]], 1)


def word_marker(tokenizer) -> str:
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
        f"{type(tokenizer).__name__} decodes with {[part.get('type') for part in decoders]}, from which the start "
        "of a word cannot be told; expected a WordPiece (##), byte-level BPE (Ġ) or SentencePiece (▁) tokenizer."
    )


def special_ids(tokenizer) -> set[int]:
    """Ids of the tokens that stand for no text. The unknown token does stand for some."""
    named = tokenizer.special_tokens_map
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    special.update(tokenizer.all_special_ids)
    if all(token != tokenizer.unk_token for name, token in named.items() if name != "unk_token"):
        special.discard(tokenizer.unk_token_id)
    return special


def _piece_flags(token: str, marker: str) -> int:
    marked = token.startswith(marker)
    text = piece_text(token[len(marker) :] if marked else token, marker)
    spaced = marked and marker != "##"
    letters = all(char.isalpha() or unicodedata.category(char)[0] == "M" for char in text) and bool(text or spaced)
    if marker == "##":
        flags = 0 if marked else _BEGINS
    else:
        flags = _BEGINS * (spaced or not letters) | _ENDS * (not letters) | _SPACED * spaced
    flags |= _LETTERS * letters | _MARKER * (spaced and not text)
    flags |= _POSSESSIVE * (text in ("'s", "’s")) | _APOSTROPHE * (text in ("'", "’")) | _LETTER_S * (text == "s")
    flags |= _ARTICLE * (text.lower() in ("a", "an")) | _LETTER_N * (text.lower() == "n")
    if text:
        # "3d" is one word to WordPiece, so that there a digit that stands alone has a space around it.
        flags |= _JOINS_LEFT * (text[0] in JOINERS or (text[0].isnumeric() and marker != "##"))
        flags |= _JOINS_RIGHT * (text[-1] in JOINERS or (text[-1].isnumeric() and marker != "##"))
        flags |= _OPENS * (text[-1] in OPENERS)
    return flags


def piece_text(piece: str, marker: str) -> str:
    """What a piece stands for. Pieces of byte-level BPE spell bytes; cut characters come out as a letter."""
    if marker != "Ġ":
        return piece
    try:
        return bytes(BYTE_OF_CHAR[char] for char in piece).decode("utf-8", errors="strict")
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


BYTE_OF_CHAR = _byte_of_char()
