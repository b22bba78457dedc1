"""Rows of csv, tsv, json, jsonl and parquet files, read as a stream, with values exactly as the file has them."""

import csv
import json
import re
import shutil
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from itertools import islice
from os import PathLike
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TextIO

from .parquet_rows import parquet_rows
from .running import shown
from .storage import file_type, first_line, for_arrow, is_on_disk, location, store_errors


Row = dict[str, Any]

_MAX_DEPTH = 100
_JSON_STRING, _BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"'), re.compile(rb"[\[\]{}]")
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_CSV_ADVICE = "Put cells that hold a comma, a quotation mark or a line break in double quotes."
_ESCAPE_ADVICE = 'Inside a cell in double quotes, write a quotation mark as "", not as \\".'
_JSON_ADVICE = "Write one object on each line, or a list of objects."


class Table:
    """
    The rows of a file, as dicts. Each iteration reads the file again and keeps only a few rows in memory, except that
    a json file is loaded whole if it is one list, or if its objects take several lines. Cells of csv and tsv files are
    text, exactly as written. In tsv files, quotation marks are ordinary characters. The text columns must contain text
    in every row. The path may be the URL of a file in a store.

    Raises a `ValueError` if the format is not supported, the file is empty, damaged or not in UTF-8, or a column is
    missing; iterating raises it at the faulty row.
    """

    def __init__(self, path: str | PathLike, text_columns: Sequence[str] = ()):
        self.path = location(path)
        self.text_columns = text_columns
        self.suffix = self.path.suffix.lower()
        if self.suffix not in READERS:
            raise ValueError(f"{path} ends in {self.path.suffix!r}; expected one of {', '.join(READERS)}.")
        if (kind := file_type(self.path)) != "file":
            raise FileNotFoundError(f"{path} {'does not exist' if kind is None else 'is not a file'}.")
        # The checks read a text file whole, and commands read any file several times, so that a file in a store is
        # copied once. Parquet is copied at the first whole reading only: its first rows are read without the rest.
        self._file = self.path
        if self.suffix != ".parquet":
            _check_encoding(self._copied(), self.path)
        if self.suffix in (".json", ".jsonl"):
            _check_nesting(self._file, self.path)
        first_rows = list(islice(self._rows(), 2))
        if not first_rows:
            raise ValueError(f"{path} has no rows; expected at least one example.")
        if len(first_rows) == 1 and self.suffix in (".json", ".jsonl"):
            _check_shape(self.path, first_rows[0])
        for name in text_columns:
            if name not in first_rows[0]:
                columns = shown(map(repr, first_rows[0]))
                raise ValueError(f"{path} has no column {name!r}; its columns are {columns}. Name one with --column.")

    def __iter__(self) -> Iterator[Row]:
        for number, row in enumerate(self._rows()):
            for name in self.text_columns:
                text = row.get(name)
                if not isinstance(text, str) or not is_encodable(text):
                    raise ValueError(
                        f"{self.path}, column {name!r}, row {number} (from 0) is {text!r:.60}; expected text."
                    )
            yield row

    def chunks(self, size: int) -> Iterator[list[Row]]:
        """Lists of `size` rows; the last one may be shorter."""
        rows = iter(self)
        while chunk := list(islice(rows, size)):
            yield chunk

    def scan(self) -> tuple[int, list[str]]:
        """Reads the whole file. Returns the number of rows, and the columns that occur in any of them."""
        self._copied()
        columns: dict[str, None] = {}
        num_rows = 0
        for row in self:
            num_rows += 1
            columns |= dict.fromkeys(row)
        return num_rows, list(columns)

    def digest(self) -> str:
        """A hash of the bytes of the file."""
        digest = sha256()
        with self._copied().open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    @property
    def schema(self):
        """
        The `pyarrow.Schema` of a parquet file, `None` for other formats. Of its metadata it has the feature types of
        `datasets`; what pandas notes, such as the number of rows, would be wrong for a file with other rows.
        """
        if self.suffix != ".parquet":
            return None
        from pyarrow import parquet

        with self._errors_name_the_file(), for_arrow(self._file) as source:
            schema = parquet.read_schema(source)
        features = (schema.metadata or {}).get(b"huggingface")
        return schema.with_metadata(None if features is None else {b"huggingface": features})

    def _rows(self) -> Iterator[Row]:
        with self._errors_name_the_file():
            yield from READERS[self.suffix](self._file, self.path)

    def _copied(self) -> Path:
        """The file, or a copy of a file in a store that lives as long as this object."""
        remote: Any = self._file
        if not is_on_disk(remote):
            folder = mkdtemp()
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            copy = Path(folder, f"rows{self.suffix}")
            with store_errors(self.path, "read"):
                remote.fs.get_file(remote.path, str(copy))
            self._file = copy
        return self._file

    @contextmanager
    def _errors_name_the_file(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the clients of stores raise classes of their own
            raise ValueError(f"{self.path} cannot be read: {first_line(error)}") from error


def _check_encoding(file: Path, path: Path) -> None:
    """Checks that a file is text in UTF-8. Errors name `path`, of which the file may be a copy."""

    def conversion(encoding: str) -> str:
        source = path if is_on_disk(path) else Path(path.name)  # in a folder of the user's
        return f"iconv -f {encoding} -t UTF-8 {source} > {source.with_stem(source.stem + '_utf8')}"

    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise ValueError(f"{path} is in UTF-16; convert it to UTF-8: {conversion('UTF-16')}")
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path} is not text in UTF-8: line {number} has the byte 0x{line[error.start]:02x}. If it is "
                    f"text from a Western Windows, convert it: {conversion('WINDOWS-1252')}"
                ) from error
            if b"\0" in line:
                raise ValueError(f"{path} is not text: line {number} has a zero byte. Write the file again, in UTF-8.")


def _check_nesting(file: Path, path: Path) -> None:
    """Checks that a json file is not nested so deeply that it crashes readers."""
    depth, one_per_line = 0, path.suffix.lower() == ".jsonl"
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            depth = 0 if one_per_line else depth
            for bracket in _BRACKET.findall(_JSON_STRING.sub(b"", line)):
                depth = depth + 1 if bracket in b"[{" else max(0, depth - 1)
                if depth > _MAX_DEPTH:
                    raise ValueError(
                        f"{path}: line {number} nests lists or objects more than {_MAX_DEPTH} deep; expected texts "
                        "and labels."
                    )


def _check_shape(path: Path, row: Row) -> None:
    """Checks that the only object of a json file is a row, rather than an object that holds columns or rows."""
    is_text = any(isinstance(value, str) for value in row.values())
    if not is_text and any(isinstance(value, dict | list) for value in row.values()):
        raise ValueError(
            f"{path} is one object with the keys {shown(map(repr, row))}; expected a list of objects, or one object "
            "on each line, with the columns as keys. pandas writes them with to_json(file, orient='records')."
        )


def _csv_rows(file: Path, path: Path, separator: str, **dialect) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True, delimiter=separator, **dialect)
        rows = filter(None, reader)  # without blank lines
        number = -1
        try:
            header = next(rows, [])
            if header and header[0] == "sep=":  # Excel's note of the separator
                header = next(rows, [])
            _check_header(path, header, separator)
            header = [name or f"Unnamed: {i}" for i, name in enumerate(header)]  # as pandas names them
            for number, cells in enumerate(rows):
                if len(cells) != len(header):
                    raise ValueError(
                        f"row {number} (from 0) has {len(cells)} cells, the header {len(header)}. {_CSV_ADVICE}"
                    )
                yield dict(zip(header, cells, strict=True))
        except csv.Error as error:
            advice = _ESCAPE_ADVICE if _has_backslash_quotes(file) else _CSV_ADVICE
            raise ValueError(f"row {number + 1} (from 0): {error}. {advice}") from error


def _check_header(path: Path, header: list[str], separator: str) -> None:
    """Checks that the file has the expected separator, and no name twice."""
    for other, name in _SEPARATORS.items():
        if len(header) == 1 and other in header[0]:
            source = f"pandas.read_csv('{path}', sep={other!r}, dtype=str, keep_default_na=False)"
            target = path.with_stem(path.stem + "_commas").with_suffix(".csv")
            raise ValueError(
                f"it has columns that are separated by {name}; expected {_SEPARATORS.get(separator, 'commas')}. "
                f"Convert it: python -c \"import pandas; {source}.to_csv('{target}', index=False)\""
            )
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise ValueError(f"two of its columns have the same name: {shown(map(repr, twice))}. Rename or remove one.")


def _has_backslash_quotes(path: Path) -> bool:
    with path.open(encoding="utf-8-sig") as file:
        return any('\\"' in line for line in file)


def _json_rows(path: Path, _: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "")
        file.seek(0)
        place = "row {} (from 0)"
        rows: Iterator[tuple[int, Any]]
        if first.lstrip().startswith("["):
            rows = enumerate(json.load(file, object_pairs_hook=_row))
        elif _is_value(first):
            rows, place = _json_lines(file), "line {}"
        else:
            rows = enumerate(_json_values(file.read()))
        for number, row in rows:
            if not isinstance(row, dict):
                raise ValueError(
                    f"{place.format(number)} is {row!r:.60}; expected an object with the columns as keys. "
                    f"{_JSON_ADVICE}"
                )
            yield row


def _row(pairs: list[tuple[str, Any]]) -> Row:
    """An object of a json file. The json module would take the last of two values of a key."""
    row = dict(pairs)
    if len(row) < len(pairs):
        key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"an object has the key {key!r:.60} twice: {row!r:.60}. Rename or remove one.")
    return row


def _is_value(line: str) -> bool:
    """Whether a line is a json value, rather than the beginning of one that takes several lines."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos < len(line.rstrip())  # not cut off, but wrong
    return True


def _json_lines(file: TextIO) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield number, json.loads(line, object_pairs_hook=_row)
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number}, character {error.pos}: {error.msg}. {_JSON_ADVICE}") from error


def _json_values(text: str) -> Iterator[Any]:
    """The values of a text that holds one after the other."""
    decoder, end = json.JSONDecoder(object_pairs_hook=_row), 0
    while end < len(text):
        if text[end].isspace():
            end += 1
        else:
            value, end = decoder.raw_decode(text, end)
            yield value


# Each gets the file to read, and the path that errors name, of which it may be a copy.
READERS: dict[str, Callable[[Path, Path], Iterator[Row]]] = {
    ".csv": partial(_csv_rows, separator=","),
    ".tsv": partial(_csv_rows, separator="\t", quoting=csv.QUOTE_NONE),
    ".json": _json_rows,
    ".jsonl": _json_rows,
    ".parquet": lambda path, _: parquet_rows(path),
}


def is_encodable(value: Any) -> bool:
    """Whether UTF-8 can encode a JSON value; it can contain half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
