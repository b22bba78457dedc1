"""The tables of the results: the primary comparisons, the means over tasks and sizes, and each task and size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from hf_mmel.compare.examples import paired_test

from .data import HELD_OUT, IMAGE_TASK, LARGE
from .methods import METHODS


Line = Mapping[str, Any]
Cell = tuple[str, str]  # a task and a size
TEMPERATURE = "temperature"  # `none` with scaled probabilities
ALPHA = 0.05


class Comparison(NamedTuple):
    """A primary comparison of the protocol: a score of a method and of a rival, and the difference to reach."""

    score: str
    method: str
    rival: str
    aim: float  # in points


class Kind(NamedTuple):
    """What the tables of a kind of task show: scores with their titles, and scores whose differences to a rival."""

    columns: Mapping[str, str]
    differences: Sequence[tuple[str, str]]
    size: str  # what the number of a cell counts
    primary: Sequence[Comparison] = ()


_PROBABILITIES = {
    "calibration_error": "calibration error",
    "scaled_calibration_error": "after scaling",
    "log_loss": "log loss",
}
TEXTS = Kind(
    {
        "accuracy": "clean",
        "random_accuracy": "random",
        "typos_accuracy": "typos",
        "greedy_accuracy": "greedy",
        "worst_accuracy": "worst case",
        **_PROBABILITIES,
    },
    [
        *(("accuracy", "none"), ("greedy_accuracy", "none")),
        *(("accuracy", "uniform"), ("greedy_accuracy", "uniform"), ("worst_accuracy", "uniform")),
    ],
    "examples per class",
    [
        Comparison("greedy_accuracy", "hard", "none", 10),
        Comparison("greedy_accuracy", "hard", "uniform", 3),
        Comparison("accuracy", "hard", "uniform", -0.5),
        Comparison("accuracy", "soft_unlabelled", "none", 3),
        Comparison("accuracy", "soft_unlabelled", "pseudo_label", 3),
        Comparison("calibration_error", "soft", TEMPERATURE, 0),
    ],
)
IMAGES = Kind(
    {"accuracy": "clean", "random_accuracy": "crops and flips", **_PROBABILITIES},
    [("accuracy", "none"), ("accuracy", "uniform"), ("random_accuracy", "uniform")],
    "images",
    [Comparison("accuracy", "hard", "uniform", 0), Comparison("random_accuracy", "hard", "uniform", 4)],
)
LARGE_TEXTS = TEXTS._replace(
    primary=[
        Comparison("greedy_accuracy", "hard", "none", 10),
        Comparison("greedy_accuracy", "hard", "uniform", 3),
        Comparison("accuracy", "hard", "uniform", -0.5),
        Comparison("calibration_error", "hard", TEMPERATURE, 0),
        Comparison("calibration_error", "soft", TEMPERATURE, 0),
    ]
)
REGRESSION = Kind({"correlation": "correlation"}, [("correlation", "none"), ("correlation", "uniform")], "examples")
KINDS = (TEXTS, IMAGES, LARGE_TEXTS, REGRESSION)


def kind_of(line: Line) -> Kind:
    if "correlation" in line["scores"]:
        return REGRESSION
    if line["run"]["task"] == IMAGE_TASK:
        return IMAGES
    return LARGE_TEXTS if line["run"]["size"] == LARGE else TEXTS


class Difference(NamedTuple):
    """The mean of paired differences, its 95 % interval by Student's t, and the two-sided p; NaN for one seed."""

    mean: float
    low: float
    high: float
    p: float
    num_seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Difference:
        mean, n = fmean(values), len(values)
        if n < 2 or np.ptp(values) < 1e-9:
            return cls(mean, np.nan, np.nan, np.nan, n)
        test = stats.ttest_1samp(values, 0)
        low, high = test.confidence_interval(1 - ALPHA)
        return cls(mean, float(low), float(high), float(test.pvalue), n)

    def __str__(self) -> str:
        interval = "" if np.isnan(self.low) else f" ({self.low:+.1f} to {self.high:+.1f})"
        return f"{self.mean:+.1f}{interval}".replace("-", "−")


def holm(p_values: Sequence[float]) -> list[float]:
    """
    The p-values corrected for their number, so that each may be compared with the same level.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics, 1979.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(np.argsort(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


class Scores:
    """The scores of runs, times 100 but for the log loss, by method, cell and seed."""

    def __init__(self, lines: Sequence[Line]):
        self.lines: dict[str, dict[tuple[Cell, int], Line]] = defaultdict(dict)
        for line in lines:
            run = line["run"]
            self.lines[run["method"]][(run["task"], run["size"]), run["seed"]] = line

    def cells(self, *methods: str, shared: bool = True) -> list[Cell]:
        """The cells of which all of these methods have a run, or, if not `shared`, any of them."""
        found = [{cell for cell, _ in self.lines[_trained(method)]} for method in methods]
        order = lambda cell: (cell[0], float(cell[1]) if cell[1].isdecimal() else np.inf)  # noqa: E731
        return sorted((set.intersection if shared else set.union)(*found), key=order)

    def by_seed(self, method: str, score: str, cells: Sequence[Cell]) -> dict[int, float]:
        """The mean of a score over cells, for each seed that has all of them."""
        own, name = self.lines[_trained(method)], _score_of(method, score)
        factor = 1 if score == "log_loss" else 100
        seeds = sorted({seed for _, seed in own})
        complete = [seed for seed in seeds if cells and all((cell, seed) in own for cell in cells)]
        return {seed: factor * fmean(own[cell, seed]["scores"][name] for cell in cells) for seed in complete}

    def difference(self, method: str, rival: str, score: str, cells: Sequence[Cell]) -> Difference | None:
        one, other = (self.by_seed(name, score, cells) for name in (method, rival))
        shared = [seed for seed in one if seed in other]
        return Difference.of([one[seed] - other[seed] for seed in shared]) if shared else None

    def example_p(self, method: str, rival: str, right: str, cells: Sequence[Cell]) -> float | None:
        """The p of the exact paired test over the examples of all cells."""
        found: list[dict[int, np.ndarray]] = []
        for name in (rival, method):
            own = self.lines[name]
            seeds = [seed for seed in sorted({seed for _, seed in own}) if all((cell, seed) in own for cell in cells)]
            found.append({seed: np.concatenate([_right(own[cell, seed], right) for cell in cells]) for seed in seeds})
        test = paired_test(*found)
        return None if test is None else test.p


def tables(lines: Sequence[Line], methods: Sequence[str]) -> Iterator[str]:
    """Markdown: the primary comparisons; then, for each kind of task, the means over all cells, and each cell."""
    lines = [line for line in lines if line["run"]["method"] in methods]
    yield from tuning_tables([line for line in lines if line["run"]["task"].endswith(HELD_OUT)])
    lines = [line for line in lines if not line["run"]["task"].endswith(HELD_OUT)]
    by_kind = [(kind, [line for line in lines if kind_of(line) is kind]) for kind in KINDS]
    for family in ((TEXTS, IMAGES), (LARGE_TEXTS,)):
        yield from primary([(kind, Scores(own)) for kind, own in by_kind if kind in family])
    for kind, own in by_kind:
        scores = Scores(own)
        names = [name for name in METHODS if name in methods and scores.lines[name]]
        shared, every = (scores.cells(*names), scores.cells(*names, shared=False)) if names else ([], [])
        for shown in [*([shared] if len(shared) > 1 else []), *([cell] for cell in every)]:
            machines = sorted({line["machine"] for line in own if (line["run"]["task"], line["run"]["size"]) in shown})
            yield f"\n**{title_of(shown, kind)}** ({'; '.join(machines)})\n"
            yield from table(kind, scores, names, shown)
            if shown is shared or len(every) == 1:
                yield ""
                yield from difference_table(kind, scores, names, shown)


def title_of(cells: Sequence[Cell], kind: Kind) -> str:
    by_size: dict[str, list[str]] = defaultdict(list)
    for task, size in cells:
        by_size[size].append(task)
    parts = [f"{', '.join(tasks)}: {size} {kind.size}" for size, tasks in by_size.items()]
    return ("Mean over " if len(cells) > 1 else "") + "; ".join(parts)


def tuning_tables(lines: Sequence[Line]) -> Iterator[str]:
    """For each task and size that settings are chosen on, a row for each point: means over the seeds."""
    by_cell: dict[Cell, dict[tuple[str, str], list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if "random_accuracy" in line["scores"]:
            point = ", ".join(f"{name} = {value}" for name, value in line["run"]["point"].items())
            by_cell[line["run"]["task"], line["run"]["size"]][line["run"]["method"], point].append(line)
    for (task, size), points in by_cell.items():
        title = title_of([(task.removesuffix(HELD_OUT), size)], IMAGES if task.startswith(IMAGE_TASK) else TEXTS)
        yield f"\n**{title}, held-out training examples**\n"
        yield "| method | point | seeds | clean | random | mean of both |"
        yield "|---|---|---:|---:|---:|---:|"
        for (method, point), own in points.items():
            scores = [fmean(line["scores"][name] for line in own) for name in ("accuracy", "random_accuracy")]
            shown = " | ".join(f"{100 * score:.1f}" for score in (*scores, fmean(scores)))
            yield f"| {method} | {point} | {len(own)} | {shown} |"


def primary(by_kind: Sequence[tuple[Kind, Scores]]) -> Iterator[str]:
    """The primary comparisons that there are runs of, with p corrected together."""
    found = []
    for kind, scores in by_kind:
        for comparison in kind.primary:
            cells = scores.cells(comparison.method, comparison.rival)
            difference = scores.difference(comparison.method, comparison.rival, comparison.score, cells)
            if difference is not None:
                found.append((kind, comparison, scores, difference, cells))
    if not found:
        return
    known = [difference.p for *_, difference, _ in found if not np.isnan(difference.p)]
    corrected = dict(zip(known, holm(known), strict=True))
    yield "| comparison | score | aim | difference | seeds | corrected p | p over examples |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for kind, (score, method, rival, aim), scores, difference, cells in found:
        over_examples = None
        if score.endswith("accuracy"):
            right = score.removesuffix("_accuracy").replace("accuracy", "clean")
            over_examples = scores.example_p(method, rival, right, cells)
        yield (
            f"| {method} − {rival} | {kind.columns[score]} | {_aim(score, aim)} | {difference} | "
            f"{difference.num_seeds} | {_p(corrected.get(difference.p))} | {_p(over_examples)} |"
        )
    yield ""


def table(kind: Kind, scores: Scores, names: Sequence[str], cells: Sequence[Cell]) -> Iterator[str]:
    """A row for each method: the means over the seeds that have all cells, and the cost."""
    yield f"| method | seeds | {' | '.join(kind.columns.values())} | training, s |"
    yield f"|---|---:|{'---:|' * len(kind.columns)}---:|"
    for name in names:
        means = {score: list(scores.by_seed(name, score, cells).values()) for score in kind.columns}
        num_seeds = len(next(iter(means.values())))
        if not num_seeds:
            continue
        parts = [f"{fmean(values):.{2 if score == 'log_loss' else 1}f}" for score, values in means.items()]
        own = [line["train_seconds"] for (cell, _), line in scores.lines[name].items() if cell in cells]
        yield f"| {name} | {num_seeds} | {' | '.join(parts)} | {fmean(own):.0f} |"


def difference_table(kind: Kind, scores: Scores, names: Sequence[str], cells: Sequence[Cell]) -> Iterator[str]:
    """A row for each method: its differences to others, over the seeds that both have."""
    yield f"| method | {' | '.join(f'{kind.columns[score]} − {rival}' for score, rival in kind.differences)} |"
    yield f"|---|{'---:|' * len(kind.differences)}"
    for name in names:
        found = [
            None if rival == name else scores.difference(name, rival, score, cells)
            for score, rival in kind.differences
        ]
        if any(found):
            yield f"| {name} | {' | '.join('–' if one is None else str(one) for one in found)} |"


def _aim(score: str, aim: float) -> str:
    return "< 0" if score.endswith("error") else f"≥ {aim:+g}".replace("-", "−").replace("+0", "0")


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def _trained(method: str) -> str:
    return "none" if method == TEMPERATURE else method


def _score_of(method: str, score: str) -> str:
    return f"scaled_{score}" if method == TEMPERATURE and score in ("log_loss", "calibration_error") else score


def _right(line: Line, name: str) -> np.ndarray:
    """Which examples a run gets right, `(N,)`."""
    packed = np.frombuffer(bytes.fromhex(line["right"][name]), dtype=np.uint8)
    return np.unpackbits(packed, count=line["num_evaluated"]).astype(bool)
