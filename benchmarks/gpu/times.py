"""Times of training steps of BERT-base in bfloat16, each against the step that it is compared with."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from ..step_cost import time_pairs
from ..steps.comparisons import PLAIN, TIME, Comparison, Configuration, adversarial, full, reused, top
from ..steps.measuring import Bench
from .encoders import free_memory, setting
from .report import MET, MISSED, NOTE, Place, Row, at_most, attempt


COMPARISONS = [
    Comparison(TIME, full("hard", 4), Configuration("stock", 4), 1.03),
    Comparison(TIME, top("hard", 4, True), PLAIN, 1.6),
    Comparison(TIME, reused("hard", 8, True), PLAIN, 1.2),
    Comparison(TIME, adversarial("hard", 1), full("hard", 1), 1.5),
    Comparison(TIME, full("hard", 8), Configuration("stock", 8), 1.03),
    Comparison(TIME, top("hard", 8, True), full("hard", 8), 0.50),
    Comparison(TIME, top("soft", 8, True), full("soft", 8), 0.55),
    Comparison(TIME, top("hard", 16, True), full("hard", 16), 0.42),
]
BATCH_SIZES, LENGTH = (32, 128), 128
OUT_OF_MEMORY = "out of memory"
SECONDS = 1.5  # of each comparison, but three pairs of steps at least


def timed(bench: Bench, comparison: Comparison, seconds: float) -> Row:
    """A comparison, after a step of each side that warms up."""
    aim = f"<= {comparison.target:.2f}"
    name = f"{comparison.ours.name} / {comparison.baseline.name}"
    try:
        for side in (comparison.ours, comparison.baseline):
            bench.step(side)
        figure = time_pairs(bench, comparison, seconds)
    except torch.OutOfMemoryError:
        return Row(name, OUT_OF_MEMORY, aim, NOTE)
    ours, baseline = (1000 * x for x in figure["seconds"])
    shown = f"{figure['ratio']:.2f} ({figure['least']:.2f}–{figure['most']:.2f}), {ours:.1f} / {baseline:.1f} ms"
    return Row(name, shown, aim, at_most(figure["ratio"], comparison.target), {**figure, "target": comparison.target})


def rows(place: Place) -> Iterator[Row]:
    sides = dict.fromkeys(side for c in COMPARISONS for side in (c.ours, c.baseline))
    for batch_size in BATCH_SIZES:
        of_steps = setting(place, batch_size, LENGTH)
        bench = Bench(of_steps, list(sides))
        free_memory()  # of the model before
        for comparison in COMPARISONS:
            row = attempt(comparison.name, timed, bench, comparison, 0.0 if place.small else SECONDS)
            if row.figure == OUT_OF_MEMORY:  # here, where no exception holds what it has computed
                bench.model.zero_grad()
                free_memory()
            # Tiny models say nothing about the aims.
            verdict = NOTE if place.small and row.verdict in (MET, MISSED) else row.verdict
            yield replace(row, check=f"{of_steps.batch_size} x {of_steps.length}: {row.check}", verdict=verdict)
