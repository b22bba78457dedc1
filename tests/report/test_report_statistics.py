"""Laws of what a report says of predictions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_mmel.report.statistics import (
    calibration,
    compare_with_majority,
    label_flips,
    label_scores,
    prediction_shifts,
    reliability,
)


def test_calibrated_predictions_have_no_calibration_error():
    confidences = np.repeat([0.25, 0.5, 0.75, 1.0], 100)
    correct = np.concatenate([np.arange(100) < 100 * share for share in (0.25, 0.5, 0.75, 1.0)])
    assert reliability(confidences, correct).ece == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_always_sure_and_half_right_is_half_off(num_bins):
    assert reliability(np.ones(10), np.arange(10) % 2, num_bins).ece == pytest.approx(0.5)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50), st.integers(1, 20))
def test_the_calibration_error_is_the_mean_gap_of_the_bins(predictions, num_bins):
    confidences, correct = (np.array(values, dtype=float) for values in zip(*predictions, strict=True))
    found = reliability(confidences, correct, num_bins)
    assert found.counts.sum() == len(predictions)
    bins = np.maximum(np.ceil(confidences * num_bins), 1)  # an edge belongs to the bin below it
    near_edge = np.abs(confidences * num_bins - np.round(confidences * num_bins)) < 1e-9
    gaps = [abs((correct - confidences)[bins == number].sum()) for number in np.unique(bins)]
    if not near_edge.any():
        assert found.ece == pytest.approx(sum(gaps) / len(predictions))
    assert abs(confidences.mean() - correct.mean()) - 1e-9 <= found.ece <= 1


def test_the_mean_confidence_of_a_bin_lies_between_its_edges():
    found = reliability(np.random.default_rng(0).random(1000), np.ones(1000))
    assert (found.edges[:-1] <= found.confidence).all() and (found.confidence <= found.edges[1:]).all()


def test_an_empty_bin_has_no_share_in_the_error():
    found = reliability(np.array([0.05, 0.95]), np.array([0, 1]), 10)
    assert np.isnan(found.accuracy[1:-1]).all() and found.ece == pytest.approx(0.05)


@pytest.mark.parametrize("confidences", [[], [0.5, 1.5], [np.nan]])
def test_what_is_no_probability_is_refused(confidences):
    with pytest.raises(ValueError, match="expected probabilities"):
        reliability(np.array(confidences), np.ones(len(confidences)))


def test_the_confidence_of_one_class_is_that_of_the_predicted_one():
    found = calibration(np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0, 0]))
    assert found.ece == pytest.approx((0.1 + 0.7) / 2)


def test_each_of_several_labels_is_a_prediction():
    found = calibration(np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([[1.0, 0], [0, 1]]))
    assert found.counts.sum() == 4 and found.ece == pytest.approx((0.1 + 0.1 + 0.3 + 0.3) / 4)


def draws(num_predictions, lowest=0.25, highest=1.0, seed=0):
    """Calibrated predictions: their confidences, and which are right."""
    random = np.random.default_rng(seed)
    confidences = random.uniform(lowest, highest, num_predictions)
    return confidences, random.random(num_predictions) < confidences


def test_calibrated_predictions_have_at_most_the_error_of_chance():
    found = [reliability(*draws(300, seed=seed)) for seed in range(400)]
    within = np.mean([predictions.ece <= predictions.chance for predictions in found])
    assert 0.95 <= within < 1


def test_calibration_is_only_shown_by_many_predictions_in_several_bins():
    assert reliability(*draws(20_000)).verdict == "calibrated"
    assert reliability(*draws(60)).verdict == "few predictions"
    assert reliability(*draws(20_000, 0.27, 0.33)).verdict == "few bins"
    assert reliability(np.full(60, 0.283), np.arange(60) < 17).verdict == "few bins"  # without any error


def test_a_large_error_needs_neither_many_predictions_nor_several_bins():
    assert reliability(np.full(40, 0.99), np.arange(40) % 2).verdict == "off"
    confidences, right = draws(20_000)
    assert reliability(confidences, right & (np.arange(20_000) % 5 > 0)).verdict == "off"


def one_hot(classes, num_classes=4):
    return np.eye(num_classes)[np.asarray(classes)]


def test_a_model_that_is_no_better_than_the_majority_class_does_not_beat_it():
    labels = np.repeat([0, 1, 2, 3], [18, 14, 14, 14])
    found = compare_with_majority(one_hot(np.zeros(60, dtype=int)), labels)
    assert found == (0, 18 / 60, 18 / 60, False)
    chance = np.where(np.arange(60) % 4 == 0, labels, (labels + 1) % 4)  # right on 15
    assert not compare_with_majority(one_hot(chance), labels).is_beaten
    slightly = one_hot(np.where(np.arange(60) < 20, labels, (labels + 1) % 4))  # right on 20
    assert compare_with_majority(slightly, labels).share_of_model > 18 / 60
    assert not compare_with_majority(slightly, labels).is_beaten
    assert compare_with_majority(one_hot(labels), labels) == (0, 18 / 60, 1.0, True)


def test_a_few_right_answers_beat_nothing():
    labels = np.array([0, 1])
    assert not compare_with_majority(one_hot(labels, 2), labels).is_beaten
    assert compare_with_majority(one_hot([0, 1] * 8, 2), np.array([0, 1] * 8)).is_beaten


def test_the_majority_of_several_labels_is_that_of_each():
    labels = np.array([[1.0, 0.0, 0.0]] * 20 + [[0.0, 0.0, 1.0]] * 10)
    constant = np.tile([0.9, 0.1, 0.1], (30, 1))
    assert compare_with_majority(constant, labels) == (None, 70 / 90, 70 / 90, False)
    assert compare_with_majority(labels, labels).is_beaten


def test_precision_and_recall_of_each_label():
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0.0]])
    probabilities = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.1]])
    rows = [row[1:] for row in label_scores(labels, probabilities)]
    assert rows == [(2, 1, 1.0, 0.5), (1, 2, 0.5, 1.0), (0, 0, None, None)]


def test_flips_are_variants_that_lose_the_label_which_their_original_has():
    labels = np.array([0, 0, 0, 1])
    originals = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])  # the third is wrong already
    variants = np.array([[0.3, 0.7], [0.8, 0.2], [0.1, 0.9], [0.95, 0.05]])
    assert label_flips(labels, originals, variants) == [(3, 1, 0, 0.9, 0.95), (0, 0, 1, 0.9, 0.7)]


def test_flips_of_several_labels_are_told_label_by_label():
    labels, originals = np.array([[1.0, 0.0]]), np.array([[0.9, 0.2]])
    flips = label_flips(labels, originals, np.array([[0.1, 0.7]]))
    assert [flip[:3] for flip in flips] == [(0, 0, 0), (0, 1, 1)]
    assert [flip[3:] for flip in flips] == [pytest.approx((0.9, 0.9)), pytest.approx((0.8, 0.7))]
    assert label_flips(labels, np.array([[0.9, 0.8]]), np.array([[0.8, 0.9]])) == []


def test_shifts_are_sorted_and_begin_near_the_label():
    labels, originals = np.array([1.0, 1, 1, 1]), np.array([1.1, 1.0, 5.0, 4.0])
    found = prediction_shifts(labels, originals, np.array([1.6, 3.0, 9.0, 4.5]))
    assert [(shift.variant, shift.before, shift.after) for shift in found] == [(1, 1.0, 3.0), (0, 1.1, 1.6)]
    assert prediction_shifts(np.empty(0), np.empty(0), np.empty(0)) == []
