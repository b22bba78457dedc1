"""The evaluation of docs/protocol.md.

    python -m benchmarks.evidence --model PATH_OR_NAME --data GLUE_FOLDER FEWSHOT_FOLDER --stage tune
    python -m benchmarks.evidence --model ... --data ... --tasks subj trec mr --sizes 20 --budget 60m
    python -m benchmarks.evidence --table

The stage "tune" trains every point of the methods on the tuning data; "report" trains each method with its best point.
Methods that are not tuned yet are left out. One line per run is added to `--results`, and runs that are there are
skipped. The logits of each run are kept in `--work_dir`.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .data import TUNING
from .methods import CORE, METHODS, Settings, chosen, settings_of
from .tables import tables


TUNING_SIZE, TUNING_SEEDS = "50", (101, 102, 103)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
Run = dict[str, Any]
Line = dict[str, Any]


class Results:
    """The finished runs: a file with one line for each, of all machines and encoders."""

    def __init__(self, path: Path, conditions: dict[str, Any]):
        self.path, self.conditions = path, conditions
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.lines = [line for line in lines if line["conditions"] == conditions]

    def find(self, run: Run, settings: Settings) -> Line | None:
        return next((line for line in self.lines if line["run"] == run and line["settings"] == settings), None)

    def add(self, line: Line) -> None:
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    @property
    def tuning(self) -> list[Line]:
        return [line for line in self.lines if line["run"]["task"] == TUNING]


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    conditions = {"model": Path(args.model).name, "device": args.device}
    results = Results(args.results, conditions)
    if args.table:
        print("\n".join(tables([line for line in results.lines if line["run"]["task"] != TUNING], args.methods)))
        return 0
    deadline = None if args.budget is None else time.monotonic() + args.budget
    for methods in phases(args.methods) if args.stage == "tune" else [args.methods]:
        for said in run_all(args, results, list(planned(args, results, methods)), deadline):
            print(said, flush=True)
    return 0


def phases(methods: Sequence[str]) -> list[list[str]]:
    """The methods in groups, so that each is tuned after those whose choice it shares."""
    return [group for n in range(4) if (group := [name for name in methods if len(METHODS[name].after) == n])]


def planned(args: argparse.Namespace, results: Results, methods: Sequence[str]) -> Iterator[tuple[Run, Settings]]:
    """The runs with their settings, seed by seed."""
    choices = choices_of(results)
    is_tuning = args.stage == "tune"
    tasks, sizes, seeds = (
        ([TUNING], [TUNING_SIZE], TUNING_SEEDS) if is_tuning else (args.tasks, args.sizes, args.seeds)
    )
    for seed in seeds:
        for size in sizes:
            for task in tasks:
                for method in methods:
                    if any(name not in choices for name in (*METHODS[method].after, *([] if is_tuning else [method]))):
                        continue
                    for point in METHODS[method].points if is_tuning else [choices[method]]:
                        run = {"task": task, "size": size, "method": method, "seed": seed, "point": point}
                        yield run, settings_of(method, point, choices, steps_factor(results, choices))


def choices_of(results: Results) -> dict[str, Settings]:
    """The best point of each method that is tuned."""
    found = {name: chosen(name, results.tuning, TUNING_SEEDS) for name in METHODS if len(METHODS[name].points) > 1}
    found["longer"] = {}
    return {name: point for name, point in found.items() if point is not None}


def steps_factor(results: Results, choices: dict[str, Settings]) -> float:
    """How many times longer `hard` trains than `none`, each with its choice: medians over the tuning seeds."""
    seconds = [
        [
            line["train_seconds"]
            for line in results.tuning
            if line["run"]["method"] == name and line["run"]["point"] == choices.get(name)
        ]
        for name in ("hard", "none")
    ]
    return median(seconds[0]) / median(seconds[1]) if all(seconds) else 1.0


def run_all(
    args: argparse.Namespace, results: Results, jobs: Sequence[tuple[Run, Settings]], deadline: float | None
) -> Iterator[str]:
    """Runs what is not there yet, several at once, and says of each how it has ended."""
    choices = choices_of(results)
    rest = iter([(run, settings) for run, settings in jobs if results.find(run, settings) is None])
    running: dict[Future, tuple[Run, Settings, float]] = {}
    slowest = 0.0
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        while True:
            is_over = deadline is not None and time.monotonic() + slowest > deadline
            while not is_over and len(running) < args.jobs and (job := next(rest, None)) is not None:
                run, settings = job
                teacher = None
                if settings.get("soft_labels") == "teacher":
                    teacher = settings_of("none", choices["none"], choices)
                future = pool.submit(_execute, args.model, tuple(args.data), args.device, run, settings, teacher)
                running[future] = run, settings, time.monotonic()
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                run, settings, begun = running.pop(future)
                slowest = max(slowest, time.monotonic() - begun)
                name = " ".join(str(part) for part in run.values())
                if (error := future.exception()) is not None:
                    yield f"{name}: {type(error).__name__}: {error}"
                    continue
                scores, seconds, logits, right = future.result()
                keep_logits(args.work_dir, results.conditions, run, settings, logits)
                bits = {of: np.packbits(correct).tobytes().hex() for of, correct in right.items()}
                results.add(
                    {
                        "run": run,
                        "conditions": results.conditions,
                        "settings": settings,
                        "scores": {of: round(score, 6) for of, score in scores.items()},
                        "train_seconds": seconds,
                        "num_evaluated": len(logits),
                        "right": bits,
                    }
                )
                yield f"{name}: {scores['accuracy']:.3f}, worst case {scores['worst_accuracy']:.3f}, {time.monotonic() - begun:.0f} s"


def _execute(model: str, data: tuple[Path, ...], device: str, run: Run, settings: Settings, teacher: Settings | None):
    be_quiet()
    from .training import Bench, execute

    result = execute(Bench(model, data, device), run["task"], run["size"], run["seed"], settings, teacher)
    return result.measures.scores, result.train_seconds, result.measures.logits, result.measures.right


def be_quiet() -> None:
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def keep_logits(work_dir: Path, conditions: dict[str, Any], run: Run, settings: Settings, logits: np.ndarray) -> None:
    """Keeps the logits of a run under a name that is a digest of all that they depend on."""
    digest = blake2b(json.dumps([conditions, run, settings], sort_keys=True).encode(), digest_size=8).hexdigest()
    work_dir.mkdir(parents=True, exist_ok=True)
    np.save(work_dir / f"{digest}.npy", logits.astype(np.float32))


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="minilm-mlm", help="Name or folder of an encoder with a masked-LM head.")
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="Folders with a folder for each task.")
    parser.add_argument("--stage", choices=["tune", "report"], default="report")
    parser.add_argument("--tasks", nargs="+", default=["subj", "trec", "mr"])
    parser.add_argument("--sizes", nargs="+", default=["20"], help="Labelled examples of each class, or whole.")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(CORE))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(1, 11)))
    parser.add_argument("--budget", type=seconds, help="Start no run that would end later, such as 60m.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="Runs at once, each on one thread of a CPU.")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--table", action="store_true", help="Print the tables of the finished runs.")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/evidence.jsonl"))
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/evidence"))
    args = parser.parse_args(argv)
    if not args.table and not args.data:
        parser.error("--data is needed: the folders of GLUE and of the few-shot tasks")
    return args


def seconds(text: str) -> float:
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if parts is None:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a time such as 90s, 30m or 2h")
    return float(parts[1]) * _SECONDS[parts[2]]


if __name__ == "__main__":
    sys.exit(main())
