"""Long trainings hold no more at their end than at their beginning, and leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
from conftest import reviews


ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
pytestmark = pytest.mark.slow


@pytest.fixture
def load(tmp_path):
    """`load(options)` gives the steps, megabytes, files and processes that a training was seen with."""

    def run(*options):
        command = [sys.executable, "tests/scripts/load.py", str(tmp_path), *map(str, options)]
        done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        found = json.loads((tmp_path / "seen.json").read_text())
        assert found["children"] == 0
        return list(zip(*found["seen"], strict=True))

    return run


def test_a_million_examples_of_a_stream_need_the_memory_of_few(load):
    steps, megabytes, *_ = load("--stream", 1_000_000)
    assert steps[-1] == 4000
    assert max(megabytes[2:]) - megabytes[1] < 30


def test_ten_thousand_steps_with_workers_leak_nothing(load):
    steps, megabytes, files, processes = load("--steps", 10_000)
    assert steps[-1] == 10_000
    assert max(megabytes[2:]) - megabytes[1] < 30
    # Of the 4 * 2 batches on their way, those that wait for an earlier one hold a file for each of their 4 tensors.
    assert max(files) - min(files) <= 4 * 2 * 4
    assert median(files[10:]) <= median(files[:10]) + 4
    assert set(processes) == {processes[0]} and 4 <= processes[0] <= 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_no_process_behind(write, model_dir, tmp_path, number):
    # Epochs that last, since torch itself complains of an iterator that is interrupted while it starts its workers.
    train = write("train.csv", reviews(num_examples=20_000))
    command = [sys.executable, "run_glue_mmel.py", "--model_name_or_path", model_dir, "--train_file", train]
    command += ["--do_train", "--augmenter", "delete", "--use_cpu", "--output_dir", tmp_path / "out"]
    command += ["--dataloader_num_workers", 3, "--save_steps", 20, "--log_level", "error", "--disable_tqdm", "true"]
    process = subprocess.Popen(
        [*map(str, command)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells have background jobs ignore it
    )

    def of_group():
        found = subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True, text=True).stdout.split()
        return [int(one) for one in found]

    begun = time.monotonic()
    while not (tmp_path / "out" / "checkpoint-40").exists() or len(of_group()) < 4:
        assert process.poll() is None and time.monotonic() - begun < 120
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130 and "Traceback" not in said
        assert said.endswith("interrupted; the same command resumes from the last checkpoint, if there is one\n")
    deadline = time.monotonic() + 20
    while of_group() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not of_group()
