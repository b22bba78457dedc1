"""What a part of the GPU check finds: a row of the table for each check."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


OK, FAILED = "ok", "FAILED"  # of a law that has to hold; a measurement fails, too, if it ends with an error
MET, MISSED = "met", "missed"  # of an aim
NOTE = ""  # a figure without an aim, or a check that this device cannot make


@dataclass(frozen=True)
class Place:
    """Where the checks run: the device, whether models are tiny, and a folder for files, which is deleted."""

    device: str
    small: bool
    folder: Path

    @property
    def is_gpu(self) -> bool:
        return self.device != "cpu"


@dataclass
class Row:
    """A line of the table: what was checked, the figure as text, what it should be, the verdict, and the numbers."""

    check: str
    figure: str
    aim: str = ""
    verdict: str = NOTE
    values: dict[str, Any] = field(default_factory=dict)


def at_most(figure: float, aim: float) -> str:
    """The verdict on a figure with an aim. NaN misses it."""
    return MET if figure <= aim else MISSED


def attempt(check: str, make: Callable[..., Row], *args: Any) -> Row:
    """The row that `make(*args)` returns, or one that says how it failed, so that the next checks go on."""
    try:
        return make(*args)
    except Exception as error:
        return Row(check, shown(error), verdict=FAILED)


def shown(error: Exception) -> str:
    """An error in one short line."""
    return f"{type(error).__name__}: {error}"[:300]


def line(cells: Iterable[Any]) -> str:
    """A line of a table in Markdown; a cell has no line breaks."""
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "/") for cell in cells) + " |"
