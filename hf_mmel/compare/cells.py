"""The processes that train the cells: each is a run of the command, so that none can harm another."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..hub.redaction import without_tokens
from .grid import Cell


LOG = "log.txt"
_POLL_SECONDS = 0.1
_SECONDS_TO_END = 10.0
_LONGEST_REASON = 300


class Outcome(NamedTuple):
    """
    How a cell has ended.

    Attributes:
        cell (`Cell`): Which one.
        seconds (`float`): How long it ran.
        error (`str`, *optional*): Why it failed, if it did.
    """

    cell: Cell
    seconds: float
    error: str | None


class Process:
    """
    A cell that is being trained.

    Args:
        cell (`Cell`): Which one.
        command (`list[str]`): What is run.
        folder (`Path`): Where its log goes.
        environment (`dict[str, str]`): What its environment has besides that of this process.
    """

    def __init__(self, cell: Cell, command: list[str], folder: Path, environment: dict[str, str]):
        self.cell, self.environment, self.log = cell, environment, folder / LOG
        folder.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,  # so that it can be ended with all that it has started
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def outcome(self, limit: float | None) -> Outcome | None:
        """How it has ended; `None` while it runs. After `limit` seconds it is ended."""
        code = self.process.poll()
        if code is None and limit is not None and self.seconds > limit:
            self.stop()
            return Outcome(self.cell, self.seconds, f"It took longer than {limit:.0f} seconds; its log is {self.log}.")
        if code is None:
            return None
        return Outcome(self.cell, self.seconds, _why(code, self.log) if code else None)

    def stop(self) -> None:
        """Ends it and all processes that it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(_SECONDS_TO_END)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


def run_cells(
    next_cell: Callable[[], Cell | None],
    start: Callable[[Cell, dict[str, str]], Process],
    places: list[dict[str, str]],
    limit: float | None = None,
) -> Iterator[Outcome]:
    """
    Trains cells, one at each place at a time.

    Args:
        next_cell (`Callable`): Gives the next cell, or `None` while there is none.
        start (`Callable`): Starts a cell in an environment.
        places (`list[dict[str, str]]`): What the environment of a cell has at each place, see [`places_for`].
        limit (`float`, *optional*): Seconds after which a cell is ended.

    Yields:
        `Outcome`: of each cell that has ended. When the iterator is closed, those that still run are ended.
    """
    free, running = list(reversed(places)), []
    try:
        while True:
            while free and (cell := next_cell()) is not None:
                running.append(start(cell, free.pop()))
            if not running:
                return
            time.sleep(_POLL_SECONDS)
            for process in list(running):
                if (outcome := process.outcome(limit)) is not None:
                    running.remove(process)
                    free.append(process.environment)
                    yield outcome
    finally:
        for process in running:
            process.stop()


def places_for(jobs: int | None, num_gpus: int, launched: bool) -> list[dict[str, str]]:
    """
    Where cells run at the same time, as what the environment of each has.

    Args:
        jobs (`int`, *optional*): How many at a time. Defaults to one per GPU, and to one without GPUs.
        num_gpus (`int`): GPUs that this process sees.
        launched (`bool`): Whether a launcher deals out the GPUs, so that all of them are for each cell.
    """
    if launched:
        return [{}]
    if num_gpus:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(num_gpus)))
        gpus = seen.split(",")[:num_gpus]
        return [{"CUDA_VISIBLE_DEVICES": gpus[i % num_gpus]} for i in range(jobs or num_gpus)]
    jobs = jobs or 1
    if jobs == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{}] * jobs
    return [{"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}] * jobs


def _end_with_parent() -> None:
    """
    Has the kernel end this process when the one that started it has been killed. Else it would go on by itself, and
    the same cell would be trained twice at once when the comparison is run again.
    """
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _why(code: int, log: Path) -> str:
    """Why a process has failed: how it ended, the line of its log that says most, and where that is."""
    how = f"exit code {code}"
    if code < 0:
        name = signal.Signals(-code).name
        how = f"ended by {name}" + (", as for want of memory" if name == "SIGKILL" else "")
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line.strip() for line in lines if re.search(r"\w", line)]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b|.*: error: ", line)]
    last = (errors or lines or ["nothing was said"])[-1]
    return f"{how}: {without_tokens(last)[:_LONGEST_REASON]} (see {log})"
