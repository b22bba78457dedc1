"""Variants that were found beforehand, looked up by the tokens of their example, in this process and in others."""

import json
import os
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..edits import Edit
from .atomic_file import atomic_write
from .batch import Batch
from .randomness import run_keys


Variant = tuple[Edit, ...]  # its edits, from left to right


class VariantTable:
    """
    The variants of N examples, as JSON lists by the keys of the examples, see `example_keys`, the best variant first.
    Texts take a fraction of the memory of edits.
    """

    def __init__(self, texts: dict[int, str]):
        self.texts = texts

    @classmethod
    def of(cls, batch: Batch, groups: Sequence[Sequence[Variant]]) -> "VariantTable":
        """The table of the rows of a batch, with the variants of each row."""
        texts = [json.dumps(variants, separators=(",", ":")) for variants in groups]
        rows = list(zip(example_keys(batch).tolist(), texts, strict=True))
        return cls(dict(reversed(rows)))  # of equal rows the first one counts

    @classmethod
    def joined(cls, tables: Sequence["VariantTable"]) -> "VariantTable":
        """Several tables as one. If an example is in more than one table, the first table counts."""
        return cls({key: text for table in reversed(tables) for key, text in table.texts.items()})

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.texts)

    def lookup(self, batch: Batch) -> list[list[Variant]]:
        """The variants of each row; none for a row that is not in the table."""
        groups = [json.loads(self.texts.get(key, "[]")) for key in example_keys(batch).tolist()]
        return [
            [tuple(Edit(start, tuple(old), tuple(new)) for start, old, new in variant) for variant in group]
            for group in groups
        ]


def example_keys(batch: Batch) -> np.ndarray:
    """64-bit hash of each row, `(B,)`: of its tokens, and of which of them must stay."""
    kept = np.zeros(len(batch.ids), dtype=bool) if batch.kept is None else batch.kept
    return run_keys((batch.ids << 1 | kept).astype(np.uint64), batch.lengths)


class SharedTable:
    """
    A table that all copies of this object see: copies in worker processes, even if forked before the table was
    written, and copies pickled after the first table was written.

    The table is a file in a folder of its own. The folder is made with the first table, and removed with the object
    that made it.
    """

    def __init__(self, folder: Path | None = None):
        self._folder = folder or Path(tempfile.gettempdir()) / f"greedy-search-{uuid.uuid4()}"
        self._path = self._folder / "variants.json"
        self._version: tuple[int, ...] | None = None  # of the file that `_table` was read from
        self._table: VariantTable | None = None

    def __reduce__(self):
        # Without a table nothing is shared yet, and all objects look alike to caches that hash their pickles.
        return (_reopened, (self._folder, _version(os.stat(self._path)))) if self._path.exists() else (SharedTable, ())

    def __deepcopy__(self, memo: dict) -> "SharedTable":
        """An independent copy, with the current table."""
        copy = SharedTable()
        if (table := self.read()) is not None:
            copy.write(table)
        return copy

    def write(self, table: VariantTable) -> None:
        """Replaces the table. A reader sees either the old table or the new one."""
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700)
            weakref.finalize(self, _remove, self._folder, os.getpid())
        with atomic_write(self._path) as file:
            file.write(json.dumps(table.texts).encode())

    def read(self) -> VariantTable | None:
        """The current table, `None` before the first one."""
        try:
            if self._version != _version(os.stat(self._path)):
                with open(self._path, "rb") as file:
                    version = _version(os.fstat(file.fileno()))  # of this file, even if it is replaced meanwhile
                    texts = json.load(file)
                self._table = VariantTable({int(key): text for key, text in texts.items()})
                self._version = version
        except FileNotFoundError:
            self._version = self._table = None
        return self._table


def _reopened(folder: Path, version: tuple[int, ...]) -> SharedTable:
    """The copy in a pickle. The version only makes pickles of different tables differ."""
    return SharedTable(folder)


def _version(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in forked workers
        shutil.rmtree(folder, ignore_errors=True)
