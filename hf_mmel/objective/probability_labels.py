"""Labels that are probabilities of the classes, as annotators who disagree or a teacher give them."""

from typing import Any

import datasets
import numpy as np
from transformers import PretrainedConfig

from ..data.group_collator import plain
from ..data.groups import LABEL_COLUMNS
from .class_weights import is_stream


def has_probability_labels(dataset: Any, config: PretrainedConfig | None) -> bool:
    """
    Whether the labels of a data set are probabilities of the classes: rows of C floats, at least 0, that sum to one.

    Models of transformers take rows of floats for several labels, unless `problem_type` says otherwise. Here they are
    probabilities if `problem_type` is `"single_label_classification"`, or if it is not set and some of them lie
    between 0 and 1. All rows of a `datasets.Dataset` are read, of others the first one, of streams none.

    Raises:
        `ValueError`: if the rows of a single-label model, or of one without a `problem_type`, are neither
            probabilities nor zeros and ones.
    """
    problem_type, num_labels = (getattr(config, name, None) for name in ("problem_type", "num_labels"))
    if problem_type not in (None, "single_label_classification") or num_labels == 1:
        return False
    rows = _label_rows(dataset)
    if rows is None:
        return False
    if {len(row) for row in rows} != {num_labels or len(rows[0])}:
        raise ValueError(
            f"The labels of train_dataset are lists of floats that are not of length {num_labels}, the number of "
            "classes; expected a class, or a number for each class."
        )
    probabilities = np.array(rows, dtype=np.float64)
    if problem_type is None and np.isin(probabilities, (0, 1)).all():
        return False
    wrong = ~((probabilities >= 0).all(axis=1) & (abs(probabilities.sum(axis=1) - 1) < 1e-3))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"Row {row} of train_dataset has the labels {rows[row]!r:.100}; expected a class, or a "
            "probability for each class, at least 0 and with the sum 1. For labels that hold independently of each "
            "other set the problem_type of the model's config to 'multi_label_classification'."
        )
    return True


def _label_rows(dataset: Any) -> list[list[float]] | None:
    """The labels, if they are lists of floats."""
    if is_stream(dataset) or not len(dataset):
        return None
    stored = isinstance(dataset, datasets.Dataset) and dataset.format["type"] != "custom"
    first = dataset[0]
    name = next((name for name in LABEL_COLUMNS if name in first), None)
    label = plain(first[name]) if name is not None else None
    if not isinstance(label, list) or not label or not isinstance(label[0], float):
        return None
    return list(dataset.with_format(None)[name]) if stored else [label]
