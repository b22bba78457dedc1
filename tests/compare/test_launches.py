"""The comparison as a process of its own: its output, real training runs, and what an interruption leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_in import read, write_stand_in


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


ROOT = Path(__file__).parents[2]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def launch(tmp_path, *options):
    command = [sys.executable, "-m", "hf_mmel", "compare", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        list(map(str, command)),
        cwd=tmp_path,
        env={**environment, "HF_HOME": str(tmp_path / "hf")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=listen,
    )


def listen():
    """Signals end a process as they do in a terminal; shells have background jobs ignore some."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def test_names_and_lines_that_an_encoding_lacks_are_written_otherwise(files, model_dir, tmp_path, out, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    train = files[1].rename(tmp_path / os.fsdecode(b"donn\xe9es.csv"))
    options = ["--model_name_or_path", model_dir, "--train_file", train, *files[2:], "--output_dir", out, "--use_cpu"]
    options += ["--cache_dir", tmp_path / "cache", "--seeds", "1,", "--methods", "none"]
    done = launch(tmp_path, *options, "--launcher", write_stand_in(tmp_path))
    said = done.communicate(timeout=120)[0]
    assert done.returncode == 0, said
    assert "1 of 1  none  \\u2013  seed 1" in said and (out / "compare.md").exists()


@pytest.mark.slow
def test_two_methods_and_two_seeds_are_really_trained(model_dir, files, tmp_path, out):
    options = ["--model_name_or_path", model_dir, *files, "--output_dir", out, "--use_cpu", "--max_steps", 30]
    options += ["--learning_rate", 1e-2, "--per_device_train_batch_size", 4, "--num_variants", 2]
    options += ["--methods", "none,hard", "--augmenters", "delete", "--seeds", 2, "--jobs", 2]
    done = launch(tmp_path, *options)
    said = done.communicate(timeout=400)[0]
    assert done.returncode == 0, said
    assert "4 of 4" in said and "2 at a time" in said
    scores = [cell["metrics"]["eval_accuracy"] for cell in read(out)["cells"]]
    assert len(scores) == 4 and max(scores) == 1.0
    losses = [cell["metrics"]["train_loss"] for cell in read(out)["cells"]]
    assert len(set(losses)) == 4
    assert not list(out.rglob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_ends_what_runs_and_keeps_what_is_finished(model_dir, files, tmp_path, out, number):
    waits = "if seed == 2: import time, os; print(os.getpid(), flush=True); time.sleep(60)\n"
    options = ["--model_name_or_path", model_dir, *files, "--output_dir", out, "--use_cpu", "--methods", "none"]
    compare = launch(tmp_path, *options, "--launcher", write_stand_in(tmp_path, waits))
    log, end = out / "cells" / "none-seed-2" / "log.txt", time.monotonic() + 120
    while not (log.exists() and log.read_text()) and time.monotonic() < end:
        time.sleep(0.1)
    compare.send_signal(number)
    said = compare.communicate(timeout=60)[0]
    assert compare.returncode == 130 and "interrupted; run the same command again to resume" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)
    assert [cell["seed"] for cell in read(out)["cells"]] == [1]
