"""The labels of a text classification task: a class, several classes, or a number in each row.

Each fault in them is a `ValueError` that names the file or split, the column and the row.
"""

import logging
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

from datasets import ClassLabel, Dataset, LargeList, List, Value
from transformers import PretrainedConfig

from .data_arguments import DataArguments
from .file_checks import check_class_names, check_column, check_one_type, check_present, finite_float, row_error


logger = logging.getLogger(__name__)

ProblemType: TypeAlias = Literal["regression", "single_label_classification", "multi_label_classification"]


class Labels(NamedTuple):
    """The kind of the labels and the names of the classes."""

    problem_type: ProblemType  # as in the model's configuration
    names: list[str] | None = None  # in the order of the model's outputs; `None` for regression
    data_names: list[str] | None = None  # in the order of the data

    @property
    def num_outputs(self) -> int:
        return 1 if self.names is None else len(self.names)


REGRESSION = Labels("regression")


def find_labels(splits: dict[str, Dataset], data_args: DataArguments, config: PretrainedConfig) -> Labels:
    """
    The labels of the data. The order of the classes is that of `ClassLabel`, else that of the sorted labels of the
    training data. A checkpoint that was trained on classes of the same names keeps its own order, so that its head
    keeps its meaning. Without training data the classes are those of the checkpoint. Multi-label classes may come from
    the validation data as well, since many are rare.
    """
    model_names = [name for _, name in sorted((config.id2label or {}).items())]
    labelled = [split for split in splits if not split.startswith("test")]
    if not labelled:
        if config.num_labels == 1:
            return REGRESSION
        multi_label = config.problem_type == "multi_label_classification"
        return Labels(_problem_type(multi_label), model_names, model_names)

    split, column = labelled[0], data_args.label_column_name
    dataset, where = splits[split], data_args.where(split)
    check_column(dataset, column, where, "--label_column_name")
    feature = dataset.features[column]
    multi_label = isinstance(feature, List | LargeList)
    element = feature.feature if multi_label else feature
    numbers = data_args.do_regression or getattr(element, "dtype", "").startswith("float")
    if not isinstance(element, Value | ClassLabel) or (multi_label and numbers):
        check_one_type(dataset[column], column, where)
        raise ValueError(
            f"{where}: column {column!r} holds {feature}; expected a class, a number, or a list of the names or ids "
            "of classes in each row."
        )
    is_regression = data_args.task.regression
    if is_regression is None:
        trained = config.num_labels == 1 and config.problem_type == "regression" and "train" not in splits
        is_regression = element.dtype.startswith("float") or trained
    if is_regression and not multi_label:
        return REGRESSION
    if isinstance(element, ClassLabel):
        names = element.names
    else:
        names = _class_names(dataset, split, data_args)
        for other in labelled[1:] if multi_label else ():
            check_column(splits[other], column, data_args.where(other), "--label_column_name")
            unseen = [name for name in _class_names(splits[other], other, data_args) if name not in names]
            if unseen:
                logger.warning("%s has labels that training lacks: %s.", data_args.where(other), ", ".join(unseen))
            names = names + unseen
    if "train" not in splits and set(names) <= set(model_names):
        names = model_names
    _warn_of_odd_classes(names, None if multi_label else len(dataset), column, where)
    if len(names) < 2:
        raise ValueError(f"{where}: column {column!r} has too few classes, {names}; expected two or more.")
    in_data = {name.lower(): name for name in names}
    if len(model_names) == len(names) == len(in_data) and in_data.keys() == {name.lower() for name in model_names}:
        return Labels(_problem_type(multi_label), [in_data[name.lower()] for name in model_names], names)
    return Labels(_problem_type(multi_label), names, names)


def _problem_type(multi_label: bool) -> ProblemType:
    return "multi_label_classification" if multi_label else "single_label_classification"


def _class_names(dataset: Dataset, split: str, data_args: DataArguments) -> list[str]:
    """The sorted classes of all rows; numbers are sorted as numbers. Rows that are not read may lack a label."""
    column, where = data_args.label_column_name, data_args.where(split)
    values = dataset[column][:]
    check_present(values[: data_args.num_read(split)], column, where)
    if isinstance(dataset.features[column], List | LargeList):
        values = [label for row in values for label in row or ()]
    elif data_args.task.regression is None and any(isinstance(label, str) for label in values):
        check_class_names(values, column, where)
    return [str(label) for label in sorted(set(values) - {None, ""})]


def _warn_of_odd_classes(names: list[str], num_rows: int | None, column: str, where: str) -> None:
    """Warns of classes that look the same and, if the number of rows is given, of too many classes."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.strip().lower(), []).append(name)
    for alike in groups.values():
        if len(alike) > 1:
            message = "%s: column %r has the classes %s, which differ only in spaces or case."
            logger.warning(message, where, column, ", ".join(map(repr, alike)))
    if num_rows is not None and num_rows > 20 and len(names) > num_rows / 2:
        logger.warning(
            "%s: column %r has %d classes in %d rows. If they are numbers, pass --do_regression; if they are not the "
            "labels, name another column with --label_column_name.",
            *(where, column, len(names), num_rows),
        )


def encode_labels(dataset: Dataset, column: str, labels: Labels, where: str) -> list[Any]:
    """
    The label of each row in the form that the loss expects: the index of its class in `labels.names`, its number, or
    for multi-label a list of one 0.0 or 1.0 for each class.
    """
    check_column(dataset, column, where, "--label_column_name")
    feature, values = dataset.features[column], dataset[column][:]
    check_present(values, column, where)
    multi_label = labels.problem_type == "multi_label_classification"
    if multi_label != isinstance(feature, List | LargeList):
        expected = "a list of classes in each row" if multi_label else "one label in each row"
        raise ValueError(f"{where}: column {column!r} holds {feature}; expected {expected}, as in the training data.")
    encode: Callable[[Any], float | None] = finite_float
    expected = "a finite number"
    if labels.names is not None:
        encode = _class_encoder(feature.feature if multi_label else feature, labels.names)
        expected = f"one of {', '.join(name[:50] for name in labels.names[:20])}"
        expected += f" and {len(labels.names) - 20} others" if len(labels.names) > 20 else ""
    encoded = []
    for row, value in enumerate(values):
        ids = [encode(part) for part in (value if multi_label else [value])]
        if None in ids:
            unknown = value[ids.index(None)] if multi_label else value
            advice = f"; expected {expected}. Correct or remove the row."
            raise row_error(where, column, f"the label {unknown!r}", row, advice)
        encoded.append([float(i in ids) for i in range(labels.num_outputs)] if multi_label else ids[0])
    return encoded


def _class_encoder(feature: Value | ClassLabel, names: list[str]) -> Callable[[Any], int | None]:
    """The function from a label of the data to its index in `names`, `None` if it is not there."""
    ids = {name: i for i, name in enumerate(names)}
    if not isinstance(feature, ClassLabel):
        return lambda value: ids.get(str(value))
    classes = feature.names
    return lambda value: ids.get(classes[value]) if value is not None and 0 <= value < len(classes) else None
