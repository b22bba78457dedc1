"""Which words of a text a variant has changed, from the two texts alone."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher


_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Changes:
    """
    Attributes:
        replaced (`list[tuple[int, int, int]]`):
            The words that stand for one of the text: its place in the words of the text, and `[start, stop)` in those
            of the variant.
        num_unclear (`int`):
            Words of the text that are gone but cannot be told apart: two next to each other, or three, have become
            another number of words.
        num_changed (`int`): Words of the text that are gone, and words that were put between those that are not.
    """

    replaced: list[tuple[int, int, int]]
    num_unclear: int
    num_changed: int


def words_of(text: str) -> list[str]:
    """The runs of letters and digits: spaces, punctuation and how they are split make no difference."""
    return _WORD.findall(text)


def find_changes(old: list[str], new: list[str]) -> Changes:
    """The changes from one list of words to another, in whatever case the words are."""
    matcher = SequenceMatcher(None, [word.casefold() for word in old], [word.casefold() for word in new], False)
    replaced, num_unclear, num_changed = [], 0, 0
    for kind, start, stop, new_start, new_stop in matcher.get_opcodes():
        if kind == "replace" and stop - start == new_stop - new_start:
            replaced += [(start + i, new_start + i, new_start + i + 1) for i in range(stop - start)]
        elif kind == "replace" and stop - start == 1:
            replaced.append((start, new_start, new_stop))
        elif kind == "replace":
            num_unclear += stop - start
        if kind != "equal":
            num_changed += (stop - start) or (new_stop - new_start)
    return Changes(replaced, num_unclear, num_changed)
