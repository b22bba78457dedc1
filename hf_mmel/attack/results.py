"""The results of attacks: blocks of examples on disk, so that an interrupted command resumes, and their summary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from augment.core.atomic_file import atomic_write, write_json
from augment.core.marking import COLOURS, PLAIN, marked

from ..cli.errors import UsageError
from ..cli.saving import read_json
from .attacks import Attempt
from .texts import Texts, share_changed


FOLDER = "attack"  # in that of a run
RESULTS, EXAMPLES = "attack.json", "attack.jsonl"
_SETTINGS, _BLOCKS = "settings.json", "blocks"

Row = dict[str, Any]


class Blocks:
    """
    The rows of blocks of examples in a folder, each block a file that is complete or not there. A `UsageError` says
    which settings differ if the folder has results of others.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.folder = folder
        settings = json.loads(json.dumps(settings))
        if (folder / _SETTINGS).is_file():
            before = read_json(folder / _SETTINGS) or {}
            if names := [name for name in {**before, **settings} if before.get(name) != settings.get(name)]:
                raise UsageError(
                    f"{folder} holds an attack with different settings: {', '.join(names)}. Pass another "
                    "--output_dir, or remove the folder."
                )
        (folder / _BLOCKS).mkdir(parents=True, exist_ok=True)
        write_json(folder / _SETTINGS, settings)

    def read(self, number: int) -> list[Row] | None:
        """The rows of a block; `None` if it is missing or damaged."""
        return read_json(self._path(number), list)

    def write(self, number: int, rows: Sequence[Row]) -> None:
        write_json(self._path(number), list(rows))

    def finish(self, rows: Sequence[Row], results: Mapping[str, Any]) -> None:
        """Writes the files of all examples."""
        with atomic_write(self.folder / EXAMPLES) as file:
            file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n".encode(errors="replace") for row in rows)
        write_json(self.folder / RESULTS, results)

    def _path(self, number: int) -> Path:
        return self.folder / _BLOCKS / f"{number:06d}.json"


class Found(NamedTuple):
    """The results of a finished attack: the content of `attack.json`, and the rows of `attack.jsonl`."""

    summary: dict[str, Any]
    rows: list[Row]

    @property
    def attacks(self) -> list[str]:
        return self.summary["attacks"]


def read_attack(folder: Path) -> Found | None:
    """The results in a folder; `None` if the attack has not finished, or its files are damaged."""
    summary = read_json(folder / RESULTS)
    try:
        lines = (folder / EXAMPLES).read_text(encoding="utf-8").split("\n")  # texts may hold other line breaks
        rows = [json.loads(line) for line in lines if line]
        is_whole = summary is not None and 0 < len(rows) == summary["num_examples"] and bool(summary["attacks"])
    except (OSError, ValueError, LookupError, RecursionError):
        return None
    return Found(summary, rows) if is_whole else None


def is_misled(row: Row, attacks: Sequence[str]) -> bool:
    """Whether one of the attacks on an example has succeeded."""
    return any(row.get(name, {}).get("success") for name in attacks)


def row_of(number: int, texts: Texts, label: str, prediction: str, attempts: Mapping[str, Attempt], names) -> Row:
    """The results of an example, whose attacks are `attempts`; there are none if its prediction is wrong."""
    row: Row = {"id": number, "text": _written(texts), "label": label, "prediction": prediction}
    for name, attempt in attempts.items():
        row[name] = {"success": attempt.wrong is not None, "queries": attempt.queries}
        if attempt.wrong is not None:
            _, variant, wrong = attempt.wrong
            share = round(share_changed(texts, variant), 6)
            row[name] |= {"text": _written(variant), "prediction": names[wrong], "words_changed": share}
    return row


def _written(texts: Texts) -> str | list[str]:
    return texts[0] if len(texts) == 1 else list(texts)


def texts_of(text: str | list[str]) -> list[str]:
    """The text of an example or a variant as a list, which is how a pair is written."""
    return [text] if isinstance(text, str) else text


def summarize(rows: Sequence[Row], attacks: Sequence[str]) -> dict[str, Any]:
    """
    The accuracy, and for each attack: the accuracy under it, which is the share of all examples whose prediction is
    right and stays right; its success rate, among the examples that are predicted correctly; the mean number of
    queries of these; and the mean share of words that its successes change. A mean of nothing is `None`.
    """
    correct = [row for row in rows if row["prediction"] == row["label"]]
    summary: dict[str, Any] = {
        "num_examples": len(rows),
        "num_correct": len(correct),
        "accuracy": len(correct) / len(rows),
    }
    for name in attacks:
        tried = [row[name] for row in correct]
        successes = [attempt for attempt in tried if attempt["success"]]
        summary[name] = {
            "num_successes": len(successes),
            "accuracy": (len(correct) - len(successes)) / len(rows),
            "success_rate": len(successes) / len(tried) if tried else None,
            "mean_queries": fmean(attempt["queries"] for attempt in tried) if tried else None,
            "words_changed": fmean(attempt["words_changed"] for attempt in successes) if successes else None,
        }
    return summary


def table(summary: Mapping[str, Any], attacks: Sequence[str]) -> Iterator[str]:
    """The summary as the lines of a table."""
    yield f"{'attack':10}{'accuracy':>10}{'success rate':>15}{'mean queries':>15}{'words changed':>16}"
    yield f"{'none':10}{_percent(summary['accuracy']):>10}"
    for name in attacks:
        of = summary[name]
        queries = "–" if of["mean_queries"] is None else f"{of['mean_queries']:.1f}"
        shares = f"{_percent(of['success_rate']):>15}{queries:>15}{_percent(of['words_changed']):>16}"
        yield f"{name:10}{_percent(of['accuracy']):>10}{shares}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def shown_examples(rows: Sequence[Row], attacks: Sequence[str], number: int, colour: bool) -> Iterator[str]:
    """The first examples with a success, with the changes of their worst variants marked."""
    marks = COLOURS if colour else PLAIN
    for row in [row for row in rows if is_misled(row, attacks)][:number]:
        texts = texts_of(row["text"])
        yield ""
        yield f"{row['id']}  {row['label']}: {' | '.join(texts)}"
        for name in attacks:
            if row[name]["success"]:
                pairs = zip(texts, texts_of(row[name]["text"]), strict=True)
                yield f"   {name}, {row[name]['prediction']}: {' | '.join(marked(*pair, marks) for pair in pairs)}"
