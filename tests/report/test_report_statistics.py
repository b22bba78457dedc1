"""Laws of what a report says of predictions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_mmel.report.statistics import calibration, label_flips, label_scores, prediction_shifts, reliability


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
