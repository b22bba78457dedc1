"""The input of a folder of parts: one or more files, whose rows are numbered through and read from any number on."""

import io
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from ..core.lazy import Lazy
from ..core.parquet_rows import parquet_errors, parquet_rows, table_of
from ..core.running import shown
from ..core.storage import file_type, first_line, location, open_for_ranges
from ..core.tables import READERS, Row, Table, is_encodable


_WILDCARD = re.compile(r"[*?\[]")
_READERS = 16  # parquet files whose footers are read at once
_BATCH = 1000  # rows of a json file whose types are found at once


@dataclass(frozen=True)
class SourceFile:
    """A file of the input: where it is, its number of rows, and what shows that it has changed."""

    path: Path
    rows: int
    size: int
    digest: str

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": self.path.name, "rows": self.rows, "size": self.size, "digest": self.digest}


class Source(Lazy):
    """
    The rows of files of one format, sorted by name and numbered through all files.

    Of parquet files, only footers are read in the beginning, and later the row groups of the rows that are asked for.
    Other files are read whole in the beginning, and again for their rows, once if these are asked for in their order.

    Args:
        name (`str`): A file, a folder, or a pattern such as `data/*.parquet`; on disk or a URL.
        text_columns (`Sequence[str]`): The columns that must contain text in every row.

    Attributes:
        files (`list[SourceFile]`): The files.
        schema (`pyarrow.Schema`): Types of the columns.

    Raises:
        `ValueError`: if the files are of several formats, damaged or empty, their columns differ, or one is missing.
        `FileNotFoundError`: if there is no file.
    """

    def __init__(self, name: str, text_columns: Sequence[str]):
        self.name = name
        self.text_columns = tuple(text_columns)
        paths = _paths(name)
        self.suffix = paths[0].suffix.lower()
        self.files: list[SourceFile] = []
        self.schema: Any = None
        with ThreadPoolExecutor(_READERS) as pool:
            found = pool.map(self._parquet_file, paths) if self.suffix == ".parquet" else map(self._text_file, paths)
            for file, schema in found:
                self._add_schema(file.path, schema)
                self.files.append(file)
        if not self.num_rows:
            raise ValueError(f"{name} has no rows; expected at least one example.")

    @property
    def columns(self) -> list[str]:
        return self.schema.names

    @cached_property
    def num_rows(self) -> int:
        return sum(file.rows for file in self.files)

    def rows(self, first: int, stop: int) -> Iterator[Row]:
        """The rows from number `first` to `stop - 1`."""
        number = first
        while number < stop:
            index = bisect_right(self._starts, number) - 1
            file, start = self.files[index], self._starts[index]
            rows = self._rows_from(file, number - start)
            for row in islice(rows, min(stop - start, file.rows) - (number - start)):
                self._check_texts(file.path, row, number - start)
                number += 1
                yield row
            if number < min(stop, start + file.rows):
                raise ValueError(f"{file.path} has changed: it has only {number - start} rows now, not {file.rows}.")
            self._cursor.update(file=file, number=number - start, rows=rows)

    @cached_property
    def _starts(self) -> list[int]:
        """The number of the first row of each file."""
        return [0, *accumulate(file.rows for file in self.files)][:-1]

    @cached_property
    def _cursor(self) -> dict[str, Any]:
        """
        The file that was read last, the number of its next row, and the iterator of the rows. There is no file while
        rows are read, and thus after an error.
        """
        return {"file": None, "number": 0, "rows": iter(())}

    def _rows_from(self, file: SourceFile, number: int) -> Iterator[Row]:
        """The rows of a file from a number on. A file that is being read is read on, and not again."""
        last, ahead, rows = self._cursor["file"], number - self._cursor["number"], self._cursor["rows"]
        self._cursor.update(file=None, rows=iter(()))
        if last is not file or ahead < 0 or (ahead and self.suffix == ".parquet"):
            self._check_size(file)
            if self.suffix == ".parquet":
                rows, ahead = _parquet_rows(file.path, number), 0
            else:
                rows, ahead = iter(Table(file.path)), number
        for _ in islice(rows, ahead):
            pass
        return rows

    def _check_size(self, file: SourceFile) -> None:
        with _errors_name(file.path):
            size = file.path.stat().st_size
        if size != file.size:
            raise ValueError(f"{file.path} has changed: it has {size} bytes now, not {file.size}.")

    def _check_texts(self, path: Path, row: Row, number: int) -> None:
        for name in self.text_columns:
            text = row.get(name)
            if not isinstance(text, str) or not is_encodable(text):
                raise ValueError(f"{path}, column {name!r}, row {number} (from 0) is {text!r:.60}; expected text.")

    def _text_file(self, path: Path) -> tuple[SourceFile, Any]:
        import pyarrow
        from pyarrow import parquet

        table = Table(path, self.text_columns)
        num_rows, columns = table.scan()
        if self.suffix in (".csv", ".tsv"):
            schema = pyarrow.schema([(name, pyarrow.string()) for name in columns])
        else:  # the types of all values; a part may have none, or only some of them
            with parquet_errors():
                schemas = [table_of(rows, columns, None).schema for rows in table.chunks(_BATCH)]
                schema = pyarrow.unify_schemas(schemas, promote_options="permissive")
                parquet.ParquetWriter(io.BytesIO(), schema).close()  # raises an error for types that parquet lacks
        return SourceFile(path, num_rows, path.stat().st_size, table.digest()), schema

    def _parquet_file(self, path: Path) -> tuple[SourceFile, Any]:
        from pyarrow import parquet

        with _errors_name(path), open_for_ranges(path) as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(size - 8, 0))
            footer_size = int.from_bytes(file.read(4), "little")
            file.seek(max(size - 8 - footer_size, 0))
            digest = sha256(file.read(footer_size)).hexdigest()
            file.seek(0)
            opened = parquet.ParquetFile(file)
            metadata, schema = opened.metadata, opened.schema_arrow
        self._check_text_columns(path, schema)
        features = (schema.metadata or {}).get(b"huggingface")
        schema = schema.with_metadata(None if features is None else {b"huggingface": features})
        return SourceFile(path, metadata.num_rows, size, digest), schema

    def _check_text_columns(self, path: Path, schema) -> None:
        from pyarrow import types

        for name in self.text_columns:
            if name not in schema.names:
                columns = shown(map(repr, schema.names))
                raise ValueError(f"{path} has no column {name!r}; its columns are {columns}. Name one with --column.")
            kind = schema.field(name).type
            kind = kind.value_type if types.is_dictionary(kind) else kind
            if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
                raise ValueError(f"{path}, column {name!r} is of type {kind}; expected text.")

    def _add_schema(self, path: Path, schema) -> None:
        """Checks the columns of a file against those of the files before it."""
        import pyarrow

        if self.schema is None:
            self.schema = schema
        elif self.suffix in (".json", ".jsonl"):  # whose rows may lack columns
            with parquet_errors():
                self.schema = pyarrow.unify_schemas([self.schema, schema], promote_options="permissive")
        elif not schema.equals(self.schema):
            found, expected = (
                [f"{field.name!r} ({field.type})" for field in fields if field not in list(others)]
                for fields, others in ((schema, self.schema), (self.schema, schema))
            )
            raise ValueError(
                f"{path} has other columns than {self.files[0].path}: {shown(found) or 'fewer'}, where that file has "
                f"{shown(expected) or 'fewer, or another order'}; expected the same columns in all files."
            )


def _paths(name: str) -> list[Path]:
    """The files of a name, sorted: all of one format."""
    path = location(name)
    kind = file_type(path)
    if kind is None and _WILDCARD.search(name):
        start = _WILDCARD.split(name)[0]
        base = start[: start.rfind("/") + 1]
        paths = list(location(base or ".").glob(name[len(base) :]))
        if not paths:
            raise FileNotFoundError(f"No file fits {name}.")
    elif kind == "directory":
        paths = [file for file in path.iterdir() if file.suffix.lower() in READERS and file.name[0] not in "._"]
        if not paths:
            raise FileNotFoundError(f"The folder {name} has no file of rows; expected some of {', '.join(READERS)}.")
    elif kind == "file":
        paths = [path]
    else:
        raise FileNotFoundError(f"{name} does not exist.")
    suffixes = sorted({found.suffix.lower() for found in paths})
    if unknown := [suffix for suffix in suffixes if suffix not in READERS]:
        raise ValueError(f"{name} ends in {unknown[0]!r}; expected one of {', '.join(READERS)}.")
    if len(suffixes) > 1:
        raise ValueError(
            f"{name} has files of several formats, {', '.join(suffixes)}; name those of one, such as "
            f"{path if kind == 'directory' else path.parent}/*{suffixes[-1]}"
        )
    return sorted(paths, key=lambda path: path.parts)  # paths of a store would be sorted as strings, "a-b" before "a/"


def _parquet_rows(path: Path, number: int) -> Iterator[Row]:
    with _errors_name(path):
        yield from parquet_rows(path, number)


@contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # the clients of stores raise classes of their own
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
