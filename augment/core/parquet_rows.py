"""Rows of parquet files, and rows as tables of a parquet file."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from .storage import first_line, for_arrow


_BATCH = 1000  # rows that become Python objects at once
_BUFFER = 1 << 20  # bytes of a column that are read at once


def parquet_rows(path: Path, number: int = 0) -> Iterator[dict[str, Any]]:
    """The rows of a parquet file from a number on. Row groups before it are not read, and none is in memory whole."""
    from pyarrow import parquet

    with for_arrow(path) as source, parquet.ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        ends = list(accumulate(sizes))
        group = bisect_right(ends, number)
        skipped = number - (ends[group] - sizes[group]) if group < len(sizes) else 0
        for batch in file.iter_batches(_BATCH, row_groups=range(group, len(sizes))):
            if skipped < len(batch):
                yield from batch.slice(skipped).to_pylist()
            skipped = max(skipped - len(batch), 0)


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
    except MemoryError:
        raise
    except (pyarrow.ArrowException, OverflowError) as error:
        message = first_line(error).rstrip(".")
        raise ValueError(f"A parquet file cannot hold these values: {message}. A .jsonl file can.") from error
