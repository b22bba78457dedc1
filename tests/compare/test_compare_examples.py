"""Paired tests over examples, and the files that they are made of."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy import stats

from hf_mmel.compare.examples import mcnemar, paired_test, read_attacked, read_predictions, sign_test


RANDOM = np.random.default_rng(0)


def answers(both, only_baseline, only_setting, neither=0):
    """Which examples two runs classify correctly, given how many of each kind there are."""
    kinds = [(True, True)] * both + [(True, False)] * only_baseline + [(False, True)] * only_setting
    return np.array(kinds + [(False, False)] * neither).T


@pytest.mark.parametrize(("only_baseline", "only_setting"), [(1, 9), (9, 1), (5, 5), (0, 6), (3, 8)])
def test_mcnemar_is_the_binomial_sum_over_discordant_examples(only_baseline, only_setting):
    n, fewer = only_baseline + only_setting, min(only_baseline, only_setting)
    expected = min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n)
    test = mcnemar(*answers(20, only_baseline, only_setting, 7))
    assert test.p == pytest.approx(expected) and test[:2] == (only_baseline, only_setting)


def test_a_run_against_itself_has_p_1():
    run = RANDOM.random(50) < 0.7
    assert mcnemar(run, run) == (0, 0, 1.0)
    test = paired_test({1: run, 2: ~run}, {1: run, 2: ~run})
    assert test.p == 1.0 and [seed.p for seed in test.seeds.values()] == [1.0, 1.0]


def test_one_seed_is_mcnemars_test_however_it_is_computed():
    baseline, setting = RANDOM.random((2, 300)) < np.array([[0.7], [0.77]])
    p = mcnemar(baseline, setting).p
    assert paired_test({5: baseline}, {5: setting}).p == p
    assert sign_test(setting.astype(int) - baseline) == pytest.approx(p)


def test_several_seeds_are_tested_by_all_signs_of_the_examples():
    differences = np.array([3, -1, 2, 2, 0, -2, 1, 3, 1])
    sums = [abs(np.dot(signs, np.abs(differences))) for signs in itertools.product((-1, 1), repeat=9)]
    assert sign_test(differences) == pytest.approx(np.mean(np.array(sums) >= abs(differences.sum())))


def test_the_same_answers_of_more_seeds_are_no_more_evidence():
    baseline, setting = answers(30, 2, 8)
    one, five = (paired_test(dict.fromkeys(range(n), baseline), dict.fromkeys(range(n), setting)).p for n in (1, 5))
    pooled = stats.binomtest(5 * 8, 5 * 10).pvalue
    assert one == pytest.approx(five) and pooled < one / 100


def test_settings_that_do_not_differ_are_rarely_found_to():
    """Models that share an example's difficulty over all seeds; pooling their answers would be wrong too often."""
    random, rejected = np.random.default_rng(1), []
    for _ in range(400):
        setting, baseline = (random.random(80) < 0.5 for _ in range(2))  # the same with each seed, mostly
        runs = [{seed: of ^ (random.random(80) < 0.05) for seed in range(3)} for of in (baseline, setting)]
        rejected.append(paired_test(*runs).p <= 0.05)
    assert np.mean(rejected) <= 0.075


def test_many_examples_are_no_problem():
    differences = np.repeat([-2, -1, 0, 1, 2], [3000, 5000, 80_000, 5200, 3100])
    exact, normal = sign_test(differences), 2 * stats.norm.sf(differences.sum() / np.sqrt((differences**2).sum()))
    assert exact == pytest.approx(normal, rel=0.02)


def test_only_runs_of_the_same_examples_are_tested():
    run = np.ones(5, dtype=bool)
    assert paired_test({1: run}, {2: run}) is None
    assert paired_test({1: run}, {1: run[:4]}) is None
    assert list(paired_test({1: run, 2: run}, {2: run, 3: run}).seeds) == [2]


def test_predictions_are_read_with_the_likeliest_class_of_probabilities(tmp_path):
    logits = RANDOM.normal(size=(4, 3))
    np.savez(tmp_path / "eval_predictions_mm.npz", id=np.arange(4), logits=logits, label=np.eye(3)[[0, 2, 1, 1]])
    found = read_predictions(tmp_path, "_mm")
    assert (found.labels == [0, 2, 1, 1]).all() and (found.logits == logits).all()
    assert (found.correct == (logits.argmax(axis=1) == [0, 2, 1, 1])).all()


@pytest.mark.parametrize("content", [None, b"", b"PK", b"\x93NUMPY", b"{}"])
def test_predictions_that_are_missing_or_damaged_are_none(tmp_path, content):
    if content is not None:
        (tmp_path / "eval_predictions.npz").write_bytes(content)
    assert read_predictions(tmp_path) is None


def test_the_worst_case_of_an_example_is_that_of_all_attacks(tmp_path):
    rows = [
        {"prediction": "a", "label": "a", "random": {"success": False}, "greedy": {"success": True}},
        {"prediction": "a", "label": "a", "random": {"success": False}, "greedy": {"success": False}},
        {"prediction": "a", "label": "b"},
        {"prediction": "b", "label": "b", "random": {"success": True}, "greedy": {"success": True}, "text": "\u2028"},
    ]
    (folder := tmp_path / "attack").mkdir()
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (folder / "attack.jsonl").write_text("".join(lines), encoding="utf-8")
    assert read_attacked(tmp_path) is None
    (folder / "attack.json").write_text(json.dumps({"num_examples": 4, "attacks": ["random", "greedy"]}))
    found = read_attacked(tmp_path)
    assert found.clean.tolist() == [True, True, False, True] and found.robust.tolist() == [False, True, False, False]
    assert found.scores == {"accuracy": 0.75, "worst_case_accuracy": 0.25}
    (folder / "attack.jsonl").write_text(lines[0])
    assert read_attacked(tmp_path) is None
