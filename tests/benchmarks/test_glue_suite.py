"""The GLUE suite: what it runs and in which order, what it keeps, what it measures, and what its tables say."""

import json
import re
from collections import Counter
from statistics import fmean

import numpy as np
import pytest
import yaml

from benchmarks import glue_suite
from benchmarks.suite import session, train
from benchmarks.suite.plan import Kind, Run, kinds_of, runs_of
from benchmarks.suite.settings import grid_of, read_settings, settings_of
from benchmarks.suite.store import Store
from benchmarks.suite.tables import averaged, differences, newest, tables
from hf_mmel.cli import run as cli
from hf_mmel.compare.statistics import mean_interval
from hf_mmel.objective.weighting import VariantLosses


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


LAYERS = {"common": {"num_train_epochs": 3, "lambda_p": 1.0, "num_variants": 2}}
COMMON = {"model": "m", "data": "d", "stage": "report", "device": "cpu"}


def result(score=0.5, seconds=10.0):
    return {
        "scores": {"score": score, "accuracy": score},
        "seconds": {"prepare": 0.0, "train": seconds, "evaluate": 1.0},
        "steps": 9,
        "epochs": 3,
        "num_examples": 50,
    }


@pytest.fixture
def go(tmp_path):
    """Runs with a made-up training: `go(runs, execute)` gives the runs that it was asked for, and what was said."""

    def go(runs, execute=lambda run, settings: result(), **options):
        asked = []

        def noted(run, settings):
            asked.append((run, settings))
            return execute(run, settings)

        store = Store(tmp_path / "results.jsonl")
        jobs = session.jobs_of(runs, LAYERS, lambda method: [{}])
        said = list(session.run_all(jobs, store, COMMON, LAYERS, noted, lambda run: 50, **options))
        return asked, said

    return go


RUNS = runs_of(["rte"], ["50"], kinds_of(["none", "hard", "none_time", "soft"], ["wordnet"]), [1, 2])


def test_seeds_come_one_after_the_other_and_small_slices_first():
    kinds = kinds_of(["soft", "none", "uniform"], ["wordnet", "mlm"])
    assert kinds[0] == Kind("none") and len(kinds) == 5
    runs = runs_of(["rte", "sst2"], ["all", "500", "100"], kinds, [3, 1])
    assert [run.seed for run in runs] == [3] * 30 + [1] * 30
    assert [run.size for run in runs[:30]] == ["100"] * 10 + ["500"] * 10 + ["all"] * 10
    for end in range(len(runs)):  # at any moment no kind is ahead of another by more than one run
        counts = Counter(run.kind for run in runs[: end + 1])
        assert max(counts.values()) - min(counts[kind] for kind in kinds) <= 1


def test_a_finished_run_is_skipped_and_a_failed_one_is_run_again(go):
    def execute(run, settings):
        if run.method == "hard" and run.seed == 1:
            raise RuntimeError("out of\nmemory")
        return result()

    asked, said = go(RUNS, execute)
    assert [run for run, _ in asked] == [run for run in RUNS if run.method != "none_time" or run.seed == 2]
    assert said[1].startswith("rte 50 hard · wordnet seed 1: RuntimeError: out of memory")
    assert "is not finished" in said[2]  # `none_time` has no `hard` to go by, and the rest goes on
    asked, said = go(RUNS)
    assert [(run.method, run.seed) for run, _ in asked] == [("hard", 1), ("none_time", 1)]
    assert go(RUNS) == ([], [])


def test_other_settings_are_another_run(go, monkeypatch):
    go(RUNS)
    monkeypatch.setitem(LAYERS["common"], "lambda_p", 0.5)
    # `none_time` takes the time of the new `hard`; `none` has no use for lambda_p.
    assert {run.method for run, _ in go(RUNS)[0]} == {"hard", "none_time", "soft"}


def test_a_line_that_was_cut_off_is_left_out(go, tmp_path):
    go(RUNS[:2])
    path = tmp_path / "results.jsonl"
    path.write_text(path.read_text()[:-20])
    assert [run for run, _ in go(RUNS[:2])[0]] == [RUNS[1]]
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2


def test_none_time_has_as_many_epochs_as_take_the_time_of_hard(go):
    asked, _ = go(RUNS[:3], lambda run, settings: result(seconds={"hard": 35.0}.get(run.method, 10.0)))
    assert asked[2][0].method == "none_time" and asked[2][1]["num_train_epochs"] == 10.5


def test_the_time_of_hard_is_the_median_over_the_seeds(go):
    seconds = iter([35.0, 90.0, 45.0])  # the second while the machine had other work
    runs = runs_of(["rte"], ["50"], kinds_of(["none", "hard", "none_time"], ["wordnet"]), [1, 2, 3])

    def execute(run, settings):
        return result(seconds=next(seconds) if run.method == "hard" else 10.0)

    asked, _ = go(runs, execute)
    epochs = [settings["num_train_epochs"] for run, settings in asked if run.method == "none_time"]
    assert epochs == [10.5, 18.75, 13.5]


def test_no_run_is_begun_that_would_not_end_in_time(go):
    now = [0.0]

    def execute(run, settings):
        now[0] += 11
        return result()

    asked, said = go(RUNS, execute, deadline=58.0, clock=lambda: now[0])
    # What is not known is begun; of the second seed `none` ends at 55, and `hard` would end at 66.
    assert [run for run, _ in asked] == RUNS[:5] and "would not end in time" in said[-1]


def test_the_grid_has_for_each_method_what_it_knows():
    axes = {"lambda_p": [0.1, 1], "num_variants": [2, 4], "learning_rate": [1, 2, 3]}
    assert [len(grid_of(axes, m)) for m in ("none", "uniform", "worst", "hard", "rdrop")] == [3, 6, 6, 12, 3]
    hard = Run("rte", "100", "hard", "wordnet", 1)
    assert settings_of(hard, read_settings(), {"lambda_p": 7})["lambda_p"] == 7
    assert "lambda_p" not in settings_of(Run("rte", "100", "none", None, 1), read_settings())


def test_an_augmenter_has_settings_of_its_own():
    tasks = {"rte": {"lambda_p": 3}, "stsb": {"min_label_probability": None}}
    layers = {**LAYERS, "augmenters": {"mlm": {"min_label_probability": 0.4}}, "tasks": tasks}
    settings = {a: settings_of(Run("rte", "100", "hard", a, 1), layers) for a in ("mlm", "wordnet")}
    assert (
        settings["mlm"] == {**settings["wordnet"], "min_label_probability": 0.4} and settings["mlm"]["lambda_p"] == 3
    )
    for run in (Run("rte", "100", "none_time", "mlm", 1), Run("stsb", "100", "hard", "mlm", 1)):
        assert "min_label_probability" not in settings_of(run, layers)


@pytest.fixture
def lines():
    random = np.random.default_rng(1)
    runs = runs_of(["rte", "sst2"], ["100", "500"], kinds_of(["none", "uniform", "hard"], ["wordnet"]), range(5))
    return [{"run": r._asdict(), "conditions": COMMON, **result(float(random.random()))} for r in runs]


def test_differences_are_paired_by_seed_over_cells_that_both_have(lines):
    runs = newest(lines)
    del runs[Run("sst2", "500", "hard", "wordnet", 3)]
    cells = [(task, size) for task in ("rte", "sst2") for size in ("100", "500")]
    hard, none = (averaged(runs, cells, ["score"], kind) for kind in (Kind("hard", "wordnet"), Kind("none")))
    expected = []
    for seed in (0, 1, 2, 4):
        of = {run: x["scores"]["score"] for run, x in runs.items() if run.seed == seed}
        pairs = [(of[Run(*c, "hard", "wordnet", seed)], of[Run(*c, "none", None, seed)]) for c in cells]
        expected.append(fmean(one for one, _ in pairs) - fmean(other for _, other in pairs))
    assert differences(hard, none) == pytest.approx(expected)
    text = "\n".join(tables([x for x in lines if Run(**x["run"]) in runs]))
    of_scores = text.partition("**score, mean over")[2]
    row = next(line for line in of_scores.splitlines() if line.startswith("| hard"))
    assert f"| 4 | {100 * fmean(expected):+.2f} (" in row


def score_rows(scores):
    """The cells of the table of scores, by kind, of so many seeds on 100 examples of RTE."""
    lines = [
        {"run": Run("rte", "100", *kind, seed)._asdict(), "conditions": COMMON, **result(score)}
        for kind, of_seeds in scores.items()
        for seed, score in enumerate(of_seeds)
    ]
    rows = "\n".join(tables(lines)).partition("**score, rte 100**")[2].partition("**")[0].strip().splitlines()[2:]
    return {kind: [cell.strip() for cell in rest] for _, kind, *rest in (row.split("|") for row in rows)}


def test_intervals_of_students_t_are_marked():
    even, nearly_equal = [0.6, 0.62, 0.65, 0.69], [0.6, 0.6001, 0.62, 0.63]
    assert mean_interval(even).how == "bootstrap-t" and mean_interval(nearly_equal).how == "Student's t"
    kinds = Kind("none"), Kind("hard", "wordnet"), Kind("soft", "wordnet")
    rows = score_rows(dict(zip(kinds, ([0.5] * 4, even, nearly_equal), strict=True)))
    assert {kind.strip(): "†" in row[3] for kind, row in rows.items()} == {
        "none": False,
        "hard · wordnet": False,
        "soft · wordnet": True,
    }


def test_differences_to_uniform_are_to_that_of_the_same_augmenter_or_for_a_rival_without_one_of_the_first():
    scores = {"none": 0.5, "rdrop": 0.53, "both": 0.54, "mlm": 0.56, "wordnet": 0.6}
    kinds = {Kind(name) if name in ("none", "rdrop") else Kind("uniform", name): [x] for name, x in scores.items()}
    rows = score_rows({**kinds, Kind("hard", "both"): [0.57], Kind("none_time", "wordnet"): [0.59]})
    assert {kind.strip(): row[4] for kind, row in rows.items()} == {
        "none": "–",
        "rdrop": "-7.00",
        "none_time · wordnet": "-1.00",
        "uniform · wordnet": "–",
        "uniform · mlm": "–",
        "hard · both": "+3.00",
        "uniform · both": "–",
    }
    assert [kind.strip() for kind in rows][:2] == ["none", "rdrop"]


@pytest.fixture
def suite(mirror, masked_lm_dir, synonyms, tmp_path, monkeypatch):
    """The suite on tiny data: `suite(*options)` gives its exit code and its lines."""
    settings = {**read_settings(), "sizes": {}}
    settings["tasks"]["stsb"].pop("num_train_epochs")  # all make the same number of steps
    settings["common"] |= {"num_train_epochs": 2, "per_device_train_batch_size": 2, "max_seq_length": 32}
    (tmp_path / "settings.json").write_text(json.dumps(settings))

    def main(*options):
        argv = ["--model", masked_lm_dir, "--data", mirror[1], "--work_dir", tmp_path / "suite", "--seeds", 1]
        argv += ["--settings", tmp_path / "settings.json", "--cache_dir", tmp_path / "cache", *options]
        code = glue_suite.main([str(option) for option in argv])
        return code, Store(tmp_path / "suite" / "results.jsonl").lines

    return main


def test_every_method_trains_for_the_same_number_of_steps(suite, capsys):
    options = ["--tasks", "rte", "stsb", "--sizes", 4, "--augmenters", "wordnet", "both"]
    code, found = suite(*options)
    assert code == 0 and not [line for line in found if "error" in line]
    assert len(found) == 2 * (2 + 2 * 5)
    assert {x["steps"] for x in found if x["run"]["method"] != "none_time"} == {4}
    for line in found:
        names = line["scores"].keys()
        assert {"score", "typo_worst_mse" if line["run"]["task"] == "stsb" else "mlm_worst_accuracy"} <= names
    assert {line["commit"] for line in found} == {train.commit()}
    figures = {line["run"]["method"] for line in found if line["figures"]}
    assert figures == {"uniform", "hard", "soft", "worst"}
    capsys.readouterr()
    assert suite(*options, "--seeds", 1, 2, "--plan", "cpu") == (0, found)
    assert "24 runs" in capsys.readouterr().out  # those of the second seed
    assert suite(*options)[1] == found  # all of them are finished
    suite("--table")
    assert "**score, mean over rte, stsb with 4 examples**" in capsys.readouterr().out


def test_tuning_needs_no_validation_data(suite, tmp_path):
    config = {"config_name": "rte", "data_files": [{"split": "train", "path": "rte/train-*"}]}
    (tmp_path / "glue" / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': [config]})}---\n")
    for file in (tmp_path / "glue" / "rte").glob("validation*"):
        file.unlink()
    options = ["--stage", "tune", "--tasks", "rte", "--sizes", 4, "--methods", "hard", "none"]
    suite(*options, "--grid", "lambda_p=0.5,2", "learning_rate=1e-5,1e-3")
    code, found = suite(*options, "--choose")
    assert code == 0 and [("error" in line, line["run"]["method"]) for line in found] == [
        *[(False, "none")] * 2,
        *[(False, "hard")] * 4,
    ]
    chosen = json.loads((tmp_path / "settings.json").read_text())["methods"]
    assert set(chosen["hard"]) == {"lambda_p", "learning_rate"} and set(chosen["none"]) == {"learning_rate"}


def test_lambda_p_goes_from_its_start_to_its_end(suite, monkeypatch):
    seen = []
    weights = VariantLosses.weights
    monkeypatch.setattr(
        VariantLosses,
        "weights",
        lambda self, mask, args, *given: (seen.append(args.lambda_p), weights(self, mask, args, *given))[1],
    )
    options = ["--stage", "tune", "--tasks", "rte", "--sizes", 4, "--methods", "hard", "--augmenters", "wordnet"]
    _, found = suite(*options, "--grid", "lambda_p_start=8", "lambda_p=1")
    assert found[0]["conditions"]["settings"]["lambda_p_start"] == 8 and found[0]["steps"] == 4
    assert list(dict.fromkeys(seen)) == pytest.approx([8, 4, 2, 1])


def test_a_mended_training_has_its_weights_and_its_candidates(suite, monkeypatch):
    seen, contexts = [], []
    weighed = train.mended_weights
    monkeypatch.setattr(train, "mended_weights", lambda *given: (contexts.append(given), weighed(*given))[1])
    build = cli.build_augmenter
    monkeypatch.setattr(cli, "build_augmenter", lambda *given: (seen.append(build(*given)), seen[-1])[1])
    options = ["--stage", "tune", "--tasks", "rte", "--sizes", 4, "--methods", "hard", "--augmenters", "mlm"]
    _, found = suite(*options, "--grid", "top_m=3", "max_weight=0.5", "min_label_probability=0.2")
    assert "error" not in found[0] and contexts == [(0.5,)]
    assert (seen[-1].top_m, seen[-1].replace_prob) == (3, 0.3)


def test_the_tables_are_of_the_settings_of_now(suite, tmp_path, capsys):
    options = ["--tasks", "rte", "--sizes", 4, "--methods", "none", "hard", "--perturbations", "typo"]
    suite(*options)
    file = tmp_path / "settings.json"
    settings = json.loads(file.read_text())
    for learning_rate, methods in (
        (1e-3, ["none"]),
        (settings["common"]["learning_rate"], ["none", "hard · wordnet"]),
    ):
        settings["common"]["learning_rate"] = learning_rate
        file.write_text(json.dumps(settings))
        suite(*options[:5], "none", *options[7:])
        capsys.readouterr()
        suite("--table")
        table = capsys.readouterr().out.partition("**score, rte 4**")[2].partition("\n\n**")[0]
        assert re.findall(r"^\| ((?:none|hard).*?) \|", table, flags=re.MULTILINE) == methods


def test_the_tables_are_of_what_is_asked_for(suite, capsys):
    suite("--tasks", "rte", "--sizes", 2, 4, "--methods", "none", "--perturbations", "typo")
    for sizes, expected in ((["4"], ["4"]), ([], ["2", "4"])):
        capsys.readouterr()
        suite("--table", *(["--sizes", *sizes] if sizes else []))
        assert re.findall(r"\*\*score, rte (\d+)\*\*", capsys.readouterr().out) == expected
