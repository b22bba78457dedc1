"""What a source proposes for the words of a batch, as flat arrays."""

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
    """

    words: Words
    first: np.ndarray
    count: np.ndarray
    table: np.ndarray
    offsets: np.ndarray
    pieces: np.ndarray
    longest: int

    def replacements(self, word: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Replacement that each choice in `[0, count)` names for its word."""
        return self.table[self.first[word] + choice]

    def growth(self, word: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Tokens by which each choice makes its row longer."""
        replacement = self.replacements(word, choice)
        return self.offsets[replacement + 1] - self.offsets[replacement] - self.words.length[word]


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """`[start, start + length)` for each pair, one after the other: `(N,)`, N being the sum of the lengths."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
