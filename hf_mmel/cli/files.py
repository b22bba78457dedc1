"""A file of the user's as a `Dataset`: text stays text, and numbers are those of the file's own types."""

import glob
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
from datasets import Dataset, Features, Json, Value, load_dataset

from augment.core import tables
from augment.core.tables import Table


_CHUNK = 10_000  # rows whose types are inferred at once


def load_file(file: str, cache_dir: str | None) -> Dataset:
    """
    Loads the rows of a file. Columns of csv and tsv files are text. In json files, strings, numbers and booleans are
    what they are in the file, and a column with values of several types is of the type `Json`. Parquet files have
    types of their own, with those that `datasets` writes into them.

    Raises a `ValueError` that names the file, and the line or row, if it cannot be read.
    """
    if Path(file).suffix.lower() == ".parquet":
        pattern = glob.escape(str(Path(file).absolute()))  # `datasets` reads a name, and its folder's, as a pattern
        return load_dataset("parquet", data_files=pattern, split="train", cache_dir=cache_dir)
    table = Table(file)
    features = _features(table)
    # `datasets` caches the rows under a hash of these arguments: all that the rows depend on. A list would be shards.
    arguments: dict[str, Any] = {"file": str(Path(file).absolute()), "columns": tuple(features)}
    arguments |= {"content": table.digest(), "reader": inspect.getsource(tables)}
    return Dataset.from_generator(_rows, features=features, cache_dir=cache_dir, gen_kwargs=arguments)


def _rows(file: str, columns: tuple[str, ...], **_: Any) -> Iterator[dict[str, Any]]:
    for row in Table(file):
        yield {name: row.get(name) for name in columns}


def _features(table: Table) -> Features:
    """The types of the columns, from all rows. Reads the whole file, and so finds faults before any work."""
    if table.suffix in (".csv", ".tsv"):
        return Features({name: Value("string") for name in table.scan()[1]})
    types: dict[str, list[pyarrow.DataType | None]] = {}
    for number, rows in enumerate(table.chunks(_CHUNK)):
        for name in dict.fromkeys(name for row in rows for name in row):
            try:
                kind = pyarrow.array([row.get(name) for row in rows]).type
            except UnicodeEncodeError as error:
                row = next(i for i, row in enumerate(rows) if not tables.is_encodable(row.get(name)))
                raise ValueError(
                    f"{table.path}: column {name!r} has half of a surrogate pair in row {number * _CHUNK + row} (the "
                    "first is 0), which is not text. Correct or remove the row."
                ) from error
            except (pyarrow.ArrowException, OverflowError):
                kind = None
            types.setdefault(name, []).append(kind)
    return Features({name: _common_type(kinds) for name, kinds in types.items()})


def _common_type(kinds: list[pyarrow.DataType | None]) -> Any:
    """The feature type of a column, from the types of its chunks; `None` is a chunk that has several types."""
    try:
        columns = [pyarrow.schema({"": kind}) for kind in kinds]
        return Features.from_arrow_schema(pyarrow.unify_schemas(columns, promote_options="permissive"))[""]
    except (pyarrow.ArrowException, TypeError, ValueError):
        return Json()
