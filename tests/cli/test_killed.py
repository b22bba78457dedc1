"""A run that is killed at any moment resumes with the same command, and ends as if nothing had happened."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import reviews
from safetensors.numpy import load_file

from augment.mlm.candidate_table import CandidateTable


SCRIPT = Path(__file__).parents[1] / "scripts" / "killed.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
ENVIRONMENT["PYTHONPATH"] = str(SCRIPT.parents[2])
pytestmark = pytest.mark.slow


@pytest.fixture
def kill(tmp_path):
    """
    `kill(module, options, made, **more)` runs a command that is killed ten times, and gives the seconds of its last
    run. What it makes is in the folder `made`.
    """

    def run(module, options, made, kills=10, longest=3.0, environment=None, **more):
        command = [sys.executable, str(SCRIPT), module, json.dumps([str(option) for option in options])]
        command += ["--kills", str(kills), "--longest", str(longest), "--made", str(made)]
        for name, value in more.items():
            command += [f"--{name}", str(value)]
        environment = {**ENVIRONMENT, **(environment or {})}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=600)
        assert done.returncode == 0, done.stderr[-5000:]
        result = json.loads(done.stdout.splitlines()[-1])
        assert result["code"] == 0 and result["killed"] == kills, done.stderr[-5000:]
        return result["seconds"]

    return run


@pytest.fixture
def training(write, masked_lm_dir, tmp_path):
    """The options of a training that saves often, but for where."""
    train = write("train.csv", reviews(num_examples=64))
    options = ["--model_name_or_path", masked_lm_dir, "--train_file", train, "--validation_file", train]
    options += ["--do_train", "--do_eval", "--use_cpu", "--report_to", "none", "--disable_tqdm", "true"]
    options += ["--per_device_train_batch_size", 4, "--num_train_epochs", 8, "--learning_rate", 1e-3]
    options += ["--train_sampling_strategy", "random", "--cache_dir", tmp_path / "cache", "--log_level", "error"]
    return [*options, "--save_strategy", "steps", "--save_steps", 3, "--logging_steps", 1]


def weights(folder):
    return {name: array.tobytes() for name, array in load_file(folder / "model.safetensors").items()}


def told(folder):
    """What a training wrote down, but for the time that it took."""
    state = json.loads((folder / "trainer_state.json").read_text())
    in_time = ("runtime", "_time", "per_second", "flos")
    logs = [{k: v for k, v in log.items() if not any(word in k for word in in_time)} for log in state["log_history"]]
    scores = json.loads((folder / "all_results.json").read_text())
    return [log for log in logs if "train_loss" not in log], {
        k: v for k, v in scores.items() if k.startswith("eval_") and not any(word in k for word in in_time)
    }


@pytest.mark.parametrize(
    "more",
    [
        ["--augmenter", "delete", "--mmel_loss", "hard"],
        ["--augmenter", "swap", "--mmel_loss", "soft", "--save_total_limit", 2],
    ],
    ids=["hard", "soft, few checkpoints"],
)
def test_a_training(kill, training, tmp_path, more):
    options = [*training, *more, "--output_dir"]
    made, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    seconds = kill("run_glue_mmel", [*options, undisturbed], undisturbed, kills=0)
    kill("run_glue_mmel", [*options, made], made, inside=made, longest=seconds / 5)
    assert weights(made) == weights(undisturbed)
    assert told(made) == told(undisturbed)


def test_a_table_of_candidates(kill, training, tmp_path):
    def made(name, **more):
        options = [*training, "--augmenter", "mlm", "--mlm_masking", "single", "--max_steps", 1]
        options += ["--cache_dir", tmp_path / name / "cache", "--output_dir", tmp_path / name / "out"]
        seconds = kill("run_glue_mmel", options, tmp_path / name, **more)
        (folder,) = (path.parent for path in (tmp_path / name / "cache").rglob("checksums.json"))
        return seconds, CandidateTable(folder)

    seconds, undisturbed = made("undisturbed", kills=0)
    _, table = made("killed", longest=seconds / 4)
    assert len(table) == len(undisturbed) > 0
    for name in ("_keys", "_first", "_entries"):
        assert np.array_equal(getattr(table, name), getattr(undisturbed, name))


def test_a_push(kill, training, tmp_path, hub):
    options = [*training, "--augmenter", "delete", "--output_dir"]
    undisturbed, made = tmp_path / "undisturbed", tmp_path / "pushed"
    seconds = kill("run_glue_mmel", [*options, undisturbed], undisturbed, kills=0)
    pushing = [*options, made, "--push_to_hub", "--hub_token", "hf_token_of_me"]
    environment = {**hub.environment, "HF_HUB_OFFLINE": "0"}
    kill("run_glue_mmel", pushing, made, environment=environment, inside=made, longest=seconds / 5)
    files = hub.repositories["me/pushed"].files()
    assert files["model.safetensors"] == (made / "model.safetensors").read_bytes()
    assert weights(made) == weights(undisturbed)
    assert b"eval_loss" in files["all_results.json"] and b"MMEL" in files["README.md"]


def test_a_comparison(kill, training, tmp_path):
    options = ["compare", *training[:6], "--methods", "none,hard", "--augmenters", "delete", "--seeds", 2]
    options += ["--num_train_epochs", 1, "--use_cpu", "--save_strategy", "no", "--output_dir"]
    undisturbed, made = tmp_path / "undisturbed", tmp_path / "killed"
    seconds = kill("hf_mmel.__main__", [*options, undisturbed], undisturbed, kills=0)
    kill("hf_mmel.__main__", [*options, made], made, longest=0.3 * seconds)

    def found(folder):
        cells = json.loads((folder / "compare.json").read_text())["cells"]
        return [(c["method"], c["seed"], c["metrics"]["train_loss"], c["metrics"]["eval_loss"]) for c in cells]

    assert sorted(found(made)) == sorted(found(undisturbed)) and len(found(made)) == 4


def test_no_cell_outlives_a_comparison_that_is_killed(training, tmp_path):
    options = ["compare", *training[:6], "--methods", "none", "--seeds", 1, "--num_train_epochs", 500, "--use_cpu"]
    command = [sys.executable, "-m", "hf_mmel", *map(str, options), "--output_dir", str(tmp_path / "out")]
    process = subprocess.Popen(command, env=ENVIRONMENT, cwd=SCRIPT.parents[2])

    def cells():
        found = subprocess.run(["pgrep", "-f", str(tmp_path / "out")], capture_output=True, text=True).stdout.split()
        return [int(number) for number in found if int(number) != process.pid]

    begun = time.monotonic()
    while not cells():
        assert process.poll() is None and time.monotonic() - begun < 120
        time.sleep(0.1)
    process.kill()
    process.wait()
    time.sleep(1)
    assert not cells()
