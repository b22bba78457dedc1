"""The objective that is trained on is that of the public functions, as a whole and in parts."""

import math

import pytest
import torch

from hf_mmel import MMELTrainingArguments
from hf_mmel.functional import mmel_hard_loss, mmel_soft_loss, uniform_loss
from hf_mmel.objective.weighting import VariantLosses, reweighting_share


@pytest.fixture
def values():
    torch.manual_seed(0)
    losses, divergences = torch.rand(2, 5, 4)
    mask = torch.rand(5, 4) < 0.7
    mask[:, 0] = True
    assert not mask.all() and (~mask[:, 1:]).all(dim=1).sum() < 5
    item_weights = torch.tensor([1.0, 3.0, 0.0, 2.0, 1.0])
    return losses.requires_grad_(), divergences.requires_grad_(), item_weights, mask


def per_example(mmel_loss, losses, divergences, mask, lambda_p, lambda_t):
    if mmel_loss == "soft":
        return mmel_soft_loss(losses[:, 0], divergences[:, 1:], lambda_p, lambda_t, mask[:, 1:])
    return mmel_hard_loss(losses, lambda_p, mask) if mmel_loss == "hard" else uniform_loss(losses, mask)


@pytest.mark.parametrize("lambda_p", [0.0, 0.3, math.inf])
@pytest.mark.parametrize("mmel_loss", ["hard", "soft", "uniform"])
def test_the_objective_is_the_sum_of_the_public_losses(values, mmel_loss, lambda_p, tmp_path):
    losses, divergences, item_weights, mask = values
    args = MMELTrainingArguments(str(tmp_path), mmel_loss=mmel_loss, lambda_p=lambda_p, lambda_t=0.5)
    trained = VariantLosses(losses, item_weights, divergences if mmel_loss == "soft" else None)
    weights = trained.weights(mask, args)
    found = trained.objective(weights, item_weights, mask, args)
    expected = (item_weights * per_example(mmel_loss, losses, divergences, mask, lambda_p, 0.5)).sum()
    torch.testing.assert_close(found, expected)
    inputs = (losses, divergences) if mmel_loss == "soft" else (losses,)
    for ours, theirs in zip(*(torch.autograd.grad(x, inputs) for x in (found, expected)), strict=True):
        torch.testing.assert_close(ours, theirs)
        assert ours.abs().sum() > 0


@pytest.mark.parametrize("mmel_loss", ["hard", "soft", "uniform"])
def test_the_parts_of_a_batch_add_up_to_the_objective(values, mmel_loss, tmp_path):
    losses, divergences, item_weights, mask = values
    args = MMELTrainingArguments(str(tmp_path), mmel_loss=mmel_loss, lambda_p=0.3)
    trained = VariantLosses(losses, item_weights, divergences if mmel_loss == "soft" else None)
    weights = trained.weights(mask, args)
    columns = torch.arange(mask.shape[1])
    parts = [trained.objective(weights, item_weights, mask & (columns == v), args) for v in columns]
    torch.testing.assert_close(sum(parts), trained.objective(weights, item_weights, mask, args))


@pytest.mark.parametrize(
    ("warmup", "shares"),
    [
        (0.0, [1.0] * 8),
        (0.25, [0, 0, 0, 0.5, 1, 1, 1, 1]),
        (0.375, [0, 0, 0, 0, 1 / 3, 2 / 3, 1, 1]),
        (0.5, [0, 0, 0, 0, 0, 0.25, 0.5, 0.75]),
        (0.75, [0, 0, 0, 0, 0, 0, 0, 0.5]),
        (0.999, [0] * 8),
    ],
)
def test_the_share_of_the_weights_is_0_at_first_and_grows_linearly(warmup, shares):
    assert [reweighting_share(warmup, step, 8) for step in range(8)] == pytest.approx(shares)
    assert reweighting_share(warmup, 8, 8) == pytest.approx(1)  # the end of training


def test_weights_are_whole_outside_a_training_run():
    assert reweighting_share(0.5, 0, 0) == 1.0
