"""
The MMEL objective as pure functions of tensors.

Source of every equation: Yi, Hou, Shang, Jiang, Liu and Ma, *Reweighting Augmented Samples by Minimizing the Maximal
Expected Loss*, ICLR 2021, https://arxiv.org/abs/2103.08933. `B` counts examples, `K` augmented variants per example,
`V = K + 1` variants with the original in column 0, `C` classes or outputs. A `variant_mask` is `True` where a variant
is present. Losses and divergences are in nats (squared units of the target for regression), and so is `lambda_p`.
"""

import math
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor


_SINGLE_LABEL = "single_label_classification"
_REGRESSION = "regression"
_MULTI_LABEL = "multi_label_classification"
_PROBLEM_TYPES = (_SINGLE_LABEL, _REGRESSION, _MULTI_LABEL)


def mmel_weights(losses: Tensor, lambda_p: float | Tensor, variant_mask: Tensor | None = None) -> Tensor:
    """
    Weights of one example's variants that maximise its penalised expected loss (eq. 6).

        w_i = argmax over w of  Σ_v w_v ℓ_iv - λ_P KL(w ‖ uniform),   so   w_iv = exp(ℓ_iv / λ_P) / Σ_u exp(ℓ_iu / λ_P)

    The limit `lambda_p = 0` takes the worst variant (ties share evenly), `lambda_p = inf` weighs all of them alike.

    Args:
        losses (`torch.Tensor` of shape `(B, V)`): Loss of each variant, of any floating dtype.
        lambda_p (`float` or `torch.Tensor` of shape `(B,)`): Strength of the penalty towards uniform weights, in the
            unit of the losses, 0 to inf. A tensor has one for each example, and its values are not checked.
        variant_mask (`torch.Tensor` of shape `(B, V)` and dtype `bool`, *optional*): Which variants are present; all
            of them if not given. The others get weight 0 whatever their loss holds.

    Returns:
        `torch.Tensor` of shape `(B, V)`: Weights, detached, in float32 (float64 for float64 losses). Rows sum to 1;
        a row with no variant present is all 0, and one where a present variant's loss is NaN is all NaN.

    Raises:
        ValueError: If `losses` is not a 2-D floating tensor, `variant_mask` not a bool tensor of the same shape, or
            `lambda_p` negative, NaN or a tensor of another shape.
        TypeError: If `lambda_p` is neither a number nor a tensor.

    Example:

        >>> mmel_weights(torch.tensor([[0.0, 1.0, 1.0]]), lambda_p=0.5)
        tensor([[0.0634, 0.4683, 0.4683]])
        >>> mmel_weights(torch.tensor([[0.0, 1.0, 1.0]]), lambda_p=0.0)
        tensor([[0.0000, 0.5000, 0.5000]])
    """
    _check_groups("losses", losses, variant_mask)
    if not isinstance(lambda_p, Tensor):
        _check_non_negative("lambda_p", lambda_p)
        lambda_p = float(lambda_p)
    elif lambda_p.shape != losses.shape[:1]:
        raise ValueError(f"lambda_p has shape {tuple(lambda_p.shape)}; expected (B,), here {len(losses)} numbers.")
    # No gradient: that of the maximum over the weights is the objective's own at the maximising weights, held fixed
    # (Danskin's theorem). At least float32: in bfloat16 close losses and their exponentials collapse into ties.
    losses = losses.detach().to(torch.promote_types(losses.dtype, torch.float32))
    if losses.shape[1] == 0:
        return losses
    present = torch.ones_like(losses, dtype=torch.bool) if variant_mask is None else variant_mask
    losses = losses.masked_fill(~present, -math.inf)
    peak = losses.amax(dim=1, keepdim=True)
    # The maximum's own gap is written down, since inf - inf is NaN. Clamping to finite keeps gap / inf at 0, and the
    # zeros are left undivided so that lambda_p = 0 sends every other gap to -inf. NaN passes through all of it.
    gap = torch.where(losses == peak, 0.0, losses - peak).clamp(min=torch.finfo(losses.dtype).min)
    strength = lambda_p.detach().to(gap.dtype)[:, None] if isinstance(lambda_p, Tensor) else lambda_p
    scaled = torch.where(gap == 0, gap, gap / strength)
    unnormalised = scaled.exp().masked_fill(~present, 0.0)
    # The maximum contributes exactly 1, so the clamp acts only on rows with nothing present.
    return unnormalised / unnormalised.sum(dim=1, keepdim=True).clamp(min=1.0)


def mmel_hard_loss(
    losses: Tensor, lambda_p: float | Tensor, variant_mask: Tensor | None = None, return_weights: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """
    MMEL with hard labels, MMEL-H: expected loss of each example under the weights of eq. 6 (eq. 7).

        L_i = Σ_v w_iv ℓ_iv,   v over the original and its K augmented variants

    The gradient flows through the losses only. It equals the gradient of the penalised maximum itself,
    `λ_P log(mean_v exp(ℓ_iv / λ_P))`; the value leaves out the penalty and so is never below that maximum.
    `lambda_p = 0` gives the largest loss, `lambda_p = inf` the mean.

    Args:
        losses (`torch.Tensor` of shape `(B, V)`): Losses under the example's label, the original's in column 0.
        lambda_p (`float`): Strength of the penalty towards uniform weights, in the unit of the losses, 0 to inf.
        variant_mask (`torch.Tensor` of shape `(B, V)` and dtype `bool`, *optional*): Which variants are present. The
            others enter neither value nor gradient, NaN and inf included.
        return_weights (`bool`, *optional*, defaults to `False`): Whether to return the weights as well.

    Returns:
        `torch.Tensor` of shape `(B,)`, in float32 or float64, 0 where no variant is present; with `return_weights`
        the pair of it and the weights of shape `(B, V)`.

    Raises:
        ValueError, TypeError: As `mmel_weights`.

    Example:

        >>> losses = torch.tensor([[0.0, 1.0, 2.0]])
        >>> [round(mmel_hard_loss(losses, lambda_p).item(), 4) for lambda_p in (0, 1, math.inf)]
        [2.0, 1.5752, 1.0]
    """
    weights = mmel_weights(losses, lambda_p, variant_mask)
    loss = expectation(weights, losses, variant_mask)
    return (loss, weights) if return_weights else loss


def expectation(weights: Tensor, values: Tensor, variant_mask: Tensor | None = None) -> Tensor:
    """
    Expected value of each example under the weights of its variants, `Σ_v w_iv x_iv`.

    Args:
        weights (`torch.Tensor` of shape `(B, V)`): As from `mmel_weights`.
        values (`torch.Tensor` of shape `(B, V)`): What is averaged.
        variant_mask (`torch.Tensor` of shape `(B, V)` and dtype `bool`, *optional*): Which variants are present. The
            others enter neither value nor gradient, NaN and inf included.

    Returns:
        `torch.Tensor` of shape `(B,)`.
    """
    if variant_mask is not None:
        values = values.masked_fill(~variant_mask, 0.0)  # 0 * NaN is NaN: a zero weight alone does not keep it out
    return (weights * values).sum(dim=1)


def mmel_soft_loss(
    original_loss: Tensor,
    divergences: Tensor,
    lambda_p: float,
    lambda_t: float = 1.0,
    variant_mask: Tensor | None = None,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """
    MMEL with soft labels, MMEL-S: the original's loss plus the expected divergence of its augmented variants from it.

        w_ik = exp(d_ik / λ_P) / Σ_j exp(d_ij / λ_P)   (eq. 8),   L_i = ℓ_i0 + λ_T Σ_k w_ik d_ik   (eq. 9)

    k runs over the K augmented variants; the original has no divergence from itself and takes no weight. Limits in
    `lambda_p` are those of `mmel_hard_loss`; `lambda_t = 0` leaves the original's loss.

    Args:
        original_loss (`torch.Tensor` of shape `(B,)`): Loss of the original under the example's label.
        divergences (`torch.Tensor` of shape `(B, K)`): D(f(x_i) ‖ f(x_ik)), as from `divergence`; K may be 0.
        lambda_p (`float`): Strength of the penalty towards uniform weights, in the unit of the divergences, 0 to inf.
        lambda_t (`float`, *optional*, defaults to 1.0): Factor of the divergence, finite and not negative.
        variant_mask (`torch.Tensor` of shape `(B, K)` and dtype `bool`, *optional*): Which augmented variants are
            present. An example with none has `L_i = ℓ_i0`.
        return_weights (`bool`, *optional*, defaults to `False`): Whether to return the weights as well.

    Returns:
        `torch.Tensor` of shape `(B,)`, in float32 or float64; with `return_weights` the pair of it and the weights of
        shape `(B, K)`.

    Raises:
        ValueError: As `mmel_weights`, or if `original_loss` is not a floating tensor of shape `(B,)`, or `lambda_t`
            negative, NaN or infinite.
        TypeError: If `lambda_p` or `lambda_t` is not a number.

    Example:

        >>> mmel_soft_loss(torch.tensor([0.5]), torch.tensor([[0.1, 0.3]]), lambda_p=0.0, lambda_t=2.0)
        tensor([1.1000])
    """
    _check_groups("divergences", divergences, variant_mask)
    _check_non_negative("lambda_t", lambda_t)
    if lambda_t == math.inf:
        raise ValueError("lambda_t must be finite, got inf. Give the factor of the divergence as a finite number.")
    if original_loss.shape != divergences.shape[:1] or not original_loss.is_floating_point():
        raise ValueError(
            f"original_loss must be a floating tensor of shape (B,) for divergences of shape (B, K), got "
            f"{original_loss.dtype} of shape {tuple(original_loss.shape)} for divergences of shape "
            f"{tuple(divergences.shape)}. Give one unreduced loss per example."
        )
    expected, weights = mmel_hard_loss(divergences, lambda_p, variant_mask, return_weights=True)
    loss = original_loss + lambda_t * expected
    return (loss, weights) if return_weights else loss


def uniform_loss(
    losses: Tensor, variant_mask: Tensor | None = None, return_weights: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """
    Plain data augmentation: mean loss over the present variants of each example, eq. 7 at `lambda_p = inf`.

    Arguments, returned shapes and errors are those of `mmel_hard_loss`.

    Example:

        >>> uniform_loss(torch.tensor([[1.0, 2.0, 6.0]]), torch.tensor([[True, True, False]]))
        tensor([1.5000])
    """
    return mmel_hard_loss(losses, math.inf, variant_mask, return_weights)


def per_variant_loss(logits: Tensor, labels: Tensor, problem_type: str, label_smoothing: float = 0.0) -> Tensor:
    """
    Loss of each row, whose mean is the loss of a transformers sequence classification head.

    Args:
        logits (`torch.Tensor` of shape `(N, C)`): Model outputs, one row per variant.
        labels (`torch.Tensor`): Integers of shape `(N,)` or `(N, 1)` for single-label classification (not checked
            against C, and -100 gives loss 0), or floats of shape `(N, C)`, the probabilities of the classes (not
            checked to sum to one); targets of shape `(N, C)` for regression and multi-label classification, or
            `(N,)` for regression with C = 1.
        problem_type (`str`): As in the model's configuration: `"single_label_classification"` (cross entropy),
            `"regression"` (squared error, mean over C) or `"multi_label_classification"` (binary cross entropy, mean
            over C).
        label_smoothing (`float`, *optional*, defaults to 0.0): Share of the label given evenly to all classes, 0 to 1,
            for single-label classification only.

    Returns:
        `torch.Tensor` of shape `(N,)`: Losses in float32 (float64 for float64 logits).

    Raises:
        ValueError: If a shape or dtype does not fit, the problem type is unknown, or label smoothing is out of range
            or asked for another problem type.

    Example:

        >>> logits = torch.tensor([[0.0, 0.0], [0.0, 2.0]])
        >>> per_variant_loss(logits, torch.tensor([1, 1]), "single_label_classification")
        tensor([0.6931, 0.1269])
    """
    _check_problem_type(problem_type)
    if logits.dim() != 2 or not logits.is_floating_point():
        raise ValueError(
            f"logits must be a floating tensor of shape (N, C), got {logits.dtype} of shape {tuple(logits.shape)}. "
            "Flatten groups to one row per variant first."
        )
    if not 0 <= label_smoothing <= 1 or (label_smoothing and problem_type != _SINGLE_LABEL):
        raise ValueError(
            f"label_smoothing must lie in [0, 1] and be 0 unless the problem type is {_SINGLE_LABEL!r}, got "
            f"{label_smoothing} for {problem_type!r}. Set it to 0."
        )
    num_rows, num_outputs = logits.shape
    has_ids = problem_type == _SINGLE_LABEL and not labels.is_floating_point()
    width = 1 if has_ids else num_outputs
    expected_shapes = [(num_rows,), (num_rows, 1)] if width == 1 else [(num_rows, width)]
    if tuple(labels.shape) not in expected_shapes:
        ids = "" if has_ids or problem_type != _SINGLE_LABEL else f"make them integers of shape ({num_rows},), or "
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} and {labels.dtype} do not fit logits of shape "
            f"{tuple(logits.shape)} for {problem_type!r}: {ids}give them the shape "
            f"{' or '.join(map(str, expected_shapes))}, one row per variant."
        )
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if problem_type == _SINGLE_LABEL:
        targets = labels.reshape(-1).long() if has_ids else labels.to(logits.dtype)
        return F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    loss = F.mse_loss if problem_type == _REGRESSION else F.binary_cross_entropy_with_logits
    return loss(logits, labels.reshape(logits.shape).to(logits.dtype), reduction="none").mean(dim=1)


def divergence(logits: Tensor, reference_logits: Tensor, problem_type: str) -> Tensor:
    """
    Divergence D(f(x_i) ‖ f(x_ik)) of a variant's prediction from the original's, the `d_ik` of eq. 8 and 9.

        single-label   Σ_c p_c log(p_c / q_c)                                          p, q: softmax of both logits
        regression     mean_c (logits_c - reference_logits_c)²
        multi-label    Σ_c p_c log(p_c / q_c) + (1 - p_c) log((1 - p_c) / (1 - q_c))   p, q: sigmoid of both logits

    with p from `reference_logits` and q from `logits`. It is 0 for equal predictions and, up to rounding, never
    negative. Nothing is detached: for the reference to act as a soft label that carries no gradient, pass
    `reference_logits.detach()`.

    Args:
        logits (`torch.Tensor` of shape `(..., C)`): Outputs for the variants.
        reference_logits (`torch.Tensor` of shape `(..., C)`): Outputs for the originals, broadcastable to `logits`:
            `(B, 1, C)` for `logits` of shape `(B, K, C)`.
        problem_type (`str`): One of those of `per_variant_loss`.

    Returns:
        `torch.Tensor` of shape `(...)`: Divergences in nats (squared units for regression), in float32 or float64,
        finite for finite predictions however confident.

    Raises:
        ValueError: If a tensor is not floating, the shapes do not broadcast as said, or the problem type is unknown.

    Example:

        >>> divergence(torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0.0, 0.0]), "single_label_classification")
        tensor([0.4338, 0.0000])
    """
    _check_problem_type(problem_type)
    if not logits.is_floating_point() or not reference_logits.is_floating_point():
        raise ValueError(f"logits must be floating, got {logits.dtype}, {reference_logits.dtype} for the reference.")
    # A reference of one output would broadcast over the C outputs and mean something else: C has to agree.
    if logits.shape[-1:] != reference_logits.shape[-1:] or not _broadcasts_to(reference_logits, logits):
        raise ValueError(
            f"reference_logits of shape {tuple(reference_logits.shape)} do not broadcast to logits of shape "
            f"{tuple(logits.shape)}: give them the same last dimension, and 1 or the same size elsewhere."
        )
    dtype = torch.promote_types(torch.promote_types(logits.dtype, reference_logits.dtype), torch.float32)
    logits, reference_logits = logits.to(dtype), reference_logits.to(dtype)
    if problem_type == _REGRESSION:
        return (logits - reference_logits).square().mean(dim=-1)
    if problem_type == _SINGLE_LABEL:
        return _kl(F.log_softmax(reference_logits, dim=-1), F.log_softmax(logits, dim=-1))
    # log(1 - sigmoid(x)) = logsigmoid(-x), which stays finite where 1 - sigmoid(x) rounds to 0.
    positive = _kl(F.logsigmoid(reference_logits), F.logsigmoid(logits))
    return positive + _kl(F.logsigmoid(-reference_logits), F.logsigmoid(-logits))


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1)


def _broadcasts_to(tensor: Tensor, target: Tensor) -> bool:
    try:
        return torch.broadcast_shapes(tensor.shape, target.shape) == target.shape
    except RuntimeError:
        return False


def _check_problem_type(problem_type: str) -> None:
    if problem_type not in _PROBLEM_TYPES:
        raise ValueError(f"Unknown problem_type {problem_type!r}: set it to one of {', '.join(_PROBLEM_TYPES)}.")


def _check_non_negative(name: str, value: float) -> None:
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}. Pass a float.")
    if not value >= 0:  # also catches NaN
        raise ValueError(f"{name} must be 0 or greater, got {value}.")


def _check_groups(name: str, values: Tensor, variant_mask: Tensor | None) -> None:
    if values.dim() != 2 or not values.is_floating_point():
        raise ValueError(
            f"{name} must be a floating tensor with one row per example and one column per variant, got "
            f"{values.dtype} of shape {tuple(values.shape)}. Reshape unreduced losses of rows to (B, V)."
        )
    if variant_mask is not None and (variant_mask.shape != values.shape or variant_mask.dtype != torch.bool):
        raise ValueError(
            f"variant_mask must be a bool tensor of the shape of {name}, {tuple(values.shape)}, got "
            f"{variant_mask.dtype} of shape {tuple(variant_mask.shape)}. Mark present variants with True."
        )
