"""`python -m hf_mmel compare`: from the options to the table."""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import torch

from augment.core.atomic_file import atomic_write, write_json

from ..cli.errors import UsageError, usage_errors
from ..hub.redaction import command_line
from .plan import Criterion, Plan, Run, check, read_plan
from .results import PICTURE, RESULTS, TABLE, Results
from .rows import Row, rows_of
from .runner import ATTACK_LOG, LOG, Outcome, Process, Schedule, environments_for, execute
from .text import (
    Document,
    conclusions,
    duration,
    failures,
    number,
    paired_tests,
    reasons_without_test,
    tables,
    worst_case_conclusions,
)


def compare(args: argparse.Namespace) -> Iterator[str]:
    """
    Executes the runs that are not finished, and writes the results after each. Yields a line for each run that has
    ended, the table, and the conclusions. A `UsageError` says what is not usable, or that a run has failed.
    """
    start = time.monotonic()
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError('The picture needs matplotlib; run pip install "hf_mmel[report]".')
    plan = read_plan(args)
    criterion, arguments = check(plan)
    with usage_errors(OSError):  # before the first run
        plan.output_dir.mkdir(parents=True, exist_ok=True)
    results = Results(plan, arguments)
    command = command_line("python -m hf_mmel", args.argv)
    environments = environments_for(plan.jobs, 0 if plan.use_cpu else torch.cuda.device_count(), bool(plan.launcher))
    finished = {run: results.finished[run].total_seconds for run in plan.runs if results.next_step(run) is None}
    schedule = Schedule(plan.runs, finished, len(environments), plan.budget, start)
    kept = f", {len(finished)} already finished" if finished else ""
    at_a_time = f", {len(environments)} at a time" if len(environments) > 1 else ""
    yield f"runs: {len(plan.runs)}{kept}{at_a_time}, in {plan.output_dir}"

    def start_step(run: Run, environment: dict[str, str]) -> Process | None:
        step = results.next_step(run)
        if step is None:
            return None
        if step == "attack":
            return Process(run, plan.attack_command(run), plan.folder(run) / ATTACK_LOG, environment)
        results.prepare(run)
        return Process(run, plan.command(run), plan.folder(run) / LOG, environment)

    with closing(execute(schedule.next_run, start_step, environments, plan.time_limit)) as outcomes:
        for outcome in outcomes:
            run, error = outcome.run, results.add(outcome.run, outcome.seconds, outcome.error, criterion.metric)
            _write(plan, criterion, results, command)
            if results.next_step(run) is None:
                schedule.ended(run, None if error else results.finished[run].total_seconds)
                yield _progress(schedule, results, criterion, outcome, error)
    if schedule.left_out:
        yield f"--budget leaves no time for seed {', '.join(map(str, sorted(schedule.left_out)))}."
    yield from _write(plan, criterion, results, command)
    if results.failed:
        raise UsageError(f"{len(results.failed)} of the runs failed; the same command repeats them.")


def _progress(schedule: Schedule, results: Results, criterion: Criterion, outcome: Outcome, error: str | None) -> str:
    """A line about a run that has ended."""
    (method, augmenter), seed = outcome.run
    ended = len(schedule.seconds) + len(schedule.failed)
    parts = [f"{ended} of {len(schedule.runs)}", method, augmenter or "–", f"seed {seed}"]
    if error is not None:
        return "  ".join([*parts, f"failed: {error}"])
    result = results.finished[outcome.run]
    parts += [f"{criterion.name} {number(result.metrics[criterion.metric])}"]
    if result.attack is not None:
        parts += [f"worst case {number(result.attack['worst_case_accuracy'])}"]
    parts += [duration(result.total_seconds)]
    if schedule.pending:
        parts.append(f"expected to end at {datetime.now() + timedelta(seconds=schedule.remaining()):%H:%M}")
    return "  ".join(parts)


def _write(plan: Plan, criterion: Criterion, results: Results, command: str) -> list[str]:
    """Writes `compare.json`, `.md`, `.png` and `.html`; the tables and the conclusions as lines."""
    from .page import write_page  # these need matplotlib
    from .picture import draw

    content, rows, num_examples = results.to_dict(), list[Row](), 0
    document = Document([], ["No run is finished yet."], failures(results.failed), command)
    shown = list[str]()
    if results.finished:
        rows = rows_of(results, criterion)
        num_examples = int(next(iter(results.finished.values())).metrics["eval_samples" + criterion.split_suffix])
        sentences = [
            *conclusions(rows, criterion, num_examples),
            *worst_case_conclusions(rows, criterion, num_examples),
            *reasons_without_test(rows, criterion),
        ]
        first, *others = tables(rows, criterion.name)
        document = document._replace(tables=[first, *others, *paired_tests(rows)], conclusions=sentences)
        shown = [first.markdown, *(line for table in others for line in ("", f"{table.title}:", "", table.markdown))]
        summary = [row.to_dict() for row in rows]
        content |= {"metric": criterion.metric, "summary": summary, "conclusions": sentences}
        with atomic_write(plan.output_dir / PICTURE) as file:
            file.write(draw(rows, criterion))
    write_json(plan.output_dir / RESULTS, content)
    with atomic_write(plan.output_dir / TABLE) as file:
        file.write(document.markdown.encode(errors="replace"))
    arguments = results.arguments | (results.attack or {})
    write_page(plan.output_dir, document, rows, criterion, num_examples, arguments)
    return ["", *shown, "", *document.conclusions]
