"""What a source proposes for the words of a batch, as flat arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .words import Words


@dataclass(frozen=True)
class Candidates:
    """
    The words of a batch that may be replaced, each with at least one candidate.

    Word w may become any of the replacements `table[first[w] : first[w] + count[w]]`, where replacement s is made of
    the ids `pieces[offsets[s] : offsets[s + 1]]`.

    Attributes:
        words (`Words`): The W words.
        first, count (`np.ndarray` of shape `(W,)`): Each word's candidates.
        table (`np.ndarray` of shape `(C,)`), offsets (`np.ndarray` of shape `(S + 1,)`), pieces (`np.ndarray` of shape
            `(P,)`): The replacements.
        longest (`int`): Most ids that a replacement has.
        cumulative (`np.ndarray` of shape `(C,)`, *optional*):
            Probability that a word takes this one of its candidates or one before it, the last one's being 1. Without
            it all are alike.
    """

    words: Words
    first: np.ndarray
    count: np.ndarray
    table: np.ndarray
    offsets: np.ndarray
    pieces: np.ndarray
    longest: int
    cumulative: np.ndarray | None = None

    def replacements(self, word: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Replacement that each choice in `[0, count)` names for its word."""
        return self.table[self.first[word] + choice]

    def compact(self) -> "Candidates":
        """The same with tables that hold what these words need and no more, and with probabilities."""
        used = ranges(self.first, self.count)
        replacement = self.table[used]
        offset = self.offsets[replacement]
        length = self.offsets[replacement + 1] - offset
        cumulative = self.cumulative[used] if self.cumulative is not None else None
        if cumulative is None:
            cumulative = (ranges(np.ones_like(self.count), self.count)) / np.repeat(self.count, self.count)
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

    def probability(self, word: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Probability that each word, if replaced, takes each choice."""
        if self.cumulative is None:
            return 1 / self.count[word]
        place = self.first[word] + choice
        return self.cumulative[place] - np.where(choice > 0, self.cumulative[np.maximum(place - 1, 0)], 0.0)

    def drawn(self, word: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """The choice of each word for a number in `[0, 1)`."""
        if self.cumulative is None:
            return (uniform * self.count[word]).astype(np.int64)
        # One sorted array for all words: those of word w lie in (w, w + 1].
        known, number = np.unique(word, return_inverse=True)
        count = self.count[known]
        ends = self.cumulative[ranges(self.first[known], count)] + np.repeat(np.arange(len(known)), count)
        choice = np.searchsorted(ends, number + uniform, side="right") - (count.cumsum() - count)[number]
        return np.minimum(choice, count[number] - 1)

    def growth(self, word: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Tokens by which each choice makes its row longer."""
        replacement = self.replacements(word, choice)
        return self.offsets[replacement + 1] - self.offsets[replacement] - self.words.length[word]


def joined(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of different words of one batch as one, the words in the order of the batch."""
    parts = [part.compact() for part in parts]
    words = Words.joined([part.words for part in parts])
    order = np.lexsort((words.start, words.row))
    tables = np.cumsum([0, *(len(part.table) for part in parts)])
    pieces = np.cumsum([0, *(len(part.pieces) for part in parts)])
    return Candidates(
        words[order],
        np.concatenate([part.first + before for part, before in zip(parts, tables, strict=False)])[order],
        np.concatenate([part.count for part in parts])[order],
        np.arange(tables[-1]),
        np.concatenate([[0], *(part.offsets[1:] + before for part, before in zip(parts, pieces, strict=False))]),
        np.concatenate([part.pieces for part in parts]),
        max(part.longest for part in parts),
        np.concatenate([part.cumulative for part in parts]),
    )


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """`[start, start + length)` for each pair, one after the other: `(N,)`, N being the sum of the lengths."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
