"""Jobs on a few rows, and what they and `write` into one file have written."""

import json
from pathlib import Path

from conftest import SENTENCES, WORDS
from pyarrow import parquet

from augment.parts.job import PartJob
from augment.parts.rows import VariantRows
from augment.parts.source import Source


ROWS = [{"text": text, "label": i} for i, text in enumerate(SENTENCES * 3)]
LEXICON = {"class": "LexiconSubstitution", "words": WORDS}


def make_job(source, out, config=None, *, rows_per_part=4, columns=("text",), **options) -> PartJob:
    rows = VariantRows(columns, options.pop("num_variants", 3), **options)
    return PartJob(Source(str(source), columns), str(out), rows, config or LEXICON, rows_per_part=rows_per_part)


def write_all(job: PartJob) -> PartJob:
    for number in job.missing():
        job.write(number)
    job.finish()
    return job


def parts_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder, but for temporary ones."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != ".tmp"}


def rows_of(folder: Path) -> list[dict]:
    """The rows of all parts in their order."""
    return [row for path in sorted(folder.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]


def as_config(path: Path, config: dict) -> str:
    """A file that describes an augmenter."""
    path.write_text(json.dumps(config))
    return str(path)
