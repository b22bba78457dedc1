"""The runs one after the other: those that are finished are skipped, and one that fails does not end the rest."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from hf_mmel.cli.errors import reason_of

from .plan import Run
from .schedule import Estimate
from .settings import Settings, settings_of
from .store import Store


Execute = Callable[[Run, Settings], dict[str, Any]]
Job = tuple[Run, Settings]


def jobs_of(runs: Sequence[Run], layers: Mapping[str, Any], points: Callable[[str], list[Settings]]) -> list[Job]:
    """The runs with their settings, all points of the grid for a run before the next run."""
    return [(run, settings_of(run, layers, point)) for run in runs for point in points(run.method)]


def conditions_of(job: Job, common: Mapping[str, Any], layers: Mapping[str, Any]) -> dict[str, Any]:
    """All that the result of a job depends on, besides the run."""
    run, settings = job
    conditions = {**common, "settings": settings}
    if run.method == "none_time":
        conditions["in_the_time_of"] = settings_of(run._replace(method="hard"), layers)
    return conditions


def run_all(
    jobs: Sequence[Job],
    store: Store,
    common: Mapping[str, Any],
    layers: Mapping[str, Any],
    execute: Execute,
    num_examples: Callable[[Run], int],
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[str]:
    """
    Runs what is not finished, and says of each how it has ended. With a deadline it stops before the first run that is
    not expected to end in time, so that what there is stays balanced.
    """
    estimate = Estimate([line for line in store.lines if is_alike(line, common)])
    for run, settings in jobs:
        conditions = conditions_of((run, settings), common, layers)
        if store.find(run, conditions) is not None:
            continue
        expected = estimate.seconds(run, num_examples(run), epochs_of(run, settings, layers))
        if deadline is not None and clock() + (expected or 0) > deadline:
            yield f"{run}: would not end in time; stopping."
            return
        begun = clock()
        try:
            if run.method == "none_time":
                settings = {**settings, "num_train_epochs": _epochs_in_time(run, settings, store, common, layers)}
            result = execute(run, settings)
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {reason_of(error)}"}
        line = store.add(run, conditions, result)
        estimate.add(line)
        gc.collect()
        how = line.get("error") or f"score {line['scores']['score']:.4f}"
        yield f"{run}: {how}, {clock() - begun:.0f} s"


def is_alike(line: Mapping[str, Any], common: Mapping[str, Any]) -> bool:
    """Whether a line was made under these conditions, whatever the settings."""
    return "error" not in line and all(line["conditions"].get(name) == value for name, value in common.items())


def has_settings(line: Mapping[str, Any], layers: Mapping[str, Any]) -> bool:
    """Whether a line was made with the settings that its run has now."""
    run = Run(**line["run"])
    now = conditions_of((run, settings_of(run, layers)), {}, layers)
    return all(line["conditions"].get(name) == value for name, value in now.items())


def epochs_of(run: Run, settings: Settings, layers: Mapping[str, Any]) -> float:
    """The epochs to expect the time of: those of hard, where a run is to take as long."""
    of = settings_of(run._replace(method="hard"), layers) if run.method == "none_time" else settings
    return of["num_train_epochs"]


def _epochs_in_time(
    run: Run, settings: Settings, store: Store, common: Mapping[str, Any], layers: Mapping[str, Any]
) -> float:
    """
    How many epochs without variants take the time of the training of hard: by the medians over the seeds that are
    finished, since a machine may have had other work, that of the run among them.
    """
    seconds = []
    for other in (run._replace(method="hard"), run._replace(method="none", augmenter=None)):
        conditions = conditions_of((other, settings_of(other, layers)), common, layers)
        if store.find(other, conditions) is None:
            raise ValueError(f"{other} is not finished; none_time takes the time of hard, by the speed of none.")
        seeds = {line["run"]["seed"] for line in store.lines}
        lines = [store.find(other._replace(seed=seed), conditions) for seed in sorted(seeds)]
        seconds.append(median(line["seconds"]["train"] for line in lines if line is not None))
    return round(settings["num_train_epochs"] * seconds[0] / seconds[1], 2)
