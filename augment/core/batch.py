"""Rows of a batch, and the replacements drawn for them, as flat arrays."""

from array import array
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from .candidates import Candidates, ranges
from .sampling import KEEP


TOKEN_LEVEL_KEYS = ("attention_mask", "token_type_ids", "special_tokens_mask")
SPANS_KEY = "keep_spans"
LABELS_KEY = "labels"
ALIGNMENT_KEY = "alignment"
IGNORE_INDEX = -100  # the label of a token that has none, as torch's cross entropy leaves it out

Span = tuple[int, int]
Swap = tuple[int, int, list[int]]  # start and stop of the tokens replaced, and the ids that take their place

_NEVER = 1 << 62


class Batch:
    """
    B rows of token ids, one after the other: `ids` `(T,)`, `starts` and `lengths` `(B,)`.

    Attributes:
        spans (`list[Sequence[Span]]` or `None`): Of each row, the spans `[start, stop)` of tokens that are to stay.
    """

    def __init__(self, rows: Sequence[Sequence[int]], spans: Sequence[Sequence[Span]] | None = None):
        try:
            rows = [row if type(row) is list else np.asarray(row).tolist() for row in rows]
            ids = np.array(array("q", list(chain.from_iterable(rows))))
        except (TypeError, OverflowError) as error:
            raise ValueError("input_ids of an example are no list of ints; expected one row of token ids.") from error
        self._set(ids, np.array([len(row) for row in rows], dtype=np.int64), spans)
        self.rows = rows

    @classmethod
    def of_arrays(cls, ids: np.ndarray, lengths: np.ndarray, spans: Sequence[Sequence[Span]] | None = None) -> "Batch":
        """The batch of rows that lie one after the other in `ids`."""
        batch = cls.__new__(cls)
        batch._set(ids, lengths, spans)
        return batch

    def _set(self, ids: np.ndarray, lengths: np.ndarray, spans: Sequence[Sequence[Span]] | None) -> None:
        self.ids, self.lengths, self.spans = ids, lengths, spans
        self.starts = lengths.cumsum() - lengths

    @cached_property
    def rows(self) -> list[list[int]]:
        """The rows as lists."""
        ids, ends = self.ids.tolist(), (self.starts + self.lengths).tolist()
        return [ids[start:end] for start, end in zip(self.starts.tolist(), ends, strict=True)]

    @classmethod
    def of(cls, examples: Sequence[Mapping[str, Any]]) -> "Batch":
        """The batch of a list of examples."""
        rows = _input_ids(examples)
        if not any(SPANS_KEY in example for example in examples):
            return cls(rows)
        batch = cls(rows, [_spans(example.get(SPANS_KEY)) for example in examples])
        for row, spans in zip(batch.rows, batch.spans, strict=True):
            if any(not 0 <= start <= stop <= len(row) for start, stop in spans):
                raise ValueError(
                    f"{SPANS_KEY} of an example of {len(row)} tokens are {spans}; expected pairs start <= stop of "
                    "places in its input_ids."
                )
        return batch

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: Sequence[int]) -> "Batch":
        """The batch of the rows so numbered, which may repeat."""
        spans = None if self.spans is None else [self.spans[i] for i in rows]
        lengths = self.lengths[rows]
        return Batch.of_arrays(self.ids[ranges(self.starts[rows], lengths)], lengths, spans)

    def kept(self) -> np.ndarray:
        """Whether each token lies in a span that is to stay, `(T,)`."""
        kept = np.zeros(len(self.ids), dtype=bool)
        for offset, spans in zip(self.starts.tolist(), self.spans or (), strict=False):
            for start, stop in spans:
                kept[offset + start : offset + stop] = True
        return kept


class Swaps:
    """
    The words that the K variants of each of B rows replace. Variant k of row b is number v = k * B + b, and its swaps
    are those from `first[v]` to `first[v + 1] - 1`, from left to right. Swap j puts the next `length[j]` of `pieces`,
    maybe none, in the place of the tokens from `start[j]` to `stop[j] - 1` of the row, at least one.

    Attributes:
        first (`np.ndarray` of shape `(K * B + 1,)`), start, stop, length (`np.ndarray` of shape `(S,)`), pieces
            (`np.ndarray` of shape `(P,)`): The S swaps.
    """

    def __init__(self, first: np.ndarray, start: np.ndarray, stop: np.ndarray, length: np.ndarray, pieces: np.ndarray):
        self.first, self.start, self.stop, self.length, self.pieces = first, start, stop, length, pieces

    @classmethod
    def of_choice(cls, batch: Batch, candidates: Candidates, choice: np.ndarray) -> "Swaps":
        """What K variants of each row take of the candidates, `choice` of shape `(K, W)`."""
        words, num_rows = candidates.words, len(batch)
        variant, word = (choice != KEEP).nonzero()
        row = words.row[word]
        start = words.start[word] - batch.starts[row]
        replacement = candidates.replacements(word, choice[variant, word])
        offset = candidates.offsets[replacement].astype(np.int64)
        length = candidates.offsets[replacement + 1] - offset
        first = np.zeros(len(choice) * num_rows + 1, dtype=np.int64)
        np.bincount(variant * num_rows + row, minlength=len(first) - 1).cumsum(out=first[1:])
        return cls(first, start, start + words.length[word], length, candidates.pieces[ranges(offset, length)])

    @classmethod
    def of_variants(cls, variants: Iterable[Iterable[Swap]]) -> "Swaps":
        """Of each variant, in the order of their numbers, its swaps from left to right."""
        first, swaps = [0], []
        for variant in variants:
            swaps += variant
            first.append(len(swaps))
        pieces = list(chain.from_iterable(new for _, _, new in swaps))
        columns = first, [s[0] for s in swaps], [s[1] for s in swaps], [len(s[2]) for s in swaps], pieces
        return cls(*(np.array(column, dtype=np.int64) for column in columns))

    def __len__(self) -> int:
        """Number of variants."""
        return len(self.first) - 1

    @property
    def counts(self) -> np.ndarray:
        """Words that each variant replaces, `(K * B,)`."""
        return np.diff(self.first)

    @cached_property
    def _lists(self) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
        """The swaps as lists, with the end of each one's pieces for its length; quicker for one variant at a time."""
        return tuple(
            array.tolist() for array in (self.first, self.start, self.stop, self.length.cumsum(), self.pieces)
        )

    def of_variant(self, number: int) -> list[Swap]:
        """The swaps of the variant with this number."""
        first, start, stop, last, pieces = self._lists
        return [
            (start[j], stop[j], pieces[last[j - 1] if j else 0 : last[j]])
            for j in range(first[number], first[number + 1])
        ]

    def where(self, used: np.ndarray) -> "Swaps":
        """Those of the variants for which `used` `(K * B,)` is true; the others change nothing."""
        counts = self.counts
        swap = np.repeat(used, counts)
        first = np.concatenate([[0], np.where(used, counts, 0).cumsum()])
        pieces = self.pieces[np.repeat(swap, self.length)]
        return Swaps(first, self.start[swap], self.stop[swap], self.length[swap], pieces)

    def apply(self, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        The variants as flat arrays.

        Returns:
            The ids of all variants `(T,)`, the lengths of the variants `(K * B,)`, and for each id its source, a place
            in `batch.ids`, `(T,)`: that of the same token, or of the first piece of the word that it replaces.
        """
        num_rows, counts = len(batch), self.counts
        repeats = len(self) // max(num_rows, 1)
        variant = np.repeat(np.arange(len(self)), counts)
        old = self.stop - self.start
        growth = np.concatenate([[0], (self.length - old).cumsum()])
        lengths = np.tile(batch.lengths, repeats) + growth[self.first[1:]] - growth[self.first[:-1]]
        ends = lengths.cumsum()
        begins = ends - lengths
        # Where each swap's pieces begin among all ids: its start, moved by the swaps before it in its variant.
        place = begins[variant] + self.start + growth[:-1] - growth[self.first[variant]]

        # The source of a token is that of the token before plus a step: 1, but 0 inside of a replacement, and after it
        # as much as the replaced word was long.
        steps = np.ones(int(ends[-1]) if len(ends) else 0, dtype=np.int64)
        steps[ranges(place + 1, np.maximum(self.length - 1, 0))] = 0
        after = place + self.length
        inside = (after < ends[variant]).nonzero()[0]
        np.add.at(steps, after[inside], (old - (self.length > 0))[inside])
        source = steps.cumsum()
        before = np.where(begins > 0, source[np.maximum(begins - 1, 0)], 0) if len(source) else begins
        source += np.repeat(np.tile(batch.starts, repeats) - 1 - before, lengths)
        ids = batch.ids[source]
        ids[ranges(place, self.length)] = self.pieces
        return ids, lengths, source

    def applied(self, batch: Batch) -> Batch:
        """The variants as a batch."""
        ids, lengths, _ = self.apply(batch)
        if batch.spans is None:
            return Batch.of_arrays(ids, lengths)
        return Batch.of_arrays(ids, lengths, [self.shift(batch.spans[v % len(batch)], v) for v in range(len(self))])

    def shift(self, spans: Iterable[Span], number: int) -> list[Span]:
        """Where spans of a row that no swap touches lie in the variant with this number."""
        swaps = self.of_variant(number)

        def moved(place: int) -> int:
            return place + sum(len(new) - stop + start for start, stop, new in swaps if stop <= place)

        return [(moved(start), moved(stop)) for start, stop in spans]

    def then(self, batch: Batch, later: "Swaps") -> "Swaps":
        """
        These swaps of one variant per row of the batch, and then the later ones of one variant of each of those, as
        one. A later swap that touches tokens that an earlier one put there is joined with it.
        """
        return Swaps.of_variants(
            _joined(row, self.of_variant(b), later.of_variant(b)) for b, row in enumerate(batch.rows)
        )


def _joined(row: list[int], earlier: list[Swap], later: list[Swap]) -> list[Swap]:
    """Swaps of a row that make of it what its earlier swaps, and then the later swaps of the result, make of it."""
    if not earlier or not later:
        return earlier or later
    # The result of the earlier swaps as blocks: (start, stop) in the row, and the tokens that stand for it.
    blocks: list[Swap] = []
    place = 0
    for start, stop, new in earlier:
        blocks += [(i, i + 1, row[i : i + 1]) for i in range(place, start)]
        blocks.append((start, stop, new))
        place = stop
    blocks += [(i, i + 1, row[i : i + 1]) for i in range(place, len(row))]

    waiting = iter([*later, (_NEVER, _NEVER, [])])
    begin, end, new = next(waiting)
    joined: list[Swap] = []
    place = 0  # tokens of the result so far
    for start, stop, tokens in blocks:
        while place >= end:
            begin, end, new = next(waiting)
        goes_on = begin < place < end  # a later swap that the block before has the beginning of
        fresh: list[int] = []  # what the block comes to
        for i, token in enumerate(tokens, place):
            while i >= end:
                begin, end, new = next(waiting)
            if i == begin:
                fresh += new
            elif not begin < i < end:
                fresh.append(token)
        place += len(tokens)
        if goes_on:
            first, _, before = joined.pop()
            start, fresh = first, before + fresh
        joined.append((start, stop, fresh))
    return [(start, stop, new) for start, stop, new in joined if new != row[start:stop]]


def _input_ids(examples: Sequence[Mapping[str, Any]]) -> list[Sequence[int]]:
    if not isinstance(examples, Sequence):
        raise TypeError(f"Received {examples!r:.100}; expected an example, which is a dict, or a list of them.")
    try:
        return [example["input_ids"] for example in examples]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"Received the examples {list(examples)!r:.200}; expected dicts with input_ids, as tokenizer(text) gives "
            "them. For plain text there is augment_text."
        ) from error


def _spans(value: Any) -> list[Span]:
    try:
        return [(int(start), int(stop)) for start, stop in (() if value is None else value)]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{SPANS_KEY} of an example are {value!r:.100}; expected a list of pairs (start, stop) of places in its "
            "input_ids."
        ) from error


def token_level_columns(
    example: dict[str, Any], length: int
) -> tuple[list[tuple[str, list[Any]]], list[tuple[str, list[Any]]]]:
    """
    Name and one value of the columns that have the same one for all tokens, name and values of the others. All of them
    are lists in the example, too, afterwards.
    """
    constant, varying = [], []
    for name in TOKEN_LEVEL_KEYS:
        if (values := example.get(name)) is not None and len(values) == length > 0:
            if type(values) is not list:
                example[name] = values = np.asarray(values).tolist()
            if values.count(values[0]) == length:
                constant.append((name, values[:1]))
            else:
                varying.append((name, values))
    return constant, varying


def first_piece_columns(example: dict[str, Any], row: list[int], special: Set[int]) -> list[tuple[str, list[int]]]:
    """
    Name and values of the columns whose value for a word stands at its first piece: `alignment`, and `labels` where
    they are those of tokens. They are lists in the example, too, afterwards.
    """
    columns = []
    for name in (LABELS_KEY, ALIGNMENT_KEY):
        values = example.get(name)
        if not hasattr(values, "__len__") or isinstance(values, str) or len(values) != len(row):
            continue
        values = values if type(values) is list else np.asarray(values).tolist()
        if name == ALIGNMENT_KEY or are_of_tokens(values, row, special):
            example[name] = values
            columns.append((name, values))
    return columns


def are_of_tokens(labels: Any, row: list[int], special: Set[int]) -> bool:
    """
    Whether the labels of an example are those of its tokens: whole numbers, one for each of them, with -100 for
    special tokens. Several labels of a text as a whole, 0 or 1 each, may happen to be as many as its tokens.
    """
    if (
        not isinstance(labels, list)
        or len(labels) != len(row)
        or not all(isinstance(x, (int, np.integer)) for x in labels)
    ):
        return False
    return IGNORE_INDEX in labels or special.isdisjoint(row)
