"""The losses of examples without a label, and training signal annealing."""

import math

import pytest
import torch
import torch.nn.functional as F

from hf_mmel import MMELTrainingArguments
from hf_mmel.objective.unlabelled import annealed_threshold, are_confident, own_prediction_losses, without_variants
from hf_mmel.objective.weighting import VariantLosses


@pytest.mark.parametrize("num_classes", [2, 6])
@pytest.mark.parametrize(
    ("schedule", "alpha"),
    [
        ("linear", lambda share: share),
        ("log", lambda share: 1 - math.exp(-share * 5)),
        ("exp", lambda share: math.exp((share - 1) * 5)),
    ],
)
def test_the_threshold_follows_its_schedule(schedule, alpha, num_classes):
    for step in (0, 1, 5, 10):
        expected = alpha(step / 10) * (1 - 1 / num_classes) + 1 / num_classes
        assert annealed_threshold(schedule, num_classes, step, 10) == pytest.approx(expected)


def test_log_opens_before_linear_and_exp_after_it():
    log, linear, exp = (annealed_threshold(schedule, 3, 4, 10) for schedule in ("log", "linear", "exp"))
    assert log > linear > exp > 1 / 3


def test_nothing_is_left_out_without_a_schedule_or_outside_a_training_run():
    assert annealed_threshold("none", 2, 0, 10) == annealed_threshold("linear", 2, 0, 0) == 1


def test_losses_of_own_predictions(tmp_path):
    logits = torch.randn(3, 4, 5, dtype=torch.float64)
    predicted = logits.argmax(dim=-1)
    expected = F.cross_entropy(logits.flatten(0, 1), predicted.flatten(), reduction="none").view(3, 4)
    args = MMELTrainingArguments(str(tmp_path), unlabeled_loss="pseudo_label")
    torch.testing.assert_close(own_prediction_losses(logits, args), expected)
    args = MMELTrainingArguments(str(tmp_path), unlabeled_loss="entropy")
    expected = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(own_prediction_losses(logits, args), expected)


def test_confidence_is_the_largest_probability_of_the_soft_label():
    soft_labels = torch.tensor([[0.7, 0.2, 0.1], [0.4, 0.3, 0.3]]).log()[:, None]
    assert are_confident(soft_labels, 0.0).tolist() == [True, True]
    assert are_confident(soft_labels, 0.6).tolist() == [True, False]
    assert are_confident(soft_labels, 1 - 1e-6).tolist() == [False, False]


def test_only_unlabelled_examples_lose_their_variants():
    mask = torch.tensor([[True, True, False], [True, False, True], [False, True, True]])
    found = without_variants(mask, torch.tensor([False, True, True]))
    assert found.tolist() == [[True, True, False], [True, False, False], [False, False, False]]


@pytest.mark.parametrize("mmel_loss", ["soft", "hard"])
def test_the_objective_adds_the_unlabelled_losses_and_scales_the_supervised_ones(mmel_loss, tmp_path):
    torch.manual_seed(0)
    losses, divergences, weights = torch.rand(3, 4, 3)
    mask = torch.ones(4, 3, dtype=torch.bool)
    args = MMELTrainingArguments(str(tmp_path), mmel_loss=mmel_loss, lambda_t=0.5)
    items, unlabelled = torch.tensor([1.0, 2.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.3, 0.7])
    supervised = torch.tensor([0.0, 1.0, 1.0, 1.0])
    is_soft = mmel_loss == "soft"
    values = VariantLosses(losses, items, divergences if is_soft else None)
    found = values.objective(weights, items, mask, args, unlabelled=unlabelled, supervised=supervised)
    loss, term = (losses[:, 0], (weights * divergences).sum(1)) if is_soft else ((weights * losses).sum(1), 0)
    expected = (items * (supervised * loss + 0.5 * term)).sum() + (unlabelled * (loss + term)).sum()
    torch.testing.assert_close(found, expected)


def test_an_unlabelled_example_that_counts_is_trained_on_whatever_lambda_t(tmp_path):
    weights = torch.full((3, 3), 1 / 3)
    values = VariantLosses(torch.rand(3, 3), torch.tensor([1.0, 0.0, 0.0]), torch.rand(3, 3))
    values = values._replace(unlabelled=torch.tensor([0.0, 1.0, 0.0]))
    used = values.used(weights, MMELTrainingArguments(str(tmp_path), lambda_t=0.0))
    assert used.tolist() == [[True, False, False], [True, True, True], [True, False, False]]


@pytest.mark.parametrize("divergences", [None, torch.rand(2, 3)])
@pytest.mark.parametrize("fit", [(), (torch.rand(2, 3), torch.ones(2, 3))])
def test_unlabelled_examples_are_packed_and_unpacked(divergences, fit):
    values = VariantLosses(torch.rand(2, 3), torch.tensor([1.0, 0.0]), divergences, *fit)
    values = values._replace(unlabelled=torch.tensor([0.0, 1.0]))
    for found, expected in zip(VariantLosses.unpacked(values.packed()), values, strict=True):
        assert found is expected is None or torch.equal(found, expected)
