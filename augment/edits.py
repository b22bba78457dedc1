"""Edits as plain data, and the one function that applies them."""

from collections.abc import Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """
    The replacement of a run of pieces of a tokenised example, in most cases of one word.

    Attributes:
        start (`int`): Position of the first piece in `input_ids`.
        old (`tuple[int, ...]`): Ids of the pieces, at least one.
        new (`tuple[int, ...]`): Ids of the pieces that take their place, which may be none.
    """

    start: int
    old: tuple[int, ...]
    new: tuple[int, ...]


def apply_edits(input_ids: Sequence[int], edits: Sequence[Edit]) -> list[int]:
    """
    The token ids of a variant: those of its original with each edit's old pieces replaced by the new ones.

    Args:
        input_ids (`Sequence[int]` of length L): The original.
        edits (`Sequence[Edit]`): In any order; positions are those of the original.

    Raises:
        `ValueError`: if the pieces that an edit replaces are not there, or two edits overlap.
    """
    ids = list(input_ids)
    unedited = len(ids)
    for edit in sorted(edits, reverse=True):
        start, old, new = edit
        stop = start + len(old)
        found = tuple(input_ids[max(start, 0) : stop])
        if not old or found != tuple(old):
            raise ValueError(
                f"An edit replaces {old} at position {start}, where the example has {found}; expected edits of this "
                "very example."
            )
        if stop > unedited:
            raise ValueError(f"The edit {edit} overlaps another one; expected at most one edit per word.")
        ids[start:stop] = new
        unedited = start
    return ids
