"""Examples as a batch of token ids, and the columns of an example that go with its tokens."""

from array import array
from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from .ragged import ranges


TOKEN_LEVEL_KEYS = ("attention_mask", "token_type_ids", "special_tokens_mask")
SPANS_KEY = "keep_spans"
LABELS_KEY = "labels"
ALIGNMENT_KEY = "alignment"
TOKEN_COLUMNS_KEY = "token_columns"
_NOT_OF_TOKENS = frozenset(("input_ids", "label", "label_ids", SPANS_KEY, TOKEN_COLUMNS_KEY))
IGNORE_INDEX = -100  # the label of a token that has none, as torch's cross entropy leaves it out

Span = tuple[int, int]


class Batch:
    """
    B rows of token ids. The rows lie one after the other in `ids`.

    Args:
        rows (`Sequence[Sequence[int]]`): The token ids of each row.
        spans (`Sequence[Sequence[Span]]`, *optional*): Spans `[start, stop)` of each row whose tokens must stay.
        bounded (`bool`, *optional*, defaults to `True`):
            Whether variants of the rows must respect `max_length`. Variants of plain text need not.

    Attributes:
        ids (`np.ndarray` of shape `(T,)`): The token ids of all rows.
        starts, lengths (`np.ndarray` of shape `(B,)`): Where each row starts in `ids`, and its number of tokens.
        rows (`list[list[int]]`): The rows as lists.
        kept (`np.ndarray` of shape `(T,)`, or `None`): Whether each token must stay; `None` if none must.

    Raises:
        `ValueError`: if a row is not a sequence of ints.
    """

    def __init__(
        self, rows: Sequence[Sequence[int]], spans: Sequence[Sequence[Span]] | None = None, bounded: bool = True
    ):
        try:
            lists = [row if type(row) is list else np.asarray(row).tolist() for row in rows]
            ids = np.array(array("q", list(chain.from_iterable(lists))))
        except (TypeError, OverflowError) as error:
            raise ValueError("input_ids of an example are no list of ints; expected one row of token ids.") from error
        self.ids, self.lengths = ids, np.array([len(row) for row in lists], dtype=np.int64)
        self.kept, self.bounded, self.rows = None, bounded, lists
        if spans is not None:
            self.kept = np.zeros(len(ids), dtype=bool)
            for offset, row_spans in zip(self.starts.tolist(), spans, strict=True):
                for start, stop in row_spans:
                    self.kept[offset + start : offset + stop] = True

    @classmethod
    def of_arrays(
        cls, ids: np.ndarray, lengths: np.ndarray, kept: np.ndarray | None = None, bounded: bool = True
    ) -> "Batch":
        """The batch of rows of these lengths, `(B,)`, which lie one after the other in `ids`."""
        batch = cls.__new__(cls)
        batch.ids, batch.lengths, batch.kept, batch.bounded = ids, lengths, kept, bounded
        return batch

    @classmethod
    def of(cls, examples: Sequence[Mapping[str, Any]]) -> "Batch":
        """
        The batch of a list of examples with `input_ids` and, optionally, `keep_spans`.

        Raises:
            `TypeError`: if `examples` is not a sequence.
            `ValueError`: if an example has no `input_ids`, or its `keep_spans` are not pairs of positions in them.
        """
        if not isinstance(examples, Sequence):
            raise TypeError(f"Received {examples!r:.100}; expected an example, which is a dict, or a list of them.")
        try:
            rows = [example["input_ids"] for example in examples]
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"Received the examples {list(examples)!r:.200}; expected dicts with input_ids, as tokenizer(text) "
                "gives them. For plain text, use augment_text."
            ) from error
        if not any(SPANS_KEY in example for example in examples):
            return cls(rows)
        return cls(rows, [spans_of(example, len(row)) for example, row in zip(examples, rows, strict=True)])

    @cached_property
    def starts(self) -> np.ndarray:
        return self.lengths.cumsum() - self.lengths

    @cached_property
    def rows(self) -> list[list[int]]:
        ids, ends = self.ids.tolist(), (self.starts + self.lengths).tolist()
        return [ids[start:end] for start, end in zip(self.starts.tolist(), ends, strict=True)]

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Batch":
        """The batch of the rows with these numbers, which may repeat."""
        lengths = self.lengths[rows]
        tokens = ranges(self.starts[rows], lengths)
        return Batch.of_arrays(
            self.ids[tokens], lengths, None if self.kept is None else self.kept[tokens], self.bounded
        )


def spans_of(example: Mapping[str, Any], length: int) -> list[Span]:
    """The `keep_spans` of an example of this length; raises a `ValueError` if they are no pairs of positions in it."""
    value = example.get(SPANS_KEY)
    try:
        spans = [(int(start), int(stop)) for start, stop in (() if value is None else value)]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{SPANS_KEY} of an example are {value!r:.100}; expected a list of pairs (start, stop) of positions in "
            "its input_ids."
        ) from error
    if any(not 0 <= start <= stop <= length for start, stop in spans):
        raise ValueError(
            f"{SPANS_KEY} of an example of {length} tokens are {spans}; expected pairs start <= stop of positions in "
            "its input_ids."
        )
    return spans


class TokenColumns:
    """
    The columns of an example that have an entry for each token, and how they follow the tokens into a variant. They
    become lists in the example. Special tokens, whose ids are given, have no label.

    A column is one of these if it has as many entries as `input_ids` and, where the example has a column
    `token_columns`, is named in it. The tokenizer's columns always are, `labels` if they are labels of tokens, and
    `label` and `label_ids` never. A replacement has the entry of the word's first piece. `position_ids` that count up
    are counted anew.

    Attributes:
        first_piece (`dict[str, list]`):
            The columns whose value for a word is that of its first piece, while the other pieces of a replacement get
            -100: `alignment`, labels of tokens, and other columns that hold -100.
        names (`list[str]`): The columns that belong to words, and so do not fit where words move.
        vary (`bool`): Whether a column has several values, so that a variant as long as the example must be fitted.
    """

    def __init__(self, example: dict[str, Any], row: list[int], special: Set[int]):
        self._length = length = len(row)
        self._constant: dict[str, list] = {}  # one value of each column whose values are all equal
        self._varying: dict[str, list] = {}
        self._numbers: tuple[list[int], int, int] | None = None  # `position_ids`, which tokens they count, how many
        self.first_piece: dict[str, list] = {}
        self.names: list[str] = []
        chosen = example.get(TOKEN_COLUMNS_KEY)
        for name, value in example.items():
            if name in _NOT_OF_TOKENS:
                continue
            is_tokenizers = name in TOKEN_LEVEL_KEYS
            if chosen is not None and not is_tokenizers and name not in (*chosen, LABELS_KEY, ALIGNMENT_KEY):
                continue
            values = _entries(value, length)
            if values is None or (name == LABELS_KEY and not are_of_tokens(values, row, special)):
                continue
            example[name] = values
            if name == "position_ids" and (counted := _counted(values, example.get("attention_mask"))):
                self._numbers = values, *counted
                continue
            if not is_tokenizers:
                self.names.append(name)
            if not is_tokenizers and (name in (LABELS_KEY, ALIGNMENT_KEY) or IGNORE_INDEX in values):
                self.first_piece[name] = values
            elif values.count(values[0]) == length:
                self._constant[name] = values[:1]
            else:
                self._varying[name] = values
        self.vary = bool(self._varying or self.first_piece)

    def fit(self, variant: dict[str, Any], length: int, source: Sequence[int]) -> None:
        """
        Fits the columns to a variant of this length. `source` are the positions in the example that its tokens come
        from, which are needed if the columns vary.
        """
        if length != self._length:
            for name, value in self._constant.items():
                variant[name] = value * length
            if self._numbers is not None:
                values, first, count = self._numbers
                stop = values[first] + count + length - self._length
                variant["position_ids"] = [*values[:first], *range(values[first], stop), *values[first + count :]]
        if self.vary:
            for name, values in self._varying.items():
                variant[name] = [values[position] for position in source]
            for name, values in self.first_piece.items():
                variant[name] = [
                    values[position] if position != before else IGNORE_INDEX
                    for before, position in zip([None, *source], source, strict=False)
                ]


def _entries(value: Any, length: int) -> list | None:
    """The entries of a column as a list, if there are as many as tokens."""
    if type(value) is list and value and type(value[0]) is int:  # the tokenizer's own columns
        return value if len(value) == length else None
    is_array = hasattr(value, "tolist") and bool(getattr(value, "ndim", 0))
    if not (is_array or isinstance(value, list | tuple)) or not len(value) == length > 0:
        return None
    if type(value) is list and not getattr(value[0], "ndim", 0):
        return value
    if is_array:
        return value.tolist()
    return [entry.tolist() if hasattr(entry, "tolist") else entry for entry in value]


def _counted(position_ids: list, attention_mask: Sequence[int] | None) -> tuple[int, int] | None:
    """The first of the tokens that are no padding, and their number, if their `position_ids` count up."""
    attended = [i for i, seen in enumerate(attention_mask) if seen] if attention_mask is not None else []
    first, count = (attended[0], len(attended)) if attended else (0, len(position_ids))
    start, counted = position_ids[first], position_ids[first : first + count]
    counts_up = isinstance(start, int | np.integer) and counted == [*range(start, start + count)]
    return (first, count) if counts_up else None


def are_of_tokens(labels: Any, row: list[int], special: Set[int]) -> bool:
    """
    Whether the labels of an example are labels of its tokens: one whole number per token, and -100 for special tokens.
    The 0 and 1 of multi-label classification may happen to be as many as the tokens.
    """
    if not isinstance(labels, list) or len(labels) != len(row):
        return False
    if not all(isinstance(label, int | np.integer) for label in labels):
        return False
    return IGNORE_INDEX in labels or special.isdisjoint(row)
