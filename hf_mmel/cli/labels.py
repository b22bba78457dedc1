"""The labels of a text classification task: a class, several, a probability for each, or a number in each row.

Each fault in them is a `ValueError` that names the file or split, the column and the row.
"""

import logging
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from datasets import ClassLabel, Dataset, LargeList, List, Value
from pyarrow import types
from transformers import PretrainedConfig

from augment.core.running import shown

from .data_arguments import DataArguments, has_labels, listed
from .file_checks import check_class_names, check_column, check_one_type, check_present, finite_float, row_error


logger = logging.getLogger(__name__)

ProblemType: TypeAlias = Literal["regression", "single_label_classification", "multi_label_classification"]
_PROBLEM_TYPES: tuple[ProblemType, ProblemType] = ("single_label_classification", "multi_label_classification")


class Labels(NamedTuple):
    """The kind of the labels and the names of the classes."""

    problem_type: ProblemType  # as in the model's configuration
    names: list[str] | None = None  # in the order of the model's outputs; `None` for regression
    data_names: list[str] | None = None  # in the order of the data
    are_probabilities: bool = False  # of the classes

    @property
    def num_outputs(self) -> int:
        return 1 if self.names is None else len(self.names)

    @property
    def is_multi_label(self) -> bool:
        return self.problem_type == "multi_label_classification"


REGRESSION = Labels("regression")


def find_labels(splits: dict[str, Dataset], data_args: DataArguments, config: PretrainedConfig) -> Labels:
    """
    The labels of the data. They are classes unless the data has them as floats or decimals, or the task or
    `--do_regression` says otherwise; lists of floats are probabilities of the classes. Text is never taken for
    numbers. The order of the classes is that of `ClassLabel`, else that of the sorted labels of the training data;
    numbers are sorted by their value. A checkpoint that was trained on classes of the same names keeps its own order,
    so that its head keeps its meaning. Without training data the classes are those of the checkpoint. Multi-label
    classes may come from the validation data as well, since many are rare.
    """
    model_names = [name for _, name in sorted((config.id2label or {}).items())]
    labelled = [split for split in splits if has_labels(split)]
    if not labelled:
        if config.num_labels == 1:
            return REGRESSION
        is_multi_label = config.problem_type == "multi_label_classification"
        return Labels(_PROBLEM_TYPES[is_multi_label], model_names, model_names)

    split, column = labelled[0], data_args.label_column_name
    dataset, where = splits[split], data_args.where(split)
    check_column(dataset, column, where, "--label_column_name")
    feature = dataset.features[column]
    multi_label = isinstance(feature, List | LargeList)
    element = feature.feature if multi_label else feature
    has_fractions = _has_fractions(element)
    if _holds_probabilities(feature) and not data_args.do_regression:
        names = _names_of_probabilities(dataset, column, model_names, where)
        return Labels("single_label_classification", names, names, are_probabilities=True)
    numbers = data_args.do_regression or has_fractions
    if not isinstance(element, Value | ClassLabel) or (multi_label and numbers):
        check_one_type(dataset[column], column, where)
        raise ValueError(
            f"{where}: column {column!r} holds {feature!s:.80}; expected a class, a number, a list of the names or "
            "ids of classes, or a list of a probability for each class."
        )
    is_regression = data_args.task.regression
    if is_regression is None:
        trained = config.num_labels == 1 and config.problem_type == "regression" and "train" not in splits
        is_regression = has_fractions or trained
    if is_regression and not multi_label:
        return REGRESSION
    if isinstance(element, ClassLabel):
        names = element.names
    else:
        names = _class_names(dataset, split, data_args, known=model_names)
        for other in labelled[1:] if multi_label else ():
            check_column(splits[other], column, data_args.where(other), "--label_column_name")
            unseen = [name for name in _class_names(splits[other], other, data_args, names) if name not in names]
            if unseen:
                logger.warning("%s has labels that training lacks: %s.", data_args.where(other), shown(unseen))
            names = names + unseen
    if "train" not in splits and set(names) <= set(model_names):
        names = model_names
    _warn_of_odd_classes(names, 0 if multi_label else len(dataset), column, where)
    if len(names) < 2:
        raise ValueError(f"{where}: column {column!r} has too few classes, {names!r:.80}; expected two or more.")
    in_data = {name.lower(): name for name in names}
    are_known = len(in_data) == len(names) and sorted(in_data) == sorted(name.lower() for name in model_names)
    of_model = [in_data[name.lower()] for name in model_names] if are_known else names
    return Labels(_PROBLEM_TYPES[multi_label], of_model, names)


def _has_fractions(feature: Any) -> bool:
    """Whether a feature is a type of numbers with a fraction: a float, or a decimal with digits after the point."""
    kind = getattr(feature, "pa_type", None)
    return kind is not None and (types.is_floating(kind) or (types.is_decimal(kind) and kind.scale > 0))


def _class_names(dataset: Dataset, split: str, data_args: DataArguments, known: list[str]) -> list[str]:
    """The sorted classes of all rows. Rows that are not read may lack a label. `known` names are not checked."""
    column, where = data_args.label_column_name, data_args.where(split)
    feature, labels = dataset.features[column], _labels_as_text(dataset, column)
    check_present(labels[: data_args.num_read(split)], column, where)
    if isinstance(feature, List | LargeList):
        labels = [label for row in labels for label in row or ()]
    elif data_args.task.regression is None and feature.dtype.endswith("string"):
        check_class_names(labels, known, column, where)
    names = set(labels) - {None, ""}
    if all(finite_float(name) is not None for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def _labels_as_text(dataset: Dataset, column: str) -> list[Any]:
    """The label of each row as text, or a list of texts; `None` if it is missing. A class has its name, not its id."""
    feature, values = dataset.features[column], dataset[column][:]
    element = getattr(feature, "feature", feature)

    def as_text(value: Any) -> Any:
        if isinstance(value, list):
            return [as_text(part) for part in value]
        if value is None or value != value:
            return None
        if isinstance(element, ClassLabel) and 0 <= value < len(element.names):
            return element.names[value]
        if element.dtype in ("float16", "float32"):  # 0.1 rather than 0.10000000149011612
            return str(np.dtype(element.dtype).type(value))
        return str(value)

    return [as_text(value) for value in values]


def _warn_of_odd_classes(names: list[str], num_rows: int, column: str, where: str) -> None:
    """Warns of classes that look the same, and of too many classes for the number of rows."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.strip().lower(), []).append(name)
    for alike in groups.values():
        if len(alike) > 1:
            message = "%s: column %r has the classes %s, which differ only in spaces or case."
            logger.warning(message, where, column, shown(map(repr, alike)))
    if num_rows > 20 and len(names) > num_rows / 2:
        logger.warning(
            "%s: column %r has %d classes in %d rows. If they are numbers, pass --do_regression; if they are not the "
            "labels, name another column with --label_column_name.",
            *(where, column, len(names), num_rows),
        )


def encode_labels(dataset: Dataset, column: str, labels: Labels, where: str) -> list[Any]:
    """
    The label of each row in the form that the loss expects: the index of its class in `labels.names`, its number, a
    list of the probability of each class, or for multi-label a list of one 0.0 or 1.0 for each class.
    """
    check_column(dataset, column, where, "--label_column_name")
    feature, names = dataset.features[column], labels.names
    if labels.are_probabilities and _holds_probabilities(feature):
        return _checked_probabilities(dataset, column, labels.num_outputs, where)
    values = dataset[column][:] if names is None else _labels_as_text(dataset, column)
    check_present(values, column, where)
    multi_label = labels.is_multi_label
    if multi_label != isinstance(feature, List | LargeList):
        expected = "a list of classes in each row" if multi_label else "one label in each row"
        raise ValueError(
            f"{where}: column {column!r} holds {feature!s:.80}; expected {expected}, as in the training data."
        )
    encode: Callable[[Any], float | None] = finite_float
    expected = "a finite number, with a decimal point"
    if names is not None:
        encode, expected = _class_encoder(getattr(feature, "feature", feature), names), f"one of {shown(names)}"
    encoded = []
    for row, value in enumerate(values):
        ids = [encode(part) for part in (value if multi_label else [value])]
        if None in ids:
            unknown = value[ids.index(None)] if multi_label else value
            advice = f"; expected {expected}. Correct or remove the row."
            raise row_error(where, column, f"the label {unknown!r:.60}", row, advice)
        encoded.append([float(i in ids) for i in range(labels.num_outputs)] if multi_label else ids[0])
    return encoded


def _class_encoder(feature: Value | ClassLabel, names: list[str]) -> Callable[[str], int | None]:
    """The function from a label as text to its index in `names`, `None` if it is not there."""
    ids = {name: i for i, name in enumerate(names)}
    if isinstance(feature, ClassLabel) or feature.dtype.endswith("string"):
        return ids.get

    def encode(label: str) -> int | None:
        number = finite_float(label)
        if label in ids or number is None or not number.is_integer() or abs(number) >= 2**53:
            return ids.get(label)
        return ids.get(str(int(number)), ids.get(str(number)))  # 1 and 1.0 are one class to a file of numbers

    return encode


def joined_columns(dataset: Dataset, column: str, where: str) -> Dataset:
    """The dataset with a list column for several label columns whose names are separated by commas in `column`."""
    names = listed(column)
    if column in dataset.column_names or len(names) < 2:
        return dataset
    for name in names:
        check_column(dataset, name, where, "--label_column_name")
    columns = [[finite_float(value) for value in dataset[name]] for name in names]
    for name, values in zip(names, columns, strict=True):
        if None in values:
            row = values.index(None)
            advice = "; expected the probability of a class. Correct or remove the row."
            raise row_error(where, name, f"{dataset[name][row]!r:.60}", row, advice)
    rows = [list(row) for row in zip(*columns, strict=True)]
    return dataset.remove_columns(list(names)).add_column(column, rows)


def _holds_probabilities(feature: Any) -> bool:
    """Whether a label column has a list of floats in each row."""
    element = feature.feature if isinstance(feature, List | LargeList) else None
    return isinstance(element, Value) and element.pa_type is not None and types.is_floating(element.pa_type)


def _names_of_probabilities(dataset: Dataset, column: str, known: list[str], where: str) -> list[str]:
    """The names of the classes: of their columns, else `known` ones of the checkpoint, else `LABEL_0` and so on."""
    names = list(listed(column))
    size = len(dataset[0][column] or ())
    if size < 2:
        raise row_error(where, column, f"{size} probabilities", 0, "; expected one for each class, two or more.")
    if len(names) == size:
        return names
    return known if len(known) == size else [f"LABEL_{i}" for i in range(size)]


def _checked_probabilities(dataset: Dataset, column: str, num_classes: int, where: str) -> list[list[float]]:
    """The probabilities of each row, `(N, C)`. A `ValueError` names a row in which they are none."""
    rows = dataset[column][:]
    for row, values in enumerate(rows):
        numbers = [finite_float(value) for value in values or ()]
        fits = len(numbers) == num_classes and all(number is not None and number >= 0 for number in numbers)
        if not fits or abs(sum(number or 0.0 for number in numbers) - 1) > 1e-3:
            advice = (
                f"; expected {num_classes} probabilities, at least 0 and with the sum 1. Correct the row, or give the "
                "names of the classes that hold in a list of strings."
            )
            raise row_error(where, column, f"the labels {values!r:.60}", row, advice)
    return rows
