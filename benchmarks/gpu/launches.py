"""Kernels that a step launches; on a CPU, the operators that it calls."""

from collections.abc import Iterator

from torch.profiler import ProfilerActivity, profile

from ..steps.comparisons import PLAIN, Configuration, full, top
from ..steps.measuring import Bench
from .encoders import setting
from .report import Place, Row


CONFIGURATIONS = [PLAIN, Configuration("stock", 4), full("hard", 4), top("hard", 4, True), top("soft", 4, True)]


def count(bench: Bench, configuration: Configuration, is_gpu: bool) -> int:
    """Launches of a step, the optimizer's among them."""
    bench.step(configuration)  # warms up
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_gpu else [])]
    with profile(activities=activities) as found:
        bench.step(configuration)
    events = {event.key: event.count for event in found.key_averages()}
    return sum(n for key, n in events.items() if ("LaunchKernel" in key if is_gpu else key.startswith("aten::")))


def rows(place: Place) -> Iterator[Row]:
    bench, plain = Bench(setting(place, 32, 128), CONFIGURATIONS), None
    for configuration in CONFIGURATIONS:
        found = count(bench, configuration, place.is_gpu)
        plain = found if plain is None else plain
        what = "kernels" if place.is_gpu else "operators"
        against = f", {found / plain:.2f} of plain" if plain else ""
        yield Row(configuration.name, f"{found:,} {what}{against}", values={"count": found})
