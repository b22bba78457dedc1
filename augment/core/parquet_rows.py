"""Rows as tables of a parquet file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], schema):
    """
    The `pyarrow.Table` of rows, which may lack some columns. A `schema` gives types of columns; other columns contain
    integers. Without one, types come from the values. Raises a `ValueError` if a column has values of several types.
    """
    import pyarrow

    if schema is not None:
        added = [pyarrow.field(name, pyarrow.int64()) for name in columns if name not in schema.names]
        schema = pyarrow.schema([*schema, *added], metadata=schema.metadata)
    with parquet_errors():
        return pyarrow.table({name: [row.get(name) for row in rows] for name in columns}, schema=schema)


@contextmanager
def parquet_errors() -> Iterator[None]:
    """Turns an error of pyarrow about values into a `ValueError`."""
    import pyarrow

    try:
        yield
    except pyarrow.ArrowException as error:
        message = str(error).splitlines()[0]
        raise ValueError(f"A parquet file cannot hold these values: {message}. A .jsonl file can.") from error
