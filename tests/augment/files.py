"""Files of rows, in the formats that the commands read."""

import csv
import json
from pathlib import Path

import pyarrow
from pyarrow import parquet

from augment.core.storage import location


def write_rows(path: Path, rows: list[dict]) -> Path:
    """The rows in the format that the file's name asks for."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def upload(source: Path | bytes, url: str) -> str:
    """Puts a file, or its content, into a store. Returns its URL."""
    location(url).write_bytes(source if isinstance(source, bytes) else source.read_bytes())
    return url
