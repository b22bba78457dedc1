"""The processes of the runs, with small programs in their place."""

import os
import sys
import time
from pathlib import Path

import pytest

from hf_mmel.compare import runner
from hf_mmel.compare.plan import Run, Setting
from hf_mmel.compare.runner import Process, environments_for, execute


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


RUNS = [Run(Setting("hard", "wordnet"), seed) for seed in (1, 2, 3)]


@pytest.fixture
def outcomes_of(tmp_path):
    """Iterates over the outcomes of runs, each of which is a Python program."""

    def outcomes_of(programs, environments=({},), **options):
        rest, steps = list(programs), {run: [program] for run, program in programs.items()}

        def start(run, environment):
            if not steps[run]:
                return None
            log = tmp_path / str(run) / "log.txt"
            return Process(run, [sys.executable, "-c", steps[run].pop()], log, environment)

        return execute(lambda: rest.pop(0) if rest else None, start, environments, **options)

    return outcomes_of


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


def test_a_run_that_fails_does_not_end_the_others(outcomes_of, tmp_path):
    programs = ["1 / 0", "import os; os.kill(os.getpid(), 9)", "print('well')"]
    outcomes = list(outcomes_of(dict(zip(RUNS, programs, strict=True))))
    assert [outcome.run for outcome in outcomes] == RUNS
    crash, kill, well = (outcome.error for outcome in outcomes)
    log = tmp_path / "hard-wordnet-seed-1" / "log.txt"
    assert crash == f"exit code 1: ZeroDivisionError: division by zero (see {log})" and "Traceback" in log.read_text()
    assert kill.startswith("ended by SIGKILL, perhaps out of memory: no output")
    assert well is None and (tmp_path / "hard-wordnet-seed-3" / "log.txt").read_text() == "well\n"


def test_the_reason_is_the_error_and_not_what_a_launcher_prints_after_it(outcomes_of):
    said = "run_glue_mmel.py: error: There is no hf_abcdefghij.\\n====\\nRoot Cause: see above\\n=====\\n"
    (outcome,) = outcomes_of({RUNS[0]: f"import sys; print('{said}'); sys.exit(3)"})
    assert outcome.error.startswith("exit code 3: run_glue_mmel.py: error: There is no <token>. (see")


def test_a_run_that_hangs_is_ended(outcomes_of):
    outcomes = list(outcomes_of({RUNS[0]: "import time; time.sleep(60)", RUNS[1]: ""}, time_limit=0.5))
    assert "took longer than 0 seconds" in outcomes[0].error and outcomes[0].seconds < 10
    assert outcomes[1].error is None


def test_each_environment_has_one_run_at_a_time(outcomes_of, tmp_path):
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
    environments = [{"CUDA_VISIBLE_DEVICES": "1"}, {"CUDA_VISIBLE_DEVICES": "2"}]
    outcomes = list(outcomes_of(dict(zip(RUNS, programs, strict=True)), environments))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    said = [(tmp_path / str(run) / "log.txt").read_text().strip() for run in RUNS]
    assert said[:2] == ["1 True", "2 True"] and said[2] in ("1", "2")


def test_an_interruption_leaves_no_process_behind(outcomes_of, tmp_path, monkeypatch):
    program = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "print(os.getpid(), child.pid, flush=True); time.sleep(60)"
    )
    monkeypatch.setattr(runner, "_SECONDS_TO_END", 0.5)
    outcomes = outcomes_of({RUNS[0]: "", RUNS[1]: program}, [{}, {}])
    assert next(outcomes).run == RUNS[0]
    log = tmp_path / str(RUNS[1]) / "log.txt"
    pids = [int(pid) for pid in wait_for(lambda: log.read_text().split())]
    assert len(pids) == 2 and all(map(is_alive, pids))
    outcomes.close()
    assert wait_for(lambda: not any(map(is_alive, pids)))


def test_every_gpu_has_a_run(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in "012"]
    assert environments_for(None, 3, False) == gpus
    assert environments_for(2, 3, False) == gpus[:2]
    assert environments_for(4, 3, False) == [*gpus, gpus[0]]
    assert environments_for(None, 3, True) == [{}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-7f")
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in environments_for(None, 2, False)] == ["2", "GPU-7f"]


def test_jobs_on_a_cpu_share_its_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert environments_for(None, 0, False) == [{}]
    assert environments_for(3, 0, False) == [{"OMP_NUM_THREADS": "2"}] * 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert environments_for(3, 0, False) == [{}] * 3
