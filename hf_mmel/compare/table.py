"""The comparison as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..hub.redaction import without_folders, without_tokens
from .conclusions import number, shown, signed
from .grid import BASELINE, Cell
from .statistics import CONFIDENCE
from .summary import Row


def table(rows: Sequence[Row], metric: str) -> list[str]:
    """The rows as a table."""
    interval = f"{CONFIDENCE:.0%} interval"
    lines = [
        f"| method | augmenter | {shown(metric)} | std | seeds | difference to `none` | {interval} | time per run |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for row in rows:
        std, difference = ("–" if value is None else form(value) for value, form in _spread(row))
        ends = "–" if row.interval is None else f"{signed(row.interval.low)} to {signed(row.interval.high)}"
        cells = [row.kind.method, row.kind.augmenter or "–", number(row.mean), std, _counted(row), difference, ends]
        lines.append(f"| {' | '.join([*map(_escaped, cells), duration(row.seconds)])} |")
    return lines


def document(
    lines: Sequence[str], sentences: Sequence[str], failed: Mapping[Cell, str], picture: str | None, command: str
) -> str:
    """
    `compare.md`.

    Args:
        lines (`Sequence[str]`): The table.
        sentences (`Sequence[str]`): The conclusions.
        failed (`Mapping[Cell, str]`): Why cells have failed.
        picture (`str`, *optional*): File name of the picture.
        command (`str`): The command that made it, without tokens and folders.
    """
    parts = ["# Comparison"]
    if picture is not None:
        parts += ["\n".join(lines), f"![Each seed's score, and the differences to none]({picture})"]
    parts += ["## What can be concluded", "\n".join(f"- {sentence}" for sentence in sentences)]
    if failed:
        reasons = "\n".join(
            without_tokens(without_folders(f"- {cell}: {' '.join(reason.split())}")) for cell, reason in failed.items()
        )
        parts += ["## Failed", reasons]
    parts += ["## Command", f"```bash\n{command}\n```"]
    return "\n\n".join(parts) + "\n"


def duration(seconds: float) -> str:
    """A time for readers."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _spread(row: Row) -> list:
    return [(row.std, number), (row.difference, signed)]


def _counted(row: Row) -> str:
    """The number of seeds; of those that `none` has too, where it has not all."""
    seeds, common = len(row.scores), len(row.differences)
    return str(seeds) if row.kind == BASELINE or common in (0, seeds) else f"{seeds} ({common} in the difference)"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
