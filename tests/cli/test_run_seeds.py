"""Several seeds by the command: each is the run that it would be alone, and what they share is made once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import SYNONYMS, reviews
from safetensors.torch import load_file
from transformers import TrainerCallback

from augment.mlm.fill_mask import FillMask
from hf_mmel.cli import run as cli
from hf_mmel.cli.metrics import leading_metric
from hf_mmel.cli.run import UsageError


pytestmark = pytest.mark.integration  # whole runs of several seeds


ROOT = Path(__file__).parents[2]


def read(folder, name="all"):
    return json.loads((folder / f"{name}_results.json").read_text())


def without_times(metrics):
    return {name: value for name, value in metrics.items() if "_runtime" not in name and "_per_second" not in name}


def assert_same_run(folder, other):
    weights, expected = (load_file(path / "model.safetensors") for path in (folder, other))
    assert all(torch.equal(weight, expected[name]) for name, weight in weights.items())
    assert without_times(read(folder)) == without_times(read(other))


@pytest.mark.parametrize("search", ["none", "loss"])
def test_each_seed_is_the_run_that_it_would_be_alone(run, files, tmp_path, search):
    options = [*files, "--do_train", "--do_eval", "--do_predict", "--test_file", files[3], "--learning_rate", 1e-2]
    options += ["--greedy_search", search, "--max_steps", 6]
    metrics = run(*options, "--seeds", "3,7", "--seed", 1)
    for seed in (3, 7):
        run(*options, "--seed", seed, out=f"alone-{seed}")
        folder, alone = tmp_path / "out" / f"seed-{seed}", tmp_path / f"alone-{seed}"
        assert_same_run(folder, alone)
        names = {file.name for file in alone.iterdir()}
        assert {file.name for file in folder.iterdir()} == names >= {"augmenter.json", "predict_results_custom.txt"}
    assert metrics == read(tmp_path / "out")
    losses = [read(tmp_path / "out" / f"seed-{seed}")["eval_loss"] for seed in (3, 7)]
    assert losses[0] != losses[1]
    assert metrics["eval_loss"] == pytest.approx(sum(losses) / 2)
    assert metrics["eval_loss_std"] == pytest.approx(abs(losses[0] - losses[1]) / 2**0.5)


def test_what_seeds_share_is_made_once(run, files, masked_lm_dir, tmp_path, monkeypatch):
    calls = []

    def count(owner, name):
        function = getattr(owner, name)
        counting = lambda *args, **kwargs: (calls.append(name), function(*args, **kwargs))[1]  # noqa: E731
        monkeypatch.setattr(owner, name, counting)

    for name in ("load_splits", "encode_splits", "build_augmenter"):
        count(cli, name)
    count(FillMask, "best")
    options = [*files, "--do_train", "--model_name_or_path", masked_lm_dir, "--augmenter", "mlm", "--max_steps", 1]
    run(*options, "--cache_dir", tmp_path / "one", out="alone")
    alone, calls[:] = sorted(calls), []
    run(*options, "--cache_dir", tmp_path / "three", "--seeds", "1,2,3")
    assert sorted(calls) == alone and len(set(alone)) == 4


class Failing(TrainerCallback):
    """Ends the training of seed 2 after its first checkpoint."""

    def on_save(self, args, state, control, **kwargs):
        if args.seed == 2:
            raise RuntimeError("The power is gone.")


def test_the_same_command_continues_with_the_seed_that_failed(run, files, tmp_path, monkeypatch, caplog):
    options = [*files, "--do_train", "--do_eval", "--seeds", "1,2", "--max_steps", 4, "--learning_rate", 1e-2]
    options += ["--save_strategy", "steps", "--save_steps", 2]
    run(*options, out="whole")
    trainer = cli.CommandTrainer
    monkeypatch.setattr(
        "hf_mmel.cli.run.CommandTrainer", lambda *args, **kwargs: trainer(*args, **kwargs, callbacks=[Failing()])
    )
    with pytest.raises(RuntimeError, match="The power is gone"):
        run(*options)
    assert "Seed 2 failed; finished and kept: 1." in caplog.text
    monkeypatch.undo()
    files = [tmp_path / "out" / folder / "checkpoint-2" / "model.safetensors" for folder in ("seed-1", "seed-2")]
    before = [file.stat().st_mtime_ns for file in files]
    monkeypatch.setattr("augment.english.wordnet_data.load_wordnet", lambda: None)
    monkeypatch.setattr("augment.english.synonyms.build_synonyms", lambda wordnet, **options: SYNONYMS)
    monkeypatch.setattr("augment.english.phrases.read_phrases", lambda wordnet, words: {})
    run(*options)
    assert [file.stat().st_mtime_ns for file in files] == before
    for seed in ("seed-1", "seed-2"):
        weights, expected = (load_file(tmp_path / out / seed / "model.safetensors") for out in ("out", "whole"))
        assert all(torch.equal(weight, expected[name]) for name, weight in weights.items())
    assert read(tmp_path / "out")["eval_loss"] == read(tmp_path / "whole")["eval_loss"]


def test_seeds_that_are_finished_need_no_data(run, files, tmp_path, capsys, monkeypatch):
    options = [*files, "--do_train", "--do_eval", "--seeds", "1,2"]
    metrics = run(*options)
    table = capsys.readouterr().out.splitlines()[-len(metrics) :]
    assert f"best eval_accuracy: {tmp_path / 'out' / 'seed-'}" in table[-1]
    monkeypatch.setattr("hf_mmel.cli.run.load_splits", lambda *_: 1 / 0)
    assert run(*options) == metrics
    assert capsys.readouterr().out.splitlines()[-5:] == table[-5:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--do_train", "--seeds", f"1,{'1' * 5000}"], "expected whole numbers from 0"),
        (["--do_eval", "--seeds", "1,2"], "pass --do_train, or leave out --seeds"),
        (["--do_train", "--seeds", "1,2", "--resume_from_checkpoint", "."], "resume_from_checkpoint is for a single"),
        (["--do_train", "--seeds", "1,2", "--push_to_hub"], "push_to_hub is for a single training run"),
        (["--do_train", "--seeds", "1,2", "--glue_submission"], "takes the predictions of one model"),
    ],
)
def test_what_does_not_go_with_seeds_is_refused(run, files, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        run(*files, *options)
    assert not (tmp_path / "out").exists()


def test_other_arguments_are_refused_and_other_places_are_not(run, files, tmp_path):
    options = [*files, "--do_train", "--max_steps", 1]
    run(*options, "--seeds", "1,2", "--token", "hf_secret")
    with pytest.raises(UsageError, match=r"other arguments: lambda_p was 1\.0 and is 0\.5"):
        run(*options, "--seeds", "1,2,3", "--lambda_p", 0.5)
    run(*options, "--seeds", "1,2,3", "--cache_dir", tmp_path / "elsewhere", "--log_level", "error")
    assert len(read(tmp_path / "out", "seeds")["seeds"]) == 3
    assert "hf_secret" not in (tmp_path / "out" / "seeds_results.json").read_text()
    with pytest.raises(UsageError, match="holds the results of --seeds"):
        run(*options)


@pytest.mark.parametrize("name", ["train", "validation", "augmenter"])
def test_files_that_have_changed_are_refused(run, files, write, tmp_path, name):
    (own := tmp_path / "own.json").write_text('{"class": "RandomDelete"}')
    options = [*files, "--do_train", "--do_eval", "--max_steps", 1, "--augmenter", own]
    run(*options, "--seeds", "1,2")
    kept = json.loads((tmp_path / "out" / "seeds_results.json").read_text())
    if name == "augmenter":
        own.write_text('{"class": "RandomDelete", "replace_prob": 0.2}')
    else:
        write({"train": "train.csv", "validation": "val.csv"}[name], reviews(num_examples=12))
    changed = name if name == "augmenter" else f"{name}_file"
    with pytest.raises(UsageError, match=rf"other arguments: content of {changed} was .* and is .*\. Choose"):
        run(*options, "--seeds", "1,2,3")
    # Earlier versions kept paths alone.
    kept["arguments"] = {key: value for key, value in kept["arguments"].items() if not key.startswith("content")}
    (tmp_path / "out" / "seeds_results.json").write_text(json.dumps(kept))
    run(*options, "--seeds", "1,2,3")


LAUNCHED = f"""\
import sys, augment.english.phrases, augment.english.synonyms, augment.english.wordnet_data, run_glue_mmel
augment.english.wordnet_data.load_wordnet = lambda: None
augment.english.synonyms.build_synonyms = lambda wordnet, **options: {SYNONYMS}
augment.english.phrases.read_phrases = lambda wordnet, words: {{}}
run_glue_mmel.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_seeds_on_two_processes_are_those_of_one(run, files, model_dir, tmp_path):
    options = [*files, "--do_train", "--do_eval", "--seeds", "1,2", "--optim", "sgd", "--learning_rate", 0.5]
    options += ["--max_grad_norm", 0, "--logging_steps", 1]
    run(*options, "--per_device_train_batch_size", 8)
    (tmp_path / "launched.py").write_text(LAUNCHED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2]
    command += [tmp_path / "launched.py", *options, "--per_device_train_batch_size", 4]
    command += ["--output_dir", tmp_path / "two", "--model_name_or_path", model_dir, "--cache_dir", tmp_path / "cache"]
    command += ["--report_to", "none", "--use_cpu", "--save_strategy", "no", "--max_steps", 3, "--num_variants", 2]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for expected in ("best eval_accuracy", "best eval_accuracy"):  # the second time all seeds are finished
        done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-5000:]
        assert done.stdout.count(expected) == 1
    one, two = (read(tmp_path / out, "seeds")["seeds"] for out in ("out", "two"))
    for seed in ("1", "2"):
        for name in ("train_loss", "eval_loss", "eval_accuracy"):
            assert two[seed][name] == pytest.approx(one[seed][name], abs=1e-5)
    assert read(tmp_path / "two")["eval_loss_std"] == pytest.approx(read(tmp_path / "out")["eval_loss_std"], abs=1e-5)


def test_how_long_a_model_takes_to_prepare_is_no_score():
    names = ["eval_loss", "eval_model_preparation_time", "eval_accuracy", "eval_runtime", "eval_samples"]
    assert leading_metric(names) == "eval_accuracy"
