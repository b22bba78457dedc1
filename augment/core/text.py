"""Edits of tokens, made in the text of the tokens."""

import re
from collections.abc import Sequence

from ..edits import Edit
from .batch import Span
from .lazy import word_cache
from .lexicon import has_case
from .scripts import without_spaces
from .words import is_mark


def with_marks(text: str, offsets: Sequence[Span]) -> list[Span]:
    """
    The offsets of tokens, each with the combining marks after it that belong to no token. A tokenizer that strips
    accents leaves them out: its token "cafe" ends before the accent of a "café" that is written as "e" and a mark.
    """
    if text.isascii():  # without any mark
        return list(offsets)
    begins = {begin for begin, end in offsets if begin < end}
    extended = []
    for begin, end in offsets:
        stop = end
        while begin < stop < len(text) and stop not in begins and is_mark(text[stop]):
            stop += 1
        extended.append((begin, stop))
    return extended


def token_spans(spans: Sequence[Span], offsets: Sequence[Span]) -> list[Span]:
    """The tokens that overlap spans of the text, each as a span of its own."""
    kept = [any(begin < stop and start < end for start, stop in spans) and begin < end for begin, end in offsets]
    return [(i, i + 1) for i, keep in enumerate(kept) if keep]


class Rewriter:
    """Makes edits of tokens in their text, in the spelling and the case of a tokenizer's words."""

    def __init__(self, tokenizer):
        # Words return in batch after batch, and decoding one takes long. WordPiece puts spaces between all pieces.
        self._spell = word_cache(
            lambda pieces: re.sub(r" (?=[.,;:!?])", "", without_spaces(tokenizer.decode(pieces).strip()))
        )
        self._recase = (lambda word, new: new) if has_case(tokenizer) else in_case_of

    def __call__(self, text: str, offsets: Sequence[Span], edits: Sequence[Edit]) -> str:
        """
        The text with edits, from left to right. Token i is `text[offsets[i][0] : offsets[i][1]]`. A word that takes
        the place of another one keeps the accents that the tokenizer strips.
        """
        words, parts, position = {}, [], 0
        if len(edits) > 1:
            words = {old: text[offsets[at][0] : offsets[at + len(old) - 1][1]].lstrip() for at, old, _ in edits}
        for start, old, new in edits:
            end = offsets[start + len(old) - 1][1]
            word = text[offsets[start][0] : end].lstrip()  # some tokenizers count the space as part of the word
            before, position = text[position : end - len(word)], end
            if new:
                spelt, spelt_old = words.get(new) or self._spell(new), self._spell(old)
                inserted = spelt.removeprefix(spelt_old)
                is_insertion = inserted != spelt and not inserted[:1].isalnum()
                parts += [before, word + self._recase(word, inserted) if is_insertion else self._recase(word, spelt)]
            else:
                kept = before.rstrip()
                if kept == before or not (kept or any(parts)):  # nothing or only space before: remove the space after
                    kept, position = before, len(text) - len(text[end:].lstrip())
                parts.append(kept)
        return "".join([*parts, text[position:]])


def in_case_of(word: str, replacement: str) -> str:
    """The replacement in capitals, or with a capital first letter, if the word is, and otherwise in lower case."""
    replacement = replacement.lower()
    if word.isupper() and len(word) > 1:
        return replacement.upper()
    return replacement[:1].upper() + replacement[1:] if word[:1].isupper() else replacement
