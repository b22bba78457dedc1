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

# Numbers whose text is the same after reading and writing, except for trailing zeros.
_NUMBERS = {int: re.compile(r"0|-?[1-9]\d{0,17}"), float: re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")}


class TableSummary(NamedTuple):
    """What only a scan of the whole file can find."""

    num_rows: int
    columns: list[str]  # all that occur in any row
    number_types: dict[str, type]  # `int` or `float`: the columns of a csv or tsv file that contain only numbers


class Table:
    """
    The rows of a file, as dicts. Each iteration reads the file again and keeps only a few rows in memory, except that
    a .json file that is one list is loaded whole. Cells of csv and tsv files are text, exactly as written. In tsv
    files, quotation marks are ordinary characters. The text columns must contain text in every row.

    Raises a `ValueError` if the format is not supported, the file is empty or damaged, or a column is missing;
    iterating raises it at the faulty row.
    """

    def __init__(self, path: str | PathLike, text_columns: Sequence[str]):
        self.path = Path(path)
        self.text_columns = text_columns
        if self.path.suffix not in READERS:
            raise ValueError(f"{path} ends in {self.path.suffix!r}; expected one of {', '.join(READERS)}.")
        if not self.path.is_file():
            raise FileNotFoundError(f"{path} {'is not a file' if self.path.exists() else 'does not exist'}.")
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
        """Lists of `size` rows; the last one may be shorter."""
        rows = iter(self)
        while chunk := list(islice(rows, size)):
            yield chunk

    def summary(self) -> TableSummary:
        """Reads the whole file."""
        columns: dict[str, None] = {}
        types: dict[str, type] = {}
        num_rows = 0
        for row in self:
            num_rows += 1
            columns |= dict.fromkeys(row)
            if self.path.suffix in (".csv", ".tsv"):
                types = {name: _cell_type(cell, types.get(name, int)) for name, cell in row.items()}
        numbers = {name: kind for name, kind in types.items() if kind is not str and name not in self.text_columns}
        return TableSummary(num_rows, list(columns), numbers)

    @property
    def schema(self):
        """The `pyarrow.Schema` of a parquet file, `None` for other formats."""
        if self.path.suffix != ".parquet":
            return None
        from pyarrow import parquet

        with self._errors_name_the_file():
            return parquet.read_schema(self.path).remove_metadata()

    def _rows(self) -> Iterator[Row]:
        with self._errors_name_the_file():
            yield from READERS[self.path.suffix](self.path)

    @contextmanager
    def _errors_name_the_file(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, OSError, csv.Error, NotImplementedError, RecursionError) as error:
            reason = str(error).strip() or type(error).__name__
            raise ValueError(f"{self.path} cannot be read: {reason.splitlines()[0]}") from error


def _csv_rows(path: Path, **dialect) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True, **dialect)
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise ValueError(f"two of its columns have the same name: {', '.join(map(repr, header))}")
        number = 0
        try:
            for number, cells in enumerate(filter(None, reader), 1):  # without blank lines
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
    """Whether a value is text that UTF-8 can encode; JSON can contain half of a surrogate pair."""
    return isinstance(value, str) and value == value.encode(errors="ignore").decode()


def _cell_type(cell: str, column_type: type) -> type:
    """The type of a column so far, after one more cell: `int`, else `float`, else `str`."""
    while column_type is not str and not _NUMBERS[column_type].fullmatch(cell):
        column_type = float if column_type is int else str
    return column_type
