"""What is looked for in the columns of the data: each fault is a `ValueError` that names the file, column and row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from datasets import Dataset


def check_column(dataset: Dataset, column: str, where: str, option: str) -> None:
    """
    Raises a `ValueError` if a data set lacks a column, which says by which option to name another.
    """
    if column not in dataset.column_names:
        raise ValueError(
            f"{where} has no column {column!r}; its columns are {', '.join(map(repr, dataset.column_names))}. "
            f"Name the right one with {option}."
        )


def check_texts(dataset: Dataset, column: str, where: str) -> None:
    """
    Raises a `ValueError` if a column does not hold strings, or has a row without one. Empty strings are fine.
    """
    feature = dataset.features[column]
    if getattr(feature, "dtype", None) not in ("string", "large_string", "null"):  # no row of the last has any
        check_one_type(dataset[column], column, where)
        raise ValueError(
            f"{where}: column {column!r} holds {feature}; expected text. "
            "Name the text with --text_column_names, or write it as strings in a json file."
        )
    row = 0
    for table in dataset.select_columns(column).with_format("arrow").iter(1000):  # without a string for each text
        texts = table.column(0)
        if texts.null_count:
            row += texts.to_pylist().index(None)
            raise ValueError(
                f"{where}: column {column!r} has no text in row {row} (the first is 0); "
                "write an empty string, or remove the row."
            )
        row += len(texts)


def check_present(values: Iterable, column: str, where: str) -> None:
    """
    Raises a `ValueError` if a row has no label.
    """
    for row, value in enumerate(values):
        if value is None or value == "":
            raise ValueError(
                f"{where}: column {column!r} has no label in row {row} (the first is 0); "
                "training and evaluation need one in every row. Fill it in, or remove the row."
            )
        if isinstance(value, list) and not all(part is not None and part != "" for part in value):
            raise ValueError(
                f"{where}: column {column!r} has a list with an empty label in row {row} (the first is 0); "
                "remove it there."
            )


def check_one_type(values: Iterable, column: str, where: str) -> None:
    """
    Raises a `ValueError` if a row holds a value of another kind than the first, such as a number and not a string.
    """
    first = None
    for row, value in enumerate(values):
        kind = _kind(value)
        if kind is None:
            continue
        if first is None:
            first = row, kind
        if kind != first[1]:
            raise ValueError(
                f"{where}: column {column!r} holds {value!r:.60} in row {row} (the first is 0), which is {kind}, but "
                f"{first[1]} in row {first[0]}; write all of them in the same way."
            )


def _kind(value: object) -> str | None:
    """What a value of a json file is, a list by what it holds; `None` for what is missing or empty."""
    if isinstance(value, list):
        kinds = {"a list" if isinstance(part, list) else _kind(part) for part in value} - {None}
        return f"a list with {' and '.join(sorted(kinds))}" if kinds else None
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string", dict: "an object"}
    return kinds.get(type(value))


def check_names(labels: list[str | None], column: str, where: str) -> None:
    """
    Raises a `ValueError` if strings are numbers but for a few: one typing error makes a column of numbers one of
    strings, and so each number a class. Whole numbers are often classes, and so only a NaN among them is refused.
    """
    counts = Counter(filter(None, labels))
    numbers = {label for label in counts if finite_float(label) is not None}
    others = counts.keys() - numbers
    if not others or 2 * sum(counts[label] for label in numbers) <= counts.total():
        return
    fractions = [label for label in counts if label in numbers and not label.strip().lstrip("+-").isdigit()]
    if fractions:
        kind, faulty = f"numbers with a fraction, such as {fractions[0]!r}", others
    else:
        kind, faulty = "numbers", {label for label in others if _is_float(label)}
    row = next((row for row, label in enumerate(labels) if label in faulty), None)
    if row is not None:
        raise ValueError(
            f"{where}: column {column!r} has the label {labels[row]!r} in row {row} (the first is 0), but most labels "
            f"are {kind}. Correct or remove the row; if these are the names of classes, pass --no_do_regression."
        )


def finite_float(value: object) -> float | None:
    """The number that a value is or spells, if it is a finite one."""
    return float(value) if _is_float(value) and math.isfinite(float(value)) else None


def _is_float(value: object) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
