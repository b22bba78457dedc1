"""Which runs there are, and how they are run: several at once, those that are finished left out."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import cache
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .data import HELD_OUT, IMAGE_TASK
from .methods import METHODS, STEPS, Group, Settings, chosen, chosen_steps, settings_of


TUNING_SEEDS = (101, 102, 103)
SAID = ("accuracy", "worst_accuracy", "correlation")  # of a run, when it has ended
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

    def of(self, task: str, size: str, method: str) -> list[Line]:
        wanted = {"task": task, "size": size, "method": method}
        return [line for line in self.lines if wanted.items() <= line["run"].items()]

    def choices(self, group: Group) -> dict[str, Settings]:
        """The best point of each method that is tuned."""
        found = {
            name: chosen(method.points, self.of(group.tuning, group.tuning_size, name), TUNING_SEEDS)
            for name, method in group.methods.items()
        }
        return {name: point for name, point in found.items() if point is not None}

    def steps(self, group: Group, task: str, size: str, learning_rate: float) -> tuple[int, bool]:
        """See `chosen_steps`."""
        lines = self.of(task + HELD_OUT, size, group.base)
        return chosen_steps([one for one in lines if one["settings"]["learning_rate"] == learning_rate], TUNING_SEEDS)

    def steps_factor(self, group: Group, choices: dict[str, Settings]) -> float:
        """How many times longer `hard` trains than `none`, each with its choice: medians over the tuning seeds."""
        seconds = [
            [
                line["train_seconds"]
                for line in self.of(group.tuning, group.tuning_size, name)
                if line["run"]["point"] == choices.get(name)
            ]
            for name in ("hard", "none")
        ]
        return median(seconds[0]) / median(seconds[1]) if all(seconds) else 1.0


def phases(stage: str, group: Group, methods: Sequence[str]) -> list[list[str]]:
    """
    The methods in groups whose runs can only be planned one after another: in "tune" each is tuned after those whose
    choice it shares, and in "steps" each number of steps is tried after the one before.
    """
    if stage == "tune":
        after = {name: len(group.methods[name].after) for name in methods}
        return [same for n in range(4) if (same := [name for name in methods if after[name] == n])]
    return [[group.base]] * len(STEPS) if stage == "steps" else [list(methods)]


def planned(
    args: argparse.Namespace, group: Group, results: Results, methods: Sequence[str]
) -> Iterator[tuple[Run, Settings]]:
    """The runs with their settings, seed by seed. Those that need a choice that is not made yet are left out."""
    choices = results.choices(group)
    factor = results.steps_factor(group, choices)
    is_tuning = args.stage == "tune"
    cells = (
        [(group.tuning, group.tuning_size)] if is_tuning else [(task, n) for n in args.sizes for task in args.tasks]
    )
    for seed in args.seeds if args.stage == "report" else TUNING_SEEDS:
        for task, size in cells:
            own = choices
            if not is_tuning and group.base:
                if group.base not in choices:
                    continue
                steps, is_known = results.steps(group, task, size, choices[group.base]["learning_rate"])
                if is_known == (args.stage == "steps"):
                    continue
                own = choices | {group.base: choices[group.base] | {"max_steps": steps}}
            for method in methods:
                after, points = group.methods[method].after, group.methods[method].points
                if any(name not in own for name in (after if is_tuning else (*after, method))):
                    continue
                for point in points if is_tuning else [own[method]]:
                    evaluated = task + HELD_OUT if args.stage == "steps" else task
                    run = {"task": evaluated, "size": size, "method": method, "seed": seed, "point": point}
                    yield run, settings_of(group, method, point, own, factor)


def run_all(
    args: argparse.Namespace, results: Results, jobs: Sequence[tuple[Run, Settings]], deadline: float
) -> Iterator[tuple[str, bool]]:
    """Runs what is not there yet, several at once; of each, a line on how it has ended, and whether it has failed."""
    rest = iter([(run, settings) for run, settings in jobs if results.find(run, settings) is None])
    running: dict[Future, tuple[Run, Settings, float]] = {}
    slowest = 0.0
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        while True:
            is_over = time.monotonic() + slowest > deadline
            while not is_over and len(running) < args.jobs and (job := next(rest, None)) is not None:
                run, settings = job
                bench = args.model, tuple(args.data), args.device
                future = pool.submit(_execute, bench, run, settings, teacher_of(settings), args.stage != "steps")
                running[future] = run, settings, time.monotonic()
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                run, settings, begun = running.pop(future)
                slowest = max(slowest, time.monotonic() - begun)
                name = " ".join(str(part) for part in run.values())
                if (error := future.exception()) is not None:
                    yield f"{name}: {type(error).__name__}: {error}", True
                    continue
                scores, seconds, logits, right = future.result()
                keep_logits(args.work_dir, results.conditions, run, settings, logits)
                bits = {of: np.packbits(correct).tobytes().hex() for of, correct in right.items()}
                results.add(
                    {
                        "run": run,
                        "conditions": results.conditions,
                        "machine": machine(args.device),
                        "settings": settings,
                        "scores": {of: round(score, 6) for of, score in scores.items()},
                        "train_seconds": seconds,
                        "num_evaluated": len(logits),
                        "right": bits,
                    }
                )
                said = ", ".join(f"{of} {scores[of]:.3f}" for of in SAID if of in scores)
                yield f"{name}: {said}, {time.monotonic() - begun:.0f} s", False


def teacher_of(settings: Settings) -> Settings | None:
    """The settings of the model that predicts the soft labels of a run, if one does: `none` with the same training."""
    if settings.get("soft_labels") != "teacher":
        return None
    return METHODS["none"].options | {name: settings[name] for name in ("learning_rate", "max_steps")}


def _execute(bench: tuple, run: Run, settings: Settings, teacher: Settings | None, has_attacks: bool) -> tuple:
    be_quiet()
    from . import images, training

    shared, data = training.Bench(*bench), (run["task"], run["size"], run["seed"])
    if run["task"].removesuffix(HELD_OUT) == IMAGE_TASK:
        result = images.execute(shared, *data, settings, has_attacks)
    else:
        result = training.execute(shared, *data, settings, teacher, has_attacks)
    return result.measures.scores, result.train_seconds, result.measures.logits, result.measures.right


@cache
def machine(device: str) -> str:
    """The processor or the GPU of the runs."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    names = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text()) or [platform.processor()]
    return f"{names[0]}, {os.cpu_count()} cores"


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
