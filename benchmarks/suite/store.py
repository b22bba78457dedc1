"""What is kept of the runs: a file with one JSON line for each, which is written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .plan import Run


class Store:
    """
    The lines of a file. A run is known by itself and by its conditions, all that its result depends on; one that has
    failed counts as not run.

    Args:
        path (`Path`): The file; a last line that was cut off is left out.
    """

    def __init__(self, path: Path):
        self.path = path
        self.lines: list[dict[str, Any]] = []
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        self._is_cut = not text.endswith("\n") and bool(text)
        self.lines = [json.loads(line) for line in text.split("\n")[:-1] if line]
        self._finished = {_key(line["run"], line["conditions"]): line for line in self.lines if "error" not in line}

    def find(self, run: Run, conditions: dict[str, Any]) -> dict[str, Any] | None:
        """The line of a finished run."""
        return self._finished.get(_key(run._asdict(), conditions))

    def add(self, run: Run, conditions: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """Takes a run down at once. `result` has its scores, or its `error`."""
        line = {"run": run._asdict(), "conditions": conditions, **result}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._is_cut:
            whole = "".join(json.dumps(line) + "\n" for line in self.lines)
            temporary = self.path.with_suffix(".part")
            temporary.write_text(whole, encoding="utf-8")
            os.replace(temporary, self.path)
            self._is_cut = False
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.lines.append(line)
        if "error" not in line:
            self._finished[_key(line["run"], conditions)] = line
        return line


def _key(run: dict[str, Any], conditions: dict[str, Any]) -> str:
    return json.dumps([run, conditions], sort_keys=True)
