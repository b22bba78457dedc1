"""`python -m hf_mmel compare`: from the options to the table."""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial

import torch

from augment.core.atomic_file import atomic_write, write_json

from ..cli.errors import UsageError, usage_errors
from ..hub.redaction import command_line
from .cells import Outcome, Process, places_for, run_cells
from .check import Checked, check, contents_of_augmenters
from .conclusions import conclusions, number, shown
from .grid import Cell
from .picture import draw
from .plan import Plan
from .read import read_plan
from .results import PICTURE, RESULTS, TABLE, Results
from .schedule import Schedule
from .summary import summarise
from .table import document, duration, table


def compare(args: argparse.Namespace) -> Iterator[str]:
    """
    Trains the cells that are not finished, and writes what comes out after each.

    Args:
        args (`argparse.Namespace`):
            The options of the comparison; as `options` those of the runs, and as `argv` all as they were given.

    Yields:
        `str`: a line for each cell that has ended, the table, and what can be concluded.

    Raises:
        `UsageError`: if an option, the data or an augmenter is not usable, nothing fits into the budget, or a cell
            has failed; then after all others have ended.
    """
    begun = time.monotonic()
    _need_matplotlib()
    plan = read_plan(args)
    checked = check(plan)
    with usage_errors(OSError):  # not at the first cell
        plan.output_dir.mkdir(parents=True, exist_ok=True)
    results = Results(plan, checked.arguments, contents_of_augmenters(plan.augmenters))
    places = places_for(plan.jobs, 0 if plan.use_cpu else torch.cuda.device_count(), bool(plan.launcher))
    schedule = _schedule(plan, results, len(places), begun)
    report = partial(_write_report, plan, checked, results, command_line("python -m hf_mmel", args.argv))
    yield _intention(plan, schedule, len(places))
    with closing(run_cells(schedule.next_cell, partial(_start, plan), places, plan.limit)) as outcomes:
        for outcome in outcomes:
            error = results.add(outcome.cell, outcome.seconds, outcome.error, checked.metric)
            report()
            schedule.ended(outcome.cell, None if error else outcome.seconds)
            yield _progress(schedule, results, checked.metric, outcome, error)
    if schedule.left_out:
        yield f"--budget leaves no time for seed {', '.join(map(str, sorted(schedule.left_out)))}."
    yield from report()
    if results.failed:
        raise UsageError(f"{len(results.failed)} of the cells failed; the same command runs them again.")


def _need_matplotlib() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError('The picture needs matplotlib; run pip install "hf_mmel[report]".')


def _schedule(plan: Plan, results: Results, num_places: int, begun: float) -> Schedule:
    finished = {cell: results.finished[cell].seconds for cell in plan.cells if cell in results.finished}
    return Schedule(plan.cells, finished, num_places, plan.budget, begun)


def _start(plan: Plan, cell: Cell, environment: dict[str, str]) -> Process:
    return Process(cell, plan.command(cell), plan.folder(cell), environment)


def _intention(plan: Plan, schedule: Schedule, num_places: int) -> str:
    """What is going to be run."""
    done = len(schedule.seconds)
    kept = f", {done} of them finished before" if done else ""
    many = f", {num_places} at a time" if num_places > 1 else ""
    return f"cells: {len(schedule.grid)}{kept}{many}, in {plan.output_dir}"


def _progress(schedule: Schedule, results: Results, metric: str, outcome: Outcome, error: str | None) -> str:
    """A line about a cell that has ended."""
    done = len(schedule.seconds) + len(schedule.failed)
    cell = outcome.cell
    words = [f"{done} of {len(schedule.grid)}", cell.kind.method, cell.kind.augmenter or "–", f"seed {cell.seed}"]
    if error is not None:
        return "  ".join([*words, f"failed: {error}"])
    words += [f"{shown(metric)} {number(results.finished[cell].metrics[metric])}", duration(outcome.seconds)]
    if schedule.pending and (remaining := schedule.remaining()) is not None:
        words.append(f"expected to end at {datetime.now() + timedelta(seconds=remaining):%H:%M}")
    return "  ".join(words)


def _write_report(plan: Plan, checked: Checked, results: Results, command: str) -> list[str]:
    """Writes the results, the table and the picture; the table and the conclusions as lines."""
    rows = summarise(results.finished, results.kinds(), checked.metric)
    kept = results.to_dict()
    lines, sentences = [], ["No run is finished yet."]
    if rows:
        num_examples = next(iter(results.finished.values())).metrics[_counted_by(checked.metric)]
        sentences = list(conclusions(rows, checked.metric, checked.less_is_better, num_examples))
        lines = table(rows, checked.metric)
        kept |= {"metric": checked.metric, "summary": [row.to_dict() for row in rows], "conclusions": sentences}
        with atomic_write(plan.output_dir / PICTURE) as file:
            draw(file, rows, checked.metric, checked.less_is_better)
    write_json(plan.output_dir / RESULTS, kept)
    with atomic_write(plan.output_dir / TABLE) as file:
        picture = PICTURE if rows else None
        file.write(document(lines, sentences, results.failed, picture, command).encode(errors="replace"))
    return ["", *lines, "", *sentences]


def _counted_by(metric: str) -> str:
    """The metric that says how many examples there were."""
    return "eval_samples_mm" if metric.endswith("_mm") else "eval_samples"
