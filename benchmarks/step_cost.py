"""What a training step of `MMELTrainer` costs, in time and in memory, next to steps of `Trainer`.

    python -m benchmarks.step_cost --model PATH_OR_NAME --picture docs/step_cost.svg
    python -m benchmarks.step_cost --model PATH_OR_NAME --data PATH_OR_NAME_OF_GLUE --length 128 --only "K=8"
    python -m benchmarks.step_cost --batch_size 4 --only "K=4"    # BERT-base of random weights
    python -m benchmarks.step_cost --model PATH_OR_NAME --device cuda --batch_size 32 --length 128 --compiled

Times are those of one thread on a CPU, and on a GPU those of steps in bfloat16. A ratio of times is the median over
pairs of steps, one of each kind in turn; memory is that of a fresh process for each configuration, on top of what it
had before its first step. Ratios are kept in `--work_dir`, so that a second call only measures what is missing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from .steps.comparisons import (
    ALL_NUM_VARIANTS,
    MEMORY,
    PLAIN,
    TIME,
    Comparison,
    Configuration,
    chunked,
    comparisons,
    compilations,
    full,
    top,
)
from .steps.measuring import Bench, Setting


LEAST_PAIRS, MOST_PAIRS = 3, 15
FORECAST = "(K + 1)/3 + 1"  # time of a step that scores K + 1 sequences and trains on one
COLORS = ("#0b6bcb", "#c2410c", "#e59866", "#15803d", "#6b7280", "#9333ea")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="Name or folder of an encoder. Default: BERT-base of random weights.")
    parser.add_argument("--data", help="GLUE, name or folder, for rows of RTE. Default: rows of random tokens.")
    parser.add_argument("--batch_size", type=int, default=8, help="Examples, each with its variants.")
    parser.add_argument("--length", type=int, default=64, help="Tokens of each row; the most, with --data.")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seconds", type=float, default=10, help=f"For each ratio, but {LEAST_PAIRS} pairs at least.")
    parser.add_argument("--compiled", action="store_true", help="Also compiled scoring. Needs a compiler of C++.")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="Only comparisons whose name has one of these.")
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/step_cost"))
    parser.add_argument("--fresh", action="store_true", help="Measure again what was measured before.")
    parser.add_argument("--picture", type=Path, help="SVG file for time and memory against K.")
    args = parser.parse_args()
    if args.data and not args.model:
        parser.error("--data needs --model, whose tokenizer reads it")
    return args


class Measured:
    """Figures by setting, quantity and names, as lines of a file to which each is added as it is found."""

    def __init__(self, path: Path, setting: Setting, fresh: bool):
        self.path, self.setting, self.figures = path, asdict(setting), {}
        for line in path.read_text().splitlines() if path.exists() and not fresh else []:
            entry = json.loads(line)
            if entry["setting"] == self.setting:
                self.figures[entry["name"]] = entry["figure"]

    def add(self, name: str, figure: dict[str, Any]) -> None:
        self.figures[name] = figure
        with self.path.open("a") as file:
            file.write(json.dumps({"setting": self.setting, "name": name, "figure": figure}) + "\n")


def time_pairs(bench: Bench, comparison: Comparison, seconds: float) -> dict[str, Any]:
    """Steps of both sides in turn, in pairs of which every second begins with the other side."""
    sides, times = (comparison.ours, comparison.baseline), []
    for number in range(2 * comparison.ours.scoring_compile):  # compiles, the second time for other shapes
        bench.step(comparison.ours, number)
    start = time.monotonic()
    while len(times) < LEAST_PAIRS or (len(times) < MOST_PAIRS and time.monotonic() - start < seconds):
        number = len(times)
        pair = {side: bench.step(side, number) for side in (sides if number % 2 else sides[::-1])}
        times.append([pair[side] for side in sides])
    ratios = sorted(ours / baseline for ours, baseline in times)
    return {
        "ratio": statistics.median(ratios),
        "least": ratios[0],
        "most": ratios[-1],
        "pairs": len(times),
        "seconds": [statistics.median(column) for column in zip(*times, strict=True)],
    }


def peak_memory(setting: Setting, configuration: Configuration) -> dict[str, Any]:
    """Bytes of a fresh process, on one thread."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.steps.measuring",
        json.dumps([asdict(setting), asdict(configuration)]),
    ]
    # glibc is to give back what is freed at once: what it keeps is up to 150 MB more or less, by the order of sizes.
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "1000000"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return {"bytes": int(done.stdout.splitlines()[-1])}


def measure(comparisons: list[Comparison], setting: Setting, measured: Measured, seconds: float) -> None:
    for comparison in comparisons:
        if comparison.quantity == MEMORY:
            for side in (comparison.ours, comparison.baseline):
                if (name := f"memory: {side.name}") not in measured.figures:
                    measured.add(name, peak_memory(setting, side))
                    print(name, measured.figures[name], file=sys.stderr)
    timed = [c for c in comparisons if c.quantity == TIME and c.name not in measured.figures]
    if timed:
        bench = Bench(setting, [PLAIN, *{side: None for c in timed for side in (c.ours, c.baseline)}])
        bench.step(PLAIN)  # begins the optimizer's state
    for comparison in sorted(timed, key=lambda comparison: comparison.ours.num_variants):  # the quick ones first
        measured.add(comparison.name, time_pairs(bench, comparison, seconds))
        print(comparison.name, measured.figures[comparison.name], file=sys.stderr)


def ratio_of(comparison: Comparison, figures: dict[str, dict[str, Any]]) -> float | None:
    """`None` where it has not been measured."""
    if comparison.quantity == TIME:
        return figures[comparison.name]["ratio"] if comparison.name in figures else None
    sides = [figures.get(f"memory: {side.name}") for side in (comparison.ours, comparison.baseline)]
    return sides[0]["bytes"] / sides[1]["bytes"] if all(sides) else None


def print_table(comparisons: list[Comparison], figures: dict[str, dict[str, Any]], device: str) -> None:
    unit = "CPU-s" if device == "cpu" else "s"
    print(f"| | step | against | ratio | range | {unit} or MB | aim | |\n|---|---|---|---:|---|---|---:|---|")
    for comparison in comparisons:
        if (ratio := ratio_of(comparison, figures)) is None:
            continue
        if comparison.quantity == TIME:
            figure = figures[comparison.name]
            spread = f"{figure['least']:.2f}–{figure['most']:.2f}"
            absolute = " / ".join(f"{seconds:.3g}" for seconds in figure["seconds"])
        else:
            sides = (comparison.ours, comparison.baseline)
            spread = ""
            absolute = " / ".join(f"{figures[f'memory: {side.name}']['bytes'] / 1e6:,.0f}" for side in sides)
        verdict = " | "
        if comparison.target is not None:
            verdict = f"{comparison.target:.2f} | {'met' if ratio <= comparison.target else 'missed'}"
        names = f"{comparison.quantity} | {comparison.ours.name} | {comparison.baseline.name}"
        print(f"| {names} | {ratio:.2f} | {spread} | {absolute} | {verdict} |")


def lines(quantity: str, figures: dict[str, dict[str, Any]]) -> dict[str, dict[float, float]]:
    """Of each kind of step its ratio to one on the originals, by number of variants."""
    kinds = {
        "full": lambda k: full("hard", k),
        "top, scored in float32": lambda k: top("hard", k, False),
        "top, scored in bfloat16": lambda k: top("hard", k, True),
        "full, chunks of 2": lambda k: chunked("hard", k, True),
    }
    drawn = {
        name: {k: ratio_of(Comparison(quantity, of(k), PLAIN), figures) for k in ALL_NUM_VARIANTS}
        for name, of in kinds.items()
    }
    drawn = {name: {k: y for k, y in line.items() if y is not None} for name, line in drawn.items()}
    drawn["originals alone"] = dict.fromkeys(ALL_NUM_VARIANTS, 1.0)
    if quantity == TIME:
        drawn[FORECAST] = {k: (k + 1) / 3 + 1 for k in ALL_NUM_VARIANTS}
    return {name: line for name, line in drawn.items() if line}


def draw(file: Path, panels: dict[str, dict[str, dict[float, float]]]) -> None:
    """Writes an SVG with the lines of each panel, by its title, on logarithmic axes."""
    import matplotlib
    from matplotlib.figure import Figure  # without pyplot, which would look for a display

    colors = dict(zip(dict.fromkeys(name for lines in panels.values() for name in lines), COLORS, strict=False))
    with matplotlib.rc_context({"svg.hashsalt": file.name, "svg.fonttype": "none"}):  # the same lines, the same file
        figure = Figure((11, 5), layout="constrained")
        for axes, (title, lines) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
            for name, line in lines.items():
                style = {"linestyle": "--"} if name == FORECAST else {"marker": "o", "markersize": 5}
                axes.plot(list(line), list(line.values()), label=name, color=colors[name], **style)
            axes.set_xscale("log", base=2)
            axes.set_yscale("log", base=2)
            axes.set(title=title, xlabel="variants of each example, K")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.grid(color="#e5e7eb")
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        names = {line.get_label(): line for axes in figure.axes for line in axes.lines}
        figure.legend(names.values(), names.keys(), loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def main() -> int:
    args = parse_arguments()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if args.device == "cpu":
        torch.set_num_threads(1)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    model = str(Path(args.model).absolute()) if args.model and Path(args.model).is_dir() else args.model
    setting = Setting(model, args.batch_size, args.length, args.device, args.data)
    wanted = comparisons(for_picture=args.picture is not None) + (compilations() if args.compiled else [])
    if args.only:
        wanted = [comparison for comparison in wanted if any(text in comparison.name for text in args.only)]
    measured = Measured(args.work_dir / "results.jsonl", setting, args.fresh)
    measure(wanted, setting, measured, args.seconds)
    print_table(wanted, measured.figures, args.device)
    if args.picture:
        panels = {
            "Time of a step, originals alone = 1": lines(TIME, measured.figures),
            "Memory of a step, originals alone = 1": lines(MEMORY, measured.figures),
        }
        draw(args.picture, panels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
