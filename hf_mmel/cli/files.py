"""What is wrong with a file of the user's own: faults that readers do not see, or do not name by their line."""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

from augment.cli import tables

from .checks import finite_float


logger = logging.getLogger(__name__)

_MAX_DEPTH = 100
_JSON_STRING, _BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"'), re.compile(rb"[\[\]{}]")
INDEX = "__index_level_0__"  # what becomes of the first column where rows of a csv have one more than the header


def check_encoding(file: str) -> None:
    """
    Raises a `ValueError` that names the line if a file is not in UTF-8. The reader of json would take it.
    """
    path = Path(file)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise ValueError(f"{file} is in UTF-16; convert it to UTF-8: {_converted('UTF-16', path)}")
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{file} is not text in UTF-8: line {number} has the byte 0x{line[error.start]:02x}. If it is "
                    f"text from a Western Windows, convert it: {_converted('WINDOWS-1252', path)}"
                ) from error
            if b"\0" in line:  # the reader of csv would leave it out
                raise ValueError(f"{file} is not text: line {number} has a zero byte. Write it anew, in UTF-8.")


def _converted(encoding: str, path: Path) -> str:
    return f"iconv -f {encoding} -t UTF-8 {path} > {path.with_stem(path.stem + '_utf8')}"


def check_header(file: str) -> None:
    """
    Raises a `ValueError` if the columns of a csv are separated by other than commas; warns of two of the same name.
    """
    path = Path(file)
    header: list[str] = []
    with path.open(encoding="utf-8-sig", newline="") as lines, suppress(csv.Error):
        header = next(filter(None, csv.reader(lines)), [])
    if len(header) == 1:
        for separator, name in ((";", "semicolons"), ("\t", "tabs")):
            if separator in header[0]:
                other = path.with_stem(path.stem + "_commas")
                script = f"pandas.read_csv('{path}', sep={separator!r}, dtype=str, keep_default_na=False)"
                raise ValueError(
                    f"{file} has columns that are separated by {name}; expected commas. Convert it: "
                    f"python -c \"import pandas; {script}.to_csv('{other}', index=False)\""
                )
    for column, count in Counter(header).items():
        if count > 1:
            logger.warning("%s has %d columns of the name %r; taking the first.", file, count, column)


def check_nesting(file: str) -> None:
    """
    Raises a `ValueError` that names the line if a json file has lists or objects within each other so deeply that
    readers end over it, one of them the whole process.
    """
    depth, of_lines = 0, file.lower().endswith(".jsonl")
    with Path(file).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if of_lines and line.count(b"[") + line.count(b"{") <= _MAX_DEPTH:  # no need to look more closely
                continue
            bare = _JSON_STRING.sub(b"", line)
            num_opening, num_closing = (sum(map(bare.count, brackets)) for brackets in ((b"[", b"{"), (b"]", b"}")))
            if depth + num_opening <= _MAX_DEPTH:
                depth = max(0, depth + num_opening - num_closing)
                continue
            for bracket in _BRACKET.findall(bare):
                depth = depth + 1 if bracket in b"[{" else max(0, depth - 1)
                if depth > _MAX_DEPTH:
                    raise ValueError(
                        f"{file}: line {number} has lists or objects within each other, more than {_MAX_DEPTH} deep; "
                        "expected texts and labels."
                    )


def find_fault(file: str, label_column: str) -> str | None:
    """
    What is wrong with a csv or json file that cannot be read, and in which row; `None` where nothing is found.

    Readers take the types of columns from the first rows, and then fail on a label of another type.
    """
    kind, is_number = Path(file).suffix.lower(), False
    if kind == ".parquet":
        return None
    try:
        for row, cells in enumerate(tables.READERS[kind](Path(file))):
            label, was_number = cells.get(label_column), is_number
            is_number = finite_float(label) is not None
            if was_number and not is_number:
                return (
                    f"{file}: column {label_column!r} has the label {label!r} in row {row} (the first is 0), and "
                    "numbers before. Correct or remove the row; classes can be given in a json file, all as strings."
                )
    except (ValueError, csv.Error, RecursionError) as error:
        advice = "Write one object on each line, or a list of objects."
        if kind == ".csv":
            advice = "Put cells that hold a comma, a quotation mark or a line break in double quotes."
        return f"{file} cannot be read: {str(error).splitlines()[0]}. {advice}"
    return None
