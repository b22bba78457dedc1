"""The words of a tokenised text, found in its token ids by the tokenizer's own rule for the start of a word."""

import json
import unicodedata
from dataclasses import dataclass, replace

import numpy as np

from .batch import Batch
from .ragged import ranges
from .scripts import is_unspaced


# A word glued to one of these is part of something larger (don't, state-of-the-art, user@host), and not replaced.
# The last ones are soft hyphen, zero-width space, non-joiner and joiner, and word joiner.
JOINERS = frozenset("'’`-‐‑_/\\@&+*#\u00ad\u200b\u200c\u200d\u2060")
# A sentence or a quotation may begin after these, so that a capital letter there need not mean a name.
OPENERS = frozenset('.!?…:"“”„«»‘([\n¡¿')

# Properties of a piece, one bit each.
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
_MARK = 1 << 14  # begins with a combining mark, which belongs to the letter before
_UNSPACED = 1 << 15  # in a script without spaces between words


@dataclass(frozen=True)
class Words:
    """
    W words of a `Batch`. A boolean mask or numbers in square brackets select some of them.

    Attributes:
        row (`np.ndarray` of shape `(W,)`): Row of each word, in increasing order.
        start, length (`np.ndarray` of shape `(W,)`): Place of the word's first token in `batch.ids`, and number of
            its tokens.
        first (`np.ndarray` of shape `(W,)`): Whether a sentence may begin with the word.
        last (`np.ndarray` of shape `(W,)`): Whether a special token, or nothing, follows the word.
        after_article (`np.ndarray` of shape `(W,)`): Whether "a" or "an" comes right before the word.
    """

    row: np.ndarray
    start: np.ndarray
    length: np.ndarray
    first: np.ndarray
    last: np.ndarray
    after_article: np.ndarray

    def __getitem__(self, keep: np.ndarray) -> "Words":
        return Words(*(values[keep] for values in vars(self).values()))

    def __len__(self) -> int:
        return len(self.row)

    @staticmethod
    def joined(parts: "list[Words]") -> "Words":
        """The words of several parts, one after the other."""
        return Words(*map(np.concatenate, zip(*(vars(part).values() for part in parts), strict=True)))

    def runs(self, num_words: int) -> "Words":
        """All runs of this many words of the batch with nothing between them, each as one word. Runs may overlap."""
        return self.runs_of(np.array([num_words]))[0]

    def runs_of(self, numbers: np.ndarray) -> "tuple[Words, np.ndarray]":
        """As `runs`, for several numbers of words, one after the other; and the number of words of each run."""
        follows = (self.row[1:] == self.row[:-1]) & (self.start[1:] == (self.start + self.length)[:-1])
        before = np.concatenate([[0], np.cumsum(follows)])
        counts = np.maximum(len(self) - numbers + 1, 0)
        num_words = np.repeat(numbers, counts)
        first = ranges(np.zeros_like(counts), counts)
        last = first + num_words - 1
        unbroken = np.flatnonzero(before[last] - before[first] == num_words - 1)
        first, last = first[unbroken], last[unbroken]
        length = self.start[last] + self.length[last] - self.start[first]
        return replace(self[first], length=length, last=self.last[last]), num_words[unbroken]

    def with_runs(self, runs: "Words") -> "Words":
        """The words with these runs in the place of their words. Of runs that overlap, the first one counts."""
        chosen: list[int] = []
        taken: set[int] = set()
        for number, (start, length) in enumerate(zip(runs.start.tolist(), runs.length.tolist(), strict=True)):
            tokens = range(start, start + length)
            if taken.isdisjoint(tokens):
                chosen.append(number)
                taken.update(tokens)
        runs = runs[np.array(chosen, dtype=np.int64)].in_order()
        return Words.joined([self[~self.overlaps(runs)], runs]).in_order()

    def in_order(self) -> "Words":
        """The words in the order of their batch."""
        return self[self.start.argsort(kind="stable")]

    def overlaps(self, others: "Words") -> np.ndarray:
        """Whether each word shares tokens with one of other words, which do not overlap each other: `(W,)`."""
        starts, ends = np.append(-1, others.start), np.append(-1, others.start + others.length)
        last = np.searchsorted(starts, self.start + self.length, side="left") - 1
        return ends[last] > self.start

    def pieces(self, ids: np.ndarray) -> list[tuple[int, ...]]:
        """The token ids of each word, given the `ids` of its batch."""
        tokens = ids.tolist()
        bounds = zip(self.start.tolist(), (self.start + self.length).tolist(), strict=True)
        return [tuple(tokens[start:stop]) for start, stop in bounds]


class WordFinder:
    """
    Finds the words in token ids: runs of pieces made of letters only, unless they are joined to a larger word.

    It knows the three ways in which fast tokenizers mark the start of a word. WordPiece marks every piece that does
    not start a word (`##ing`). Byte-level BPE and SentencePiece mark the piece after a space (`Ġmovie`, `▁movie`);
    there, a word also ends where its letters end.

    Scripts that put no space between words, such as Chinese, do not show where words start. There, each piece counts
    as a word, and words of several pieces are runs of such words (`Words.runs`). WordPiece has such pieces only for
    Chinese characters; in other such scripts, words of several pieces of WordPiece are not found.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): A fast tokenizer.

    Attributes:
        spaced (`np.ndarray` of shape `(N,)`):
            Whether each of the tokenizer's N ids, as the first piece of a word, means that a space comes before the
            word. With WordPiece, which has the same ids with and without a space, it is true for all ids.
        unspaced (`np.ndarray` of shape `(N,)`): Whether each id is of a script without spaces between words.
        separator (`int` or `None`): Id of the token between the two texts of a pair.

    Raises:
        `ValueError`: if the tokenizer is slow, or marks words in another way.
    """

    def __init__(self, tokenizer):
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(
                f"{type(tokenizer).__name__} is a slow tokenizer; expected a fast one, whose pieces show where words "
                "start. Load it with AutoTokenizer.from_pretrained(...), or convert it to a PreTrainedTokenizerFast."
            )
        marker = word_marker(tokenizer)
        vocabulary = tokenizer.get_vocab()
        special = special_ids(tokenizer)
        self._flags = np.zeros(max(vocabulary.values(), default=-1) + 1, dtype=np.uint16)
        for token, index in vocabulary.items():
            self._flags[index] = _SPECIAL | _BEGINS | _ENDS if index in special else _piece_flags(token, marker)
        if marker != "##" and tokenizer.unk_token_id is not None and tokenizer.unk_token_id not in special:
            # Part of a word may be unknown here. WordPiece replaces whole words by the unknown token.
            self._flags[tokenizer.unk_token_id] |= _JOINS_LEFT | _JOINS_RIGHT
        self.spaced = np.full(len(self._flags), True) if marker == "##" else self._flags & _SPACED != 0
        self.unspaced = self._flags & _UNSPACED != 0
        self.separator = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id

    @property
    def num_ids(self) -> int:
        return len(self._flags)

    def words(self, batch: Batch, joined: bool = False) -> Words:
        """
        All words of a batch, with or without those that are joined to a larger one, as in "state-of-the-art".

        Raises:
            `ValueError`: if an id is not in the tokenizer's vocabulary.
        """
        ids, total = batch.ids, len(batch.ids)
        if total and not 0 <= ids.min() <= ids.max() < self.num_ids:
            raise ValueError(
                f"Token ids range from {ids.min()} to {ids.max()}; the tokenizer has ids 0 to {self.num_ids - 1}. "
                "Was the text tokenised with another tokenizer?"
            )
        flags = np.zeros(total + 2, dtype=np.uint16)  # two more, so that each word has something after it
        flags[:total] = self._flags[ids]
        row_begins = np.zeros(total + 2, dtype=bool)
        row_begins[batch.starts] = True
        row_begins[total:] = True
        begins = row_begins | (flags & _BEGINS != 0)
        begins[1:] |= flags[:-1] & _ENDS != 0

        starts = np.flatnonzero(begins[: total + 1])
        starts, ends = starts[:-1], starts[1:]
        if total:
            common = np.bitwise_and.reduceat(flags[:total], starts)  # a marker alone is no word
            letters = np.flatnonzero((common & (_LETTERS | _MARKER) == _LETTERS) & (flags[starts] & _MARK == 0))
            starts, ends = starts[letters], ends[letters]

        # The start and the end of a row count as special tokens.
        before = np.where(row_begins[starts], _SPECIAL, flags[starts - 1])
        after = np.where(row_begins[ends], _SPECIAL, flags[ends])
        is_part = (before & _JOINS_RIGHT != 0) & (flags[starts] & _SPACED == 0)
        joined_after = np.flatnonzero(after & (_JOINS_LEFT | _SPACED) == _JOINS_LEFT)
        if len(joined_after):
            mark, second = after[joined_after], ends[joined_after] + 1
            s_follows = (flags[second] & _LETTER_S != 0) & ~row_begins[second]
            possessive = (mark & _POSSESSIVE != 0) | ((mark & _APOSTROPHE != 0) & s_follows)
            is_part[joined_after[~possessive]] = True

        keep = np.flatnonzero(~is_part | joined)
        starts, ends, before, after = starts[keep], ends[keep], before[keep], after[keep]
        # Some vocabularies split an article: its marker, or the n of "an", may be a piece of its own.
        n = (before & _LETTER_N != 0) & ~row_begins[starts - 1] & (flags[starts - 2] & _ARTICLE != 0)
        head = starts - 1 - n
        article = (n | (before & _ARTICLE != 0)) & (begins[head] | (flags[head - 1] & _MARKER != 0))
        return Words(
            row=np.repeat(np.arange(len(batch)), batch.lengths)[starts],
            start=starts,
            length=ends - starts,
            first=before & (_SPECIAL | _OPENS) != 0,
            last=after & _SPECIAL != 0,
            after_article=article,
        )

    def segments(self, batch: Batch, words: Words) -> np.ndarray:
        """Segment of each word, `(W,)`: 0 up to the first separator of its row, 1 after it."""
        separators = np.concatenate([[0], np.cumsum(batch.ids == self.separator)])
        return np.minimum(separators[words.start] - separators[batch.starts[words.row]], 1)


def word_marker(tokenizer) -> str:
    """`"##"`, `"Ġ"` or `"▁"`, according to the tokenizer's decoder."""
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
        f"{type(tokenizer).__name__} decodes with {[part.get('type') for part in decoders]}, which does not mark word "
        "starts; expected a WordPiece (##), byte-level BPE (Ġ) or SentencePiece (▁) tokenizer."
    )


def special_ids(tokenizer) -> set[int]:
    """Ids of the tokens that stand for no text. The unknown token is not one of them: it stands for some."""
    named = tokenizer.special_tokens_map
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    special.update(tokenizer.all_special_ids)
    if all(token != tokenizer.unk_token for name, token in named.items() if name != "unk_token"):
        special.discard(tokenizer.unk_token_id)
    return special


def _piece_flags(token: str, marker: str) -> int:
    marked = token.startswith(marker)
    text = piece_text(token.removeprefix(marker), marker)
    spaced = marked and marker != "##"
    letters = all(char.isalpha() or is_mark(char) for char in text) and bool(text or spaced)
    alone = is_unspaced(text)
    if marker == "##":
        flags = 0 if marked else _BEGINS
        letters = letters and not (marked and alone)
    else:
        begins_wide = marker == "Ġ" and text == _INCOMPLETE and BYTE_OF_CHAR[token[0]] in _WIDE_LEADS
        begins = spaced or not letters or alone or begins_wide
        flags = _BEGINS * begins | _ENDS * (not letters or alone) | _SPACED * spaced
    flags |= _UNSPACED * alone | _LETTERS * letters | _MARKER * (spaced and not text)
    flags |= _POSSESSIVE * (text in ("'s", "’s")) | _APOSTROPHE * (text in ("'", "’")) | _LETTER_S * (text == "s")
    flags |= _ARTICLE * (text.lower() in ("a", "an")) | _LETTER_N * (text.lower() == "n")
    if text:
        # "3d" is one word to WordPiece, so a digit of its own has spaces around it there.
        flags |= _JOINS_LEFT * (text[0] in JOINERS or (text[0].isnumeric() and marker != "##"))
        flags |= _JOINS_RIGHT * (text[-1] in JOINERS or (text[-1].isnumeric() and marker != "##"))
        flags |= _OPENS * (text[-1] in OPENERS)
        flags |= (_MARK | _JOINS_LEFT * (not letters)) * is_mark(text[0])
    return flags


def is_mark(char: str) -> bool:
    """Whether a character is a combining mark: an accent, a vowel sign, a variation selector."""
    return unicodedata.category(char)[0] == "M"


def piece_text(piece: str, marker: str) -> str:
    """The text of a piece. Pieces of byte-level BPE spell bytes; incomplete characters become a letter."""
    if marker != "Ġ":
        return piece
    try:
        return bytes(BYTE_OF_CHAR[char] for char in piece).decode()
    except KeyError:  # an added token, which is plain text
        return piece
    except UnicodeDecodeError:
        return _INCOMPLETE


def _byte_of_char() -> dict[str, int]:
    """GPT-2's alphabet for bytes: printable bytes stand for themselves, the others are the characters from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


BYTE_OF_CHAR = _byte_of_char()
_WIDE_LEADS = (*range(0xE3, 0xEA), 0xEF)  # first bytes of Chinese and Japanese characters and of full-width marks
_INCOMPLETE = "\u00e9"  # stands for part of a character: a letter, with which no source knows the word
