"""Losses and divergences of each kind of head, held against transformers, PyTorch and SciPy."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F
from transformers import BertConfig
from transformers.loss.loss_utils import ForSequenceClassificationLoss
from transformers.trainer_pt_utils import LabelSmoother

from hf_mmel.functional import divergence, per_variant_loss


PROBLEM_TYPES = SINGLE, REGRESSION, MULTI = ["single_label_classification", "regression", "multi_label_classification"]


def normal(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


# --- divergence -----------------------------------------------------------------------


def logit_pair(num_outputs=3):
    logits, reference = 2 * normal(4, 3, num_outputs, seed=1), 2 * normal(4, 1, num_outputs, seed=2)
    return logits.requires_grad_(), reference.requires_grad_()


def reference_divergence(logits, reference, problem_type):
    logits, reference = np.broadcast_arrays(logits.detach().double().numpy(), reference.detach().double().numpy())
    if problem_type == REGRESSION:
        return ((logits - reference) ** 2).mean(-1)
    if problem_type == SINGLE:
        return scipy.stats.entropy(scipy.special.softmax(reference, -1), scipy.special.softmax(logits, -1), axis=-1)
    p, q = scipy.special.expit(reference), scipy.special.expit(logits)
    return scipy.stats.entropy(np.stack([p, 1 - p]), np.stack([q, 1 - q])).sum(-1)


@pytest.mark.parametrize("num_outputs", [1, 3])
@pytest.mark.parametrize("problem_type", PROBLEM_TYPES)
def test_divergence_equals_scipy_and_broadcasts(problem_type, num_outputs):
    logits, reference = logit_pair(num_outputs)
    result = divergence(logits, reference, problem_type)
    assert result.shape == logits.shape[:-1]
    np.testing.assert_allclose(result.detach(), reference_divergence(logits, reference, problem_type), atol=1e-10)


def test_single_label_divergence_equals_torch_kl_div():
    logits, reference = logit_pair()
    reference = reference.expand_as(logits)
    theirs = F.kl_div(logits.log_softmax(-1), reference.softmax(-1), reduction="none").sum(-1)
    torch.testing.assert_close(divergence(logits, reference, SINGLE), theirs)


@pytest.mark.parametrize("problem_type", PROBLEM_TYPES)
def test_divergence_is_zero_only_for_equal_predictions(problem_type):
    logits, reference = logit_pair()
    assert (divergence(logits, reference, problem_type) > 1e-3).all()
    assert (divergence(logits, logits, problem_type) == 0).all()
    shifted = divergence(logits + 1.0, logits, problem_type)  # a constant changes no softmax, but everything else
    assert (shifted.abs() < 1e-12 if problem_type == SINGLE else shifted > 1e-3).all()


@pytest.mark.parametrize("problem_type", PROBLEM_TYPES)
def test_divergence_gradients_reach_both_sides_unless_reference_is_detached(problem_type):
    logits, reference = logit_pair()
    assert torch.autograd.gradcheck(lambda x, r: divergence(x, r, problem_type), (logits, reference))
    divergence(logits, reference.detach(), problem_type).sum().backward()
    assert logits.grad.abs().sum() > 0 and reference.grad is None
    divergence(logits, reference, problem_type).sum().backward()
    assert reference.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("problem_type", PROBLEM_TYPES)
def test_divergence_of_confident_predictions_is_finite(problem_type, dtype):
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [0.0, 0.0], [1e4, 1e4]], dtype=dtype, requires_grad=True)
    result = divergence(logits, torch.tensor([1e4, -1e4], dtype=dtype), problem_type)
    result.sum().backward()
    assert result.dtype == torch.float32
    assert result.isfinite().all() and logits.grad.isfinite().all()
    assert result[0] == 0 and result[1] > 1e3


# --- loss per variant -----------------------------------------------------------------


HEADS = {
    "single label": (SINGLE, 3, torch.tensor([0, 2, 1, 1, 0])),
    "single label, column": (SINGLE, 3, torch.tensor([[0], [2], [1], [1], [0]])),
    "regression, one output": (REGRESSION, 1, normal(5, seed=3)),
    "regression, one column": (REGRESSION, 1, normal(5, 1, seed=4)),
    "regression, three outputs": (REGRESSION, 3, normal(5, 3, seed=5)),
    "multi label": (MULTI, 3, (normal(5, 3, seed=6) > 0).double()),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("head", HEADS)
def test_mean_of_per_variant_loss_equals_transformers(head, dtype):
    problem_type, num_outputs, labels = HEADS[head]
    labels = labels.to(dtype) if labels.is_floating_point() else labels
    logits = normal(5, num_outputs).to(dtype).requires_grad_()
    config = BertConfig(num_labels=num_outputs, problem_type=problem_type)
    ours = per_variant_loss(logits, labels, problem_type)
    theirs = ForSequenceClassificationLoss(labels, logits, config)
    assert ours.shape == (5,) and ours.dtype == dtype
    torch.testing.assert_close(ours.mean(), theirs)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours.mean(), theirs)]
    assert gradients[0].any()
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("head", HEADS)
def test_each_row_has_its_own_loss(head):
    problem_type, num_outputs, labels = HEADS[head]
    logits = normal(5, num_outputs)
    rows = [per_variant_loss(logits[i : i + 1], labels[i : i + 1], problem_type) for i in range(5)]
    torch.testing.assert_close(per_variant_loss(logits, labels, problem_type), torch.cat(rows))


def test_label_smoothing_equals_transformers_label_smoother():
    logits, labels = normal(5, 3), torch.tensor([0, 2, 1, 1, 0])
    smoothed = per_variant_loss(logits, labels, SINGLE, label_smoothing=0.2)
    theirs = LabelSmoother(epsilon=0.2)({"logits": logits}, labels)
    torch.testing.assert_close(smoothed.mean(), theirs)
    assert not torch.allclose(smoothed, per_variant_loss(logits, labels, SINGLE))


def test_ignored_label_has_zero_loss():
    loss = per_variant_loss(normal(3, 2), torch.tensor([0, -100, 1]), SINGLE)
    assert loss[1] == 0 and (loss[[0, 2]] > 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("head", HEADS)
def test_loss_of_half_precision_logits_is_float32(head, dtype):
    problem_type, num_outputs, labels = HEADS[head]
    logits = (normal(5, num_outputs) * 100).to(dtype)
    result = per_variant_loss(logits, labels, problem_type)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, per_variant_loss(logits.float(), labels, problem_type))


# --- input that cannot be right -------------------------------------------------------

L = torch.ones(2, 3)
ERRORS = {
    "problem type": (r"'ranking'.*regression", lambda: per_variant_loss(L, L, "ranking")),
    "no problem type": (r"problem_type None", lambda: divergence(L, L, None)),
    "logits of groups": (r"logits.*\(1, 2, 3\)", lambda: per_variant_loss(L[None], L[:, 0].long(), SINGLE)),
    "too few labels": (r"\(1,\).*\(2, 3\)", lambda: per_variant_loss(L, L[0, :1].long(), SINGLE)),
    "one-hot labels": (r"labels of shape \(2, 3\)", lambda: per_variant_loss(L, L.long(), SINGLE)),
    "float labels": (r"float32.*integers of shape \(2,\)", lambda: per_variant_loss(L, L[:, 0], SINGLE)),
    "regression labels": (r"\(2,\).*\(2, 3\)", lambda: per_variant_loss(L, L[:, 0], REGRESSION)),
    "broadcast labels": (r"\(2, 1\).*\(2, 3\)", lambda: per_variant_loss(L, L[:, :1], MULTI)),
    "smoothed regression": (r"label_smoothing.*0\.1", lambda: per_variant_loss(L, L, REGRESSION, 0.1)),
    "smoothing above 1": (r"label_smoothing.*1\.5", lambda: per_variant_loss(L, L[:, 0].long(), SINGLE, 1.5)),
    "reference of one class": (r"\(2, 1\).*\(2, 3\)", lambda: divergence(L, L[:, :1], SINGLE)),
    "reference of other rows": (r"\(3, 3\).*\(2, 3\)", lambda: divergence(L, torch.ones(3, 3), SINGLE)),
    "reference larger": (r"\(2, 3\).*\(3,\)", lambda: divergence(L[0], L, SINGLE)),
    "integer logits": (r"int64", lambda: divergence(L.long(), L, SINGLE)),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input_is_refused_with_what_was_received(case):
    message, call = ERRORS[case]
    with pytest.raises(ValueError, match=message):
        call()
