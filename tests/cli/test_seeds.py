"""Several seeds: what is kept of each, what is run again, and what comes out of all."""

import json
import statistics

import pytest

from hf_mmel.cli.arguments import RunArguments
from hf_mmel.cli.errors import UsageError
from hf_mmel.cli.seeds import SeedResults


SCORES = {1: 0.5, 2: 0.75, 3: 0.25}


@pytest.fixture
def open_seeds(arguments):
    """Opens the results of seeds in the output folder."""

    def open_seeds(*seeds, lr=0.1, overwrite=False, **fields):
        return SeedResults(arguments(**fields), list(seeds), {"learning_rate": lr}, overwrite)

    return open_seeds


@pytest.fixture
def train():
    """A training that gives a score and writes what trainings write; `train.seeds` are those that it had."""

    def train(results):
        def run(seed):
            train.seeds.append(seed)
            results.folder(seed).mkdir(parents=True, exist_ok=True)
            (results.folder(seed) / "all_results.json").write_text("{}")
            return {"eval_loss": 1 - SCORES[seed], "eval_accuracy": SCORES[seed], "train_samples": 16}

        results.run(run)
        return results

    train.seeds = []
    return train


def test_the_summary_is_the_mean_and_the_sample_standard_deviation(open_seeds, train, tmp_path):
    results = train(open_seeds(1, 2, 3))
    assert results.summary() == json.loads((tmp_path / "out" / "all_results.json").read_text())
    assert results.summary() == {
        "eval_loss": pytest.approx(0.5),
        "eval_loss_std": pytest.approx(statistics.stdev(SCORES.values())),
        "eval_accuracy": pytest.approx(0.5),
        "eval_accuracy_std": pytest.approx(statistics.stdev(SCORES.values())),
        "train_samples": 16,
    }
    kept = json.loads((tmp_path / "out" / "seeds_results.json").read_text())["seeds"]
    assert {int(seed): metrics["eval_accuracy"] for seed, metrics in kept.items()} == SCORES


def test_the_least_error_is_the_best(open_seeds):
    results = open_seeds(1, 2, 3)
    results.metrics = {seed: {"eval_loss": 1.0, "eval_mse": 1 / seed, "eval_pearson": 0.5} for seed in (1, 2, 3)}
    assert results.best() == ("eval_mse", 3)


def test_an_unknown_metric_for_the_best_seed_is_told_of(open_seeds, train, caplog):
    results = open_seeds(1, 2, metric_for_best_model="acuracy")
    train(results)
    assert results.best() is None and "There is no eval_acuracy" in caplog.text


def test_overwritten_seeds_do_not_resume_from_earlier_checkpoints(open_seeds):
    """Not even after an interruption, if the command is repeated without --overwrite_output_dir."""
    results = open_seeds(1, 2)
    for seed in (1, 2):
        (results.folder(seed) / "checkpoint-9").mkdir(parents=True)
        (results.folder(seed) / "checkpoint-9" / "trainer_state.json").write_text("{}")
        (results.folder(seed) / "checkpoint-9" / "optimizer.bin").touch()
        assert results.resume_point(seed).folder is not None
    (results.folder(2) / "train_results.json").write_text("{}")
    assert results.resume_point(2).metrics is not None

    def fails(seed):
        raise RuntimeError("out of memory")

    overwriting = open_seeds(1, 2, lr=0.2, overwrite=True)
    with pytest.raises(RuntimeError):
        overwriting.run(fails)
    assert [open_seeds(1, 2, lr=0.2).resume_point(seed) for seed in (1, 2)] == [(None, None)] * 2


DAMAGED = [b"{", b"[]", b"{}", b'{"seeds": [], "arguments": {}}', b'{"seeds": {}, "arguments": 5}', b"\xff\xfe"]
DAMAGED += [b'{"seeds": {"x": {}}, "arguments": {}}', b'{"seeds": {"1": 5}, "arguments": {}}', b"[" * 100_000]


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_results_are_named(open_seeds, train, tmp_path, content):
    train(open_seeds(1, 2))
    (tmp_path / "out" / "seeds_results.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"seeds_results.json is damaged: .*\. Pass --overwrite_output_dir") as raised:
        open_seeds(1, 2)
    assert "\n" not in str(raised.value)
    assert open_seeds(1, 2, overwrite=True).unfinished == [1, 2]


def test_what_is_no_number_for_a_seed_has_no_mean(open_seeds):
    results = open_seeds(1, 2)
    results.metrics = {1: {"eval_loss": 1.0, "eval_f1": 0.5}, 2: {"eval_loss": 3.0, "eval_f1": "damaged"}}
    assert results.summary().keys() == {"eval_loss", "eval_loss_std"}


def test_the_table_has_each_value_and_the_best_seed(open_seeds, train):
    rows = {line.split()[0]: line.split()[1:] for line in train(open_seeds(1, 3)).table()}
    assert rows["eval_accuracy"] == ["0.375", "0.1768", "0.5", "0.25"]
    assert rows["train_samples"] == ["16", "16", "16"]
    assert rows["best"][0] == "eval_accuracy:" and rows["best"][1].endswith("seed-1")


def test_finished_seeds_are_not_run_again(open_seeds, train):
    train(open_seeds(1, 2))
    results = train(open_seeds(1, 2, 3))
    assert train.seeds == [1, 2, 3]
    assert results.summary()["eval_accuracy"] == pytest.approx(0.5)
    assert train(open_seeds(3, 1)).summary()["eval_accuracy"] == pytest.approx(0.375)
    train(open_seeds(1, 2, overwrite=True))
    assert train.seeds == [1, 2, 3, 1, 2]


def test_a_seed_whose_folder_has_gone_is_run_again(open_seeds, train):
    results = train(open_seeds(1, 2))
    (results.folder(2) / "all_results.json").unlink()
    train(open_seeds(1, 2))
    assert train.seeds == [1, 2, 2]


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), UsageError("no such thing")])
def test_a_seed_that_fails_is_named_and_the_others_are_kept(open_seeds, train, caplog, error):
    results = open_seeds(1, 4, 2)

    def run(seed):
        if seed == 4:
            raise error
        return {"eval_accuracy": SCORES[seed]}

    with pytest.raises(type(error), match=str(error)) as raised:
        results.run(run)
    message = str(raised.value) if isinstance(error, UsageError) else caplog.text
    assert "Seed 4 failed; finished and kept: 1." in message
    assert json.loads((results.output_dir / "seeds_results.json").read_text())["seeds"] == {
        "1": {"eval_accuracy": 0.5}
    }
    assert not (results.output_dir / "all_results.json").exists()


def test_results_of_other_arguments_are_not_mixed(open_seeds, train):
    train(open_seeds(1, 2))
    with pytest.raises(ValueError, match=r"other arguments: learning_rate was 0\.1 and is 0\.2"):
        open_seeds(1, 2, 3, lr=0.2)
    assert open_seeds(1, 2, lr=0.2, overwrite=True).unfinished == [1, 2]


@pytest.mark.parametrize("place", [".", "seed-2", "seed-2/checkpoint-4"])
def test_a_training_of_another_kind_is_not_overwritten(open_seeds, tmp_path, place):
    (tmp_path / "out" / place).mkdir(parents=True)
    (tmp_path / "out" / place / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="not started with --seeds; choose another --output_dir"):
        open_seeds(1, 2)
    assert open_seeds(1, 2, overwrite=True).unfinished == [1, 2]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("eval_accuracy", 2)),
        ({"metric_for_best_model": "loss"}, ("eval_loss", 2)),
        ({"metric_for_best_model": "eval_accuracy", "greater_is_better": False}, ("eval_accuracy", 3)),
        ({"metric_for_best_model": "f1"}, None),
    ],
)
def test_the_best_seed_is_that_of_the_metric_asked_for(open_seeds, train, fields, expected):
    assert train(open_seeds(1, 2, 3, **fields)).best() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([{"eval_f1": 0.1, "eval_combined_score": 0.2}, {"eval_f1": 0.2, "eval_combined_score": 0.1}], 1),
        ([{"eval_pearson": float("nan")}, {"eval_pearson": 0.1}], 2),
        ([{"eval_loss": 1.0, "eval_runtime": 2.0}, {"eval_loss": 0.1, "eval_runtime": 1.0}], None),
    ],
    ids=["the combined score", "no number", "no score"],
)
def test_the_best_seed_is_that_of_the_task(open_seeds, values, expected):
    results = open_seeds(1, 2)
    results.run(lambda seed: values[seed - 1])
    best = results.best()
    assert (best and best[1]) == expected


@pytest.mark.parametrize("given", [["1,2,3"], ["1", "2", "3"], ["1,", "2,", "3"], [1, 2, 3]])
def test_seeds_may_be_given_as_text_or_list(given):
    assert RunArguments(seeds=given).seeds == [1, 2, 3]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("1,2,1", "each seed once"),
        ("1", "two or more. For a single seed pass --seed"),
        ("1,-2", "whole numbers from 0"),
        ("1,x", "whole numbers"),
    ],
)
def test_seeds_that_cannot_be_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        RunArguments(seeds=[given])
