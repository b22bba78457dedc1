"""Weights of examples: a column of the training set with a factor of the loss of each example."""

import math
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import datasets
import torch

from ..data.group_collator import Example, plain
from ..data.groups import LABEL_COLUMNS, WEIGHT
from .class_weights import is_stream


class WeightCollator:
    """
    Collates examples that have a weight. The weights become the tensor `weight` `(B,)` of the batch, in float32.
    Augmenter, data collator and model do not see them.

    Args:
        data_collator (`Callable`): Collates the examples without their weights.
        column (`str`): Name of the column with the weights.
        keep (`bool`, *optional*, defaults to `True`): Whether the batch has the weights.

    Raises:
        `ValueError`: if an example has no weight, or one that is not a finite number >= 0.
    """

    def __init__(self, data_collator: Callable[[list[Example]], dict[str, Any]], column: str, keep: bool = True):
        self.data_collator, self.column, self.keep = data_collator, column, keep

    def __call__(self, examples: list[Example]) -> dict[str, Any]:
        rows = [{name: value for name, value in example.items() if name != self.column} for example in examples]
        if not self.keep:
            return self.data_collator(rows)
        weights = [plain(example.get(self.column)) for example in examples]
        for weight in weights:
            if not _is_weight(weight):
                raise ValueError(
                    f"An example of a training batch has the weight {weight!r:.60}; {_expected(self.column)}"
                )
        return {**self.data_collator(rows), WEIGHT: torch.tensor(weights, dtype=torch.float32)}


def has_weights(dataset: Any, column: str | None, dataset_name: str = "train_dataset") -> bool:
    """
    Whether a training set has weights other than 1 in a column, so that they change anything. A stream counts as one
    that has them: it cannot be read before training, and `WeightCollator` checks its weights.

    Args:
        dataset: The training set.
        column (`str`, *optional*): Name of the column; `None` for no weights.
        dataset_name (`str`, *optional*): Name of the dataset in errors.

    Raises:
        `ValueError`: if the column is missing or is that of the labels, or if a weight is missing, or is not a finite
            number >= 0. The error names the first such row.
    """
    if column is None:
        return False
    if column in LABEL_COLUMNS:
        raise ValueError(f"weight_column is {column!r}, which is the name of a column of labels; name another column.")
    if isinstance(dataset, datasets.Dataset):
        if column not in dataset.column_names:
            raise ValueError(
                f"{dataset_name} has the columns {dataset.column_names}; expected {column}, the weight_column. Name "
                "the column with the weights of the examples, or leave weight_column out."
            )
        values: Iterable[Any] = dataset.with_format(None)[column]
    elif is_stream(dataset):
        return True
    else:
        values = (plain(dataset[row].get(column)) for row in range(len(dataset)))
    differ = False
    for row, weight in enumerate(values):
        if not _is_weight(weight):
            found = "no weight" if weight is None else f"the weight {weight!r:.60}"
            raise ValueError(f"Row {row} of {dataset_name} has {found}; {_expected(column)}")
        differ |= weight != 1
    return differ


def _is_weight(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < math.inf


def _expected(column: str) -> str:
    return (
        f"expected a finite number >= 0 in the column {column!r}. Correct it, or remove the row; 0 ignores an example."
    )
