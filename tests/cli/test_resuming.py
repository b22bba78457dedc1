"""What a run leaves in its output folder, and how the same command resumes."""

import json
import shutil

import pytest
import torch
from conftest import results, reviews
from datasets import Dataset

from hf_mmel.cli import run as cli
from hf_mmel.cli.resuming import find_resume_point, is_complete, last_checkpoint
from hf_mmel.cli.run import UsageError


pytestmark = pytest.mark.integration  # whole runs, each interrupted and resumed


def test_training_resumes_from_the_last_checkpoint(run, files, tmp_path, capsys):
    options = [*files, "--do_train", "--do_eval", "--save_strategy", "steps", "--save_steps", 2]
    run(*options, "--max_steps", 2)
    first = (tmp_path / "out" / "checkpoint-2" / "model.safetensors").stat().st_mtime_ns
    run(*options, "--max_steps", 4)
    assert (tmp_path / "out" / "checkpoint-2" / "model.safetensors").stat().st_mtime_ns == first
    assert (tmp_path / "out" / "checkpoint-4").is_dir()
    run(*options, "--max_steps", 2, "--overwrite_output_dir")
    assert (tmp_path / "out" / "checkpoint-2" / "model.safetensors").stat().st_mtime_ns != first
    assert not (tmp_path / "out" / "checkpoint-4").exists()  # or the next command would resume from it


@pytest.fixture
def interrupted(run, files, monkeypatch):
    """Runs a command with checkpoints of the model alone, which is interrupted after the second step."""

    def interrupted(*options):
        options = [*files, "--do_train", "--save_strategy", "steps", "--save_steps", 1, "--save_only_model", *options]
        save = cli.CommandTrainer._save_checkpoint

        def fail(self, *args):
            save(self, *args)
            if self.state.global_step == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(cli.CommandTrainer, "_save_checkpoint", fail)
            run(*options)
        return options

    return interrupted


def test_a_run_does_not_resume_from_a_model_without_its_optimizer(run, interrupted, tmp_path, caplog):
    options, checkpoint = interrupted(), tmp_path / "out" / "checkpoint-2"
    message = rf"{checkpoint} holds a model without its optimizer.*--overwrite_output_dir.*_checkpoint {checkpoint}"
    with pytest.raises(UsageError, match=message) as caught:
        run(*options)
    assert "\n" not in str(caught.value)
    run(*options, "--resume_from_checkpoint", checkpoint, out="resumed")
    assert "the optimizer and the learning rate start over" in caplog.text
    run(*options, "--overwrite_output_dir")
    run(*options)  # which is finished
    with pytest.raises(UsageError, match="checkpoint-3 holds a model without its optimizer"):
        run(*options, "--max_steps", 4)


def test_a_seed_does_not_resume_from_a_model_without_its_optimizer(run, interrupted, tmp_path):
    options, folder = interrupted("--seeds", "1,2"), tmp_path / "out" / "seed-1"
    with pytest.raises(UsageError, match=rf"holds a model without its optimizer.* remove {folder}\."):
        run(*options)
    shutil.rmtree(folder)
    assert run(*options)["train_loss"] > 0


@pytest.mark.parametrize("save_strategy", ["no", "steps"])
def test_the_same_command_does_not_train_a_finished_model_again(run, files, tmp_path, monkeypatch, save_strategy):
    options = [*files, "--do_train", "--do_eval", "--learning_rate", 0.1, "--save_strategy", save_strategy]
    monkeypatch.setattr("hf_mmel.cli.run.evaluate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # the run is ended over its evaluation
        run(*options)
    monkeypatch.undo()
    trained = (tmp_path / "out" / "model.safetensors").read_bytes()
    monkeypatch.setattr("hf_mmel.cli.run.MMELTrainer.train", lambda *_: 1 / 0)
    monkeypatch.setattr("hf_mmel.cli.run.build_augmenter", lambda *_: None)
    metrics = run(*options, "--max_predict_samples", 2)  # which training has no use of
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == trained
    monkeypatch.undo()
    monkeypatch.setattr("hf_mmel.cli.run.build_augmenter", lambda *_: None)
    of_model = run(*files, "--do_eval", "--model_name_or_path", tmp_path / "out", out="evaluated")
    assert metrics["eval_loss"] == of_model["eval_loss"]
    assert metrics["train_loss"] == results(tmp_path, "train")["train_loss"] > 0
    assert metrics.items() == results(tmp_path, "all").items()


@pytest.mark.parametrize("written", [None, "", '{"epoch": 1.0, "glo'])
def test_an_incomplete_checkpoint_is_skipped(run, files, tmp_path, written, caplog):
    options = [*files, "--do_train", "--save_strategy", "steps", "--save_steps", 2, "--logging_steps", 1]
    run(*options)
    expected = (tmp_path / "out" / "model.safetensors").read_bytes()
    last = max((tmp_path / "out").glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    (tmp_path / "out" / "train_results.json").unlink()
    (last / "model.safetensors").write_bytes(b"half")
    (last / "trainer_state.json").unlink()
    if written is not None:
        (last / "trainer_state.json").write_text(written)
    (tmp_path / "out" / "model.safetensors").unlink()
    run(*options)
    assert f"{last.name} is incomplete" in caplog.text and "Resuming from" in caplog.text
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


DAMAGE = [
    ("trainer_state.json", b'{"global_step": "two"}'),
    ("trainer_state.json", b'{"unheard_of": 1}'),
    ("trainer_state.json", b'{"log_history": [{"loss": 1.0}]}'),
    ("trainer_state.json", b'{"stateful_callbacks": {"VariantHistory": {"attributes": {"hardest_variants": [1]}}}}'),
    ("config.json", b'{"hidden_size": \xff}'),
    ("config.json", b"[]"),
    ("config.json", b'{"dtype": "x"}'),
    ("tokenizer_config.json", b'{"model_max'),
    ("model.safetensors", b"half"),
    ("optimizer.pt", b"PK"),
]


def test_a_checkpoint_with_a_damaged_file_is_skipped(run, files, tmp_path, caplog):
    options = [*files, "--do_train", "--save_strategy", "steps", "--save_steps", 1]
    run(*options)
    last = tmp_path / "out" / "checkpoint-3"
    for name, content in DAMAGE:
        assert is_complete(last)
        whole = (last / name).read_bytes()
        (last / name).write_bytes(content)
        assert last_checkpoint(tmp_path / "out") == str(tmp_path / "out" / "checkpoint-2"), (name, content)
        assert "checkpoint-3 is incomplete" in caplog.text
        caplog.clear()
        with pytest.raises(UsageError, match="expected the folder of a complete checkpoint"):
            run(*options, "--resume_from_checkpoint", last)
        (last / name).write_bytes(whole)
    (last / name).write_bytes(content)
    (tmp_path / "out" / "train_results.json").unlink()
    run(*options)
    assert "Resuming from" in caplog.text and "checkpoint-2" in caplog.text


@pytest.mark.parametrize("size", [0, 100])
def test_a_checkpoint_with_a_truncated_random_state_is_incomplete(tmp_path, size):
    for step in (2, 10):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text("{}")
        for process in (0, 1):
            torch.save({"cpu": torch.get_rng_state()}, folder / f"rng_state_{process}.pth")
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    state = tmp_path / "checkpoint-10" / "rng_state_1.pth"
    state.write_bytes(state.read_bytes()[:size])
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")


def test_a_run_that_stopped_while_writing_its_model_is_repeated(run, files, tmp_path):
    options = [*files, "--do_train", "--save_strategy", "no"]
    run(*options)
    expected = (tmp_path / "out" / "model.safetensors").read_bytes()
    (tmp_path / "out" / "train_results.json").write_text('{"epoch"')
    (tmp_path / "out" / "model.safetensors").write_bytes(expected[:100])
    run(*options)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


def test_truncated_results_are_written_again(run, files, tmp_path):
    options = [*files, "--do_train", "--do_eval"]
    run(*options)
    expected = results(tmp_path, "all")
    (tmp_path / "out" / "all_results.json").write_text('{"eval_')
    run(*options)
    assert results(tmp_path, "all")["eval_loss"] == expected["eval_loss"]


def test_a_finished_run_without_its_state_is_refused(run, files, tmp_path):
    options = [*files, "--do_train"]
    run(*options)
    (tmp_path / "out" / "trainer_state.json").unlink()
    for changed in ([], ["--max_steps", 5]):
        with pytest.raises(UsageError, match=r"trainer_state\.json is missing or damaged"):
            run(*options, *changed)


def interrupt(folder):
    """Makes a run look as if it had been killed after its last checkpoint."""
    for name in ("train_results.json", "trainer_state.json", "config.json", "model.safetensors"):
        (folder / name).unlink()


OTHERS = [
    (["--learning_rate", 0.5], r"\(learning_rate was 5e-05 and is 0\.5\)"),
    (["--seed", 1, "--mmel_loss", "hard"], r"\(seed was 42 and is 1, mmel_loss was soft and is hard\)"),
    (["--augmenter", "delete", "--max_steps", 6], r"\(augmenter was None and is delete\)"),
    (["--train_file", "val.csv"], r"\(train_file was train\.csv and is val\.csv\)"),
]


@pytest.mark.parametrize(
    ("is_finished", "changed", "message"),
    [*((False, *others) for others in OTHERS), (True, *OTHERS[0]), (True, *OTHERS[2])],
)
def test_a_run_with_other_arguments_is_not_resumed(run, files, tmp_path, monkeypatch, is_finished, changed, message):
    monkeypatch.chdir(tmp_path)
    options = ["--train_file", "train.csv", "--do_train", "--save_strategy", "steps", "--save_steps", 1]
    run(*options)
    if is_finished:
        message = message.removesuffix(r"\)")  # the steps that are asked for are told of as well
        with pytest.raises(
            UsageError, match=rf"already holds a trained model, trained with other arguments {message}"
        ):
            run(*options, *changed)
        return
    interrupt(tmp_path / "out")
    checkpoint = tmp_path / "out" / "checkpoint-3"
    refusal = rf"with other arguments {message}; choose .* --resume_from_checkpoint {checkpoint}\.$"
    with pytest.raises(UsageError, match=refusal) as raised:
        run(*options, *changed)
    assert "\n" not in str(raised.value)
    monkeypatch.setattr("hf_mmel.cli.run.MMELTrainer.train", lambda *_, resume_from_checkpoint: 1 / 0)
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        run(*options, *changed, "--resume_from_checkpoint", checkpoint)


def test_a_run_resumes_with_more_steps_and_other_intervals(run, files, tmp_path, caplog):
    options = [*files, "--do_train", "--save_strategy", "steps", "--save_steps", 1]
    run(*options)
    interrupt(tmp_path / "out")
    changed = ["--max_steps", 5, "--save_steps", 2, "--logging_steps", 1, "--dataloader_num_workers", 1, "--do_eval"]
    changed += ["--eval_strategy", "steps", "--eval_steps", 2, "--per_device_eval_batch_size", 3]
    run(*options, *changed)
    assert "Resuming from" in caplog.text and (tmp_path / "out" / "checkpoint-5").is_dir()


@pytest.mark.parametrize(
    ("name", "kept"),
    [("train.csv", True), ("own.json", True), ("train", True), ("train.csv", False), ("own.json", None)],
)
def test_a_changed_file_counts_as_a_changed_argument(run, write, tmp_path, name, kept, caplog):
    (tmp_path / "own.json").write_text(json.dumps({"class": "RandomDelete", "replace_prob": 0.1}))
    file = write("train.csv", reviews())
    if name == "train":
        Dataset.from_list(reviews()).save_to_disk(file := tmp_path / "train")
    options = ["--train_file", file, "--augmenter", tmp_path / "own.json", "--do_train", "--save_strategy", "steps"]
    run(*options, "--save_steps", 1)
    if kept is None:
        (tmp_path / "out" / "contents.json").write_text("[")
    elif not kept:
        (tmp_path / "out" / "contents.json").unlink()  # as trainings of earlier versions
    run(*options)
    assert caplog.text.count("is finished; continuing") == 1
    if name == "own.json":
        (tmp_path / name).write_text(json.dumps({"class": "RandomDelete", "replace_prob": 0.2}))
    elif name == "train":
        Dataset.from_list(reviews(num_examples=12)).save_to_disk(tmp_path / "other")
        shutil.copytree(tmp_path / "other", file, dirs_exist_ok=True)
    else:
        write(name, reviews(num_examples=12))
    if not kept:
        run(*options)
        assert caplog.text.count("is finished; continuing") == 2
        return
    argument = "augmenter" if name == "own.json" else "train_file"
    with pytest.raises(UsageError, match=rf"trained with other arguments \(content of {argument} was .* and is .*\);"):
        run(*options)
    interrupt(tmp_path / "out")
    with pytest.raises(
        UsageError, match=rf"a training run with other arguments \(content of {argument} was .* and is .*\);"
    ):
        run(*options)


def test_changed_validation_data_does_not_affect_training(run, files, write, tmp_path, caplog):
    options = [*files, "--do_train", "--do_eval"]
    run(*options)
    write("val.csv", reviews(num_examples=12))
    assert run(*options)["eval_samples"] == 12 and "is finished; continuing" in caplog.text


def test_options_are_recorded_without_tokens(run, files, tmp_path):
    run(*files, "--do_train", "--token", "hf_abcdefghijkl", "--hub_token=hf_abcdefghijkl")
    options = json.loads((tmp_path / "out" / "options.json").read_text())
    assert not any("token" in option or "hf_abc" in option for option in options)
    *_, training_args = cli.parse_arguments(options)
    assert training_args.max_steps == 3 and training_args.output_dir == str(tmp_path / "out")


@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_processes_gather_equally_often_whatever_each_of_them_sees(tmp_path, monkeypatch, has_checkpoint):
    """Otherwise processes on machines that do not share the folder would wait for each other forever."""
    asked = []
    monkeypatch.setattr("hf_mmel.cli.resuming.gathered", lambda part: (asked.append(part), [None])[1])
    if has_checkpoint:
        (tmp_path / "checkpoint-2").mkdir()
        (tmp_path / "checkpoint-2" / "trainer_state.json").write_text("{}")
        (tmp_path / "checkpoint-2" / "optimizer.bin").touch()
    options = ["--model_name_or_path", "model", "--task_name", "rte", "--do_train", "--use_cpu"]
    found = find_resume_point(cli.parse_arguments([*options, "--output_dir", str(tmp_path)]))
    assert (found.folder is not None) == has_checkpoint and len(asked) == 2
