"""The command on several processes and machines, launched as users do, gives what one process gives."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from command_launches import (
    ACCELERATE,
    BATCH,
    COMMAND,
    HALVES,
    MLM,
    TORCHRUN,
    arguments,
    assert_same_results,
    free_port,
    outputs,
    start,
    write_files,
)

from hf_mmel.cli import run as cli
from hf_mmel.distributed import check_seen_by_all


RUN_COMMAND = Path(__file__).parents[1] / "scripts" / "run_command.py"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


@pytest.fixture
def folder(files, tmp_path, monkeypatch):
    """A copy of the files to run in."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    shutil.copytree(COMMAND.parent / "examples" / "accelerate", tmp_path / "examples" / "accelerate")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_alone(folder: Path, *options: str) -> Path:
    """The output folder of a run in this process."""
    cli.main(arguments(folder, "one", *BATCH, *options))
    return folder / "one"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "options"),
    [
        (TORCHRUN, ["--mmel_loss", "soft"]),
        (
            ACCELERATE,
            ["--mmel_loss", "hard", "--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "2"],
        ),
        (ACCELERATE, ["--mmel_loss", "none"]),
    ],
    ids=["torchrun", "accelerate", "accelerate, without variants"],
)
def test_two_processes_write_what_one_writes(folder, launcher, options):
    outputs(start(folder, launcher, COMMAND, arguments(folder, "two", *HALVES, *options)))
    assert_same_results(run_alone(folder, *options[:2]), folder / "two")


def by_example(name: str) -> tuple[str, ...]:
    """A launch with one of the configurations for accelerate, as told there."""
    config = f"examples/accelerate/{name}.yaml"
    return ("accelerate.commands.launch", "--config_file", config, "--main_process_port", "0")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ddp", "fsdp2", "zero2", "zero3"])
def test_the_example_configurations_write_what_one_process_writes(folder, name):
    options = [*HALVES]
    if name.startswith("zero"):
        pytest.importorskip("deepspeed")
        options += ["--use_cpu", "false"]  # on which `TrainingArguments` leaves DeepSpeed out
    outputs(start(folder, by_example(name), RUN_COMMAND, arguments(folder, "two", *options)))
    assert_same_results(run_alone(folder), folder / "two")


@pytest.mark.slow
def test_the_example_configuration_of_fsdp_shards_and_refuses_passes(folder):
    options = [*HALVES, "--variant_chunk_size", "1"]
    (said,) = outputs(start(folder, by_example("fsdp2"), RUN_COMMAND, arguments(folder, "two", *options)), fails=True)
    assert "variant_chunk_size is 1, but under FSDP and DeepSpeed all processes" in said


@pytest.mark.slow
def test_the_main_process_alone_writes_files(folder):
    """Each process has an output folder of its own here."""
    shell = f'exec {sys.executable} {COMMAND} "$@" --output_dir process$RANK --cache_dir process$RANK-cache'
    launcher = (*TORCHRUN, "--no-python")
    outputs(start(folder, launcher, "bash", ["-c", shell, "bash", *arguments(folder, "process", *HALVES)]))
    assert_same_results(run_alone(folder), folder / "process0")
    assert not (folder / "process1").exists()


@pytest.mark.slow
def test_two_processes_make_the_candidate_table_of_one(folder):
    launch = (folder, TORCHRUN, RUN_COMMAND, arguments(folder, "two", *HALVES, *MLM))
    (said,) = outputs(start(*launch))
    assert "process 0 asks the masked LM" in said and "process 1 asks the masked LM" in said
    assert_same_results(run_alone(folder, *MLM), folder / "two")
    one, two = (next((folder / cache).glob("masked-lm-*")) for cache in ("one-cache", "two-cache"))
    assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())
    assert two.name == one.name
    for name in ("keys.npy", "first.npy", "entries.npy"):
        assert np.array_equal(np.load(one / name), np.load(two / name)), name

    shutil.rmtree(folder / "two")
    (said,) = outputs(start(*launch))
    assert "asks the masked LM" not in said
    assert_same_results(folder / "one", folder / "two")


def launch_two_machines(folder: Path, launcher: str, *options: str, fails: bool = False) -> list[str]:
    """What two machines of one process each said, which share no output folder and no cache."""
    port, machines = free_port(), []
    for rank in "01":
        if launcher == "torchrun":
            flags = ("--nnodes", "2", "--node_rank", rank, "--nproc_per_node", "1")
            way = ("torch.distributed.run", *flags, "--master_addr", "localhost", "--master_port", port)
        else:
            flags = ("--config_file", "examples/accelerate/ddp_two_machines.yaml", "--machine_rank", rank)
            way = ("accelerate.commands.launch", *flags, "--num_processes", "2")
            way = (*way, "--main_process_ip", "localhost", "--main_process_port", port)
        machines.append(start(folder, way, COMMAND, arguments(folder, f"machine{rank}", *HALVES, *options)))
    return outputs(*machines, fails=fails)


@pytest.mark.slow
def test_two_machines_write_what_one_writes(folder):
    launch_two_machines(folder, "accelerate")
    assert_same_results(run_alone(folder), folder / "machine0")
    assert not (folder / "machine1").exists()


@pytest.mark.slow
def test_two_machines_resume_from_a_checkpoint_that_both_have(folder):
    begun = ["--save_strategy", "steps", "--save_steps", "2", "--max_steps", "2"]
    resumed = [*begun, "--max_steps", "4"]
    launch_two_machines(folder, "torchrun", *begun)
    assert [path.name for path in (folder / "machine1").rglob("*.*")] == ["rng_state_1.pth"]
    for said in launch_two_machines(folder, "torchrun", *resumed, fails=True):
        assert "error: Process 1 sees no config.json, model.safetensors" in said and "that all machines share" in said
    shutil.copytree(folder / "machine0/checkpoint-2", folder / "machine1/checkpoint-2", dirs_exist_ok=True)
    launch_two_machines(folder, "torchrun", *resumed)
    run_alone(folder, *begun)
    assert_same_results(run_alone(folder, *resumed), folder / "machine0")


@pytest.mark.slow
def test_two_machines_without_a_common_cache_refuse_to_make_a_candidate_table(folder):
    for said in launch_two_machines(folder, "torchrun", *MLM, fails=True):
        assert "is not there for the processes [1]" in said and "cache_dir" in said


@pytest.mark.slow
def test_a_wrong_argument_ends_all_processes_with_one_line(folder):
    options = arguments(folder, "two", *HALVES, "--label_column_name", "gold")
    (said,) = outputs(start(folder, TORCHRUN, COMMAND, options), fails=True)
    assert "error: train.csv has no column 'gold'" in said and "Traceback" not in said.split("error: train.csv")[0]
    assert not (folder / "two").exists()


def launch_push(hub, folder: Path, token: str, fails: bool = False) -> str:
    """What two processes said of a run that pushes at each save and at the end."""
    options = ["--push_to_hub", "--hub_token", token, "--save_strategy", "steps", "--save_steps", "2"]
    environment = {**hub.environment, "HF_HUB_OFFLINE": "0"}
    launch = start(folder, TORCHRUN, COMMAND, arguments(folder, "two", *HALVES, *options), **environment)
    (said,) = outputs(launch, fails=fails)
    assert token not in said
    return said


@pytest.mark.slow
def test_two_processes_push_once(folder, hub):
    launch_push(hub, folder, "hf_token_of_me")
    assert hub.repositories.keys() == {"me/two"}
    repository = hub.repositories["me/two"]
    messages = [message for _, message, _ in repository.commits]
    assert messages.count("End of training") == 1 and messages[-1] == "End of training"
    assert sum("README.md" in paths for _, _, paths in repository.commits) == 1
    files = repository.files()
    for name in ("model.safetensors", "README.md", "all_results.json"):
        assert files[name] == (folder / "two" / name).read_bytes()
    assert b"num_devices | 2" in b" ".join(files["README.md"].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "failures", "reason"),
    [("hf_token_of_nobody", [], "rejects the token"), ("hf_token_of_me", ["403"] * 20, "could not be pushed")],
    ids=["token", "upload"],
)
def test_a_push_that_fails_ends_all_processes_with_one_line(folder, hub, token, failures, reason):
    hub.failures = failures
    said = launch_push(hub, folder, token, fails=True)
    lines = [line for line in said.splitlines() if "error: " in line and "run_glue_mmel.py" in line]
    assert lines and all(reason in line for line in lines)
    assert "Traceback" not in said.split("torch/distributed")[0]  # below it, that of the launcher
    assert (folder / "two" / "model.safetensors").exists() == bool(failures)


@pytest.mark.parametrize(
    ("here", "there", "missing"),
    [
        (None, ["config.json"], "config.json"),
        (["config.json", "rng_state_0.pth"], ["config.json", "model.safetensors"], "model.safetensors"),
    ],
    ids=["no checkpoint", "no model"],
)
def test_a_checkpoint_that_other_processes_see_otherwise_is_refused(tmp_path, monkeypatch, here, there, missing):
    for name in here or []:
        (tmp_path / name).touch()
    monkeypatch.setattr("hf_mmel.distributed.gathered", lambda names: [there, names])
    with pytest.raises(ValueError, match=rf"Process 1 sees no {missing} in the checkpoint"):
        check_seen_by_all(None if here is None else str(tmp_path))


def test_a_checkpoint_that_all_processes_see_alike_is_accepted(tmp_path, monkeypatch):
    (tmp_path / "config.json").touch()
    (tmp_path / "rng_state_1.pth").touch()
    monkeypatch.setattr("hf_mmel.distributed.gathered", lambda names: [["config.json"], names])
    check_seen_by_all(str(tmp_path))
