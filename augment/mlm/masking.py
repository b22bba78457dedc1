"""Masked copies of rows as inputs of a masked LM: which words each copy masks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..core.batch import Batch
from ..core.ragged import is_first
from ..core.words import Words


MASKINGS = ("grouped", "single", "none")

_MASKED_SHARE = 0.15  # of the tokens of a sequence, as in the pretraining of most masked LMs


@dataclass(frozen=True)
class MaskedInputs:
    """Inputs of a masked LM that predict W words."""

    sequences: list[list[int]]  # the ids of each input
    sequence: np.ndarray  # (W,): index of the input that predicts each word
    position: np.ndarray  # (W,): and the word's position in it

    def batches(self, max_tokens: int, max_words: int) -> Iterator[tuple[list[list[int]], np.ndarray, np.ndarray]]:
        """
        Batches of sequences of similar length, within limits on their tokens, padding included, and on the words that
        they predict: the sequences, the indices of these words, and the sequence of each of them within the batch.
        """
        lengths = np.array([len(sequence) for sequence in self.sequences])
        order = lengths.argsort(kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        words = rank[self.sequence].argsort(kind="stable")
        ends = np.bincount(rank[self.sequence], minlength=len(order)).cumsum().tolist()
        begin = first_word = 0
        for i, number in enumerate([*order[1:].tolist(), None], 1):
            if number is None or (i + 1 - begin) * lengths[number] > max_tokens or ends[i] - first_word > max_words:
                chosen = words[first_word : ends[i - 1]]
                sequences = [self.sequences[j] for j in order[begin:i].tolist()]
                yield sequences, chosen, rank[self.sequence[chosen]] - begin
                begin, first_word = i, ends[i - 1]


def mask_words(batch: Batch, words: Words, masking: str, mask_id: int, max_length: int) -> MaskedInputs:
    """
    Makes inputs that predict each of W words, in the order of the rows, once. A masked word is one mask, and for a
    word without tokens a mask is inserted at its start. Rows are cut into parts of equal length if an input would be
    longer than `max_length`.

    `masking` is `"grouped"`: an input masks about 15 % of a row's tokens, in words that are far apart; `"single"`: one
    word; or `"none"`: one input per row, which masks only words of several pieces. `"none"` is not for words without
    tokens.
    """
    if not words.length.all():  # the masks take up to this share of an input
        max_length = int((max_length - 1) / (1 + _MASKED_SHARE))
    num_parts = np.maximum(-(-batch.lengths // max_length), 1)
    size = np.maximum(-(-batch.lengths // num_parts), 1)[words.row]  # of the parts of a word's row
    start = words.start - batch.starts[words.row]
    part = start // size
    new = is_first(words.row) | is_first(part)
    group, first = new.cumsum() - 1, np.flatnonzero(new)  # a group is the words of a part
    count = np.bincount(group)
    if masking == "grouped":
        num_inputs = -(-count // np.maximum(np.rint(_MASKED_SHARE * size[first]), 1).astype(np.int64))
    else:
        num_inputs = count if masking == "single" else np.ones_like(count)
    sequence = (num_inputs.cumsum() - num_inputs)[group] + (np.arange(len(words)) - first[group]) % num_inputs[group]

    owner = first.repeat(num_inputs)  # for each input, a word of its part
    rows = [batch.rows[row] for row in words.row[owner].tolist()]
    copied = (part * size)[owner].tolist()  # for each input, the tokens of its row that are copied or masked so far
    ends = ((part + 1) * size)[owner].tolist()
    sequences: list[list[int]] = [[] for _ in rows]
    position = []
    for i, begin, length in zip(sequence.tolist(), start.tolist(), words.length.tolist(), strict=True):
        sequences[i] += rows[i][copied[i] : begin]
        position.append(len(sequences[i]))
        sequences[i].append(rows[i][begin] if masking == "none" and length == 1 else mask_id)
        copied[i] = begin + length
    for i, row in enumerate(rows):
        sequences[i] += row[copied[i] : ends[i]]
    return MaskedInputs(sequences, sequence, np.array(position, dtype=np.int64))
