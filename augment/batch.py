"""Rows of a batch as flat arrays, and the replacements drawn for them as flat lists."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .candidates import Candidates, ranges
from .sampling import KEEP


TOKEN_LEVEL_KEYS = ("attention_mask", "token_type_ids", "special_tokens_mask")


class Batch:
    """Rows of token ids, also one after the other: `ids` `(T,)`, `starts` and `lengths` `(B,)`."""

    def __init__(self, rows: Sequence[Sequence[int]]):
        try:
            self.rows = [row if type(row) is list else np.asarray(row).tolist() for row in rows]
            self.ids = np.array(array("q", list(chain.from_iterable(self.rows))))
        except (TypeError, OverflowError) as error:
            raise ValueError("input_ids of an example are no list of ints; expected one row of token ids.") from error
        self.lengths = np.array([len(row) for row in self.rows], dtype=np.int64)
        self.starts = self.lengths.cumsum() - self.lengths


class Swaps:
    """
    The words that B x K variants replace. Swap j puts `pieces[first[j] : last[j]]` in the place of
    `row[start[j] : stop[j]]`; the swaps of variant k of row b are those between the `bounds[k * B + b]`.

    Lists of ints, since the loops over single variants are quicker with them, and free of work for Python's collector.
    """

    def __init__(self, batch: Batch, candidates: Candidates, choice: np.ndarray):
        words, num_rows = candidates.words, len(batch.rows)
        variant, word = (choice != KEEP).nonzero()
        row = words.row[word]
        start = words.start[word] - batch.starts[row]
        replacement = candidates.replacements(word, choice[variant, word])
        offset = candidates.offsets[replacement]
        length = candidates.offsets[replacement + 1] - offset
        last = length.cumsum()
        counts = np.bincount(variant * num_rows + row, minlength=len(choice) * num_rows)
        bounds = counts.cumsum()
        self.start, self.stop = start.tolist(), (start + words.length[word]).tolist()
        self.first, self.last = (last - length).tolist(), last.tolist()
        self.pieces = candidates.pieces[ranges(offset, length)].tolist()
        self.bounds = list(zip((bounds - counts).tolist(), bounds.tolist(), strict=True))

    def between(self, begin: int, end: int) -> Iterator[tuple[int, int, list[int]]]:
        """Start, stop and the ids that take their place, of each swap."""
        for j in range(begin, end):
            yield self.start[j], self.stop[j], self.pieces[self.first[j] : self.last[j]]

    def apply(self, row: list[int], begin: int, end: int) -> list[int]:
        """The row with its swaps made."""
        row = row.copy()
        for j in range(end - 1, begin - 1, -1):
            row[self.start[j] : self.stop[j]] = self.pieces[self.first[j] : self.last[j]]
        return row

    def stretch(self, values: list[Any], begin: int, end: int) -> list[Any]:
        """Values of the tokens of a variant: those of a replacement are that of the word's first piece."""
        values = values.copy()
        for j in range(end - 1, begin - 1, -1):
            start = self.start[j]
            values[start : self.stop[j]] = [values[start]] * (self.last[j] - self.first[j])
        return values


def input_ids(examples: Sequence[Mapping[str, Any]]) -> list[Sequence[int]]:
    if not isinstance(examples, Sequence):
        raise TypeError(f"Received {examples!r:.100}; expected an example, which is a dict, or a list of them.")
    try:
        return [example["input_ids"] for example in examples]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"Received the examples {list(examples)!r:.200}; expected dicts with input_ids, as tokenizer(text) gives "
            "them. For plain text there is augment_text."
        ) from error


def token_level_columns(
    example: Mapping[str, Any], length: int
) -> tuple[list[tuple[str, list[Any]]], list[tuple[str, list[Any]]]]:
    """Name and one value of the columns that have the same one for all tokens, name and values of the others."""
    constant, varying = [], []
    for name in TOKEN_LEVEL_KEYS:
        if name in example and len(values := example[name]) == length > 0:
            values = values if type(values) is list else list(values)
            if values.count(values[0]) == length:
                constant.append((name, values[:1]))
            else:
                varying.append((name, values))
    return constant, varying
