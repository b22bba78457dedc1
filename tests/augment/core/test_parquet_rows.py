"""Rows of a parquet file whose row groups are large."""

import random
from pathlib import Path

import pyarrow
import pytest
from files import upload
from pyarrow import parquet

from augment.core.parquet_rows import parquet_rows
from augment.core.storage import location
from augment.core.tables import Table


NUM_ROWS = 60_000


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A file of 24 MB, with two columns of texts in one row group."""
    texts = random.Random(0).randbytes(100 * NUM_ROWS).hex()
    column = [texts[i : i + 200] for i in range(0, len(texts), 200)]
    path = tmp_path_factory.mktemp("large") / "a.parquet"
    parquet.write_table(pyarrow.table({"text": column, "other": column[::-1]}), path)
    return path


@pytest.mark.parametrize("rows", [parquet_rows, Table], ids=["rows", "table"])
def test_a_row_group_is_never_in_memory_whole(large, rows):
    before, largest = pyarrow.total_allocated_bytes(), 0
    for number, _ in enumerate(rows(large)):
        if number % 1000 == 500:
            largest = max(largest, pyarrow.total_allocated_bytes() - before)
    assert number == NUM_ROWS - 1 and large.stat().st_size > 20e6
    assert largest < 8e6


@pytest.mark.integration
def test_of_a_file_in_a_store_little_more_than_the_rows_is_fetched(large, bucket, monkeypatch):
    from s3fs.core import S3File

    fetched, fetch = [], S3File._fetch_range
    monkeypatch.setattr(
        S3File, "_fetch_range", lambda self, start, end: fetched.append(end - start) or fetch(self, start, end)
    )
    rows = parquet_rows(location(upload(large, f"{bucket}/a.parquet")))
    for _ in range(1000):
        next(rows)
    assert sum(fetched) < 8 << 20


def test_rows_from_a_number_on(tmp_path):
    rows = [{"text": str(i)} for i in range(23)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=5)
    for number in (0, 1, 4, 5, 9, 22, 23):
        assert list(parquet_rows(tmp_path / "a.parquet", number)) == rows[number:]
