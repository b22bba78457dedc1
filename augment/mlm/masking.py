"""Masked copies of rows as inputs of a masked LM: which words each copy masks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.batch import Batch
from ..core.ragged import is_first, ranges
from ..core.words import Words


MASKINGS = ("grouped", "single", "none")

_MASKED_SHARE = 0.15  # of the tokens of a sequence, as in the pretraining of most masked LMs


@dataclass(frozen=True)
class MaskedPass:
    """
    The inputs of one forward pass, which predict P words.

    Attributes:
        ids (`np.ndarray` of shape `(n, L)`): The token ids of n sequences, padded on the right.
        lengths (`np.ndarray` of shape `(n,)`): Number of tokens of each sequence.
        words (`np.ndarray` of shape `(P,)`): Numbers of the words among all W words.
        row, position (`np.ndarray` of shape `(P,)`): Sequence that predicts each word, and the word's position in it.
    """

    ids: np.ndarray
    lengths: np.ndarray
    words: np.ndarray
    row: np.ndarray
    position: np.ndarray

    def take(self, order: np.ndarray) -> "MaskedPass":
        """The pass with its words in another order."""
        return MaskedPass(self.ids, self.lengths, self.words[order], self.row[order], self.position[order])


@dataclass(frozen=True)
class MaskedInputs:
    """
    Inputs of a masked LM that predict W words.

    Attributes:
        ids (`np.ndarray` of shape `(T,)`): The token ids of S sequences, one sequence after the other.
        lengths (`np.ndarray` of shape `(S,)`): Number of tokens of each sequence.
        sequence, position (`np.ndarray` of shape `(W,)`): Sequence that predicts each word, and the word's position
            in it.
    """

    ids: np.ndarray
    lengths: np.ndarray
    sequence: np.ndarray
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def forward_pass(self, begin: int, max_tokens: int, max_words: int, pad_id: int) -> MaskedPass:
        """
        The next pass after `begin` sequences, in the order of their lengths. It has at least one sequence, and
        otherwise as many as fit into the limits on tokens, padding included, and on words that are predicted.
        """
        order, rank, words, ends = self._by_length
        lengths = self.lengths[order[begin:]]
        tokens = lengths * np.arange(1, len(lengths) + 1)
        before = ends[begin - 1] if begin else 0
        fits = (tokens <= max_tokens) & (ends[begin:] - before <= max_words)
        size = max(int(fits.argmin()) if not fits.all() else len(fits), 1)
        lengths, chosen = lengths[:size], words[before : ends[begin + size - 1]]
        ids = np.full((size, lengths[-1]), pad_id, dtype=np.int64)
        starts = (self.lengths.cumsum() - self.lengths)[order[begin : begin + size]]
        ids[np.arange(lengths[-1]) < lengths[:, None]] = self.ids[ranges(starts, lengths)]
        return MaskedPass(ids, lengths, chosen, rank[self.sequence[chosen]] - begin, self.position[chosen])

    @cached_property
    def _by_length(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """
        The sequences in the order of their lengths and the rank of each, the words in the order of their sequences,
        and how many words there are up to each sequence.
        """
        order = self.lengths.argsort(kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        words = rank[self.sequence].argsort(kind="stable")
        return order, rank, words, np.bincount(rank[self.sequence], minlength=len(order)).cumsum()


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
    begins = (part * size)[owner]
    lengths = np.minimum(begins + size[owner], batch.lengths[words.row[owner]]) - begins
    ends = lengths.cumsum()
    ids = batch.ids[ranges(batch.starts[words.row[owner]] + begins, lengths)]
    # Where each word is in these copies, and the copies' own places in the inputs: of a word, one token is left.
    place = start - begins[sequence] + (ends - lengths)[sequence]
    is_inserted = words.length == 0
    ids[place[~is_inserted & ((masking != "none") | (words.length > 1))]] = mask_id
    rest = np.maximum(np.minimum(place + words.length, ends[sequence]) - place - 1, 0)
    keep = np.ones(len(ids), dtype=bool)
    keep[ranges(place + 1, rest)] = False
    index = keep.cumsum() - keep
    order = place.argsort(kind="stable")
    num_before = np.empty_like(order)  # masks that are inserted before each word
    num_before[order] = is_inserted[order].cumsum() - is_inserted[order]
    inserted = order[is_inserted[order]]
    ids = np.insert(ids[keep], index[place[inserted]], mask_id)
    lengths = lengths + np.bincount(sequence, is_inserted - rest, len(lengths)).astype(np.int64)
    return MaskedInputs(ids, lengths, sequence, index[place] + num_before - (lengths.cumsum() - lengths)[sequence])
