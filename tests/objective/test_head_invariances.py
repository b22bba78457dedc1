"""What losses and divergences of the heads depend on and what not, with their gradients and in half precision."""

import pytest
import torch
from head_batches import FEATURES, HEADS, TOKENS, batch_of, evened, judge, normal, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_mmel.data.groups import IGNORE_INDEX, POSITIONS, Groups


@pytest.mark.parametrize("name", HEADS)
@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.1, 3.0, 30.0]))
def test_divergences_are_never_negative_and_zero_for_equal_predictions(name, seed, scale):
    logits, batch = batch_of(name, seed, torch.float32, scale)
    _, divergences = judge(name, logits, batch)
    assert (divergences > -1e-6).all() and divergences[:, 0].abs().max() < 1e-6 and divergences.any()
    same = logits[:, :1].expand_as(logits).clone()
    if name in TOKENS:  # the prediction for a token goes to where the token went
        for b, v, place in torch.nonzero(batch["alignment"] >= 0).tolist():
            same[b, v, batch["alignment"][b, v, place]] = logits[b, 0, place]
    _, divergences = judge(name, same, batch)
    assert divergences.abs().max() < 1e-6


@pytest.mark.parametrize("name", TOKENS)
@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_a_divergence_is_that_of_the_tokens_with_a_counterpart(name, seed):
    """Garbage at all others changes nothing: new words, lost words, words without a label, padding."""
    logits, batch = batch_of(name, seed)
    _, expected = judge(name, logits, batch)
    size, num_variants, length = FEATURES
    other, alignment = normal(*logits.shape, seed=seed + 1, scale=50), batch["alignment"]
    for b in range(size):
        for v in range(1, num_variants):
            found = alignment[b, v] >= 0
            if name == "tokens":
                found &= batch["labels"][b, 0] != IGNORE_INDEX
            changed = logits.clone()
            changed[b, 0, ~found] = other[b, 0, ~found]
            new = torch.ones(length, dtype=torch.bool)
            new[alignment[b, v, found]] = False
            changed[b, v, new] = other[b, v, new]
            assert not torch.equal(changed, logits) or (found.all() and not new.any())
            _, divergences = judge(name, changed, batch)
            torch.testing.assert_close(divergences[b, v], expected[b, v])


def padded(logits, batch, left: int, right: int) -> tuple[torch.Tensor, dict]:
    """Rows with more padding, for which the model says anything."""
    shape = list(logits.shape)
    before, after = (normal(*shape[:2], n, shape[3], seed=n, scale=9).to(logits.dtype) for n in (left, right))
    batch = dict(batch)

    def pad(x, value):
        return torch.nn.functional.pad(x, (left, right), value=value)

    batch["alignment"] = pad(torch.where(batch["alignment"] < 0, -1, batch["alignment"] + left), -1)
    batch["input_ids"] = pad(batch["input_ids"], 0)
    if "labels" in batch:
        batch["labels"] = pad(batch["labels"], IGNORE_INDEX)
    else:
        batch |= {name: batch[name] + left for name in POSITIONS}
    return torch.cat([before, logits, after], dim=2), batch


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize(("left", "right"), [(0, 3), (3, 0), (1, 0), (2, 2)])
def test_padding_and_a_shift_of_all_tokens_change_nothing(name, left, right):
    logits, batch = batch_of(name)
    losses, divergences = judge(name, logits, batch)
    losses_padded, divergences_padded = judge(name, *padded(logits, batch, left, right))
    torch.testing.assert_close(divergences, divergences_padded)
    if name == "tokens":  # a model for question answering is asked about its padding, too
        torch.testing.assert_close(losses, losses_padded)


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_is_compared_with_its_counterpart_wherever_that_is(name):
    """One variant holds the tokens of the original one place later, with the same predictions."""
    logits, batch = batch_of(name)
    logits[:, 1] = logits[:, 0].roll(1, dims=1)
    here = torch.arange(logits.shape[2])
    batch["alignment"][:, 1] = torch.where(here + 1 < len(here), here + 1, -1)
    _, divergences = judge(name, logits, batch)
    assert divergences[:, 1].abs().max() < 1e-6
    batch["alignment"][:, 1] = here
    _, divergences = judge(name, logits, batch)
    assert (divergences[:, 1] > 0.05).all()


@pytest.mark.parametrize("name", TOKENS)
def test_without_any_counterpart_nothing_diverges(name):
    logits, batch = batch_of(name)
    batch["alignment"][:, 1:] = -1
    logits.requires_grad_()
    _, divergences = judge(name, logits, batch)
    assert divergences.abs().max() < 1e-6
    divergences.sum().backward()
    assert logits.grad.isfinite().all() and logits.grad.abs().max() < 1e-6


@pytest.mark.parametrize("name", HEADS)
def test_an_example_does_not_depend_on_the_others_of_the_batch(name):
    logits, batch = batch_of(name)
    weights = torch.tensor([0.5, 2.0, 1.0]) if name in ("single_label", "tokens") else None
    losses, divergences = judge(name, logits, batch, class_weights=weights)
    for b in range(len(logits)):
        alone, alone_divergences = judge(
            name, logits[b : b + 1], {k: x[b : b + 1] for k, x in batch.items()}, class_weights=weights
        )
        torch.testing.assert_close(alone.totals, losses.totals[b : b + 1])
        torch.testing.assert_close(evened(alone), evened(losses)[b : b + 1])
        torch.testing.assert_close(alone_divergences, divergences[b : b + 1])


@pytest.mark.parametrize("name", HEADS)
def test_variants_in_another_order_have_their_losses_and_divergences_in_that_order(name):
    logits, batch = batch_of(name)
    order = [0, 2, 1]
    moved = {k: x[:, order] if k != "labels" or x.dim() == 3 else x for k, x in batch.items()}
    losses, divergences = judge(name, logits, batch)
    moved_losses, moved_divergences = judge(name, logits[:, order], moved)
    torch.testing.assert_close(moved_losses.totals, losses.totals[:, order])
    torch.testing.assert_close(evened(moved_losses), evened(losses)[:, order])
    torch.testing.assert_close(moved_divergences, divergences[:, order])
    assert not torch.allclose(losses.totals, losses.totals[:, order])


# --- gradients, precision, absent variants -----------------------------------


@pytest.mark.parametrize("name", HEADS)
def test_gradients_are_those_of_the_losses_and_divergences(name):
    logits, batch = batch_of(name)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: evened(judge(name, x, batch)[0]), logits)
    logits, batch = batch_of(name, dtype=torch.float32)
    logits.requires_grad_()
    _, divergences = judge(name, logits, batch)
    (gradient,) = torch.autograd.grad(divergences.sum(), logits)
    direction = normal(*logits.shape, seed=9).float()
    step = 1e-2
    ends = [sum(reference(name, logits + sign * step * direction, batch)[2].ravel()) for sign in (1, -1)]
    assert (gradient * direction).sum().item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-2, abs=1e-3)


def test_tokens_without_a_label_have_no_gradient():
    logits, batch = batch_of("tokens")
    logits.requires_grad_()
    losses, divergences = judge("tokens", logits, batch)
    (gradient,) = torch.autograd.grad(evened(losses).sum(), logits, retain_graph=True)
    unlabelled = batch["labels"] == IGNORE_INDEX
    assert not gradient[unlabelled].any() and (gradient[~unlabelled].abs().sum(-1) > 0).all()
    (gradient,) = torch.autograd.grad(divergences.sum(), logits)
    assert not gradient[:, 1:][unlabelled[:, 1:]].any() and gradient[:, 1:].any()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_judged_in_float32(name, dtype):
    logits, batch = batch_of(name, dtype=dtype, scale=20.0)
    for ours, exact in zip(judge(name, logits, batch), judge(name, logits.float(), batch), strict=True):
        for value, expected in zip(ours, exact, strict=True):
            assert value.dtype == torch.float32
            torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_logits_stay_finite(name, dtype):
    logits, batch = batch_of(name)
    logits = (logits.sign() * 3e3).to(dtype)  # whose squares' gradients half precision can hold
    logits.requires_grad_()
    losses, divergences = judge(name, logits, batch)
    total = evened(losses).sum() + divergences.sum()
    (gradient,) = torch.autograd.grad(total, logits)
    assert divergences.max() > 1e3 and losses.totals.max() > 1e3
    assert total.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize("name", HEADS)
def test_absent_variants_leave_the_others_alone_and_have_no_gradient(name):
    logits, batch = batch_of(name)
    losses, divergences = judge(name, logits, batch)
    batch["variant_mask"] = torch.tensor([[True, False, True], [True, True, False]])
    groups = Groups.of(batch)
    rows = logits.flatten(0, 1)[groups.present].requires_grad_()
    found, found_divergences = judge(name, groups.grouped(rows), batch)
    mask = batch["variant_mask"]
    torch.testing.assert_close(found.totals[mask], losses.totals[mask])
    torch.testing.assert_close(found_divergences[mask], divergences[mask])
    assert found.totals.isfinite().all() and found_divergences.isfinite().all()
    absent = found.totals[~mask].sum() + found_divergences[~mask].sum()
    (gradient,) = torch.autograd.grad(absent, rows)
    assert not gradient[groups.present % 3 != 0].any()  # the divergence is from an original that is there
