"""The candidates that a source proposes for the words of a batch, as flat arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from .ragged import flat, positions, ranges
from .words import Words


@dataclass(frozen=True)
class Candidates:
    """
    The W words of a batch that may be replaced, each with at least one candidate.

    Word w may become any of the replacements `table[first[w] : first[w] + count[w]]`. Replacement s consists of the
    ids `pieces[offsets[s] : offsets[s + 1]]`. `Candidates.of` makes these arrays from lists.

    Attributes:
        words (`Words`): The words.
        first, count (`np.ndarray` of shape `(W,)`): The candidates of each word.
        table (`np.ndarray` of shape `(C,)`): Replacements.
        offsets (`np.ndarray` of shape `(S + 1,)`), pieces (`np.ndarray` of shape `(P,)`): Ids of the S replacements.
        longest (`int`): Number of ids of the longest replacement.
        cumulative (`np.ndarray` of shape `(C,)`, *optional*):
            Probability that a word takes this candidate or one before it, which is 1 for the last one. By default all
            candidates of a word are equally likely.
    """

    words: Words
    first: np.ndarray
    count: np.ndarray
    table: np.ndarray
    offsets: np.ndarray
    pieces: np.ndarray
    longest: int
    cumulative: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        words: Words,
        replacements: Sequence[Sequence[Sequence[int]]],
        weights: Sequence[Sequence[float]] | None = None,
    ) -> "Candidates":
        """
        Candidates from lists.

        Args:
            words (`Words`): W words. Those without a replacement are left out.
            replacements (`Sequence` of length W):
                The replacements of each word, each a sequence of token ids. They should differ from each other and
                from the ids of the word; otherwise some variants are copies.
            weights (`Sequence` of length W, *optional*):
                A positive weight for each replacement, to which its probability is proportional. Equal by default.

        Raises:
            `ValueError`: if the lengths do not agree, or a weight is not a positive finite number.
        """
        count = np.array([len(runs) for runs in replacements], dtype=np.int64)
        if len(count) != len(words):
            raise ValueError(f"Received lists of replacements for {len(count)} words; expected {len(words)} lists.")
        runs = list(chain.from_iterable(replacements))
        pieces, offsets = flat(runs)
        cumulative = None
        if weights is not None:
            if [len(own) for own in weights] != count.tolist():
                raise ValueError("weights and replacements differ in length; expected one weight per replacement.")
            weight = np.array(list(chain.from_iterable(weights)), dtype=np.float64)
            if not (np.isfinite(weight) & (weight > 0)).all():
                raise ValueError(f"The weights are {weights!r:.100}; expected positive finite numbers.")
            sums = [own.cumsum() for own in np.split(weight, count.cumsum()[:-1])]
            cumulative = np.concatenate([own / own[-1:] for own in sums])
        some = count > 0
        return cls(
            words[some],
            (count.cumsum() - count)[some],
            count[some],
            np.arange(len(runs)),
            offsets,
            pieces,
            int(np.diff(offsets).max(initial=0)),
            cumulative,
        )

    @classmethod
    def joined(cls, parts: Sequence["Candidates"]) -> "Candidates":
        """The candidates of different words of one batch, with the words in the order of the batch."""
        parts = [part.compact() for part in parts]
        words = Words.joined([part.words for part in parts])
        order = words.start.argsort(kind="stable")
        tables = np.cumsum([0, *(len(part.table) for part in parts)])
        pieces = np.cumsum([0, *(len(part.pieces) for part in parts)])
        return cls(
            words[order],
            np.concatenate([part.first + before for part, before in zip(parts, tables, strict=False)])[order],
            np.concatenate([part.count for part in parts])[order],
            np.arange(tables[-1]),
            np.concatenate([[0], *(part.offsets[1:] + before for part, before in zip(parts, pieces, strict=False))]),
            np.concatenate([part.pieces for part in parts]),
            max(part.longest for part in parts),
            np.concatenate([part.cumulative for part in parts]),
        )

    @classmethod
    def of_arrays(
        cls,
        words: Words,
        count: np.ndarray,
        lengths: np.ndarray,
        pieces: np.ndarray,
        cumulative: np.ndarray | None = None,
    ) -> "Candidates":
        """
        Candidates from arrays: how many candidates each word has, `(W,)`, how many ids each of these has, `(C,)`, and
        the ids. Words without one are left out.
        """
        some, offsets = count > 0, np.concatenate([[0], lengths.cumsum()])
        first, table, longest = (count.cumsum() - count)[some], np.arange(len(lengths)), int(lengths.max(initial=0))
        return cls(words[some], first, count[some], table, offsets, pieces, longest, cumulative)

    def compact(self) -> "Candidates":
        """The same candidates, in arrays that hold nothing else, with probabilities."""
        used = ranges(self.first, self.count)
        replacement = self.table[used]
        offset = self.offsets[replacement]
        length = self.offsets[replacement + 1] - offset
        if self.cumulative is None:
            cumulative = (positions(self.count) + 1) / np.repeat(self.count, self.count)
        else:
            cumulative = self.cumulative[used]
        return Candidates(
            self.words,
            self.count.cumsum() - self.count,
            self.count,
            np.arange(len(used)),
            np.concatenate([[0], length.cumsum()]),
            self.pieces[ranges(offset, length)],
            self.longest,
            cumulative,
        )

    def replacements(self, word: np.ndarray | int, choice: np.ndarray) -> np.ndarray:
        """The replacement that each choice in `[0, count)` means for its word."""
        return self.table[self.first[word] + choice]

    def ids_of(self, replacement: int) -> tuple[int, ...]:
        """The ids of a replacement."""
        return tuple(self.pieces[self.offsets[replacement] : self.offsets[replacement + 1]].tolist())

    def growth(self, word: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Number of tokens by which each choice makes its row longer."""
        replacement = self.replacements(word, choice)
        return self.offsets[replacement + 1] - self.offsets[replacement] - self.words.length[word]

    def probability(self, word: np.ndarray | int, choice: np.ndarray) -> np.ndarray:
        """Probability that each word, if replaced, takes each choice."""
        if self.cumulative is None:
            return 1 / self.count[word]
        index = self.first[word] + choice
        return self.cumulative[index] - np.where(choice > 0, self.cumulative[np.maximum(index - 1, 0)], 0.0)

    def drawn(self, word: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """The choice of each word for a uniform random number in `[0, 1)`."""
        if self.cumulative is None:
            return (uniform * self.count[word]).astype(np.int64)
        # One sorted array for all words: the probabilities of word w lie in (w, w + 1].
        known, number = np.unique(word, return_inverse=True)
        count = self.count[known]
        ends = self.cumulative[ranges(self.first[known], count)] + np.repeat(np.arange(len(known)), count)
        choice = np.searchsorted(ends, number + uniform, side="right") - (count.cumsum() - count)[number]
        return np.minimum(choice, count[number] - 1)
