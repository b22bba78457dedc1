"""Peak memory of steps in parts of groups, against a step with one variant."""

from collections.abc import Iterator
from dataclasses import replace

from ..steps.comparisons import Configuration, chunked, full
from ..steps.measuring import Bench
from .encoders import free_memory, setting
from .report import NOTE, Place, Row, at_most


AIM = 1.25


def peak_of(place: Place, configuration: Configuration) -> int:
    """Bytes of a new model's first steps, without its weights."""
    bench = Bench(setting(place, 32, 128), [configuration])
    try:
        return bench.peak_memory(configuration)
    finally:
        del bench
        free_memory()


def rows(place: Place) -> Iterator[Row]:
    baseline, ours = full("hard", 1), chunked("hard", 32, True)
    least = peak_of(place, baseline)
    for configuration in (ours, replace(ours, adversarial_steps=1)):
        found = peak_of(place, configuration)
        ratio = found / least if least else float("nan")
        shown = f"{ratio:.2f}, {found / 1e6:,.0f} / {least / 1e6:,.0f} MB"
        verdict = NOTE if place.small else at_most(ratio, AIM)
        figures = {"ratio": ratio, "bytes": [found, least]}
        yield Row(f"{configuration.name} / {baseline.name}", shown, f"<= {AIM}", verdict, figures)
