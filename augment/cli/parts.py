"""A file made in parts, so that an interrupted making goes on where it stopped."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.atomic_file import write_json
from .formats import WRITERS
from .tables import Row


class Parts:
    """
    The parts of a file, kept in a folder beside it until they are joined. Neither the file nor a part is ever seen
    half made: a part counts when the manifest says so, and the file appears at once.

    Args:
        path (`Path`): The file, ending in .csv, .jsonl or .parquet.
        columns (`Sequence[str]`): Its columns. A row may lack some.
        schema (`pyarrow.Schema`, *optional*): Types of the columns in parquet. Defaults to those of the values.
        making (`Mapping[str, Any]`): All that the content depends on, as plain data.

    Attributes:
        num_parts (`int`): Number of parts that are there.
        counts (`dict[str, int]`): Sums of the counts given with them.

    Raises:
        `ValueError`: if the folder is there and holds parts of another making.
    """

    def __init__(self, path: Path, columns: Sequence[str], schema, making: Mapping[str, Any]):
        self.path = path
        self.folder = path.with_name(f"{path.name}.parts")
        self._writer = WRITERS[path.suffix](columns, schema)
        self.making = json.loads(json.dumps(making))
        self.num_parts = 0
        self.counts: dict[str, int] = {}
        # One without anything that is whole is left where an interruption came first of all.
        if self.folder.exists() and any(file.suffix != ".tmp" for file in self.folder.iterdir()):
            self._resume()

    def add(self, rows: Sequence[Row], counts: Mapping[str, int]) -> None:
        """Adds one more part, with what there is to count in it."""
        if self.num_parts == 0:
            self.folder.mkdir(exist_ok=True)
            self._save_manifest()  # so that a folder that an interruption leaves is known for what it is
        self._writer.write(self._part(self.num_parts), rows, first=self.num_parts == 0)
        self.num_parts += 1
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        self._save_manifest()

    def join(self) -> None:
        """Makes the file of its parts, and removes them."""
        whole = self.folder / f"whole{self.path.suffix}"
        self._writer.join([self._part(i) for i in range(self.num_parts)], whole)
        os.replace(whole, self.path)  # what an interruption leaves of it goes with the folder
        for file in set(self.folder.iterdir()) - {self._manifest}:  # which says what a folder is, and goes last
            file.unlink()
        shutil.rmtree(self.folder)

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06d}{self.path.suffix}"

    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    def _save_manifest(self) -> None:
        write_json(self._manifest, {"making": self.making, "num_parts": self.num_parts, "counts": self.counts})

    def _resume(self) -> None:
        try:
            found = json.loads(self._manifest.read_text(encoding="utf-8"))
            making, self.num_parts, self.counts = found["making"], found["num_parts"], found["counts"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"{self.folder} is in the way, and holds no parts of {self.path.name} that could be used. Remove it, "
                "or give the file another name."
            ) from error
        missing = any(not self._part(number).is_file() for number in range(self.num_parts))
        if self.num_parts == 0 or (missing and making == self.making):
            self.num_parts, self.counts = 0, {}  # nothing is lost by beginning anew
            return
        if making != self.making:
            names = [name for name in {**making, **self.making} if making.get(name) != self.making.get(name)]
            raise ValueError(
                f"{self.folder} holds parts of another making of {self.path.name}, which differs in "
                f"{', '.join(names)}. Give that command again to go on with it, or remove the folder."
            )
