"""Unlabelled examples that labelled ones bring along into their batch."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from .groups import IGNORE_INDEX, LABEL_COLUMNS


Example = dict[str, Any]

INDEX = "example_index"  # the column of an example's number, which `UnlabeledCollator` takes out again


class IndexedExamples(Dataset):
    """The examples of a dataset with their numbers, in the column `INDEX`."""

    def __init__(self, examples: Any):
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return {**self.examples[index], INDEX: index}


class UnlabeledCollator:
    """
    Adds unlabelled examples to a batch of labelled ones.

    Example i of N brings, in epoch e and for a ratio μ, the unlabelled examples at the positions ⌊q μ⌋ to
    ⌊(q + 1) μ⌋ - 1 with q = e N + i. Position p stands for row π_c(p mod U) of the U rows, in the cycle c = ⌊p / U⌋
    with a random permutation π_c of its own. So each row is used once before any is used again, and what an example
    brings depends neither on the order of the examples, nor on batches, processes or a resume.

    Args:
        data_collator (`Callable`): Collates the labelled and unlabelled examples together.
        unlabeled (dataset with a length and an index): The U unlabelled examples. They get the columns of the labelled
            ones, with the label -100 and the weight 1.
        num_labelled (`int`): N.
        ratio (`float`): μ > 0, unlabelled examples per labelled one.
        seed (`int`): Seed of the permutations.
        weight_column (`str`, *optional*): The column of the weights of labelled examples, if they have any.
    """

    def __init__(
        self,
        data_collator: Callable,
        unlabeled: Any,
        num_labelled: int,
        ratio: float,
        seed: int,
        weight_column: str | None = None,
    ):
        self.data_collator, self.unlabeled, self.weight_column = data_collator, unlabeled, weight_column
        self.num_labelled, self.ratio, self.seed = num_labelled, ratio, seed
        # Shared memory, because worker processes that outlive an epoch hold a copy of everything else.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._orders: dict[int, np.ndarray] = {}

    def set_epoch(self, epoch: int) -> None:
        """Has all later batches, those of running worker processes included, made with the rows of this epoch."""
        self._epoch.fill_(epoch)

    def rows_of(self, index: int) -> list[int]:
        """The numbers of the unlabelled examples that a labelled one brings in this epoch."""
        number = int(self._epoch) * self.num_labelled + index
        return [self._row_at(p) for p in range(math.floor(number * self.ratio), math.floor((number + 1) * self.ratio))]

    def _row_at(self, position: int) -> int:
        cycle, place = divmod(position, len(self.unlabeled))
        if cycle not in self._orders:
            if len(self._orders) > 1:  # a batch has rows of two cycles at most, unless there are few rows
                self._orders.clear()
            self._orders[cycle] = np.random.default_rng((self.seed, cycle)).permutation(len(self.unlabeled))
        return int(self._orders[cycle][place])

    def __call__(self, examples: list[Example]) -> Any:
        labelled = [{name: value for name, value in example.items() if name != INDEX} for example in examples]
        like = labelled[0]
        added = [self._unlabelled(row, like) for example in examples for row in self.rows_of(int(example[INDEX]))]
        return self.data_collator([*labelled, *added])

    def _unlabelled(self, row: int, like: Example) -> Example:
        """An unlabelled example, with the columns of a labelled one."""
        example = {**self.unlabeled[row], **({} if self.weight_column is None else {self.weight_column: 1.0})}
        return {name: _no_label(x) if name in LABEL_COLUMNS else example[name] for name, x in like.items()}


def _no_label(label: Any) -> Any:
    """-100 in the form of a label: a number, or a list, an array or a tensor with one."""
    if isinstance(label, torch.Tensor):
        return torch.full_like(label, IGNORE_INDEX)
    if isinstance(label, np.ndarray):
        return np.full_like(label, IGNORE_INDEX)
    return [IGNORE_INDEX] * len(label) if isinstance(label, list) else IGNORE_INDEX
