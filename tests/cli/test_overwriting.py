"""What --overwrite_output_dir removes from an output folder, and what it keeps."""

import json
import shutil

import pytest
from conftest import results

from hf_mmel.cli import run as cli
from hf_mmel.cli.run import UsageError


pytestmark = pytest.mark.integration  # whole runs of the command


REMOVED = [
    (["--model_name_or_path", "out/checkpoint-1"], "model_name_or_path"),
    (["--tokenizer_name", "out/link"], "tokenizer_name"),
    (["--config_name", "out/checkpoint-1/config.json"], "config_name"),
    (["--augmenter", "mlm", "--augmenter_model", "out/checkpoint-1/../../elsewhere"], "augmenter_model"),
    (["--augmenter", "own.json"], "augmenter"),
    (["--model_name_or_path", "out/checkpoint-7"], "model_name_or_path"),
    (["--train_file", "out/checkpoint-1/train.csv"], "train_file"),
    (["--seeds", "1,2", "--model_name_or_path", "out/seed-1/checkpoint-1"], "model_name_or_path"),
    (["--seeds", "1,2", "--model_name_or_path", "out/seed-3/checkpoint-1"], "model_name_or_path"),
]


@pytest.mark.parametrize(("options", "name"), REMOVED)
def test_what_a_training_starts_from_is_not_removed(run, files, model_dir, tmp_path, monkeypatch, options, name):
    monkeypatch.chdir(tmp_path)
    for folder in ("out/checkpoint-1", "out/seed-1/checkpoint-1", "elsewhere", "elsewhere-3/checkpoint-1"):
        shutil.copytree(model_dir, folder)
    shutil.copy("train.csv", "out/checkpoint-1")
    (tmp_path / "out" / "link").symlink_to("checkpoint-1")
    (tmp_path / "out" / "checkpoint-7").symlink_to("../elsewhere")
    (tmp_path / "out" / "seed-3").symlink_to("../elsewhere-3")
    part = {"class": "MaskedLMSubstitution", "model": "out/checkpoint-1"}
    (tmp_path / "own.json").write_text(json.dumps({"class": "OneOf", "augmenters": [part]}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=rf"^{name} is '.*', which --overwrite_output_dir would remove") as raised:
        run(*files, "--do_train", "--overwrite_output_dir", *options)
    assert "\n" not in str(raised.value) and sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("seeds", [False, True])
def test_only_what_trainer_writes_is_removed(run, files, model_dir, tmp_path, seeds):
    out, linked = tmp_path / "out", tmp_path / "linked"
    trained = out / "seed-2" if seeds else out
    for folder in ("checkpoint-5", "checkpoint-5-best", "checkpoint-5/checkpoint-5", "my-checkpoint-5"):
        (trained / folder).mkdir(parents=True)
    (linked / "checkpoint-6").mkdir(parents=True)
    (trained / "checkpoint-6").symlink_to(linked)
    (trained / "checkpoint-7").symlink_to(tmp_path / "nowhere")
    (out / "seed-9").symlink_to(linked)
    (out / "seed-2-best" / "checkpoint-5").mkdir(parents=True)
    started_from = ["--model_name_or_path", shutil.copytree(model_dir, trained / "checkpoint-5-best" / "model")]
    run(*files, "--do_train", "--overwrite_output_dir", *started_from, *(["--seeds", "1,2"] if seeds else []))
    kept = {path.name for path in trained.glob("*checkpoint-*")}
    assert kept == {"checkpoint-5-best", "my-checkpoint-5"} and (linked / "checkpoint-6").is_dir()
    assert (out / "seed-2-best" / "checkpoint-5").is_dir() and (out / "seed-9").is_symlink() != seeds


def test_a_trained_model_is_not_overwritten_unasked(run, files):
    run(*files, "--do_train")
    message = r"already holds a trained model.* \(seed was 42 and is 1\).*--overwrite_output_dir"
    with pytest.raises(cli.UsageError, match=message):
        run(*files, "--do_train", "--seed", 1)
    run(*files, "--do_train", "--overwrite_output_dir")


def test_a_model_that_is_being_overwritten_does_not_count_as_finished(run, files, tmp_path, monkeypatch):
    options = [*files, "--do_train"]
    run(*options)
    monkeypatch.setattr("hf_mmel.cli.run.MMELTrainer.train", lambda *_, **__: 1 / 0)
    with pytest.raises(cli.UsageError, match="ZeroDivisionError"):
        run(*options, "--overwrite_output_dir")
    with pytest.raises(cli.UsageError, match="ZeroDivisionError"):  # it was to be replaced
        run(*options)
    with pytest.raises(cli.UsageError, match=r"already holds a trained model, .* \(seed was 42 and is 1\)"):
        run(*options, "--seed", 1)
    monkeypatch.undo()
    monkeypatch.setattr("hf_mmel.cli.run.build_augmenter", lambda *_: None)
    run(*options, "--overwrite_output_dir")
    assert run(*options)["train_loss"] == results(tmp_path, "train")["train_loss"]  # the wish to overwrite is no other
