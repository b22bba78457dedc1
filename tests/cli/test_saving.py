"""Messages and saved files if the file system refuses a write."""

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hf_mmel import MMELTrainer
from hf_mmel.cli.errors import errno_of, file_errors
from hf_mmel.cli.run import UsageError
from hf_mmel.cli.saving import save_metrics


pytestmark = pytest.mark.integration  # whole runs of the command


ROOT = Path(__file__).parents[2]
NO_FOLDER = "/dev/null/home"  # not even root can make it
LITTLE = 100_000  # bytes: less than the tiny model has


@pytest.fixture
def little_room():
    """Files can have few bytes, for which the kernel refuses a write in the midst of a file, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LITTLE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_errors_without_a_number_are_recognised(little_room, tmp_path):
    big = {"weight": torch.zeros(LITTLE)}
    with pytest.raises(SafetensorError) as caught:
        save_file(big, tmp_path / "model.safetensors")
    assert errno_of(caught.value) == errno.EFBIG
    with pytest.raises(RuntimeError) as caught:
        torch.save(big, tmp_path / "optimizer.pt")
    assert errno_of(caught.value) == errno.ENOSPC
    with pytest.raises(OSError) as caught, (tmp_path / "text").open("w", buffering=1) as file:
        file.write("a\n" * LITTLE)
    assert errno_of(caught.value) == errno.EFBIG


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free some space; the same command then resumes from the last checkpoint."),
        (errno.EDQUOT, "Free some space; the same command then resumes from the last checkpoint."),
        (errno.EROFS, "Choose writable folders: --output_dir, --cache_dir, and HOME or HF_HOME."),
        (errno.EACCES, "Choose writable folders: --output_dir, --cache_dir, and HOME or HF_HOME."),
    ],
)
def test_a_refusal_is_one_line_with_the_file_and_the_remedy(number, remedy):
    with pytest.raises(UsageError) as caught, file_errors():
        raise OSError(number, os.strerror(number), "/some/where")
    assert str(caught.value) == f"{os.strerror(number)}: /some/where. {remedy}"


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), KeyError("x"), UsageError("as it is: os error 28"), OSError("no number")]
)
def test_other_errors_are_left_as_they_are(error):
    with pytest.raises(type(error)) as caught, file_errors():
        raise error
    assert caught.value is error


def test_a_full_disk_ends_a_training_with_one_line(run, files, little_room):
    with pytest.raises(UsageError, match=r"^File too large\. Free some space; the same command then resumes"):
        run(*files, "--do_train", "--save_strategy", "steps", "--save_steps", 1)


def test_after_a_full_disk_the_same_command_resumes(run, files, tmp_path, monkeypatch):
    options = [*files, "--do_train", "--save_strategy", "steps", "--save_steps", 2, "--max_steps", 6]
    run(*options, out="undisturbed")
    save = MMELTrainer.save_model

    def refused(trainer, *args, **kwargs):
        if trainer.state.global_step >= 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0] if args else "model"))
        save(trainer, *args, **kwargs)

    monkeypatch.setattr(MMELTrainer, "save_model", refused)
    with pytest.raises(UsageError, match=r"^No space left on device: .*checkpoint-4"):
        run(*options)
    monkeypatch.undo()
    run(*options)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("undisturbed", "out"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("save_strategy", ["no", "steps"])
def test_a_model_that_is_trained_to_its_end_is_not_lost(run, files, tmp_path, monkeypatch, save_strategy):
    options = [*files, "--do_train", "--save_strategy", save_strategy]
    run(*options, out="undisturbed")
    save, out = MMELTrainer.save_model, str(tmp_path / "out")

    def refused(trainer, output_dir=None, **kwargs):
        if str(output_dir or trainer.args.output_dir).startswith(out):
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        save(trainer, output_dir, **kwargs)

    monkeypatch.setattr(MMELTrainer, "save_model", refused)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(UsageError, match=r"^No space left on device\. Training is finished, .* saved to .*hf_mmel-"):
        run(*options)
    (folder,) = (tmp_path / "temporary").glob("hf_mmel-*")
    first, second = (load_file(path / "model.safetensors") for path in (tmp_path / "undisturbed", folder))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_results_of_all_splits_are_kept_together_though_one_was_damaged(tmp_path):
    save_metrics(tmp_path, "train", {"train_loss": 1.0})
    save_metrics(tmp_path, "eval", {"eval_loss": 2.0})
    assert json.loads((tmp_path / "all_results.json").read_text()) == {"train_loss": 1.0, "eval_loss": 2.0}
    (tmp_path / "all_results.json").write_text('{"train_')
    save_metrics(tmp_path, "eval", {"eval_loss": 3.0})
    assert json.loads((tmp_path / "all_results.json").read_text()) == {"eval_loss": 3.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        (
            {"HOME": NO_FOLDER},
            ["--output_dir", "{tmp}/out"],
            r"Not a directory: /dev/null/home/.*\. Choose writable folders",
        ),
        ({}, ["--output_dir", "/dev/null/out"], r"output_dir is '/dev/null/out'|Not a directory: /dev/null/out"),
        ({}, ["--output_dir", "{tmp}/out", "--cache_dir", "/dev/null/cache"], "Not a directory"),
    ],
    ids=["home", "output", "cache"],
)
def test_folders_that_cannot_be_made_are_named_on_one_line(files, model_dir, tmp_path, changed, options, message):
    command = [sys.executable, "run_glue_mmel.py", "--model_name_or_path", str(model_dir), *map(str, files)]
    command += ["--do_train", "--use_cpu", "--augmenter", "delete", "--log_level", "error"]
    command += [option.replace("{tmp}", str(tmp_path)) for option in options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **changed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.search(f"^run_glue_mmel.py: error: .*({message})", done.stderr, flags=re.MULTILINE)
