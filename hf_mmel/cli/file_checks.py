"""Checks of the columns of the data. Each fault is a `ValueError` that names the row."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from datasets import Dataset

from augment.core.running import shown


_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", dict: "an object"}
# Numbers as people write them: 2, 0.5, 1,5, 2.5%, 3.5/5.
_NUMBER = re.compile(r"\s*[+-]?(\d+|\d*[.,]\d+)(e[+-]?\d+)?\s*%?\s*(/\s*\d+)?\s*", re.IGNORECASE)


def check_column(dataset: Dataset, column: str, where: str, option: str) -> None:
    """Checks that a dataset has a column; `option` names another one."""
    if column not in dataset.column_names:
        raise ValueError(
            f"{where} has no column {column!r}; its columns are {shown(map(repr, dataset.column_names))}. "
            f"Name the right one with {option}."
        )


def row_error(where: str, column: str, what: str, row: int, advice: str) -> ValueError:
    return ValueError(f"{where}: column {column!r} has {what} in row {row} (the first is 0){advice}")


def check_texts(dataset: Dataset, column: str, where: str) -> None:
    """Checks that each row of a column has a string, which may be empty."""
    feature = dataset.features[column]
    if getattr(feature, "dtype", None) not in ("string", "large_string", "null"):  # "null": no row has a value
        check_one_type(dataset[column], column, where)
        raise ValueError(
            f"{where}: column {column!r} holds {feature!s:.80}; expected text. "
            "Name the text with --text_column_names, or write it as strings in a json file."
        )
    texts = dataset.select_columns(column).with_format("arrow")[:].column(0)  # makes no string of each text
    if texts.null_count:
        row = texts.is_null().index(True).as_py()
        raise row_error(where, column, "no text", row, "; write an empty string, or remove the row.")


def check_present(values: Iterable[Any], column: str, where: str) -> None:
    """Checks that each row has a label."""
    for row, value in enumerate(values):
        if any(part is None or part == "" for part in (value if isinstance(value, list) else [value])):
            what = "a list with an empty label" if isinstance(value, list) else "no label"
            advice = "; training and evaluation need one in every row. Fill it in, or remove the row."
            raise row_error(where, column, what, row, advice)


def check_one_type(values: Iterable[Any], column: str, where: str) -> None:
    """Checks that the values of all rows are of one kind, such as strings."""
    kinds = ((row, value, kind) for row, value in enumerate(values) if (kind := _kind(value)) is not None)
    first_row, _, first_kind = next(kinds, (0, None, None))
    for row, value, kind in kinds:
        if kind != first_kind:
            raise ValueError(
                f"{where}: column {column!r} holds {value!r:.60} in row {row} (the first is 0), which is {kind}, but "
                f"{first_kind} in row {first_row}; write all of them in the same way."
            )


def _kind(value: Any) -> str | None:
    """The kind of a json value, with the kinds of the values of a list; `None` for missing or empty values."""
    if not isinstance(value, list):
        return _KINDS.get(type(value))
    kinds = {kind for part in value if (kind := "a list" if isinstance(part, list) else _kind(part)) is not None}
    return f"a list with {' and '.join(sorted(kinds))}" if kinds else None


def check_class_names(labels: list[str | None], known: Collection[str], column: str, where: str) -> None:
    """
    Refuses texts that would make each number a class: a column of decimals, which text alone does not make a
    regression, and a few typing errors in a column of numbers. Whole numbers are often classes, so that only a NaN
    among them is refused. Labels that are `known` as classes are not looked at.
    """
    counts = Counter(label for label in labels if label and label not in known)
    fractions = [label for label in counts if _is_fraction(label)]
    numbers = {label for label in counts if finite_float(label) is not None or _NUMBER.fullmatch(label)}
    spelled = numbers | {label for label in counts if fractions and _as_float(label) is not None}  # with inf and nan
    others = counts.keys() - numbers
    if not counts or 2 * sum(counts[label] for label in spelled) <= counts.total():
        return
    if fractions:
        kind, faulty = f"numbers with a fraction, such as {fractions[0]!r:.60}", others
    else:
        kind, faulty = "numbers", {label for label in others if _as_float(label) is not None}
    row = next((row for row, label in enumerate(labels) if label in faulty), None)
    if row is not None:
        advice = "Correct or remove the row; if these are the names of classes, pass --no_do_regression."
        raise row_error(
            where, column, f"the label {labels[row]!r:.60}", row, f", but most labels are {kind}. {advice}"
        )
    if fractions:
        unreadable = next((label for label in fractions if finite_float(label) is None), None)
        write = "" if unreadable is None else f", and write {unreadable!r:.60} and its like as plain numbers"
        raise ValueError(
            f"{where}: column {column!r} holds {kind}, but as text, which could be numbers or classes. Pass "
            f"--do_regression to train on numbers{write}; pass --no_do_regression if each is a class."
        )


def _is_fraction(label: str) -> bool:
    number, written = finite_float(label), _NUMBER.fullmatch(label)
    return bool(written and set(".,") & set(written[1])) or (number is not None and not number.is_integer())


def read_weights(dataset: Dataset, column: str, label_columns: Collection[str], where: str) -> list[float]:
    """The weights of the examples, as numbers. Checks that each row has a finite one that is at least 0."""
    check_column(dataset, column, where, "--weight_column")
    if column in label_columns:
        raise ValueError(f"weight_column is {column!r}, which is a column of the labels; name the one of the weights.")
    weights = []
    for row, value in enumerate(dataset[column]):
        weight = None if isinstance(value, bool) else finite_float(value)
        if weight is None or weight < 0:
            found = "no weight" if value in (None, "") else f"the weight {value!r:.60}"
            advice = (
                "; expected a finite number >= 0. Correct it, or remove the row; a weight of 0 ignores an example."
            )
            raise row_error(where, column, found, row, advice)
        weights.append(weight)
    return weights


def finite_float(value: Any) -> float | None:
    """The finite number that a value is or spells; `None` if there is none."""
    number = _as_float(value)
    return number if number is not None and math.isfinite(number) else None


def _as_float(value: Any) -> float | None:
    if isinstance(value, str) and "_" in value:  # Python reads 1_0 as 10
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
