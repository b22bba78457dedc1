"""The passes of a masked LM over rows: which words each pass masks, and the tokens it is given."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..core.batch import Batch
from ..core.words import Words


MASKINGS = ("grouped", "single", "none")

_MASKED_SHARE = 0.15  # of a row's tokens in a pass, as in the training of most masked LMs


@dataclass(frozen=True)
class Passes:
    """
    What a masked LM is given to propose candidates for W words.

    Attributes:
        sequences (`list[list[int]]`): The ids of each pass.
        sequence, place (`np.ndarray` of shape `(W,)`): The pass that is asked about each word, and where in it.
    """

    sequences: list[list[int]]
    sequence: np.ndarray
    place: np.ndarray

    def batches(self, max_tokens: int, max_words: int) -> Iterator[tuple[list[list[int]], np.ndarray, np.ndarray]]:
        """
        Passes of about the same length, as many at a time as have that many tokens with padding and ask about that
        many words: the sequences, the numbers of the words that they ask about, and the sequence of each of these.
        """
        lengths = np.array([len(sequence) for sequence in self.sequences])
        order = lengths.argsort(kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        words = rank[self.sequence].argsort(kind="stable")
        ends = np.bincount(rank[self.sequence], minlength=len(order)).cumsum().tolist()
        begin = asked = 0
        for i, number in enumerate([*order[1:].tolist(), None], 1):
            full = number is None or (i + 1 - begin) * lengths[number] > max_tokens or ends[i] - asked > max_words
            if full:
                chosen = words[asked : ends[i - 1]]
                sequences = [self.sequences[j] for j in order[begin:i].tolist()]
                yield sequences, chosen, rank[self.sequence[chosen]] - begin
                begin, asked = i, ends[i - 1]


def plan(batch: Batch, words: Words, masking: str, mask: int, limit: int) -> Passes:
    """
    Plans passes that ask about each of the words once.

    Args:
        batch (`Batch`): The rows.
        words (`Words`): The W words, in the order of the batch.
        masking (`str`):
            `"grouped"`: a pass masks some 15 % of a row's tokens, in words that lie far apart; `"single"`: one word;
            `"none"`: one pass, where words of one piece are not masked. A word of several pieces is one mask.
        mask (`int`): Id of the mask.
        limit (`int`): Most tokens of a pass. Longer rows are cut into parts of even length, each for itself.
    """
    num_parts = np.maximum(-(-batch.lengths // limit), 1)
    size = np.maximum(-(-batch.lengths // num_parts), 1)[words.row]  # of the parts of a word's row
    start = words.start - batch.starts[words.row]
    part = start // size
    new = np.ones(len(words), dtype=bool)
    new[1:] = (words.row[1:] != words.row[:-1]) | (part[1:] != part[:-1])
    group, first = new.cumsum() - 1, np.flatnonzero(new)
    count = np.bincount(group)
    if masking == "grouped":
        num_passes = -(-count // np.maximum(np.rint(_MASKED_SHARE * size[first]), 1).astype(np.int64))
    else:
        num_passes = count if masking == "single" else np.ones_like(count)
    sequence = (num_passes.cumsum() - num_passes)[group] + (np.arange(len(words)) - first[group]) % num_passes[group]

    owner = first.repeat(num_passes)  # a word of each pass's part
    row, begin = words.row[owner].tolist(), (part * size)[owner].tolist()
    end = ((part + 1) * size)[owner].tolist()
    reached = begin.copy()
    sequences: list[list[int]] = [[] for _ in row]
    place = []
    for i, at, length in zip(sequence.tolist(), start.tolist(), words.length.tolist(), strict=True):
        tokens, source = sequences[i], batch.rows[row[i]]
        tokens += source[reached[i] : at]
        place.append(len(tokens))
        tokens.append(source[at] if masking == "none" and length == 1 else mask)
        reached[i] = at + length
    for i, tokens in enumerate(sequences):
        tokens += batch.rows[row[i]][reached[i] : end[i]]
    return Passes(sequences, sequence, np.array(place, dtype=np.int64))
