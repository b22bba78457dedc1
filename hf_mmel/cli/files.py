"""A file of the user's as a `Dataset`: text stays text, and numbers are those of the file's own types."""

import glob
import inspect
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow
from datasets import Dataset, Features, Json, NamedSplit, load_dataset

from augment.core import tables as tables_module
from augment.core.running import shown
from augment.core.storage import location
from augment.core.tables import Row, Table, is_encodable


_CHUNK = 10_000  # rows whose types are inferred at once
_TEXT_FORMATS = (".csv", ".tsv")  # of cells without types


def load_file(file: str, cache_dir: str | None) -> Dataset:
    """
    Loads the rows of a file, which may be the URL of one in a store. Columns of csv and tsv files are text. In json
    files, strings, numbers and booleans are what they are in the file, and a column with values of several types is of
    the type `Json`. Parquet files have types of their own, with those that `datasets` writes into them.

    Raises a `ValueError` that names the file, and the line or row, if it cannot be read.
    """
    path = location(file)
    if path.suffix.lower() == ".parquet":
        pattern = glob.escape(str(path.absolute()))  # `datasets` reads a name, and its folder's, as a pattern
        return load_dataset("parquet", data_files=pattern, split="train", cache_dir=cache_dir)
    return load_tables([file], cache_dir)


def load_tables(
    files: Sequence[str], cache_dir: str | None, split: str = "train", declared: Features | None = None
) -> Dataset:
    """
    Loads the rows of csv, tsv, json or jsonl files, one after the other, see `load_file`. Columns that have a type in
    `declared` are cast to it; an empty cell of a csv or tsv is then a missing value, unless the type is text.
    """
    tables = [Table(file) for file in files]
    features = _features(tables)
    declared = Features({name: feature for name, feature in (declared or {}).items() if name in features})
    # `datasets` caches the rows under a hash of these arguments: all that the rows depend on. A list would be shards.
    arguments: dict[str, Any] = {
        "files": tuple(str(table.path.absolute()) for table in tables),
        "columns": tuple(features),
        "mixed": tuple(name for name, feature in features.items() if isinstance(feature, Json)),
        "not_text": tuple(name for name, feature in declared.items() if not _is_text(feature)),
        "content": tuple(table.digest() for table in tables),
        "reader": inspect.getsource(tables_module),
    }
    options: dict[str, Any] = {"cache_dir": cache_dir, "split": NamedSplit(split)}
    dataset = Dataset.from_generator(_rows, features=features, gen_kwargs=arguments, **options)
    try:
        return dataset.cast(Features({**features, **declared})) if declared else dataset
    except ValueError as error:
        raise ValueError(
            f"{tables[0].path} does not have the types that the README of the dataset declares, "
            f"{dict(declared)!s:.300}: {error!s:.100}. Correct the values, or dataset_info in the README."
        ) from error


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", "").endswith("string")


def _rows(
    files: Sequence[str], columns: Sequence[str], mixed: Collection[str], not_text: Collection[str], **_: Any
) -> Iterator[Row]:
    for table in map(Table, files):
        blanks = not_text if table.suffix in _TEXT_FORMATS else ()
        for row in table:
            values = {name: None if name in blanks and row.get(name) == "" else row.get(name) for name in columns}
            # `Json` takes a text such as 007 for json, unless it is quoted.
            values |= {name: json.dumps(values[name]) for name in mixed if values[name] is not None}
            yield values


def _features(tables: Sequence[Table]) -> Features:
    """The types of the columns, from all rows. Reads the files whole, and so finds faults before any work."""
    types: dict[str, list[pyarrow.DataType | None]] = {}
    for table in tables:
        of_table = _types(table)
        if table.suffix in _TEXT_FORMATS and types and of_table.keys() != types.keys():
            raise ValueError(
                f"{table.path} has the columns {shown(map(repr, of_table))}, but {tables[0].path} has "
                f"{shown(map(repr, types))}; expected the same in all files of a split."
            )
        for name, kinds in of_table.items():
            types.setdefault(name, []).extend(kinds)
    return Features({name: _common_type(kinds) for name, kinds in types.items()})


def _types(table: Table) -> dict[str, list[pyarrow.DataType | None]]:
    """The types of each column of a file, one for each chunk of its rows; `None` if a chunk has several types."""
    if table.suffix in _TEXT_FORMATS:
        return {name: [pyarrow.string()] for name in table.scan()[1]}
    types: dict[str, list[pyarrow.DataType | None]] = {}
    for number, rows in enumerate(table.chunks(_CHUNK)):
        for name in dict.fromkeys(name for row in rows for name in row):
            try:
                kind = pyarrow.array([row.get(name) for row in rows]).type
            except UnicodeEncodeError as error:
                row = next(i for i, row in enumerate(rows) if not is_encodable(row.get(name)))
                raise ValueError(
                    f"{table.path}: column {name!r} has half of a surrogate pair in row {number * _CHUNK + row} (the "
                    "first is 0), which is not text. Correct or remove the row."
                ) from error
            except (pyarrow.ArrowException, OverflowError):
                kind = None
            types.setdefault(name, []).append(kind)
    return types


def _common_type(kinds: list[pyarrow.DataType | None]) -> Any:
    """The feature type of a column, from the types of its chunks; `None` is a chunk that has several types."""
    try:
        columns = [pyarrow.schema({"": kind}) for kind in kinds]
        return Features.from_arrow_schema(pyarrow.unify_schemas(columns, promote_options="permissive"))[""]
    except (pyarrow.ArrowException, TypeError, ValueError):
        return Json()
