"""Swaps of tokens made in the text that the tokens are of."""

from collections.abc import Callable, Iterable, Sequence

from .batch import Span, Swap


def token_spans(spans: Sequence[Span], offsets: Sequence[Span]) -> list[Span]:
    """The tokens, each a span of its own, that lie in spans of the text or overlap them."""
    kept = [any(begin < stop and start < end for start, stop in spans) and begin < end for begin, end in offsets]
    return [(i, i + 1) for i, keep in enumerate(kept) if keep]


def rewritten(
    text: str,
    offsets: Sequence[Span],
    row: list[int],
    swaps: Iterable[Swap],
    spell: Callable[[tuple[int, ...]], str],
    recase: Callable[[str, str], str],
) -> str:
    """The text with swaps of its tokens made, each token lying in `text[offset[0] : offset[1]]`."""
    parts, position = [], 0
    for start, stop, new in swaps:
        begin, end = offsets[start][0], offsets[stop - 1][1]
        word = text[begin:end].lstrip()  # some tokenizers take the space for a part of the word
        before, position = text[position : end - len(word)], end
        if new:
            spelt, old = spell(tuple(new)), spell(tuple(row[start:stop]))
            put_after = spelt.startswith(f"{old} ")
            parts += [before, word + recase(word, spelt[len(old) :]) if put_after else recase(word, spelt)]
        else:
            kept = before.rstrip()
            if kept == before or not (kept or any(parts)):  # no space before, or nothing but space: the one after goes
                kept, position = before, len(text) - len(text[end:].lstrip())
            parts.append(kept)
    return "".join([*parts, text[position:]])


def in_case_of(word: str, replacement: str) -> str:
    """The replacement in capitals, or with a first capital, where the word is so written."""
    if word.isupper() and len(word) > 1:
        return replacement.upper()
    return replacement[:1].upper() + replacement[1:] if word[:1].isupper() else replacement
