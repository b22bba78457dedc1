"""What the labels of a text classification task are: one class of a row, several, or a number.

Whatever is wrong with them is a `ValueError` that names the file or split, the column and the row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from datasets import ClassLabel, Dataset, LargeList, List, Value
from transformers import PretrainedConfig

from .args import DataArguments
from .checks import check_column, check_names, check_one_type, check_present, finite_float


logger = logging.getLogger(__name__)


class Labels(NamedTuple):
    """
    The kind of the labels and the names of the classes.

    Args:
        problem_type (`str`): As in the model's configuration.
        names (`list[str]`, *optional*): Classes in the order of the model's outputs; `None` for regression.
        data_names (`list[str]`, *optional*): The same in the data's own order.
    """

    problem_type: str
    names: list[str] | None = None
    data_names: list[str] | None = None

    @property
    def num_outputs(self) -> int:
        return 1 if self.names is None else len(self.names)


REGRESSION = Labels("regression")


def find_labels(splits: dict[str, Dataset], data_args: DataArguments, config: PretrainedConfig) -> Labels:
    """
    What the labels are.

    The data's order of the classes is that of its `ClassLabel`, else that of the sorted labels of the training data.
    The model's is the same, unless the checkpoint was trained on classes of these very names: then its order is kept,
    so that its head still means what it meant. Without training data the classes of the checkpoint count. Where a row
    has several labels, those of the validation data count as well, since many are rare.

    Raises:
        `ValueError`: if the label column is missing or of another kind, or has only one class.
    """
    own = [name for _, name in sorted(config.id2label.items())]
    labelled = [split for split in splits if not split.startswith("test")]
    if not labelled:
        return REGRESSION if config.num_labels == 1 else Labels(_problem_type(config), own, own)

    split, column = labelled[0], data_args.label_column_name
    where = data_args.where(split)
    check_column(splits[split], column, where, "--label_column_name")
    feature = splits[split].features[column]
    several = isinstance(feature, List | LargeList)
    element = feature.feature if several else feature
    numbers = data_args.do_regression or getattr(element, "dtype", "").startswith("float")
    if not isinstance(element, Value | ClassLabel) or (several and numbers):
        check_one_type(splits[split][column], column, where)
        raise ValueError(
            f"{where}: column {column!r} holds {feature}; expected a class, a number, or a list of the names or ids "
            "of classes in each row."
        )
    if _is_regression(several, element, data_args, config if "train" not in splits else None):
        return REGRESSION
    if isinstance(element, ClassLabel):
        names = element.names
    else:
        names = _names(splits[split], split, data_args)
        if several:
            names = _with_unseen(names, {name: splits[name] for name in labelled[1:]}, data_args)
    if "train" not in splits and set(names) <= set(own):
        names = own
    for alike in _alike(names):
        logger.warning(
            "%s: column %r has the classes %s, which differ in spaces or capitals alone.",
            where,
            column,
            ", ".join(map(repr, alike)),
        )
    if not several and len(splits[split]) > 20 and len(names) > len(splits[split]) / 2:
        logger.warning(
            "%s: column %r has %d classes in %d rows. If they are numbers, pass --do_regression; if they are not "
            "what is to be learnt, name another column with --label_column_name.",
            where,
            column,
            len(names),
            len(splits[split]),
        )
    if len(names) < 2:
        raise ValueError(f"{where}: column {column!r} has too few classes, {names}; expected two or more.")
    problem_type = "multi_label_classification" if several else "single_label_classification"
    in_data = {name.lower(): name for name in names}
    if len(own) == len(names) == len(in_data) and in_data.keys() == {name.lower() for name in own}:
        return Labels(problem_type, [in_data[name.lower()] for name in own], names)
    return Labels(problem_type, names, names)


def _problem_type(config: PretrainedConfig) -> str:
    """That of a trained classifier, which predicts one class unless it says that there are several."""
    several = config.problem_type == "multi_label_classification"
    return "multi_label_classification" if several else "single_label_classification"


def _is_regression(
    several: bool, element: Value | ClassLabel, data_args: DataArguments, trained: PretrainedConfig | None
) -> bool:
    """As the arguments or the task say, else where the labels are floats or the trained model predicts a number."""
    if several:
        return False
    if data_args.task.regression is not None:
        return data_args.task.regression
    trained_to_regress = trained is not None and trained.num_labels == 1 and trained.problem_type == "regression"
    return element.dtype.startswith("float") or trained_to_regress


def _names(dataset: Dataset, split: str, data_args: DataArguments) -> list[str]:
    """The sorted classes of all rows, numbers in the order of numbers. Rows that are not used may lack a label."""
    column, where = data_args.label_column_name, data_args.where(split)
    values = dataset[column][:]
    check_present(values[: data_args.num_used(split)], column, where)
    several = isinstance(dataset.features[column], List | LargeList)
    labels = [label for row in values for label in row or ()] if several else values
    if not several and data_args.task.regression is None and any(isinstance(label, str) for label in labels):
        check_names(labels, column, where)
    return [str(label) for label in sorted(set(labels) - {None, ""})]


def _alike(names: list[str]) -> list[list[str]]:
    """Classes that are one to the eye."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.strip().lower(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _with_unseen(names: list[str], others: dict[str, Dataset], data_args: DataArguments) -> list[str]:
    """The classes of the training data and, after them, those that are in other splits alone."""
    for split, dataset in others.items():
        check_column(dataset, data_args.label_column_name, data_args.where(split), "--label_column_name")
        unseen = [name for name in _names(dataset, split, data_args) if name not in names]
        if unseen:
            logger.warning("%s has labels that training lacks: %s.", data_args.where(split), ", ".join(unseen))
        names = names + unseen
    return names


def encode_labels(dataset: Dataset, column: str, labels: Labels, where: str) -> list:
    """
    What the loss takes for each row: the place of its class among `labels.names`, its number, or as many ones and
    zeros as there are classes where a row has several.

    Raises:
        `ValueError`: if a label is missing, unknown, out of range, or not a finite number.
    """
    check_column(dataset, column, where, "--label_column_name")
    feature, values = dataset.features[column], dataset[column][:]
    check_present(values, column, where)
    several = labels.problem_type == "multi_label_classification"
    if several != isinstance(feature, List | LargeList):
        expected = "a list of classes in each row" if several else "one label in each row"
        raise ValueError(f"{where}: column {column!r} holds {feature}; expected {expected}, as in the training data.")
    encode, expected = finite_float, "a finite number"
    if labels.names is not None:
        encode, expected = _class_id(feature.feature if several else feature, labels), f"one of {_some(labels.names)}"
    encoded = []
    for row, value in enumerate(values):
        ids = [encode(part) for part in (value if several else [value])]
        if None in ids:
            unknown = value[ids.index(None)] if several else value
            raise ValueError(
                f"{where}: column {column!r} has the label {unknown!r} in row {row} (the first is 0); "
                f"expected {expected}. Correct or remove the row."
            )
        encoded.append([float(i in ids) for i in range(labels.num_outputs)] if several else ids[0])
    return encoded


def _class_id(feature: Value | ClassLabel, labels: Labels) -> Callable[[object], int | None]:
    """The function from a label of the data to its place among the model's outputs, `None` where it has none."""
    ids = {name: i for i, name in enumerate(labels.names)}
    if not isinstance(feature, ClassLabel):
        return lambda value: ids.get(str(value))
    classes = feature.names
    return lambda value: ids.get(classes[value]) if value is not None and 0 <= value < len(classes) else None


def _some(names: list[str], most: int = 20) -> str:
    return ", ".join(name[:50] for name in names[:most]) + (
        f" and {len(names) - most} others" if len(names) > most else ""
    )
