"""Rows of a batch as flat arrays, and the replacements drawn for them as flat lists."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .candidates import Candidates, ranges
from .sampling import KEEP


TOKEN_LEVEL_KEYS = ("attention_mask", "token_type_ids", "special_tokens_mask")
SPANS_KEY = "keep_spans"

Span = tuple[int, int]

_NEVER = 1 << 62


class Batch:
    """
    Rows of token ids, also one after the other: `ids` `(T,)`, `starts` and `lengths` `(B,)`.

    Attributes:
        spans (`list[Sequence[Span]]` or `None`): Of each row, the spans `[start, stop)` of tokens that are to stay.
    """

    def __init__(self, rows: Sequence[Sequence[int]], spans: Sequence[Sequence[Span]] | None = None):
        try:
            self.rows = [row if type(row) is list else np.asarray(row).tolist() for row in rows]
            self.ids = np.array(array("q", list(chain.from_iterable(self.rows))))
        except (TypeError, OverflowError) as error:
            raise ValueError("input_ids of an example are no list of ints; expected one row of token ids.") from error
        self.lengths = np.array([len(row) for row in self.rows], dtype=np.int64)
        self.starts = self.lengths.cumsum() - self.lengths
        self.spans = spans

    @classmethod
    def of(cls, examples: Sequence[Mapping[str, Any]]) -> "Batch":
        """The batch of a list of examples."""
        rows = _input_ids(examples)
        if not any(SPANS_KEY in example for example in examples):
            return cls(rows)
        batch = cls(rows, [_spans(example.get(SPANS_KEY) or ()) for example in examples])
        for row, spans in zip(batch.rows, batch.spans, strict=True):
            if any(not 0 <= start <= stop <= len(row) for start, stop in spans):
                raise ValueError(
                    f"{SPANS_KEY} of an example of {len(row)} tokens are {spans}; expected pairs start <= stop of "
                    "places in its input_ids."
                )
        return batch

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Sequence[int]) -> "Batch":
        """The batch of the rows so numbered, which may repeat."""
        spans = None if self.spans is None else [self.spans[i] for i in rows]
        return Batch([self.rows[i] for i in rows], spans)

    def kept(self) -> np.ndarray:
        """Whether each token lies in a span that is to stay, `(T,)`."""
        kept = np.zeros(len(self.ids), dtype=bool)
        for offset, spans in zip(self.starts.tolist(), self.spans or (), strict=False):
            for start, stop in spans:
                kept[offset + start : offset + stop] = True
        return kept


class Swaps:
    """
    The words that the variants of a batch replace. Swap j puts `pieces[first[j] : last[j]]`, which may be empty, in
    the place of `row[start[j] : stop[j]]`, which is not; the swaps of variant k of row b are those between the
    `bounds[k * B + b]`, from left to right.

    Lists of ints, since the loops over single variants are quicker with them, and free of work for Python's collector.
    """

    def __init__(
        self, start: list[int], stop: list[int], first: list[int], last: list[int], pieces: list[int], bounds: list
    ):
        self.start, self.stop, self.first, self.last = start, stop, first, last
        self.pieces, self.bounds = pieces, bounds

    @classmethod
    def of_choice(cls, batch: Batch, candidates: Candidates, choice: np.ndarray) -> "Swaps":
        """What K variants of each row take of the candidates, `choice` of shape `(K, W)`."""
        words, num_rows = candidates.words, len(batch)
        variant, word = (choice != KEEP).nonzero()
        row = words.row[word]
        start = words.start[word] - batch.starts[row]
        replacement = candidates.replacements(word, choice[variant, word])
        offset = candidates.offsets[replacement]
        length = candidates.offsets[replacement + 1] - offset
        last = length.cumsum()
        counts = np.bincount(variant * num_rows + row, minlength=len(choice) * num_rows)
        bounds = counts.cumsum()
        return cls(
            start.tolist(),
            (start + words.length[word]).tolist(),
            (last - length).tolist(),
            last.tolist(),
            candidates.pieces[ranges(offset, length)].tolist(),
            list(zip((bounds - counts).tolist(), bounds.tolist(), strict=True)),
        )

    @classmethod
    def of_variants(cls, variants: Iterable[Iterable[tuple[int, int, Sequence[int]]]]) -> "Swaps":
        """Of each variant, in the order of `bounds`, its swaps as `(start, stop, new)`."""
        swaps = cls([], [], [], [], [], [])
        for variant in variants:
            begin = len(swaps.start)
            for start, stop, new in variant:
                swaps.start.append(start)
                swaps.stop.append(stop)
                swaps.first.append(len(swaps.pieces))
                swaps.pieces.extend(new)
                swaps.last.append(len(swaps.pieces))
            swaps.bounds.append((begin, len(swaps.start)))
        return swaps

    def __len__(self) -> int:
        """Number of variants."""
        return len(self.bounds)

    def of_variant(self, number: int) -> list[tuple[int, int, list[int]]]:
        """Start, stop and the ids that take their place, of each swap of the variant with this place in `bounds`."""
        return [
            (self.start[j], self.stop[j], self.pieces[self.first[j] : self.last[j]])
            for j in range(*self.bounds[number])
        ]

    def applied_rows(self, rows: list[list[int]]) -> list[list[int] | None]:
        """The ids of every variant of B rows, `None` for one that no swap changes."""
        start, stop, first, last, pieces = self.start, self.stop, self.first, self.last, self.pieces
        variants: list[list[int] | None] = []
        for number, (begin, end) in enumerate(self.bounds):
            if begin == end:
                variants.append(None)
                continue
            row = rows[number % len(rows)].copy()
            for j in range(end - 1, begin - 1, -1):
                row[start[j] : stop[j]] = pieces[first[j] : last[j]]
            variants.append(row)
        return variants

    def stretch(self, values: list[Any], number: int) -> list[Any]:
        """Values of the tokens of a variant: those of a replacement are that of the word's first piece."""
        values = values.copy()
        begin, end = self.bounds[number]
        for j in range(end - 1, begin - 1, -1):
            start = self.start[j]
            values[start : self.stop[j]] = [values[start]] * (self.last[j] - self.first[j])
        return values

    def shift(self, spans: Iterable[Span], number: int) -> list[Span]:
        """Where spans of a row that no swap touches lie in a variant."""
        return [tuple(place + self._growth(place, number) for place in span) for span in spans]

    def _growth(self, place: int, number: int) -> int:
        """Tokens by which the swaps before a place of the row make the variant longer."""
        swaps = (j for j in range(*self.bounds[number]) if self.stop[j] <= place)
        return sum(self.last[j] - self.first[j] - self.stop[j] + self.start[j] for j in swaps)

    def applied(self, batch: Batch) -> Batch:
        """The variants as a batch, in the order of `bounds`."""
        rows = [
            batch.rows[i % len(batch)] if row is None else row for i, row in enumerate(self.applied_rows(batch.rows))
        ]
        if batch.spans is None:
            return Batch(rows)
        return Batch(rows, [self.shift(batch.spans[i % len(batch)], i) for i in range(len(self))])

    def then(self, batch: Batch, later: "Swaps") -> "Swaps":
        """
        These swaps of one variant per row of the batch, and then the later ones of one variant of each of those, as
        one. A later swap that touches tokens that an earlier one put there is joined with it.
        """
        return Swaps.of_variants(
            _joined(row, self.of_variant(i), later.of_variant(i)) for i, row in enumerate(batch.rows)
        )


def _joined(
    row: list[int], earlier: list[tuple[int, int, list[int]]], later: list[tuple[int, int, list[int]]]
) -> list[tuple[int, int, list[int]]]:
    """Swaps of a row that make of it what its earlier swaps, and then the later swaps of the result, make of it."""
    # The result of the earlier swaps as blocks: (start, stop) in the row, and the tokens that stand for it.
    blocks: list[tuple[int, int, list[int]]] = []
    place = 0
    for start, stop, new in earlier:
        blocks += [(i, i + 1, row[i : i + 1]) for i in range(place, start)]
        blocks.append((start, stop, new))
        place = stop
    blocks += [(i, i + 1, row[i : i + 1]) for i in range(place, len(row))]

    waiting = iter([*later, (_NEVER, _NEVER, [])])
    begin, end, new = next(waiting)
    joined: list[tuple[int, int, list[int]]] = []
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
        return [(int(start), int(stop)) for start, stop in value]
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
        if name in example and len(values := example[name]) == length > 0:
            if type(values) is not list:
                example[name] = values = np.asarray(values).tolist()
            if values.count(values[0]) == length:
                constant.append((name, values[:1]))
            else:
                varying.append((name, values))
    return constant, varying
