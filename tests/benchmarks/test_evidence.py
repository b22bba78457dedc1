"""The benchmark of the protocol: what a run trains on, how settings are chosen, and what the tables compute."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import SENTENCES

from benchmarks.evidence import __main__ as evidence
from benchmarks.evidence import methods, runs
from benchmarks.evidence.data import HELD_OUT, LARGE, examples_of
from benchmarks.evidence.measures import correlation
from benchmarks.evidence.methods import CORE, METHODS, STEPS, TEXTS, chosen, chosen_steps, group_of, settings_of
from benchmarks.evidence.picture import LABELS, draw
from benchmarks.evidence.tables import TEXTS as TEXT_TABLES
from benchmarks.evidence.tables import Difference, Scores, difference_table, holm, primary, table, tables
from benchmarks.evidence.training import tokenized


TUNING = "sst2" + HELD_OUT
CHOICES = {"none": {"learning_rate": 1e-4, "max_steps": 100}, "uniform": {"augmenter": "mlm"}}


def line(method, seed, point=None, task="subj", right=(1, 1, 0, 1), train_seconds=1.0, **scores):
    scores = dict.fromkeys(("accuracy", "random_accuracy", "greedy_accuracy", "log_loss"), 0.5) | scores
    scores |= {name: scores.get(name, 0.1) for name in ("typos_accuracy", "worst_accuracy", "calibration_error")}
    scores |= {"scaled_log_loss": 0.4, "scaled_calibration_error": 0.05}
    bits = np.packbits(right).tobytes().hex()
    return {
        "run": {"task": task, "size": "20", "method": method, "seed": seed, "point": point},
        "scores": scores,
        "machine": "a CPU, 2 cores",
        "train_seconds": train_seconds,
        "num_evaluated": len(right),
        "right": {"clean": bits, "greedy": bits},
    }


@pytest.fixture
def data(tmp_path):
    """Folders of the tasks, each with a few sentences of three classes."""
    for task, column in (("sst2", "sentence"), ("trec", "text")):
        (tmp_path / task).mkdir()
        for split in ("train", "test"):
            texts = [f"{text} {i}" for i in range(70) for text in SENTENCES]
            rows = pd.DataFrame({column: texts, "label": [i % 3 for i in range(len(texts))]})
            rows.to_parquet(tmp_path / task / f"{split}-0.parquet")
    return tmp_path


def test_each_class_has_so_many_labels_and_the_other_texts_have_none(data):
    examples = examples_of([data], "trec", "5", seed=1)
    assert Counter(examples.labelled["label"]) == {0: 5, 1: 5, 2: 5} and examples.num_labels == 3
    assert examples.unlabelled.column_names == ["text"]
    assert set(examples.labelled["text"]).isdisjoint(examples.unlabelled["text"])
    other = examples_of([data], "trec", "5", seed=2)
    assert other.labelled["text"][:] != examples.labelled["text"][:] and len(examples.evaluated) == 500
    assert other.evaluated["text"][:] == examples.evaluated["text"][:]


def test_the_tuning_data_is_held_out_from_the_training_set(data):
    first, second = (examples_of([data], TUNING, "5", seed) for seed in (1, 2))
    assert first.evaluated["text"][:] == second.evaluated["text"][:]
    for examples in (first, second):
        assert set(examples.evaluated["text"]).isdisjoint([*examples.labelled["text"], *examples.unlabelled["text"]])


def test_the_two_texts_of_a_pair_are_read_and_tokenized_together(tokenizer, tmp_path):
    (tmp_path / "rte").mkdir()
    rows = {"sentence1": SENTENCES, "sentence2": SENTENCES[::-1], "label": [i % 2 for i in range(len(SENTENCES))]}
    for split in ("train", "validation"):
        pd.DataFrame({**rows, "idx": range(len(SENTENCES))}).to_parquet(tmp_path / "rte" / f"{split}-0.parquet")
    examples = examples_of([tmp_path], "rte", "2", seed=1)
    assert examples.labelled.column_names == ["text", "text_pair", "label"]
    assert examples.unlabelled.column_names == ["text", "text_pair"]
    row = examples.labelled[0]
    made = tokenized({name: [text] for name, text in row.items()}, tokenizer)
    assert made["input_ids"] == [tokenizer(row["text"], row["text_pair"])["input_ids"]]


def test_regression_has_one_label_and_so_many_examples_in_all(tmp_path):
    (tmp_path / "stsb").mkdir()
    rows = {"sentence1": SENTENCES, "sentence2": SENTENCES, "label": [0.5 * i for i in range(len(SENTENCES))]}
    for split in ("train", "validation"):
        pd.DataFrame(rows).to_parquet(tmp_path / "stsb" / f"{split}-0.parquet")
    examples = examples_of([tmp_path], "stsb", "4", seed=1)
    assert (examples.num_labels, len(examples.labelled), len(examples.unlabelled)) == (1, 4, len(SENTENCES) - 4)


def test_the_correlation_is_that_of_glue():
    labels = np.array([0.0, 1.0, 2.0, 3.0])
    assert correlation(3 * labels - 1, labels) == pytest.approx(1)
    assert correlation(np.exp(labels), labels) == pytest.approx((1 + np.corrcoef(np.exp(labels), labels)[0, 1]) / 2)
    assert correlation(np.ones(4), labels) == 0


def test_regression_tasks_have_a_table_of_their_own():
    lines = [line("none", seed, greedy_accuracy=0.1) for seed in (1, 2)]
    for method, gain in (("none", 0.0), ("uniform", 0.1)):
        for seed in (1, 2):
            one = line(method, seed, task="stsb")
            lines.append({**one, "scores": {"correlation": 0.5 + 0.01 * seed + gain}})
    shown = list(tables(lines, ["none", "uniform"]))
    assert "| none | 2 | 51.5 | 1 |" in shown and "| uniform | 2 | 61.5 | 1 |" in shown
    assert "| none | – | −10.0 |" in shown and "| uniform | +10.0 | – |" in shown
    assert [row.split("**")[1] for row in shown if "**" in row] == ["subj: 20 examples per class", "stsb: 20 examples"]


@pytest.mark.parametrize("method", METHODS)
def test_each_method_has_four_points_and_the_settings_that_all_share(method):
    assert len(METHODS[method].points) == (1 if method == "longer" else 4)
    made = [settings_of(TEXTS, method, point, CHOICES) for point in METHODS[method].points]
    assert len({str(settings) for settings in made}) == len(made)
    for settings in made:
        assert {"learning_rate", "max_steps", "mmel_loss"} <= set(settings)
        assert settings["mmel_loss"] != "none" or "augmenter" not in settings
        if (
            method not in ("uniform", "r_drop", "adversarial", "uniform_search", "hard_search")
            and settings["mmel_loss"] != "none"
        ):
            assert settings["augmenter"] == "mlm"


def test_large_slices_need_no_tuning_and_are_compared_apart(data, tmp_path):
    args = evidence.parse_arguments(["--data", str(data), "--tasks", "sst2", "--sizes", LARGE, "--seeds", "1"])
    results = runs.Results(tmp_path / "results.jsonl", {})
    settings = [own for _, own in runs.planned(args, group_of("sst2", LARGE), results, list(CORE))]
    assert [own["mmel_loss"] for own in settings] == ["none", "none", "uniform", "hard", "soft"]
    assert [own["max_steps"] for own in settings] == [400, 1200, 400, 400, 400]
    searched = [own for _, own in runs.planned(args, group_of("sst2", LARGE), results, ["hard_search"])]
    assert [(own["num_searched"], own["lambda_p"], own["max_steps"]) for own in searched] == [(3, 0.1, 400)]
    lines = [line(method, seed) for method in ("none", "hard") for seed in (1, 2)]
    large = [{**one, "run": one["run"] | {"size": LARGE}} for one in lines]
    small, both = (list(tables(of, ["none", "hard"])) for of in (lines, lines + large))
    num_small, num_both = (sum("| hard − none |" in row for row in of) for of in (small, both))
    assert (num_small, num_both) == (1, 2)
    more = [{**one, "run": one["run"] | {"task": "mr"}} for one in large]
    partly = list(tables(large + more[2:], ["none", "hard"]))  # without `none` on one of the tasks
    assert sum("**mr: 1000" in row for row in partly) == 1 and not any("Mean over" in row for row in partly)
    assert any(
        row.startswith("**Mean over mr, subj: 1000 examples")
        for row in "".join(tables(large + more, CORE)).split("\n")
    )


def test_large_slices_are_tuned_apart_for_the_defaults(data, tmp_path, capsys):
    argv = ["--data", str(data), "--stage", "tune", "--tasks", TUNING, "--sizes", LARGE]
    group, names = group_of(TUNING, LARGE), ["uniform", "hard", "soft"]
    assert runs.phases("tune", group, names) == [["uniform"], ["hard", "soft"]]
    results = runs.Results(tmp_path / "results.jsonl", {})
    args = evidence.parse_arguments(argv)
    assert not list(runs.planned(args, group, results, ["hard"]))  # before the augmenter is chosen
    for seed in runs.TUNING_SEEDS:
        for point, accuracy in zip(METHODS["uniform"].points, (0.5, 0.6, 0.4, 0.4), strict=True):
            one = line("uniform", seed, point, TUNING, accuracy=accuracy)
            results.add({**one, "run": one["run"] | {"size": LARGE}, "conditions": {}, "settings": {}})
    best = METHODS["uniform"].points[1]
    made = [own for _, own in runs.planned(args, group, results, ["hard"])]
    assert [own["lambda_p"] for own in made] == [0.03, 0.1, 0.3, 1.0] * 3
    assert all(best.items() <= own.items() and own["max_steps"] == 400 for own in made)
    (table_of_points,) = [list(tables(results.lines, names))]
    assert "**sst2: 1000 examples per class, held-out training examples**" in table_of_points[0]
    assert f"| uniform | augmenter = {best['augmenter']} | 3 | 60.0 | 50.0 | 55.0 |" in table_of_points


def test_longer_has_the_steps_of_the_time_of_hard():
    assert settings_of(TEXTS, "longer", {}, CHOICES, factor=2.5)["max_steps"] == 250


def test_the_best_mean_of_clean_and_attacked_accuracy_is_chosen():
    points = METHODS["hard"].points
    lines = [
        line("hard", seed, point, accuracy=accuracy, random_accuracy=attacked)
        for seed in (1, 2)
        for point, (accuracy, attacked) in zip(points, [(0.9, 0.1), (0.6, 0.6), (0.7, 0.4), (0.6, 0.6)], strict=True)
    ]
    assert chosen(points, lines, (1, 2)) == points[1]
    assert chosen(points, lines[:-1], (1, 2)) is None and chosen(points, lines, (1, 2, 3)) is None
    assert chosen(points[:1], [], (1, 2)) == points[0]


def test_the_steps_are_doubled_until_the_double_is_not_better():
    def lines(*accuracies):
        return [
            line("none", seed, {"max_steps": steps}, accuracy=accuracy + offset)
            for steps, accuracy in zip(STEPS, accuracies, strict=False)
            for seed, offset in ((1, 0.1), (2, -0.1))
        ]

    assert chosen_steps([], (1, 2)) == (STEPS[0], False)
    assert chosen_steps(lines(0.5), (1, 2)) == (STEPS[1], False)
    assert chosen_steps(lines(0.5, 0.7)[:-1], (1, 2)) == (STEPS[1], False)
    assert chosen_steps(lines(0.5, 0.7), (1, 2)) == (STEPS[2], False)
    assert chosen_steps(lines(0.5, 0.7, 0.6, 0.9), (1, 2)) == (STEPS[1], True)
    assert chosen_steps(lines(0.5, 0.5), (1, 2)) == (STEPS[0], True)  # no better
    assert chosen_steps(lines(*(0.1 * i for i in range(len(STEPS)))), (1, 2)) == (STEPS[-1], True)


def test_phases_put_each_method_after_those_that_it_shares_a_choice_with():
    done: set[str] = set()
    for group in runs.phases("tune", TEXTS, list(METHODS)):
        assert all(set(METHODS[name].after) <= done for name in group)
        done.update(group)
    assert done == set(METHODS)


def test_holm_is_bonferroni_for_the_smallest_p_and_never_decreases():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_a_difference_is_that_of_scipy():
    from scipy import stats

    values = [1.0, 2.0, 4.0]
    found = Difference.of(values)
    assert found.mean == pytest.approx(7 / 3) and found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    error = np.std(values, ddof=1) / np.sqrt(3) * stats.t.ppf(0.975, 2)
    assert (found.low, found.high) == pytest.approx((7 / 3 - error, 7 / 3 + error))
    assert np.isnan(Difference.of([1.0]).p) and str(Difference.of([1.0])) == "+1.0"


def test_differences_are_paired_by_the_seeds_that_have_all_cells():
    lines = [line("none", s, task=t, greedy_accuracy=0.1 * s) for s in (1, 2, 3) for t in ("subj", "mr")]
    lines += [line("hard", s, task=t, greedy_accuracy=0.1 * s + 0.2) for s in (1, 2) for t in ("subj", "mr")]
    lines += [line("hard", 3, task="subj", greedy_accuracy=1.0)]
    scores = Scores(lines)
    cells = scores.cells("none", "hard")
    found = scores.difference("hard", "none", "greedy_accuracy", cells)
    assert cells == [("mr", "20"), ("subj", "20")] and found.num_seeds == 2 and found.mean == pytest.approx(20)


def test_temperature_is_none_with_scaled_probabilities():
    scores = Scores([line("none", seed, calibration_error=0.2) for seed in (1, 2)])
    cells = scores.cells("temperature")
    assert scores.by_seed("temperature", "calibration_error", cells) == pytest.approx({1: 5.0, 2: 5.0})
    assert scores.by_seed("temperature", "accuracy", cells) == scores.by_seed("none", "accuracy", cells)


def test_the_examples_are_compared_over_all_seeds():
    lines = [line("none", seed, right=[0] * 12 + [1] * 4) for seed in (1, 2)]
    lines += [line("hard", seed, right=[1] * 12 + [1] * 4) for seed in (1, 2)]
    scores = Scores(lines)
    assert scores.example_p("hard", "none", "greedy", scores.cells("none", "hard")) == pytest.approx(2 * 0.5**12)


def test_the_tables_name_each_comparison_once_it_has_runs():
    lines = [line("none", seed, greedy_accuracy=0.1) for seed in (1, 2)]
    lines += [line("hard", seed, greedy_accuracy=0.1 + 0.1 * seed, train_seconds=3.0) for seed in (1, 2)]
    rows = list(primary([(TEXT_TABLES, Scores(lines))]))
    *_, one_seed, _ = primary([(TEXT_TABLES, Scores(lines[::2]))])
    assert one_seed == "| hard − none | greedy | ≥ +10 | +10.0 | 1 | – | 1 |"
    assert len(rows) == 4 and rows[2].startswith("| hard − none | greedy | ≥ +10 | +15.0 (")
    names, cells = ["none", "hard"], [("subj", "20")]
    assert list(table(TEXT_TABLES, Scores(lines), names, cells))[3].endswith("| 0.50 | 3 |")
    *_, shown = difference_table(TEXT_TABLES, Scores(lines), names, cells)
    assert shown == "| hard | +0.0 | +15.0 (−48.5 to +78.5) | – | – | – |"


def test_the_picture_shows_the_differences_of_the_tables():
    lines = [line("none", seed, accuracy=0.5) for seed in (1, 2)]
    lines += [line("hard", seed, accuracy=0.5 + 0.1 * seed) for seed in (1, 2)]
    first, *_ = draw(lines, ["none", "hard"]).axes
    (point,) = [drawn for drawn in first.lines if drawn.get_marker() == "o"]
    assert point.get_xdata()[0] == pytest.approx(Difference.of([10, 20]).mean)
    assert [label.get_text() for label in first.get_yticklabels()] == [LABELS["hard"], LABELS["temperature"]]
    assert set(LABELS) == {*METHODS, "temperature"} - {"none"}
    large = [{**one, "run": one["run"] | {"size": LARGE}} for one in lines]
    assert len(draw(large, ["none", "hard"]).axes) == 3
    with pytest.raises(SystemExit, match="needs runs of none"):
        draw(lines[2:], ["none", "hard"])


def test_a_table_has_the_named_tasks_only(tmp_path, capsys):
    conditions = {"model": "minilm-mlm", "device": "cpu"}
    lines = [line("none", 1, task=task) for task in ("subj", "rte", TUNING)]
    (path := tmp_path / "results.jsonl").write_text(
        "".join(json.dumps({**one, "conditions": conditions}) + "\n" for one in lines)
    )
    assert evidence.main(["--table", f"--results={path}"]) == 0
    assert (
        "**subj: 20 examples per class** (a CPU, 2 cores)" in (said := capsys.readouterr().out)
        and "rte" not in said
        and TUNING not in said
    )
    assert evidence.main(["--table", f"--results={path}", "--tasks", "rte"]) == 0
    assert "**rte: 20 examples per class**" in capsys.readouterr().out


@pytest.mark.integration
def test_it_goes_from_files_to_a_table_and_makes_no_run_twice(
    model_dir, nltk_data, data, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("NLTK_DATA", str(nltk_data))  # for the processes of the runs
    results, conditions = tmp_path / "results.jsonl", {"model": Path(model_dir).name, "device": "cpu"}
    tuned = [line("none", seed, point) for seed in runs.TUNING_SEEDS for point in METHODS["none"].points]
    with results.open("w") as file:
        for one in tuned:
            run = {**one["run"], "task": TUNING, "size": TEXTS.tuning_size}
            file.write(json.dumps({**one, "run": run, "conditions": conditions, "settings": {}}) + "\n")
    argv = ["--model", model_dir, "--data", data, "--results", results, "--work_dir", tmp_path / "work"]
    argv += ["--methods", "none", "--tasks", "trec", "--sizes", 5, "--seeds", 1, "--jobs", 1]
    argv = [str(option) for option in argv]
    assert evidence.main(argv) == 0 and capsys.readouterr().out == ""  # before the number of steps is known
    for module in (methods, runs):
        monkeypatch.setattr(module, "STEPS", (2, 4))
    assert evidence.main([*argv, "--stage", "steps"]) == 0
    steps = [json.loads(text) for text in results.read_text().splitlines()[len(tuned) :]]
    assert [one["run"]["point"]["max_steps"] for one in steps] == [2] * 3 + [4] * 3
    assert {one["run"]["task"] for one in steps} == {"trec_tuning"}
    assert all(set(one["right"]) == {"clean"} for one in steps)
    assert evidence.main([*argv, "--stage", "steps"]) == 0 and capsys.readouterr().out.count("\n") == len(steps)
    best, is_known = chosen_steps(steps, runs.TUNING_SEEDS)
    assert is_known
    assert evidence.main(argv) == 0 and "trec 5 none 1" in capsys.readouterr().out
    (made,) = [json.loads(text) for text in results.read_text().splitlines()[len(tuned) + len(steps) :]]
    assert made["settings"] == {"mmel_loss": "none", **METHODS["none"].points[0], "max_steps": best}
    assert made["num_evaluated"] == 500 and set(made["right"]) == {"clean", "random", "typos", "greedy", "worst"}
    assert {np.load(file).shape for file in (tmp_path / "work").iterdir()} == {(500, 3)}
    assert evidence.main(argv) == 0 and capsys.readouterr().out == ""
    assert evidence.main([*argv, "--tasks=missing", "--stage=steps"]) == 1
    assert "trec" not in (said := capsys.readouterr()).out
    assert "missing_tuning 5 none 101" in said.err and "--data has no files train" in said.err
    assert evidence.main([*argv, "--table"]) == 0 and made["machine"].endswith("cores")
    assert f"| none | 1 | {100 * made['scores']['accuracy']:.1f} |" in capsys.readouterr().out
