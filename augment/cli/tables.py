"""Rows of csv, tsv, json, jsonl and parquet files, read as a stream."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple


Row = dict[str, Any]

# Numbers that are the same when read and written again, but for zeros at the end.
_NUMBERS = {int: re.compile(r"0|-?[1-9]\d{0,17}"), float: re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")}


class Survey(NamedTuple):
    """
    What only a look at the whole file tells.

    Attributes:
        num_rows (`int`): Number of rows.
        columns (`list[str]`): The columns that any row has.
        numbers (`dict[str, type]`): The columns of a file without types that hold numbers only: `int` or `float`.
    """

    num_rows: int
    columns: list[str]
    numbers: dict[str, type]


class Table:
    """
    The rows of a file, as dicts. Each iteration reads the file anew, and holds a few rows in memory at a time; only a
    list in a .json file is read as a whole. The cells of csv and tsv files are text, exactly as they stand there; in
    tsv files quotation marks are text too.

    Args:
        path (`str` or `PathLike`): A file that ends in .csv, .tsv, .json (a list of objects, or one a line), .jsonl
            or .parquet.
        text_columns (`Sequence[str]`): Columns in which every row has to have text.

    Raises:
        `ValueError`: if the file is not of these kinds, empty or damaged, or has not got the columns; an iteration
            also raises it, at the row that is at fault.
        `OSError`: if the file is not there.
    """

    def __init__(self, path: str | PathLike, text_columns: Sequence[str]):
        self.path = Path(path)
        self.text_columns = text_columns
        if self.path.suffix not in READERS:
            raise ValueError(f"{path} ends in {self.path.suffix!r}; expected one of {', '.join(READERS)}.")
        if not self.path.is_file():
            raise FileNotFoundError(f"{path} is {'no file' if self.path.exists() else 'not there'}.")
        columns = next((list(row) for row in self._rows()), None)
        if columns is None:
            raise ValueError(f"{path} has no rows.")
        for name in text_columns:
            if name not in columns:
                raise ValueError(f"{path} has no column {name!r}; its columns are {', '.join(map(repr, columns))}.")

    def __iter__(self) -> Iterator[Row]:
        for number, row in enumerate(self._rows()):
            for name in self.text_columns:
                if not _is_text(text := row.get(name)):
                    raise ValueError(
                        f"{self.path}, column {name!r}, row {number} (from 0) is {text!r:.60}; expected text."
                    )
            yield row

    def chunks(self, size: int) -> Iterator[list[Row]]:
        """The rows, so many at a time."""
        rows = iter(self)
        while chunk := list(islice(rows, size)):
            yield chunk

    def survey(self) -> Survey:
        """Reads the file to its end."""
        columns: dict[str, None] = {}
        kinds: dict[str, type] = {}
        num_rows = 0
        for row in self:
            num_rows += 1
            columns |= dict.fromkeys(row)
            if self.path.suffix in (".csv", ".tsv"):
                kinds = {name: _kind(cell, kinds.get(name, int)) for name, cell in row.items()}
        numbers = {name: kind for name, kind in kinds.items() if kind is not str and name not in self.text_columns}
        return Survey(num_rows, list(columns), numbers)

    @property
    def schema(self):
        """The `pyarrow.Schema` of a parquet file, `None` of others."""
        if self.path.suffix != ".parquet":
            return None
        from pyarrow import parquet

        with self._named():
            return parquet.read_schema(self.path).remove_metadata()

    def _rows(self) -> Iterator[Row]:
        with self._named():
            yield from READERS[self.path.suffix](self.path)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Has errors of reading name the file: those of JSON, Arrow, Unicode and parquet, which are of many kinds."""
        try:
            yield
        except (ValueError, OSError, csv.Error, NotImplementedError, RecursionError) as error:
            reason = str(error).strip() or type(error).__name__
            raise ValueError(f"{self.path} cannot be read: {reason.splitlines()[0]}") from error


def _csv_rows(path: Path, **form) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True, **form)
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise ValueError(f"two of its columns have the same name: {', '.join(map(repr, header))}")
        number = 0
        try:
            for number, cells in enumerate(filter(None, reader), 1):  # a blank line is no row
                if len(cells) != len(header):
                    raise ValueError(f"row {number - 1} (from 0) has {len(cells)} cells, the header {len(header)}")
                yield dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise ValueError(f"row {number} (from 0): {error}") from error


def _json_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        is_list = file.read(4096).lstrip().startswith("[")
        file.seek(0)
        for number, row in enumerate(json.load(file) if is_list else _json_lines(file)):
            if not isinstance(row, dict):
                raise ValueError(f"row {number} (from 0) is {row!r:.60}; expected an object with the columns as keys")
            yield row


def _json_lines(file) -> Iterator[Any]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number}, character {error.pos}: {error.msg}") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1000):
            yield from batch.to_pylist()


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".tsv": partial(_csv_rows, delimiter="\t", quoting=csv.QUOTE_NONE),
    ".json": _json_rows,
    ".jsonl": _json_rows,
    ".parquet": _parquet_rows,
}


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a character, which JSON can spell
        return False
    return True


def _kind(cell: str, kind: type) -> type:
    """The kind of a column's cells so far, which none but numbers leave a number."""
    while kind is not str and not _NUMBERS[kind].fullmatch(cell):
        kind = float if kind is int else str
    return kind
