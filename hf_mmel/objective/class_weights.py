"""Weights of classes, for data in which some are rare."""

import math
from typing import Any

import datasets
import torch
from torch.utils.data import IterableDataset
from transformers import PretrainedConfig, TrainingArguments

from ..data.group_collator import plain
from ..data.groups import IGNORE_INDEX, LABEL_COLUMNS, POSITIONS
from ..training_args import effective_beta


def class_weights_of(args: TrainingArguments, dataset: Any, config: PretrainedConfig | None) -> torch.Tensor | None:
    """
    The factor of the loss of each class that `args.class_weights` asks for.

    `"balanced"` gives class c the factor `n / (C n_c)`, with n_c of the n labels of the training set its own and C the
    classes among them: each has the same share in the sum of the losses, and the mean factor is 1 (King and Zeng,
    *Logistic regression in rare events data*, 2001). A class without examples has 0.

    `"effective"` divides by the effective number of examples of a class in place of n_c (Cui et al., *Class-balanced
    loss based on effective number of samples*, CVPR 2019, arXiv 1901.05555), also scaled to a mean factor of 1:

        c_y = E_y⁻¹ n / Σ_c n_c E_c⁻¹,   E_c = (1 - β^n_c) / (1 - β)

    β = 0 gives every class the factor 1, and β → 1 is `"balanced"`. β is 0.999, or as in `"effective:0.99"`. Each
    example of a class adds less to E_c than the one before, and E_c is at most 1 / (1 - β): classes with far more
    examples than that have the same factor.

    Args:
        args (`TrainingArguments`): With `class_weights`, or without.
        dataset: The training set; of a known length for `"balanced"` and `"effective"`.
        config (`PretrainedConfig`, *optional*): The model's, with `num_labels`.

    Returns:
        `torch.Tensor` of shape `(C,)`, or `None` where none are asked for.

    Raises:
        `ValueError`: if the labels are not those of one class per example or word, the weights are not as many as the
            classes, labels of a stream are to be counted, or one of them is missing or no class.
    """
    asked = getattr(args, "class_weights", None)
    if asked is None:
        return None
    if found := no_classes(dataset, config):
        raise ValueError(
            f"class_weights are given, but {found}; they are for classes of texts or words. Leave them out."
        )
    num_labels = getattr(config, "num_labels", None)
    beta = effective_beta(asked)
    if asked != "balanced" and beta is None:
        if num_labels is not None and len(asked) != num_labels:
            raise ValueError(f"class_weights are {len(asked)} numbers; expected {num_labels}, one for each class.")
        return torch.tensor(asked)
    if is_stream(dataset):
        raise ValueError(
            f"class_weights={asked!r} counts the labels of the training set, but that is a stream; give the weights "
            "as a list of numbers, one for each class."
        )
    labels = torch.tensor(_labels(dataset), dtype=torch.long)
    labels = labels[labels != IGNORE_INDEX]
    outside = labels[(labels < 0) | (labels >= (num_labels or math.inf))]
    if len(outside):
        raise ValueError(
            f"train_dataset has the label {outside[0]}; there are {num_labels} classes, so expected 0 to "
            f"{(num_labels or math.inf) - 1}. Correct the label, or load the model with more labels."
        )
    counts = torch.bincount(labels, minlength=num_labels or 0)
    present = counts > 0
    if beta is not None:
        return _effective_weights(counts, beta)
    return torch.where(present, counts.sum() / (present.sum() * counts.clamp(min=1)), 0.0)


def _effective_weights(counts: torch.Tensor, beta: float) -> torch.Tensor:
    """The factors of classes with these numbers of examples `(C,)`, see `class_weights_of`."""
    counts = counts.double()
    # expm1, since 1 - β^n has no digits left for β close to 1. The constant 1 - β cancels.
    log_beta = math.log(beta) if beta else -math.inf
    inverse = torch.where(counts > 0, -1 / torch.expm1(counts.clamp(min=1) * log_beta), 0.0)
    return (inverse * counts.sum() / (counts * inverse).sum()).float()


def no_classes(dataset: Any, config: PretrainedConfig | None) -> str | None:
    """What the labels of a dataset are, as far as its first row and the model's config say, if not classes."""
    problem_type, first = getattr(config, "problem_type", None), first_row(dataset)
    if problem_type is None and getattr(config, "num_labels", None) == 1:
        problem_type = "regression"
    label = next((first[name] for name in LABEL_COLUMNS if name in first), None)
    ids = first.get("input_ids")
    if problem_type not in (None, "single_label_classification"):
        return f"the problem type is {problem_type!r}"
    if POSITIONS[0] in first:
        return "the labels are places of answers"
    if ids is not None and len(ids) and hasattr(ids[0], "__len__"):
        return "the labels are the numbers of choices"
    if isinstance(label, float) or (isinstance(label, list) and any(isinstance(x, float) for x in label)):
        return "the labels are floats"
    return None


def is_stream(dataset: Any) -> bool:
    """Whether the rows of a data set come one after the other, without numbers or without a known end."""
    return isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__")


def first_row(dataset: Any) -> dict[str, Any]:
    """The first row of a dataset, with lists for arrays; empty for a stream."""
    row = {} if is_stream(dataset) or not len(dataset) else dataset[0]
    return {name: plain(value) for name, value in row.items()}


def _labels(dataset: Any) -> list[int]:
    """All labels of a data set, those of its words one after the other."""
    if isinstance(dataset, datasets.Dataset):  # only what is needed, in blocks
        names = [name for name in LABEL_COLUMNS if name in dataset.column_names]
        rows = dataset.select_columns(names or dataset.column_names).with_format(None)
    else:
        rows = map(dataset.__getitem__, range(len(dataset)))
    labels = []
    for i, row in enumerate(rows):
        label = plain(next((row[name] for name in LABEL_COLUMNS if name in row), None))
        label = label if isinstance(label, list) else [label]
        if None in label:
            raise ValueError(
                f"Row {i} of train_dataset has no label; expected one named {' or '.join(LABEL_COLUMNS)}, to count it."
            )
        labels += label
    return labels
