"""Checks of the user's files and their columns. Each fault is a `ValueError` that names the row or line."""

import csv
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from datasets import Dataset


logger = logging.getLogger(__name__)

_MAX_DEPTH = 100
_JSON_STRING, _BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"'), re.compile(rb"[\[\]{}]")
_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", dict: "an object"}


def check_encoding(file: str) -> None:
    """Checks that a file is in UTF-8. The reader of json would accept others, the reader of csv drop zero bytes."""
    path = Path(file)

    def conversion(encoding: str) -> str:
        return f"iconv -f {encoding} -t UTF-8 {path} > {path.with_stem(path.stem + '_utf8')}"

    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise ValueError(f"{file} is in UTF-16; convert it to UTF-8: {conversion('UTF-16')}")
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{file} is not text in UTF-8: line {number} has the byte 0x{line[error.start]:02x}. If it is "
                    f"text from a Western Windows, convert it: {conversion('WINDOWS-1252')}"
                ) from error
            if b"\0" in line:
                raise ValueError(f"{file} is not text: line {number} has a zero byte. Write the file again, in UTF-8.")


def check_header(file: str) -> None:
    """Checks that the columns of a csv are separated by commas; warns if two have the same name."""
    path = Path(file)
    header: list[str] = []
    with path.open(encoding="utf-8-sig", newline="") as lines, suppress(csv.Error):
        header = next(filter(None, csv.reader(lines)), [])
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            other = path.with_stem(path.stem + "_commas")
            script = f"pandas.read_csv('{path}', sep={separator!r}, dtype=str, keep_default_na=False)"
            raise ValueError(
                f"{file} has columns that are separated by {name}; expected commas. Convert it: "
                f"python -c \"import pandas; {script}.to_csv('{other}', index=False)\""
            )
    for column, count in Counter(header).items():
        if count > 1:
            logger.warning("%s has %d columns named %r; using the first.", file, count, column)


def check_nesting(file: str) -> None:
    """Checks that a json file is not nested so deeply that it crashes the reader and, with it, the process."""
    depth, one_per_line = 0, file.lower().endswith(".jsonl")
    with Path(file).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            depth = 0 if one_per_line else depth
            for bracket in _BRACKET.findall(_JSON_STRING.sub(b"", line)):
                depth = depth + 1 if bracket in b"[{" else max(0, depth - 1)
                if depth > _MAX_DEPTH:
                    raise ValueError(
                        f"{file}: line {number} nests lists or objects more than {_MAX_DEPTH} deep; expected texts "
                        "and labels."
                    )


def find_fault(file: str, label_column: str) -> str | None:
    """
    Why a csv or json file cannot be read, and in which row or line; `None` if nothing is found. Readers infer the type
    of a column from its first rows, and then fail on a label of another type.
    """
    kind, is_number = Path(file).suffix.lower(), False
    if kind == ".parquet":
        return None
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as lines:
            for row, values in enumerate(_csv_rows(lines) if kind == ".csv" else _json_rows(lines)):
                label, was_number = values.get(label_column), is_number
                is_number = finite_float(label) is not None
                if was_number and not is_number:
                    advice = ", but numbers before it. Correct or remove the row. To use classes, write all labels as "
                    advice += "strings in a json file."
                    return str(row_error(file, label_column, f"the label {label!r}", row, advice))
    except (ValueError, csv.Error, RecursionError) as error:
        advice = "Write one object on each line, or a list of objects."
        if kind == ".csv":
            advice = "Put cells that hold a comma, a quotation mark or a line break in double quotes."
        return f"{file} cannot be read: {str(error).splitlines()[0]}. {advice}"
    return None


def _csv_rows(lines: TextIO) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(1 << 30)
    reader = csv.reader(lines, strict=True)
    header, row = next(reader, []), -1
    try:
        for row, cells in enumerate(filter(None, reader)):
            if len(cells) != len(header):
                raise ValueError(f"row {row} (from 0) has {len(cells)} cells, the header {len(header)}")
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"row {row + 1} (from 0): {error}") from error


def _json_rows(lines: TextIO) -> Iterator[dict[str, Any]]:
    """The rows of a list of objects, or of one object on each line."""
    is_list = lines.read(4096).lstrip().startswith("[")
    lines.seek(0)
    number = 0
    try:
        for number, part in enumerate(json.load(lines) if is_list else lines, 1):
            if is_list or part.strip():
                values = part if is_list else json.loads(part)
                if not isinstance(values, dict):
                    place = f"row {number - 1} (from 0)" if is_list else f"line {number}"
                    raise ValueError(f"{place} is {values!r:.60}; expected an object with the columns as keys")
                yield values
    except json.JSONDecodeError as error:
        raise ValueError(str(error) if is_list else f"line {number}, character {error.pos}: {error.msg}") from error


def check_column(dataset: Dataset, column: str, where: str, option: str) -> None:
    """Checks that a dataset has a column; `option` names another one."""
    if column not in dataset.column_names:
        raise ValueError(
            f"{where} has no column {column!r}; its columns are {', '.join(map(repr, dataset.column_names))}. "
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
            f"{where}: column {column!r} holds {feature}; expected text. "
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


def check_class_names(labels: list[str | None], column: str, where: str) -> None:
    """
    Refuses labels that are strings because of a few typing errors in a column of numbers, which would make each number
    a class. Whole numbers are often classes, so that only a NaN among them is refused.
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
        kind, faulty = "numbers", {label for label in others if _as_float(label) is not None}
    row = next((row for row, label in enumerate(labels) if label in faulty), None)
    if row is not None:
        advice = "Correct or remove the row; if these are the names of classes, pass --no_do_regression."
        raise row_error(where, column, f"the label {labels[row]!r}", row, f", but most labels are {kind}. {advice}")


def finite_float(value: Any) -> float | None:
    """The finite number that a value is or spells; `None` if there is none."""
    number = _as_float(value)
    return number if number is not None and math.isfinite(number) else None


def _as_float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
