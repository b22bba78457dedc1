"""Labels that are probabilities of the classes: a list of numbers in each row, or a column for each class."""

from typing import Any

from datasets import Dataset, LargeList, List, Value
from pyarrow import types
from transformers import PretrainedConfig

from .data_arguments import listed
from .file_checks import check_column, finite_float, row_error


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


def holds_probabilities(feature: Any) -> bool:
    """Whether a label column has a list of floats in each row."""
    element = feature.feature if isinstance(feature, List | LargeList) else None
    return isinstance(element, Value) and element.pa_type is not None and types.is_floating(element.pa_type)


def class_names(dataset: Dataset, column: str, config: PretrainedConfig, where: str) -> list[str]:
    """The names of the classes: of their columns, else of the checkpoint, else `LABEL_0` and so on."""
    names = list(listed(column))
    size = len(dataset[0][column] or ())
    if size < 2:
        raise row_error(where, column, f"{size} probabilities", 0, "; expected one for each class, two or more.")
    if len(names) == size:
        return names
    known = [name for _, name in sorted((config.id2label or {}).items())]
    return known if len(known) == size else [f"LABEL_{i}" for i in range(size)]


def checked_probabilities(dataset: Dataset, column: str, num_classes: int, where: str) -> list[list[float]]:
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
