"""The texts of a run: which have a label, which have none, and which are evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, Image


HELD_OUT = "_tuning"  # after the name of a task: a part of its training set is evaluated
IMAGE_TASK = "cifar10"
LARGE = "1000"  # as a size of texts, so many examples per class have settings of their own
NUM_EVALUATED, MAX_UNLABELLED = 500, 5000
WHOLE = "whole"  # as a size, the whole training set
TEXT_COLUMNS = ("text", "text_pair")
IMAGE = "image"
# Columns of GLUE and of CIFAR-10.
_NAMES = {"sentence": "text", "sentence1": "text", "sentence2": "text_pair", "img": IMAGE}


class Examples(NamedTuple):
    """
    The examples of a run, with the columns `text` and, for pairs, `text_pair`, or the column `image`; and, but for the
    unlabelled ones, `label`.
    """

    labelled: Dataset
    unlabelled: Dataset
    evaluated: Dataset
    num_labels: int


def examples_of(folders: Sequence[Path], task: str, size: str, seed: int) -> Examples:
    """
    The examples of a task, in a folder of its name in one of the folders. `size` is the number of labelled examples of
    each class, or in all for regression, which has one label, and for images; or it is `WHOLE`.

    Raises:
        `SystemExit`: if a file is missing.
    """
    name = task.removesuffix(HELD_OUT)
    train = read(folders, name, "train")
    if task.endswith(HELD_OUT):
        order = np.random.default_rng(0).permutation(len(train))
        evaluated, train = train.select(order[:NUM_EVALUATED]), train.select(order[NUM_EVALUATED:])
    else:
        evaluated = read(folders, name, "validation", "test")
        order = np.random.default_rng(0).permutation(len(evaluated))
        evaluated = evaluated.select(order[:NUM_EVALUATED])
    labels = np.asarray(train["label"])
    is_regression = np.issubdtype(labels.dtype, np.floating)
    classes = np.zeros(len(labels), dtype=int) if is_regression else labels
    num_labels = int(classes.max()) + 1
    share = num_labels if IMAGE in train.column_names else 1
    labelled, others = drawn(classes, None if size == WHOLE else int(size) // share, seed)
    unlabelled = train.select(others[:MAX_UNLABELLED]).remove_columns("label")
    return Examples(train.select(labelled), unlabelled, evaluated, num_labels)


def drawn(labels: np.ndarray, per_class: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the labelled examples, so many of each class, and of all others, in an order by the seed."""
    order = np.random.default_rng(seed).permutation(len(labels))
    if per_class is None:
        return order, order[:0]
    labelled = np.concatenate([order[labels[order] == label][:per_class] for label in np.unique(labels)])
    return labelled, order[~np.isin(order, labelled)]


def read(folders: Sequence[Path], task: str, *splits: str) -> Dataset:
    """The rows of the first of these splits that there is."""
    for split in splits:
        files = [str(file) for folder in folders for file in sorted((folder / task).rglob(f"{split}-*.parquet"))]
        if files:
            rows = Dataset.from_parquet(files)
            rows = rows.rename_columns({old: new for old, new in _NAMES.items() if old in rows.column_names})
            if IMAGE in rows.column_names:  # which some files only have as bytes
                rows = rows.cast_column(IMAGE, Image())
            return rows.select_columns([name for name in (*TEXT_COLUMNS, IMAGE, "label") if name in rows.column_names])
    raise SystemExit(f"--data has no files {splits[0]}-*.parquet of {task!r}; expected a folder of this name.")


def texts_of(rows: Mapping[str, Any]) -> list[list[str]]:
    """The columns of texts of some rows: one, or the two of pairs."""
    return [rows[name] for name in TEXT_COLUMNS if name in rows]
