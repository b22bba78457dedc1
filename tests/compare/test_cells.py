"""The processes of the cells, with small programs in their place."""

import os
import sys
import time
from pathlib import Path

import pytest

from hf_mmel.compare import cells
from hf_mmel.compare.cells import Process, places_for, run_cells
from hf_mmel.compare.grid import Cell, Kind


CELLS = [Cell(Kind("hard", "wordnet"), seed) for seed in (1, 2, 3)]


@pytest.fixture
def run(tmp_path):
    """Iterates over the outcomes of cells, each of which is a Python program."""

    def run(programs, places=({},), **options):
        rest = list(programs)

        def start(cell, environment):
            return Process(cell, [sys.executable, "-c", programs[cell]], tmp_path / str(cell), environment)

        return run_cells(lambda: rest.pop(0) if rest else None, start, list(places), **options)

    return run


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_a_cell_that_fails_does_not_end_the_others(run, tmp_path):
    programs = ["1 / 0", "import os; os.kill(os.getpid(), 9)", "print('well')"]
    outcomes = list(run(dict(zip(CELLS, programs, strict=True))))
    assert [outcome.cell for outcome in outcomes] == CELLS
    crash, kill, well = (outcome.error for outcome in outcomes)
    log = tmp_path / "hard-wordnet-seed-1" / "log.txt"
    assert crash == f"exit code 1: ZeroDivisionError: division by zero (see {log})" and "Traceback" in log.read_text()
    assert kill.startswith("ended by SIGKILL, as for want of memory: nothing was said")
    assert well is None and (tmp_path / "hard-wordnet-seed-3" / "log.txt").read_text() == "well\n"


def test_the_reason_is_the_error_and_not_what_a_launcher_says_after_it(run):
    said = "run_glue_mmel.py: error: There is no hf_abcdefghij.\\n====\\nRoot Cause: see above\\n=====\\n"
    (outcome,) = run({CELLS[0]: f"import sys; print('{said}'); sys.exit(3)"})
    assert outcome.error.startswith("exit code 3: run_glue_mmel.py: error: There is no <token>. (see")


def test_a_cell_that_hangs_is_ended(run):
    outcomes = list(run({CELLS[0]: "import time; time.sleep(60)", CELLS[1]: ""}, limit=0.5))
    assert "took longer than 0 seconds" in outcomes[0].error and outcomes[0].seconds < 10
    assert outcomes[1].error is None


def test_each_place_has_one_cell_at_a_time_and_its_own_device(run, tmp_path):
    waits_for_the_other = f"""
import os, pathlib, time
device = os.environ["CUDA_VISIBLE_DEVICES"]
mine = pathlib.Path({str(tmp_path)!r}, device)
mine.touch(exist_ok=False)
other = mine.with_name("12"[device == "1"])
end = time.monotonic() + 30
while not other.exists() and time.monotonic() < end:
    time.sleep(0.02)
print(device, other.exists())
"""
    programs = [waits_for_the_other, waits_for_the_other, "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
    places = [{"CUDA_VISIBLE_DEVICES": "1"}, {"CUDA_VISIBLE_DEVICES": "2"}]
    outcomes = list(run(dict(zip(CELLS, programs, strict=True)), places))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    said = [(tmp_path / str(cell) / "log.txt").read_text().strip() for cell in CELLS]
    assert said[:2] == ["1 True", "2 True"] and said[2] in ("1", "2")


def test_an_interruption_leaves_no_process_behind(run, tmp_path, monkeypatch):
    program = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "print(os.getpid(), child.pid, flush=True); time.sleep(60)"
    )
    monkeypatch.setattr(cells, "_SECONDS_TO_END", 0.5)
    outcomes = run({CELLS[0]: "", CELLS[1]: program}, [{}, {}])
    assert next(outcomes).cell == CELLS[0]
    log = tmp_path / str(CELLS[1]) / "log.txt"
    pids = [int(pid) for pid in wait_for(lambda: log.read_text().split())]
    assert len(pids) == 2 and all(map(is_alive, pids))
    outcomes.close()
    assert wait_for(lambda: not any(map(is_alive, pids)))


def test_every_gpu_is_a_place(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in "012"]
    assert places_for(None, 3, False) == gpus
    assert places_for(2, 3, False) == gpus[:2]
    assert places_for(4, 3, False) == [*gpus, gpus[0]]
    assert places_for(None, 3, True) == [{}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-7f")
    assert [place["CUDA_VISIBLE_DEVICES"] for place in places_for(None, 2, False)] == ["2", "GPU-7f"]


def test_jobs_on_a_cpu_share_its_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert places_for(None, 0, False) == [{}]
    assert places_for(3, 0, False) == [{"OMP_NUM_THREADS": "2"}] * 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert places_for(3, 0, False) == [{}] * 3
