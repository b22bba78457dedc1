"""Peak memory of steps in parts of groups, against a step with one variant."""

import math
from collections.abc import Iterator
from dataclasses import replace

from ..steps.comparisons import Configuration, chunked, full
from ..steps.measuring import Bench
from .encoders import free_memory, setting
from .report import NOTE, Place, Row, at_most, attempt


AIM = 1.25


def peak_of(place: Place, configuration: Configuration) -> int:
    """Bytes of a new model's first steps, without its weights."""
    bench = Bench(setting(place, 32, 128), [configuration])
    free_memory()  # of the model before
    return bench.peak_memory(configuration)


def rows(place: Place) -> Iterator[Row]:
    baseline, ours = full("hard", 1), chunked("hard", 32, True)
    least = peak_of(place, baseline)
    for configuration in (ours, replace(ours, adversarial_steps=1)):
        name = f"{configuration.name} / {baseline.name}"
        yield attempt(name, memory_row, place, configuration, name, least)


def memory_row(place: Place, configuration: Configuration, name: str, least: int) -> Row:
    """The peak against that of the baseline, in bytes."""
    found = peak_of(place, configuration)
    ratio = found / least if least else math.nan
    verdict = NOTE if place.small else at_most(ratio, AIM)
    shown = f"{ratio:.2f}, {found / 1e6:,.0f} / {least / 1e6:,.0f} MB"
    return Row(name, shown, f"<= {AIM}", verdict, {"ratio": ratio, "bytes": [found, least]})
