"""Formats that a file made in parts may have: how a part is written, and how parts become the file."""

import csv
import json
import shutil
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .tables import Row


class JsonlWriter:
    """
    Writes an object a line.

    Args:
        columns (`Sequence[str]`): The columns of the file. A row may lack some.
        schema (`pyarrow.Schema`, *optional*): Types of columns, for the formats that have types.
    """

    def __init__(self, columns: Sequence[str], schema=None):
        self.columns = columns
        self.schema = schema

    def write(self, path: Path, rows: Sequence[Row], first: bool) -> None:
        """Writes a part; `first` is the one that the file begins with."""
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(row, ensure_ascii=False, default=str)}\n" for row in rows)

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Writes the file, one part after the other."""
        with path.open("wb") as file:
            for name in parts:
                with name.open("rb") as part:
                    shutil.copyfileobj(part, file)


class CsvWriter(JsonlWriter):
    """Writes comma-separated values under a header."""

    def write(self, path: Path, rows: Sequence[Row], first: bool) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\r\n")  # with "\n", a lone "\r" would stand unquoted
            if first:
                writer.writerow(self.columns)
            writer.writerows([_cell(row.get(name)) for name in self.columns] for row in rows)


class ParquetWriter(JsonlWriter):
    """Writes parquet. Columns that the schema does not name hold whole numbers; without it, the values tell."""

    def write(self, path: Path, rows: Sequence[Row], first: bool) -> None:
        import pyarrow
        from pyarrow import parquet

        schema = self.schema
        if schema is not None:
            added = [name for name in self.columns if name not in schema.names]
            schema = pyarrow.schema([*schema, *(pyarrow.field(name, pyarrow.int64()) for name in added)])
        with _one_type_a_column():
            values = {name: [row.get(name) for row in rows] for name in self.columns}
            parquet.write_table(pyarrow.table(values, schema=schema), path)

    def join(self, parts: Sequence[Path], path: Path) -> None:
        import pyarrow
        from pyarrow import parquet

        with _one_type_a_column():
            schemas = [parquet.read_schema(part) for part in parts]
            schema = pyarrow.unify_schemas(schemas, promote_options="permissive")
            with parquet.ParquetWriter(path, schema) as writer:
                for part in parts:
                    writer.write_table(parquet.read_table(part).cast(schema))


WRITERS: dict[str, type[JsonlWriter]] = {".csv": CsvWriter, ".jsonl": JsonlWriter, ".parquet": ParquetWriter}


@contextmanager
def _one_type_a_column():
    import pyarrow

    try:
        yield
    except pyarrow.ArrowException as error:
        message = str(error).splitlines()[0]
        raise ValueError(f"A parquet file cannot hold these values: {message}. A .jsonl file can.") from error


def _cell(value: Any) -> str:
    """A value as text: lists and objects as JSON, and nothing for `None`."""
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
