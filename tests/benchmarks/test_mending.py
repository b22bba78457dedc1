"""Weights that are kept from being large."""

import pytest
import torch

from benchmarks.suite.mending import capped, mended_weights
from hf_mmel import MMELTrainingArguments
from hf_mmel.functional import mmel_weights
from hf_mmel.objective.weighting import VariantLosses


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


GIVEN = torch.tensor([[0.9, 0.08, 0.02], [0.6, 0.4, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize("most", [0.2, 0.45, 0.5, 0.7, 1.0])
def test_capped_weights_keep_their_sum_and_order_and_none_is_larger(most):
    weights = torch.cat([GIVEN, torch.rand(50, 3, generator=torch.manual_seed(0)).softmax(dim=1)])
    found = capped(weights, most)
    even = 1 / (weights > 0).sum(dim=1, keepdim=True).clamp(min=1)
    assert torch.allclose(found.sum(dim=1), weights.sum(dim=1))
    assert (found <= even.clamp(min=most) + 1e-6).all() and (found[weights == 0] == 0).all()
    assert (found.gather(1, weights.argsort(dim=1)).diff(dim=1) >= -1e-6).all()


def test_capped_weights_are_the_best_of_all_that_are_no_larger():
    losses, most, lambda_p = torch.tensor([2.0, 0.5, 0.1]), 0.5, 0.7
    sides = torch.linspace(0.001, most, 500)
    first, second = (side.flatten() for side in torch.meshgrid(sides, sides, indexing="ij"))
    weights = torch.stack([first, second, 1 - first - second], dim=1)
    weights = weights[(weights[:, 2] > 0) & (weights[:, 2] <= most)]
    aims = weights @ losses - lambda_p * (weights * (3 * weights).log()).sum(dim=1)
    best = weights[aims.argmax()]
    assert torch.allclose(capped(mmel_weights(losses[None], lambda_p), most)[0], best, atol=0.003)


@pytest.mark.parametrize("mmel_loss", ["uniform", "hard"])
def test_mended_weights_last_as_long_as_the_context(mmel_loss, tmp_path):
    args = MMELTrainingArguments(str(tmp_path), mmel_loss=mmel_loss, lambda_p=0.1)
    losses, mask = torch.tensor([[0.1, 2.3, 1.2]]), torch.tensor([[True, True, False]])
    values = VariantLosses(losses, torch.ones(1))
    stock = values.weights(mask, args)
    with mended_weights(None):
        assert torch.equal(values.weights(mask, args), stock)
    with mended_weights(0.6):
        assert torch.allclose(values.weights(mask, args), capped(stock, 0.6))
    assert torch.equal(values.weights(mask, args), stock)
