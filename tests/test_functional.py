"""Laws of the MMEL weights and losses, held against NumPy and SciPy references written from the equations."""

import doctest
import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import torch

from hf_mmel import functional
from hf_mmel.functional import mmel_hard_loss, mmel_soft_loss, mmel_weights, uniform_loss


INF, NAN = math.inf, math.nan
LAMBDAS = [0.05, 0.5, 1.0, 7.0]
ALL_LAMBDAS = [0.0, *LAMBDAS, INF]


@pytest.fixture
def losses():
    return torch.tensor(np.random.default_rng(0).gamma(2.0, 0.6, size=(6, 5)))


@pytest.fixture
def mask():
    mask = torch.tensor(np.random.default_rng(1).random((6, 5)) < 0.6)
    mask[:, 0] = True
    mask[0] = True
    assert not mask.all()
    return mask


def reference_weights(losses, lambda_p, mask=None):
    """Eq. 6 row by row, in float64."""
    losses = np.asarray(losses, dtype=np.float64)
    mask = np.ones(losses.shape, dtype=bool) if mask is None else np.asarray(mask)
    weights = np.zeros(losses.shape)
    for row, row_mask, out in zip(losses, mask, weights, strict=True):
        if not row_mask.any():
            continue
        values = row[row_mask]
        if lambda_p == 0:
            score = (values == values.max()).astype(float)
        elif lambda_p == INF:
            score = np.ones(len(values))
        else:
            score = np.exp((values - values.max()) / lambda_p)
        out[row_mask] = score / score.sum()
    return weights


def penalised_objective(weights, losses, lambda_p):
    """Expected loss less lambda_p times KL(weights || uniform), over the last axis."""
    relative_entropy = scipy.special.xlogy(weights, weights * weights.shape[-1]).sum(-1)
    return (weights * losses).sum(-1) - lambda_p * relative_entropy


# --- weights, eq. 6 -------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_weights_equal_reference_and_sum_to_one(losses, mask, lambda_p, masked):
    mask = mask if masked else None
    weights = mmel_weights(losses, lambda_p, mask)
    np.testing.assert_allclose(weights, reference_weights(losses, lambda_p, mask), atol=1e-12)
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_constant_added_to_a_row_leaves_weights_alone(losses, lambda_p):
    losses = (losses * 64).round() / 64  # multiples of 1/64, so that adding an integer rounds nothing
    shift = torch.tensor([[-3.0], [0.0], [1.0], [8.0], [100.0], [-50.0]], dtype=losses.dtype)
    assert torch.equal(mmel_weights(losses + shift, lambda_p), mmel_weights(losses, lambda_p))


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_permuting_variants_permutes_weights(losses, mask, lambda_p):
    order = torch.tensor([3, 0, 4, 2, 1])
    permuted = mmel_weights(losses[:, order], lambda_p, mask[:, order])
    torch.testing.assert_close(permuted, mmel_weights(losses, lambda_p, mask)[:, order])


@pytest.mark.parametrize("lambda_p", LAMBDAS)
def test_weights_increase_with_loss(losses, lambda_p):
    ascending = mmel_weights(losses.sort(dim=1).values, lambda_p)
    assert (ascending.diff(dim=1) > 0).all()


@pytest.mark.parametrize("lambda_p", LAMBDAS)
def test_closed_form_beats_random_weightings(losses, lambda_p):
    row = losses[0].numpy()
    rng = np.random.default_rng(2)
    best = penalised_objective(mmel_weights(losses, lambda_p)[0].numpy(), row, lambda_p)
    for concentration in (0.2, 1.0, 5.0, 50.0):
        others = rng.dirichlet(np.full(row.size, concentration), size=2500)
        assert (penalised_objective(others, row, lambda_p) < best).all()
    assert best == pytest.approx(lambda_p * (scipy.special.logsumexp(row / lambda_p) - math.log(row.size)))


@pytest.mark.parametrize("lambda_p", [0.3, 1.0, 7.0])
def test_closed_form_equals_constrained_maximiser(losses, lambda_p):
    for row, weights in zip(losses.numpy(), mmel_weights(losses, lambda_p), strict=True):
        found = scipy.optimize.minimize(
            lambda w, row=row: -penalised_objective(w, row, lambda_p),
            np.full(row.size, 1 / row.size),
            jac=lambda w, row=row: lambda_p * (np.log(w * w.size) + 1) - row,
            bounds=[(1e-12, 1)] * row.size,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-15, "maxiter": 1000},
        )
        np.testing.assert_allclose(weights, found.x, atol=1e-6)


def test_lambda_zero_shares_ties_and_small_lambda_approaches_it():
    losses = torch.tensor([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]])
    worst = torch.tensor([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    for lambda_p in (0, 0.0, 5e-324, 1e-300, 1e-40, 1e-30, 1e-3):
        assert torch.equal(mmel_weights(losses, lambda_p), worst), lambda_p


def test_lambda_infinite_is_uniform_and_large_lambda_approaches_it(losses, mask):
    uniform = mask / mask.sum(1, keepdim=True)
    for lambda_p in (INF, 1e300, 1e12):
        torch.testing.assert_close(mmel_weights(losses.float(), lambda_p, mask), uniform)


@pytest.mark.parametrize("lambda_p", [0.0, 1e-30, 1e-3, 1.0, 1e30, INF])
@pytest.mark.parametrize("row", [[1e4, 0.0, -1e4], [1e38, -1e38, 3e38], [-3e38, 3e38, 0.0], [-1e38, -1e38, -2e38]])
def test_extreme_losses_stay_finite(row, lambda_p):
    losses = torch.tensor([row], requires_grad=True)
    loss, weights = mmel_hard_loss(losses, lambda_p, return_weights=True)
    loss.sum().backward()
    assert loss.isfinite().all() and losses.grad.isfinite().all()
    np.testing.assert_allclose(loss.detach(), (reference_weights([row], lambda_p) * row).sum(1), rtol=1e-5)
    np.testing.assert_allclose(weights, reference_weights(losses.detach(), lambda_p), atol=1e-6)


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_infinite_loss_takes_all_weight_unless_lambda_is_infinite(lambda_p):
    weights = mmel_weights(torch.tensor([[1.0, INF, 2.0, 5.0]]), lambda_p, torch.tensor([[True, True, True, False]]))
    expected = [1 / 3, 1 / 3, 1 / 3, 0.0] if lambda_p == INF else [0.0, 1.0, 0.0, 0.0]
    torch.testing.assert_close(weights, torch.tensor([expected]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_half_precision_is_weighed_in_float32(losses, dtype, lambda_p):
    losses = torch.cat([losses * 100, losses * 1e4]).to(dtype).requires_grad_()
    loss, weights = mmel_hard_loss(losses, lambda_p, return_weights=True)
    loss.sum().backward()
    assert loss.dtype == weights.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert losses.grad.dtype == dtype and losses.grad.isfinite().all()
    expected = reference_weights(losses.detach().double(), lambda_p)
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    np.testing.assert_allclose(loss.detach(), (expected * losses.detach().double().numpy()).sum(1), rtol=1e-5)


def test_close_losses_in_bfloat16_keep_their_order():
    losses = torch.tensor([[256.0, 258.0, 260.0]], dtype=torch.bfloat16)
    weights = mmel_weights(losses, 1e3)
    assert (weights.diff(dim=1) > 0).all()  # rounded to bfloat16 all three would be 1/3


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
@pytest.mark.parametrize("hidden", [NAN, INF, -INF, 1e38])
def test_absent_variants_change_neither_value_nor_gradient(losses, mask, lambda_p, hidden):
    results = []
    for content in (losses, losses.masked_fill(~mask, hidden)):
        content = content.clone().requires_grad_()
        loss, weights = mmel_hard_loss(content, lambda_p, mask, return_weights=True)
        loss.sum().backward()
        results.append((loss.detach(), weights, content.grad))
        assert (weights[~mask] == 0).all() and (content.grad[~mask] == 0).all()
        assert content.grad[mask].any()
    for plain, poisoned in zip(*results, strict=True):
        assert torch.equal(plain, poisoned)


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
@pytest.mark.parametrize("content", [1.0, NAN, INF, -INF])
def test_rows_with_nothing_present_weigh_nothing(lambda_p, content):
    losses = torch.tensor([[content, content], [1.0, 1.0]], requires_grad=True)
    loss, weights = mmel_hard_loss(losses, lambda_p, torch.tensor([[False, False], [True, True]]), True)
    loss.sum().backward()
    expected = torch.tensor([[0.0, 0.0], [0.5, 0.5]])
    assert torch.equal(weights, expected) and torch.equal(losses.grad, expected)
    assert torch.equal(loss.detach(), torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_nan_of_a_present_variant_shows_in_its_row_only(losses, mask, lambda_p):
    poisoned = losses.clone()
    poisoned[2, 0] = NAN
    loss, weights = mmel_hard_loss(poisoned, lambda_p, mask, return_weights=True)
    assert weights[2][mask[2]].isnan().all() and loss[2].isnan()
    others = [0, 1, 3, 4, 5]
    assert torch.equal(weights[others], mmel_weights(losses, lambda_p, mask)[others])
    assert loss[others].isfinite().all()


@pytest.mark.parametrize("shape", [(3, 1), (0, 4), (3, 0)])
def test_weights_carry_no_graph_whatever_the_shape(shape):
    losses = torch.ones(shape, requires_grad=True)
    weights = mmel_weights(losses, 1.0)
    assert not weights.requires_grad and weights.shape == shape
    assert mmel_hard_loss(losses, 1.0).shape == shape[:1]


# --- hard labels, eq. 7, and plain augmentation ---------------------------------------


@pytest.mark.parametrize("lambda_p", LAMBDAS)
def test_hard_loss_gradient_is_that_of_the_penalised_maximum(losses, mask, lambda_p):
    def maximum(losses):
        present = losses.masked_fill(~mask, -INF)
        return lambda_p * (present / lambda_p).logsumexp(1)

    losses.requires_grad_()
    (ours,) = torch.autograd.grad(mmel_hard_loss(losses, lambda_p, mask).sum(), losses)
    (theirs,) = torch.autograd.grad(maximum(losses).sum(), losses)
    assert ours.any()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_hard_loss_lies_between_mean_and_maximum(losses, lambda_p):
    loss = mmel_hard_loss(losses, lambda_p)
    np.testing.assert_allclose(loss, (reference_weights(losses, lambda_p) * losses.numpy()).sum(1), rtol=1e-12)
    assert (loss >= losses.mean(1) - 1e-12).all() and (loss <= losses.amax(1) + 1e-12).all()


def test_hard_loss_limits_are_maximum_and_mean(losses):
    torch.testing.assert_close(mmel_hard_loss(losses, 0.0), losses.amax(1))
    torch.testing.assert_close(mmel_hard_loss(losses, INF), losses.mean(1))


def test_uniform_loss_is_mean_over_present_variants(losses, mask):
    loss, weights = uniform_loss(losses.masked_fill(~mask, NAN), mask, return_weights=True)
    expected = [row[row_mask].mean().item() for row, row_mask in zip(losses, mask, strict=True)]
    np.testing.assert_allclose(loss, expected)
    torch.testing.assert_close(weights, mask / mask.sum(1, keepdim=True, dtype=torch.float64))
    torch.testing.assert_close(uniform_loss(losses), losses.mean(1))


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_one_variant_is_its_own_loss(losses, lambda_p):
    assert torch.equal(mmel_hard_loss(losses[:, :1], lambda_p), losses[:, 0])


# --- soft labels, eq. 8 and 9 ---------------------------------------------------------


@pytest.mark.parametrize("lambda_t", [0.0, 0.5, 1, 3.0])
@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_soft_loss_equals_reference(losses, mask, lambda_p, lambda_t):
    original, divergences, mask = losses[:, 0], losses[:, 1:], mask[:, 1:]
    loss, weights = mmel_soft_loss(original, divergences, lambda_p, lambda_t, mask, return_weights=True)
    expected = reference_weights(divergences, lambda_p, mask)
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    np.testing.assert_allclose(loss, original.numpy() + lambda_t * (expected * divergences.numpy()).sum(1), rtol=1e-12)


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
@pytest.mark.parametrize("num_variants", [0, 3])
def test_soft_loss_without_variants_is_original_loss(losses, lambda_p, num_variants):
    original = losses[:, 0].clone().requires_grad_()
    divergences = torch.full((6, num_variants), NAN, dtype=losses.dtype, requires_grad=True)
    loss = mmel_soft_loss(original, divergences, lambda_p, 2.0, torch.zeros(6, num_variants, dtype=torch.bool))
    loss.sum().backward()
    assert torch.equal(loss, original)
    assert (original.grad == 1).all() and (divergences.grad == 0).all()


def test_lambda_t_scales_only_the_divergence(losses):
    original, divergences = losses[:, 0], losses[:, 1:]
    none, one, three = (mmel_soft_loss(original, divergences, 0.5, lambda_t) for lambda_t in (0, 1.0, 3.0))
    assert torch.equal(none, original) and (one > original).all()
    torch.testing.assert_close(three - original, 3 * (one - original))


@pytest.mark.parametrize("lambda_p", ALL_LAMBDAS)
def test_soft_loss_gradient_treats_weights_as_constants(losses, mask, lambda_p):
    original, divergences = losses[:, 0].clone().requires_grad_(), losses[:, 1:].clone().requires_grad_()
    loss = mmel_soft_loss(original, divergences, lambda_p, 0.7, mask[:, 1:])
    grads = torch.autograd.grad(loss.sum(), (original, divergences))
    weights = torch.tensor(reference_weights(divergences.detach(), lambda_p, mask[:, 1:]))
    torch.testing.assert_close(grads, (torch.ones_like(original), 0.7 * weights))


def test_soft_loss_with_fixed_weights_passes_gradcheck(losses, mask):
    # lambda_p = inf holds the weights fixed; with others the numeric gradient would move them too.
    inputs = (losses[:, 0].clone().requires_grad_(), losses[:, 1:].clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda l0, d: mmel_soft_loss(l0, d, INF, 0.7, mask[:, 1:]), inputs)


# --- input that cannot be right -------------------------------------------------------

L, D, ONES = torch.ones(2, 3), torch.ones(2, 2), torch.ones(2, 3, dtype=torch.bool)
ERRORS = {
    "losses 1-D": (ValueError, r"losses.*\(3,\)", lambda: mmel_weights(L[0], 1.0)),
    "losses 3-D": (ValueError, r"losses.*\(1, 2, 3\)", lambda: mmel_hard_loss(L[None], 1.0)),
    "integer losses": (ValueError, r"losses.*int64", lambda: mmel_weights(L.long(), 1.0)),
    "mask shape": (ValueError, r"variant_mask.*\(2, 3\).*\(2, 2\)", lambda: mmel_weights(L, 1.0, ONES[:, 1:])),
    "mask dtype": (ValueError, r"variant_mask.*float32", lambda: uniform_loss(L, ONES.float())),
    "negative lambda_p": (ValueError, r"lambda_p.*-0\.1", lambda: mmel_weights(L, -0.1)),
    "integer lambda_p": (ValueError, r"lambda_p.*-1", lambda: mmel_hard_loss(L, -1)),
    "NaN lambda_p": (ValueError, r"lambda_p.*nan", lambda: mmel_hard_loss(L, NAN)),
    "text lambda_p": (TypeError, r"lambda_p.*'1'", lambda: mmel_weights(L, "1")),
    "soft lambda_p": (ValueError, r"lambda_p.*-1", lambda: mmel_soft_loss(L[:, 0], D, -1.0)),
    "negative lambda_t": (ValueError, r"lambda_t.*-2", lambda: mmel_soft_loss(L[:, 0], D, 1.0, -2.0)),
    "NaN lambda_t": (ValueError, r"lambda_t.*nan", lambda: mmel_soft_loss(L[:, 0], D, 1.0, NAN)),
    "infinite lambda_t": (ValueError, r"lambda_t.*inf", lambda: mmel_soft_loss(L[:, 0], D, 1.0, INF)),
    "missing lambda_t": (TypeError, r"lambda_t.*None", lambda: mmel_soft_loss(L[:, 0], D, 1.0, None)),
    "reduced original": (ValueError, r"original_loss.*\(\)", lambda: mmel_soft_loss(L.mean(), D, 1.0)),
    "integer original": (ValueError, r"original_loss.*int64", lambda: mmel_soft_loss(L[:, 0].long(), D, 1.0)),
    "divergences 1-D": (ValueError, r"divergences.*\(2,\)", lambda: mmel_soft_loss(L[:, 0], D[0], 1.0)),
    "mask of V": (ValueError, r"divergences, \(2, 2\)", lambda: mmel_soft_loss(L[:, 0], D, 1.0, 1.0, ONES)),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input_is_refused_with_what_was_received(case):
    error, message, call = ERRORS[case]
    with pytest.raises(error, match=message):
        call()


def test_examples_in_docstrings_print_what_they_say():
    results = doctest.testmod(functional)
    assert results.failed == 0 and results.attempted >= 6
