"""The edits of the variants of a batch, as flat arrays."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain

import numpy as np

from ..edits import Edit
from .batch import Batch, Span
from .candidates import Candidates
from .ragged import ranges
from .sampling import KEEP
from .words import Words


class Edits:
    """
    The edits that make K variants of each of B rows.

    Variant k of row b has the number v = k * B + b. Its edits are those from `first[v]` to `first[v + 1] - 1`, from
    left to right and without overlap. Edit j replaces the tokens from `start[j]` to `stop[j] - 1` of the row, at least
    one, by the next `length[j]` of `pieces`, which may be none. `Edits.of` makes these arrays from lists.

    Attributes:
        first (`np.ndarray` of shape `(K * B + 1,)`): Where the edits of each variant begin.
        start (`np.ndarray` of shape `(S,)`): The first token that each edit replaces.
        stop (`np.ndarray` of shape `(S,)`): The token after the last one that it replaces.
        length (`np.ndarray` of shape `(S,)`): Number of tokens that it puts there.
        pieces (`np.ndarray` of shape `(P,)`): The new tokens of all edits, one after the other.
    """

    def __init__(self, first: np.ndarray, start: np.ndarray, stop: np.ndarray, length: np.ndarray, pieces: np.ndarray):
        self.first, self.start, self.stop, self.length, self.pieces = first, start, stop, length, pieces

    @classmethod
    def of(cls, variants: Iterable[Iterable[Edit]]) -> "Edits":
        """
        Edits from lists.

        Args:
            variants (`Iterable` of length K * B):
                The edits of each variant, in any order: first those of the first variant of every row, then those of
                the second one, and so on.
        """
        first, edits = [0], []
        for variant in variants:
            edits += sorted(variant)
            first.append(len(edits))
        pieces = list(chain.from_iterable(edit.new for edit in edits))
        stops = [edit.start + len(edit.old) for edit in edits]
        columns = first, [edit.start for edit in edits], stops, [len(edit.new) for edit in edits], pieces
        return cls(*(np.array(column, dtype=np.int64) for column in columns))

    @classmethod
    def of_words(
        cls,
        batch: Batch,
        words: Words,
        word: np.ndarray,
        length: np.ndarray,
        pieces: np.ndarray,
        variant: np.ndarray | int = 0,
        num_variants: int = 1,
    ) -> "Edits":
        """
        Edits that replace the words with these numbers by the next `length` of `pieces`, each in the variant of this
        number, in order.
        """
        row = words.row[word]
        start = words.start[word] - batch.starts[row]
        first = np.zeros(num_variants * len(batch) + 1, dtype=np.int64)
        np.bincount(variant * len(batch) + row, minlength=len(first) - 1).cumsum(out=first[1:])
        return cls(first, start, start + words.length[word], length, pieces)

    @classmethod
    def of_choice(cls, batch: Batch, candidates: Candidates, choice: np.ndarray) -> "Edits":
        """The edits that make the choices among candidates, `(K, W)`, as `draw` gives them."""
        variant, word = (choice != KEEP).nonzero()
        replacement = candidates.replacements(word, choice[variant, word])
        offset = candidates.offsets[replacement].astype(np.int64)
        length = candidates.offsets[replacement + 1] - offset
        pieces = candidates.pieces[ranges(offset, length)]
        return cls.of_words(batch, candidates.words, word, length, pieces, variant, len(choice))

    @classmethod
    def select(cls, parts: Sequence["Edits"], numbers: np.ndarray) -> "Edits":
        """The variants with these numbers, counted through all parts. The number -1 means a variant without edits."""
        counts = np.concatenate([*(part.counts for part in parts), [0]])
        start, stop, length, pieces = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("start", "stop", "length", "pieces")
        )
        edit = ranges((counts.cumsum() - counts)[numbers], counts[numbers])
        first = np.concatenate([[0], counts[numbers].cumsum()])
        piece = ranges((length.cumsum() - length)[edit], length[edit])
        return cls(first, start[edit], stop[edit], length[edit], pieces[piece])

    def __len__(self) -> int:
        """Number of variants, K * B."""
        return len(self.first) - 1

    @property
    def counts(self) -> np.ndarray:
        """Number of edits of each variant, `(K * B,)`."""
        return np.diff(self.first)

    @cached_property
    def _lists(self) -> tuple[list[int], ...]:
        """The arrays as lists, with the end of each edit's pieces for its length: faster for one variant at a time."""
        arrays = self.first, self.start, self.stop, self.length.cumsum(), self.pieces
        return tuple(array.tolist() for array in arrays)

    def of_variant(self, number: int, batch: Batch) -> list[Edit]:
        """The edits of the variant with this number, from left to right. `batch` holds the B rows."""
        first, start, stop, last, pieces = self._lists
        row = batch.rows[number % len(batch)]
        return [
            Edit(start[j], tuple(row[start[j] : stop[j]]), tuple(pieces[last[j - 1] if j else 0 : last[j]]))
            for j in range(first[number], first[number + 1])
        ]

    def variant_arrays(self, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        The variants as flat arrays.

        Returns:
            The ids of all variants, `(T,)`; the lengths of the variants, `(K * B,)`; and the source of each id,
            `(T,)`: the place in `batch.ids` of the same token, or of the first piece of the word that the id replaces.
        """
        num_rows, counts = len(batch), self.counts
        repeats = len(self) // max(num_rows, 1)
        variant = np.repeat(np.arange(len(self)), counts)
        old = self.stop - self.start
        growth = np.concatenate([[0], (self.length - old).cumsum()])
        lengths = np.tile(batch.lengths, repeats) + growth[self.first[1:]] - growth[self.first[:-1]]
        ends = lengths.cumsum()
        begins = ends - lengths
        # Where the pieces of each edit begin among all ids: its start, moved by the edits before it in its variant.
        target = begins[variant] + self.start + growth[:-1] - growth[self.first[variant]]

        # The source of a token is the source of the token before it plus a step. The step is 1, except that it is 0
        # inside a replacement, and after a replacement it is the length of the word that was replaced.
        steps = np.ones(int(ends[-1]) if len(ends) else 0, dtype=np.int64)
        steps[ranges(target + 1, np.maximum(self.length - 1, 0))] = 0
        after = target + self.length
        inside = (after < ends[variant]).nonzero()[0]
        np.add.at(steps, after[inside], (old - (self.length > 0))[inside])
        source = steps.cumsum()
        before = np.where(begins > 0, source[np.maximum(begins - 1, 0)], 0) if len(source) else begins
        source += np.repeat(np.tile(batch.starts, repeats) - 1 - before, lengths)
        ids = batch.ids[source]
        ids[ranges(target, self.length)] = self.pieces
        return ids, lengths, source

    def apply(self, batch: Batch) -> Batch:
        """The variants as a batch."""
        ids, lengths, source = self.variant_arrays(batch)
        return Batch.of_arrays(ids, lengths, None if batch.kept is None else batch.kept[source], batch.bounded)

    def then(self, batch: Batch, later: "Edits") -> "Edits":
        """
        These edits of one variant of each row of the batch, followed by the later edits of one variant of each result,
        as edits of the rows. A later edit that touches the pieces of an earlier one is merged with it.
        """
        middle = self.apply(batch)
        return Edits.of(
            _merged(row, middle.rows[b], self.of_variant(b, batch), later.of_variant(b, middle))
            for b, row in enumerate(batch.rows)
        )


def moved_spans(spans: Iterable[Span], edits: Sequence[Edit]) -> list[Span]:
    """The positions in a variant of spans of the row that its edits do not touch."""

    def moved(position: int) -> int:
        return position + sum(len(new) - len(old) for start, old, new in edits if start + len(old) <= position)

    return [(moved(start), moved(stop)) for start, stop in spans]


def _merged(row: list[int], middle: list[int], earlier: list[Edit], later: list[Edit]) -> list[Edit]:
    """Edits of a row with the effect of earlier edits, whose result is `middle`, followed by later edits of that."""
    if not earlier or not later:
        return earlier or later
    # Of all edits: begin and end in `middle`, growth of the row by an earlier one, and the later ones themselves.
    places: list[tuple[int, int, int, list[Edit]]] = []
    shift = 0
    for start, old, new in earlier:
        places.append((start + shift, start + shift + len(new), len(new) - len(old), []))
        shift += len(new) - len(old)
    places += [(edit.start, edit.start + len(edit.old), 0, [edit]) for edit in later]
    merged: list[tuple[int, int, int, list[Edit]]] = []
    for begin, end, growth, edits in sorted(places, key=lambda place: place[:2]):
        if merged and begin < merged[-1][1]:  # they overlap
            first, last, sum_of_growth, before = merged.pop()
            begin, end, growth, edits = first, max(last, end), sum_of_growth + growth, before + edits
        merged.append((begin, end, growth, edits))

    result, shift = [], 0
    for begin, end, growth, edits in merged:
        fresh = middle[begin:end]
        for start, old, new in reversed(edits):
            fresh[start - begin : start - begin + len(old)] = new
        replaced = row[begin - shift : end - shift - growth]
        if fresh != replaced:
            result.append(Edit(begin - shift, tuple(replaced), tuple(fresh)))
        shift += growth
    return result
