"""Laws of the λ_P that is solved for an effective number of variants."""

import doctest
import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import torch

from hf_mmel import MMELTrainingArguments
from hf_mmel.functional import mmel_hard_loss, mmel_weights
from hf_mmel.objective import effective_number
from hf_mmel.objective.effective_number import solve_lambda_p
from hf_mmel.objective.weighting import VariantLosses


INF, NAN = math.inf, math.nan
NUMBERS = [1.001, 1.5, 2.0, 3.7, 4.999]
DTYPES = [torch.float32, torch.float64]


@pytest.fixture
def losses():
    return torch.tensor(np.random.default_rng(0).gamma(1.0, 0.6, size=(40, 5)))


def weights_of(losses, number, mask=None):
    return mmel_weights(losses, solve_lambda_p(losses, number, mask), mask)


def perplexity(weights):
    weights = np.asarray(weights, dtype=np.float64)
    return np.exp(scipy.special.entr(weights).sum(axis=-1))


def lambda_by_brentq(row, number):
    """The root of the perplexity over 1 / λ_P, in float64."""
    gap = (row - row.max()) / (row.max() - row.min())
    inverse = scipy.optimize.brentq(
        lambda t: perplexity(scipy.special.softmax(gap * math.exp(t))) - number, -20, 43, xtol=1e-13, rtol=1e-13
    )
    return (row.max() - row.min()) / math.exp(inverse)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("number", NUMBERS)
def test_weights_have_the_effective_number_at_any_scale_of_the_losses(losses, number, scale, dtype):
    found = perplexity(weights_of((losses * scale).to(dtype), number))
    np.testing.assert_allclose(found, number, atol=1e-4 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("number", NUMBERS)
def test_lambda_p_is_the_root_that_scipy_finds(losses, number):
    expected = [lambda_by_brentq(row, number) for row in losses.numpy()]
    np.testing.assert_allclose(solve_lambda_p(losses, number), expected, rtol=1e-8)


@pytest.mark.parametrize("number", NUMBERS)
def test_no_weights_of_this_perplexity_have_a_larger_expected_loss(losses, number):
    row = losses[0].numpy()
    best = (weights_of(losses, number)[0].numpy() * row).sum()
    others = np.random.default_rng(1).dirichlet(np.full(5, 0.7), size=20000)
    count = 0
    for share in np.geomspace(0.002, 1, 21):  # mixed with uniform weights, so that many have the perplexity
        mixed = share * others + (1 - share) / 5
        mixed = mixed[perplexity(mixed) >= number]
        assert ((mixed * row).sum(axis=1) <= best).all()
        count += len(mixed)
    assert count > 10000


def test_weights_concentrate_and_lambda_p_falls_as_the_number_falls(losses):
    numbers = np.linspace(1, 5, 41)[:-1]
    lambdas = torch.stack([solve_lambda_p(losses, number) for number in numbers])
    largest = torch.stack([weights_of(losses, number).amax(dim=1) for number in numbers])
    assert (lambdas.diff(dim=0) > 0).all() and (largest.diff(dim=0) < 0).all()


@pytest.mark.parametrize("number", NUMBERS)
def test_permuting_variants_permutes_weights(losses, number):
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(weights_of(losses[:, order], number), weights_of(losses, number)[:, order])
    rows = torch.randperm(len(losses), generator=torch.manual_seed(0))
    assert torch.equal(weights_of(losses[rows], number), weights_of(losses, number)[rows])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_constant_changes_nothing_and_lambda_p_scales_with_the_losses(losses, number):
    losses = (losses * 64).round() / 64  # multiples of 1/64, so that adding an integer rounds nothing
    shift = torch.linspace(-50, 50, 40).round()[:, None].double()
    assert torch.equal(solve_lambda_p(losses + shift, number), solve_lambda_p(losses, number))
    for factor in (2.0**-60, 0.25, 2.0**60):
        assert torch.equal(solve_lambda_p(losses * factor, number), solve_lambda_p(losses, number) * factor)
        assert torch.equal(weights_of(losses * factor, number), weights_of(losses, number))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [5.0, 5, 7.5, INF])
def test_as_many_as_there_are_variants_are_uniform_weights(losses, number, dtype):
    assert (solve_lambda_p(losses.to(dtype), number) == INF).all()
    assert torch.equal(weights_of(losses.to(dtype), number), torch.full((40, 5), 0.2, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_effective_variant_is_the_worst(losses, dtype):
    losses = losses.to(dtype)
    assert (solve_lambda_p(losses, 1) == 0).all()
    assert torch.equal(weights_of(losses, 1), mmel_weights(losses, 0.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [1, *NUMBERS, 5, INF])
@pytest.mark.parametrize("loss", [0.0, 1e-30, 0.7, 1e30])
def test_equal_losses_have_uniform_weights_whatever_the_number(loss, number, dtype):
    tied = torch.full((2, 5), loss, dtype=dtype)
    assert torch.equal(weights_of(tied, number), torch.full((2, 5), 0.2, dtype=dtype))
    assert (solve_lambda_p(tied, number) == INF).all()


@pytest.mark.parametrize("number", [1, 1.5, 2.9, 3])
def test_worst_variants_that_are_ties_share_the_weight_where_they_are_enough(number):
    losses = torch.tensor([[0.1, 2.0, 2.0, 0.5, 2.0]])
    assert weights_of(losses, number).tolist()[0] == pytest.approx([0, 1 / 3, 1 / 3, 0, 1 / 3])
    assert perplexity(weights_of(losses, 3.5)) == pytest.approx(3.5, abs=1e-5)


@pytest.mark.parametrize("number", [1.001, 2.0, 2.999])
def test_losses_that_hardly_differ_are_told_apart(number):
    for dtype in DTYPES:
        step = torch.finfo(dtype).eps
        losses = torch.tensor([[1.0, 1 - step, 1 - 2 * step], [1.0, 1 - step, 0.0]], dtype=dtype)
        np.testing.assert_allclose(perplexity(weights_of(losses, number)), number, atol=1e-4)


@pytest.mark.parametrize("number", [1, 1.5, 2.5, 4])
def test_absent_variants_have_no_part(losses, number):
    mask = torch.tensor(np.random.default_rng(1).random((40, 5)) < 0.6)
    mask[0] = False
    assert {0, 1, 5} <= set(mask.sum(dim=1).tolist())
    for absent in (0.0, 1e9, INF, -INF, NAN):
        given = losses.masked_fill(~mask, absent)
        weights, lambdas = weights_of(given, number, mask), solve_lambda_p(given, number, mask)
        assert (weights[~mask] == 0).all()
        for row, row_mask, found, lambda_p in zip(losses, mask, weights, lambdas, strict=True):
            alone = row[row_mask][None]
            torch.testing.assert_close(found[row_mask], weights_of(alone, number)[0])
            torch.testing.assert_close(lambda_p, solve_lambda_p(alone, number)[0])
            assert found.sum().item() == pytest.approx(float(row_mask.any()))


def test_groups_of_one_variant_or_none():
    assert weights_of(torch.tensor([[3.0]]), 2.0).tolist() == [[1.0]]
    assert weights_of(torch.rand(2, 3), 2.0, torch.zeros(2, 3, dtype=torch.bool)).tolist() == [[0.0] * 3] * 2
    assert (
        solve_lambda_p(torch.rand(2, 0), 2.0).tolist() == [INF, INF] and weights_of(torch.rand(2, 0), 2.0).numel() == 0
    )
    assert solve_lambda_p(torch.rand(0, 3), 2.0).shape == (0,)


def test_losses_that_are_not_finite_are_as_with_a_given_lambda_p():
    losses = torch.tensor([[1.0, INF, 2.0], [INF, INF, 0.0], [1.0, NAN, 2.0]])
    torch.testing.assert_close(weights_of(losses, 1.5), mmel_weights(losses, 1.0), equal_nan=True)


def test_low_precision_is_solved_in_float32(losses):
    losses = losses.to(torch.bfloat16)
    assert solve_lambda_p(losses, 2.0).dtype == torch.float32
    assert torch.equal(solve_lambda_p(losses, 2.0), solve_lambda_p(losses.float(), 2.0))


def test_nothing_is_read_from_the_device():
    """Tensors without values, which can be asked for no number, and for no shape that depends on one."""
    losses, mask = torch.rand(4, 3, device="meta"), torch.ones(4, 3, dtype=torch.bool, device="meta")
    lambda_p = solve_lambda_p(losses, 2.0, mask)
    assert mmel_weights(losses, lambda_p, mask).shape == (4, 3) and lambda_p.device.type == "meta"


def gradient_by_hand(losses, divergences, item_weights, mask, number, lambda_t):
    """That of the objective in the losses and divergences, variant by variant. The weights are constants."""
    of_losses, of_divergences = torch.zeros_like(losses), torch.zeros_like(losses)
    for i, n_i in enumerate(item_weights.tolist()):
        first = 0 if divergences is None else 1
        values = (losses if divergences is None else divergences)[i].detach().numpy()
        variants = [v for v in range(first, mask.shape[1]) if mask[i, v]]
        weights = np.full(len(variants), 1.0 / max(1, len(variants)))
        if len(variants) > number:
            scores = values[variants] / lambda_by_brentq(values[variants], number)
            weights = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        for v, w in zip(variants, weights, strict=True):
            (of_losses if divergences is None else of_divergences)[i, v] = n_i * w * (lambda_t if first else 1)
        if first:
            of_losses[i, 0] = n_i
    return of_losses, of_divergences


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("number", [1.2, 2.0, 3.0])
def test_the_gradient_of_the_objective_is_that_of_a_loop(mmel_loss, number, tmp_path):
    rng = np.random.default_rng(3)
    losses, divergences = (torch.tensor(rng.gamma(1.0, size=(12, 6)), requires_grad=True) for _ in range(2))
    mask = torch.tensor(rng.random((12, 6)) < 0.6)
    mask[:, 0] = True
    item_weights = torch.tensor(rng.random(12))
    args = MMELTrainingArguments(str(tmp_path), mmel_loss=mmel_loss, effective_num_variants=number, lambda_t=0.7)
    values = VariantLosses(losses, item_weights, divergences if mmel_loss == "soft" else None)
    weights = values.weights(mask, args)
    assert not weights.requires_grad
    found = torch.autograd.grad(
        values.objective(weights, item_weights, mask, args), [losses, divergences], allow_unused=True
    )
    expected = gradient_by_hand(losses, values.divergences, item_weights, mask, number, 0.7)
    for ours, by_hand in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.zeros_like(losses) if ours is None else ours, by_hand, atol=1e-9, rtol=0)


def test_weights_are_the_gradient_of_the_largest_expected_loss(losses):
    """λ_P changes with the losses, and yet no gradient has to flow through it."""
    losses = losses[:3]
    weights, step = weights_of(losses, 2.0), 1e-5
    for v in range(5):
        moved = [losses + sign * step * torch.eye(5, dtype=losses.dtype)[v] for sign in (1, -1)]
        up, down = (mmel_hard_loss(x, solve_lambda_p(x, 2.0)) for x in moved)
        torch.testing.assert_close((up - down) / (2 * step), weights[:, v], atol=1e-6, rtol=0)


def test_a_lambda_p_for_each_example_is_that_of_the_example(losses):
    lambdas = torch.tensor([0.0, 0.3, 5.0, INF] * 10, dtype=losses.dtype)
    found = mmel_weights(losses, lambdas)
    for row, lambda_p, weights in zip(losses, lambdas.tolist(), found, strict=True):
        assert torch.equal(mmel_weights(row[None], lambda_p)[0], weights)
    with pytest.raises(ValueError, match=r"lambda_p has shape \(5,\); expected \(B,\), here 40 numbers"):
        mmel_weights(losses, torch.ones(5))


@pytest.mark.parametrize("number", [0.99, 0, -1, NAN, "2", None])
def test_a_number_below_one_is_refused(losses, number):
    with pytest.raises(ValueError, match=r"effective_num_variants is .*; expected a number >= 1"):
        solve_lambda_p(losses, number)


def test_examples_in_docstrings_are_true():
    assert doctest.testmod(effective_number).failed == 0
