"""The conclusions, the table and the picture of a comparison."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hf_mmel.compare.picture import pictures
from hf_mmel.compare.plan import Criterion, Run, Setting
from hf_mmel.compare.results import RunResult
from hf_mmel.compare.rows import WorstCase, summarize
from hf_mmel.compare.text import (
    Document,
    conclusions,
    duration,
    failures,
    tables,
    worst_case_conclusions,
)


NONE, HARD = Setting("none"), Setting("hard", "wordnet")
BASE, NAME = "“no augmentation”", "“MMEL-H (hard labels) with wordnet”"


def rows_of(none, hard, metric="eval_accuracy"):
    scores = {NONE: none, HARD: hard}
    finished = {
        Run(setting, seed): RunResult({metric: score}, 60.0)
        for setting, of_seeds in scores.items()
        for seed, score in of_seeds.items()
    }
    return summarize(finished, [NONE, HARD], metric)


def seeds(*scores):
    return dict(enumerate(scores, start=1))


def said(none, hard, metric="eval_accuracy", lower=False, examples=277):
    return list(conclusions(rows_of(none, hard, metric), Criterion(metric, lower), examples))


def said_of(guess_score, *scores, metric="eval_accuracy", lower=False, examples=277):
    """What is said of `none` and `hard`, which have the same score with each seed."""
    rows = rows_of(*(seeds(*[score] * 3) for score in scores), metric)
    return list(conclusions(rows, Criterion(metric, lower, "the majority class", guess_score), examples))


def lines_of(rows, metric="accuracy"):
    """The lines of the table of the scores."""
    return tables(rows, metric)[0].markdown.splitlines()


FIVE = seeds(0.80, 0.81, 0.79, 0.80, 0.82)
BETTER = seeds(0.84, 0.86, 0.83, 0.85, 0.85)
MIXED = seeds(0.84, 0.79, 0.79, 0.83, 0.81)


def test_a_row_holds_the_differences_of_the_seeds_that_both_have():
    none, hard = rows_of({1: 0.5, 2: 0.6, 3: 0.7, 9: 0.1}, {2: 0.7, 3: 0.9, 1: 0.5, 8: 1.0})
    assert none.differences == {} and none.difference is None
    assert hard.differences == pytest.approx({1: 0.0, 2: 0.1, 3: 0.2})
    assert (hard.difference, hard.mean) == pytest.approx((0.1, 0.775))
    assert hard.std == pytest.approx(0.2217356)
    assert hard.interval.low == pytest.approx(0.1 - 4.3026527 * 0.1 / 3**0.5)
    assert json.loads(json.dumps(hard.to_dict()))["difference_to_none"]["seeds"] == [1, 2, 3]


def test_an_interval_with_zero_in_it_shows_no_difference():
    assert f"no difference from {BASE} is shown" in said(FIVE, MIXED)[1]


def test_a_difference_may_be_that_of_too_few_examples():
    few, many = (said(FIVE, BETTER, examples=number)[1] for number in (277, 100_000))
    for sentence in (few, many):
        assert f"better than {BASE} on these validation examples, by 0.0420 over 5 seeds" in sentence
    assert "may not hold for other texts: the choice of 277 examples may be the reason" in few
    assert "more than the choice of 100,000 examples explains" in many


@pytest.mark.parametrize(("metric", "lower", "word"), [("eval_f1", False, "better"), ("eval_mse", True, "worse")])
def test_other_scores_than_accuracy_have_no_error_of_examples(metric, lower, word):
    measured, sentence, examples = said(FIVE, BETTER, metric, lower)
    assert f"{word} than {BASE}" in sentence and "may be the reason" not in sentence and "explains" not in sentence
    assert "no simple formula" in examples and ("lower" if lower else "higher") + " is better" in measured


def rows_with_test(*shares, examples=200):
    """Rows of `none` and `hard` with the paired test over the examples, given their accuracies with three seeds."""
    numbers = np.arange(examples)
    correct = {
        Run(s, seed): numbers < share * examples + seed
        for s, share in zip([NONE, HARD], shares, strict=True)
        for seed in (1, 2, 3)
    }
    scores = {
        run: RunResult({"eval_accuracy": of.mean() + 0.001 * run.seed * (run.setting == HARD)}, 1.0)
        for run, of in correct.items()
    }
    return summarize(scores, [NONE, HARD], "eval_accuracy", correct)


ACCURACY = Criterion("eval_accuracy", False, has_one_class=True)


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ((0.5, 0.6), "more than the choice of 200 examples explains (p < 0.0001 in the paired test)."),
        ((0.5, 0.51), "may not hold for other texts: the choice of 200 examples may be the reason (p = 0.12 in the"),
    ],
)
def test_the_paired_test_says_whether_the_choice_of_examples_explains_a_difference(shares, sentence):
    rows = rows_with_test(*shares)
    assert sentence in list(conclusions(rows, ACCURACY, 200))[1]
    p = "< 0.0001" if shares[1] == 0.6 else "0.12"
    lines = lines_of(rows)
    assert lines[0].endswith("| difference to no augmentation | 95% interval | p | time per run |")
    assert lines[2].endswith("| – | – | – | 1 s |") and lines[3].endswith(f" | {p} | 1 s |")


def test_attacked_settings_are_compared_with_the_baseline_unless_both_have_learned_nothing():
    rows = rows_with_test(0.5, 0.6)
    rows = [replace(row, worst_case=WorstCase(row, row)) for row in rows]
    (sentence,) = worst_case_conclusions(rows, ACCURACY, 200)
    assert sentence.startswith(f"Under attack, {NAME}: better than {BASE} on these validation examples")
    assert list(worst_case_conclusions(rows, ACCURACY._replace(guess_score=0.6), 200)) == []
    lines = tables(rows, "accuracy")[1].markdown.splitlines()
    assert (
        "| accuracy | difference to no augmentation (95% interval) | p | worst-case accuracy | difference" in lines[0]
    )
    assert lines[3].count("| < 0.0001 |") == 2


def test_two_seeds_and_differences_that_are_all_the_same_conclude_nothing():
    two = said(seeds(0.5, 0.6), seeds(0.7, 0.9))[1]
    assert two.startswith(f"{NAME}: +0.2500 against {BASE} over 2 seeds. Fewer than 3 seeds")
    same = said(seeds(0.5, 0.5, 0.5), seeds(0.5, 0.5, 0.5))[1]
    assert f"the same as {BASE} over 3 seeds. The difference is the same for each" in same
    for sentence in (two, same):
        assert "better" not in sentence and "interval" not in sentence


def test_a_score_that_is_not_a_number_concludes_nothing():
    hard = seeds(0.8, float("nan"), 0.9)
    assert said(FIVE, hard, "eval_pearson")[1].startswith(f"{NAME}: nothing")
    for found in pictures(rows_of(FIVE, hard), Criterion("eval_accuracy", False)).values():
        assert found.spots and "nan" not in str(found.spots)


@pytest.mark.parametrize("score", [0.3, 0.52, 0.55])  # 0.55 of 277 is within chance of 0.52
def test_settings_that_learned_nothing_are_named_first_and_not_compared(score):
    first, _, conclusion, *_ = said_of(0.52, score, score)
    assert first.startswith(
        "Not shown to beat the majority class: all settings. Predicting the majority class for all"
    )
    assert "all 277 validation examples has accuracy 0.5200. Train longer" in first
    assert conclusion.endswith(f"nothing can be concluded, as neither it nor {BASE} beats the majority class.")
    assert "the same as" not in " ".join(said_of(0.52, score, score))


def test_a_setting_that_learned_something_is_compared_with_none_that_did_not():
    first, _, conclusion, *_ = said_of(0.52, 0.52, 0.8)
    assert first.startswith(f"Not shown to beat the majority class: {BASE}. ") and "Train longer" not in first
    assert f"+0.2800 against {BASE}" in conclusion
    assert said_of(0.52, 0.8, 0.52)[0].startswith(f"Not shown to beat the majority class: {NAME}. ")


@pytest.mark.parametrize(
    ("guess_score", "score", "more"),
    [
        (0.52, 0.6, {}),
        (0.52, 0.55, {"examples": 100_000}),
        (0.52, 0.53, {"metric": "eval_f1"}),
        (2.0, 1.9, {"metric": "eval_mse", "lower": True}),
        (None, 0.1, {}),
        (0.52, float("nan"), {}),
    ],
)
def test_of_settings_that_beat_the_guess_it_is_not_said(guess_score, score, more):
    assert said_of(guess_score, score, score, **more)[0].startswith("Measured by")


def test_an_error_is_beaten_from_below():
    assert said_of(2.0, 2.0, 2.1, metric="eval_mse", lower=True)[0].startswith("Not shown to beat")


def test_without_none_nothing_is_compared():
    assert said({}, FIVE) == [
        f"Nothing is compared yet: that needs runs of {BASE} and of another setting with the same seed."
    ]
    assert "Nothing is compared" in said(FIVE, {})[0]


def test_the_best_of_several_is_said_to_look_better_than_it_is():
    settings = [NONE, HARD, Setting("soft", "wordnet")]
    finished = {
        Run(setting, seed): RunResult({"eval_f1": 0.1 * seed + 0.01 * seed**2 * i}, 1.0)
        for i, setting in enumerate(settings)
        for seed in (1, 2, 3)
    }
    sentences = conclusions(summarize(finished, settings, "eval_f1"), Criterion("eval_f1", False), 50)
    assert "The best of 2 looks better than it is" in list(sentences)[-1]


def test_the_table_and_the_document_hold_every_setting_and_no_folders():
    lines = lines_of(rows_of(FIVE, BETTER))
    assert lines[2] == "| no augmentation | – | 0.8040 | 0.0114 | 5 | – | – | 60 s |"
    assert lines[3].startswith("| MMEL-H (hard labels) | wordnet | 0.8460 | 0.0114 | 5 | +0.0420 | +0.0")
    few = lines_of(rows_of(FIVE, seeds(0.8, 0.9)))[3]
    assert "| 2 | +0.0450 | – |" in few
    failed = {Run(HARD, 3): "exit code 1: OSError: hf_abcdefghij (see /disk/me/out/log.txt)"}
    document = Document(tables(rows_of(FIVE, BETTER), "accuracy"), ["Nothing."], failures(failed), "hf-mmel compare")
    text = document.markdown
    assert "- hard-wordnet-seed-3: exit code 1: OSError: <token> (see log.txt)" in text
    assert "\n".join(lines) in text and "](compare.png)" in text and "/home" not in text


def test_a_pipe_in_a_name_does_not_end_its_column():
    finished = {Run(Setting("hard", "a|b"), 1): RunResult({"eval_f1": 0.5}, 1.0)}
    lines = lines_of(summarize(finished, [Setting("hard", "a|b")], "eval_f1"), "f1")
    assert "| MMEL-H (hard labels) | a\\|b | 0.5000 |" in lines[2]
    assert "| difference to MMEL-H (hard labels) with a\\|b |" in lines[0]


@pytest.mark.parametrize(("seconds", "text"), [(59.6, "60 s"), (150, "2.5 min"), (7200, "2.0 h")])
def test_times_are_for_readers(seconds, text):
    assert duration(seconds) == text
