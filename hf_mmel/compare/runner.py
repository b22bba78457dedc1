"""How the grid is run: which run is next, how many seeds fit into the budget, and a process for each run."""

from __future__ import annotations

import ctypes
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from ..cli.errors import UsageError
from ..hub.redaction import without_tokens
from .plan import Run, Setting
from .text import duration


LOG, ATTACK_LOG = "log.txt", "attack_log.txt"
MARGIN = 0.1  # of the time left, for runs that take longer than the ones before
_POLL_SECONDS = 0.1
_SECONDS_TO_END = 10.0
_MAX_REASON_LENGTH = 300


class Schedule:
    """
    Hands out the runs of the grid seed by seed. `finished` has the seconds of those that are finished.

    With a finite `budget` in seconds, which starts at the time `start`, one run with variants comes first and alone.
    Its time tells how many seeds fit, and each further run improves the estimate. Seeds that would not end in time are
    left out, the last one first.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        finished: Mapping[Run, float],
        num_jobs: int = 1,
        budget: float = math.inf,
        start: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.clock, self.num_jobs, self.budget = clock, num_jobs, budget
        self.start = clock() if start is None else start
        self.runs, self.seconds = list(runs), dict(finished)
        self.pending = [run for run in runs if run not in finished]
        self.running: dict[Run, float] = {}  # with the time of their start
        self.failed: list[Run] = []
        self.left_out: list[int] = []  # seeds

    def next_run(self) -> Run | None:
        """
        The run to start now; `None` if none is left, or if the run that is timed for the budget has not ended. A
        `UsageError` says if that run has failed, or not even one seed fits into the budget.
        """
        if self.seconds:
            self._leave_out_seeds()
            if self.runs[0].seed in self.left_out and not self.running:
                raise UsageError(self._no_seed_fits())
        if not self.pending:
            return None
        run = self.pending[0]
        if self.budget < math.inf and not self.seconds:
            if self.failed:
                raise UsageError(f"{self.failed[0]} failed; --budget needs its time to plan the other runs.")
            if self.running:
                return None
            run = next((run for run in self.pending if run.setting.augmenter is not None), run)
        self.pending.remove(run)
        self.running[run] = self.clock()
        return run

    def ended(self, run: Run, seconds: float | None) -> None:
        """Records that a run has ended; `seconds` is `None` if it failed."""
        del self.running[run]
        if seconds is None:
            self.failed.append(run)
        else:
            self.seconds[run] = seconds

    def remaining(self, runs: Iterable[Run] | None = None) -> float:
        """Seconds until the pending runs, or the given ones, and the running ones end, once a run has been timed."""
        loads = [max(0.0, self._expected(run.setting) - self.clock() + start) for run, start in self.running.items()]
        loads += [0.0] * (self.num_jobs - len(loads))
        for run in self.pending if runs is None else runs:
            loads.sort()
            loads[0] += self._expected(run.setting)
        return max(loads)

    def _expected(self, setting: Setting) -> float:
        """Expected seconds of a run: the mean of its setting, or that of the slowest setting."""
        times: dict[Setting, list[float]] = {}
        for run, seconds in self.seconds.items():
            times.setdefault(run.setting, []).append(seconds)
        return fmean(times[setting]) if setting in times else max(map(fmean, times.values()))

    def _leave_out_seeds(self) -> None:
        left = (self.start + self.budget - self.clock()) * (1 - MARGIN)
        while self.pending and self.remaining() > left:
            last = self.pending[-1].seed
            self.pending = [run for run in self.pending if run.seed != last]
            self.left_out.append(last)

    def _no_seed_fits(self) -> str:
        first = [run for run in self.runs if run.seed == self.runs[0].seed and run not in self.seconds]
        needed = (self.clock() - self.start + self.remaining(first) / (1 - MARGIN)) / 60
        return (
            f"budget is {duration(self.budget)}, but the first seed takes about {math.ceil(needed)} min here: it has "
            f"{len(first)} more runs of up to {duration(max(self.seconds.values()))}. Pass --budget "
            f"{math.ceil(needed)}m, fewer --methods or --augmenters, or --max_train_samples or --num_train_epochs for "
            "shorter runs. Finished runs are kept."
        )


class Outcome(NamedTuple):
    """How long a run took, and why it failed, if it did."""

    run: Run
    seconds: float
    error: str | None


class Process:
    """The process of a step of a run, with the file of its log; `environment` is added to the one of this process."""

    def __init__(self, run: Run, command: list[str], log: Path, environment: dict[str, str]):
        self.run, self.environment, self.log = run, environment, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.start = time.monotonic()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,  # so that its children can be ended with it
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def outcome(self, time_limit: float) -> Outcome | None:
        """`None` while it runs. After `time_limit` seconds it is ended."""
        code, seconds = self.process.poll(), time.monotonic() - self.start
        if code is not None:
            return Outcome(self.run, seconds, _failure(code, self.log) if code else None)
        if seconds <= time_limit:
            return None
        self.stop()
        return Outcome(self.run, seconds, f"It took longer than {time_limit:.0f} seconds; its log is {self.log}.")

    def stop(self) -> None:
        """Ends it and its children."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, number)
                self.process.wait(_SECONDS_TO_END)


def execute(
    next_run: Callable[[], Run | None],
    start: Callable[[Run, dict[str, str]], Process | None],
    environments: Sequence[dict[str, str]],
    time_limit: float = math.inf,
) -> Generator[Outcome, None, None]:
    """
    Executes runs, one per environment at a time, until `next_run` returns `None` and all have ended. `start` starts
    the next step of a run, and returns `None` if there is no more. Yields the outcome of each step. Closing the
    iterator ends the steps that have not ended.
    """
    free, running = list(reversed(environments)), list[Process]()

    def go_on(run: Run, environment: dict[str, str]) -> None:
        process = start(run, environment)
        free.append(environment) if process is None else running.append(process)

    try:
        while True:
            while free and (run := next_run()) is not None:
                go_on(run, free.pop())
            if not running:
                return
            time.sleep(_POLL_SECONDS)
            for process in list(running):
                if (outcome := process.outcome(time_limit)) is not None:
                    running.remove(process)
                    yield outcome  # the consumer records it
                    go_on(process.run, process.environment)
    finally:
        for process in running:
            process.stop()


def environments_for(jobs: int | None, num_gpus: int, has_launcher: bool) -> list[dict[str, str]]:
    """
    The environment variables of each of the `jobs` that run at the same time: by default one per GPU that this process
    sees, and one without GPUs. A launcher distributes each run over all GPUs itself.
    """
    if has_launcher:
        return [{}]
    if num_gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(num_gpus)))
        gpus = visible.split(",")[:num_gpus]
        return [{"CUDA_VISIBLE_DEVICES": gpus[i % num_gpus]} for i in range(jobs or num_gpus)]
    if not jobs or jobs == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{}] * (jobs or 1)
    return [{"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}] * jobs


def _end_with_parent() -> None:
    """Makes the kernel end this process with its parent, so that a repeated command does not train a run twice."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _failure(code: int, log: Path) -> str:
    """Why a process failed: its exit code or signal, the most telling line of its log, and where the log is."""
    reason = f"exit code {code}"
    if code < 0:
        name = signal.Signals(-code).name
        reason = f"ended by {name}" + (", perhaps out of memory" if name == "SIGKILL" else "")
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line.strip() for line in lines if re.search(r"\w", line)]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b|.*: error: ", line)]
    last = (errors or lines or ["no output"])[-1]
    return f"{reason}: {without_tokens(last)[:_MAX_REASON_LENGTH]} (see {log})"
