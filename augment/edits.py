"""Edits as plain data, and the one function that applies them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Edit(NamedTuple):
    """
    The replacement of one word of a tokenised example.

    Attributes:
        start (`int`): Position of the word's first piece in `input_ids`.
        old (`tuple[int, ...]`): Ids of the word's pieces.
        new (`tuple[int, ...]`): Ids of the pieces that take their place.
    """

    start: int
    old: tuple[int, ...]
    new: tuple[int, ...]


def splice(
    ids: np.ndarray,
    starts: np.ndarray,
    old_lengths: np.ndarray,
    new_starts: np.ndarray,
    new_lengths: np.ndarray,
    new_ids: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Replaces runs of tokens by other runs, all at once.

    Args:
        ids (`np.ndarray` of shape `(T,)`): The tokens, any number of rows one after the other.
        starts, old_lengths (`np.ndarray` of shape `(E,)`): Where each run begins and how long it is; no two overlap.
        new_starts, new_lengths (`np.ndarray` of shape `(E,)`): Which part of `new_ids` takes its place.
        new_ids (`np.ndarray` of shape `(P,)`): Replacements, one after the other.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: the new tokens `(N,)`, and for each the position in `ids` of the token that it
        comes from `(N,)`, which for a new token is the first of the run that it replaces.
    """
    lengths = np.ones(len(ids), dtype=np.int64)
    lengths[_ranges(starts, old_lengths)] = 0
    lengths[starts] = new_lengths
    sources = np.repeat(np.arange(len(ids)), lengths)
    spliced = ids[sources]
    ends = np.cumsum(lengths)
    spliced[_ranges(ends[starts] - new_lengths, new_lengths)] = new_ids[_ranges(new_starts, new_lengths)]
    return spliced, sources


def apply_edits(input_ids: Sequence[int], edits: Sequence[Edit]) -> list[int]:
    """
    The token ids of a variant: those of its original with each edit's old pieces replaced by the new ones.

    Raises:
        `ValueError`: if the pieces that an edit replaces are not there.
    """
    for edit in edits:
        found = tuple(input_ids[edit.start : edit.start + len(edit.old)])
        if found != edit.old:
            raise ValueError(f"An edit replaces {edit.old} at {edit.start}, where the example has {found}.")
    new_lengths = np.array([len(edit.new) for edit in edits], dtype=np.int64)
    spliced, _ = splice(
        np.asarray(input_ids, dtype=np.int64),
        np.array([edit.start for edit in edits], dtype=np.int64),
        np.array([len(edit.old) for edit in edits], dtype=np.int64),
        np.cumsum(new_lengths) - new_lengths,
        new_lengths,
        np.array([piece for edit in edits for piece in edit.new], dtype=np.int64),
    )
    return spliced.tolist()


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """`[start, start + length)` for each pair, one after the other."""
    offsets = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
