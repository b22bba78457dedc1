"""Weights with a given effective number of variants, in place of a given regularisation strength λ_P."""

import math
from numbers import Real

import torch
from torch import Tensor


# Bounds of 1 / λ_P, in units of 1 / (largest loss - smallest loss). Beyond them, weights are uniform or those of the
# worst variant: 1e-9 for any number below V that float64 can tell from V, 1e19 for losses that are ties in float64.
_LOWEST, _HIGHEST = 1e-9, 1e19


def solve_lambda_p(losses: Tensor, effective_num_variants: float, variant_mask: Tensor | None = None) -> Tensor:
    """
    The λ_P of each example for which the perplexity of the weights of eq. 6, the effective number of variants, is n:

        exp(H(w_i)) = n,   H(w_i) = -Σ_v w_iv log(w_iv),   w_iv = softmax_v(ℓ_iv / λ_i)

    These weights maximise the expected loss `Σ_v w_iv ℓ_iv` among all weights with a perplexity of at least n. λ_i is
    the Lagrange multiplier of this constraint. It scales with the losses, so that the weights do not depend on their
    unit, and a constant that is added to all losses of an example changes nothing.

    λ_i is found by bisection in the dtype of the weights, with a fixed number of steps for the whole batch, so that
    nothing is read from the device.

    Args:
        losses (`torch.Tensor` of shape `(B, V)`): Loss or divergence of each variant, of any floating dtype.
        effective_num_variants (`float`): n, from 1 to inf.
        variant_mask (`torch.Tensor` of shape `(B, V)` and dtype `bool`, *optional*): Which variants are present; all
            of them if not given.

    Returns:
        `torch.Tensor` of shape `(B,)`: λ_i, detached, in float32 (float64 for float64 losses). It is inf, uniform
        weights, for an example with at most n variants, or whose losses are all equal. It is 0, equal weights of the
        worst variants, if at least n variants share the largest loss, or if this loss is infinite.

    Raises:
        ValueError: If `effective_num_variants` is not a number of at least 1.

    Example:

        >>> from hf_mmel.functional import mmel_weights
        >>> losses = torch.tensor([[0.0, 0.3, 0.6], [0.0, 0.001, 0.002]])
        >>> lambda_p = solve_lambda_p(losses, effective_num_variants=2.0)
        >>> lambda_p
        tensor([0.2262, 0.0008])
        >>> mmel_weights(losses, lambda_p)
        tensor([[0.0528, 0.1987, 0.7485],
                [0.0528, 0.1987, 0.7485]])
    """
    number = effective_num_variants
    if not (isinstance(number, Real) and number >= 1):
        raise ValueError(f"effective_num_variants is {number!r}; expected a number >= 1.")
    losses = losses.detach().to(torch.promote_types(losses.dtype, torch.float32))
    present = torch.ones_like(losses, dtype=torch.bool) if variant_mask is None else variant_mask
    if losses.shape[1] == 0:
        return losses.new_full(losses.shape[:1], math.inf)
    losses = losses.masked_fill(~present, -math.inf)
    peak = losses.amax(dim=1, keepdim=True)
    gap = torch.where(losses == peak, 0.0, losses - peak)  # inf - inf is NaN
    widest = -gap.masked_fill(~present, 0.0).amin(dim=1, keepdim=True).clamp(min=torch.finfo(gap.dtype).min)
    gap = gap / widest
    low, high = torch.full_like(peak, _LOWEST), torch.full_like(peak, _HIGHEST)
    # Each step halves the logarithm of high / low, which begins at 65, until it is below the rounding error.
    for _ in range(7 - round(math.log2(torch.finfo(gap.dtype).eps))):
        middle = (low * high).sqrt()
        weights = torch.softmax(gap * middle, dim=1)
        is_spread = -torch.xlogy(weights, weights).sum(dim=1, keepdim=True) > math.log(number)
        low, high = torch.where(is_spread, middle, low), torch.where(is_spread, high, middle)
    num_present, num_worst = present.sum(dim=1), (present & (losses == peak)).sum(dim=1)
    is_worst_alone = (num_worst >= number) | peak.squeeze(1).isinf()
    lambda_p = torch.where(is_worst_alone, 0.0, (widest / low).squeeze(1))
    return torch.where((num_present <= number) | (num_present == num_worst), math.inf, lambda_p)
