"""Temperature scaling, and the measures that it improves."""

import numpy as np
import pytest
import torch

from hf_mmel.compare.calibration import calibration_error, fit_temperature, log_loss, scale_temperature


def drawn(num_examples, temperature, num_classes=3, seed=0):
    """Logits of a classifier that is calibrated after division by `temperature`, and labels."""
    random = np.random.default_rng(seed)
    calibrated = random.normal(scale=2, size=(num_examples, num_classes))
    probabilities = np.exp(calibrated) / np.exp(calibrated).sum(axis=1, keepdims=True)
    labels = np.array([random.choice(num_classes, p=row) for row in probabilities])
    return calibrated * temperature, labels


def test_the_log_loss_is_the_cross_entropy():
    logits, labels = drawn(50, 1)
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels)).item()
    assert log_loss(logits, labels) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_was_put_in_is_found(temperature):
    assert fit_temperature(*drawn(20_000, temperature)) == pytest.approx(temperature, rel=0.05)


def test_scaling_improves_probabilities_and_changes_no_prediction():
    logits, labels = drawn(2000, 4.0)
    scaled, temperatures = scale_temperature(logits, labels)
    assert (scaled.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert log_loss(scaled, labels) < log_loss(logits, labels)
    assert calibration_error(scaled, labels) < 0.03 < calibration_error(logits, labels)
    assert len(set(temperatures)) == 5 and scaled == pytest.approx(logits / temperatures[:, None])


def test_no_example_is_scaled_by_its_own_label():
    logits, labels = drawn(40, 2.0)
    _, before = scale_temperature(logits, labels)
    for i in range(len(labels)):
        changed = labels.copy()
        changed[i] = (labels[i] + 1) % 3
        _, after = scale_temperature(logits, changed)
        assert after[i] == before[i] and (after != before).any()


def test_predictions_that_are_all_right_have_a_small_temperature():
    labels = np.arange(30) % 2
    scaled, temperatures = scale_temperature(np.eye(2)[labels], labels)
    assert temperatures.max() < 0.05 and log_loss(scaled, labels) < 1e-9
    assert np.isfinite(scale_temperature(np.eye(2)[labels[:1]], labels[:1])[0]).all()
