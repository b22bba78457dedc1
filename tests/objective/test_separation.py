"""The term that separates classes: values, limits and gradients of the function of tensors."""

import math

import pytest
import torch

from hf_mmel.objective.separation import group_separation, separation_losses


def one_at_a_time(features, classes, temperature):
    """The loss of each row from its definition, pair by pair."""
    unit = [row / row.norm() for row in features]
    losses = []
    for r, own in enumerate(classes):
        others = [q for q in range(len(classes)) if q != r]
        same = [p for p in others if classes[p] == own]
        total = sum(torch.exp(unit[r] @ unit[q] / temperature) for q in others)
        terms = [torch.log(torch.exp(unit[r] @ unit[p] / temperature) / total) for p in same]
        losses.append(-sum(terms) / len(terms) if terms else features.sum() * 0)
    return torch.stack(losses)


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(9, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    return features, torch.tensor([0, 1, 0, 0, 2, 1, 0, 1, 3])


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_losses_and_gradients_are_those_of_the_definition(rows, temperature):
    features, classes = rows
    factors = torch.arange(1.0, 10.0, dtype=torch.float64)
    results = []
    for losses in (separation_losses(features, classes, temperature), one_at_a_time(features, classes, temperature)):
        (gradient,) = torch.autograd.grad((factors * losses).sum(), features)
        results.append((losses, gradient))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)
        assert found.dtype == torch.float64 and expected.abs().max() > 0.1


def test_a_row_whose_class_has_no_other_row_adds_nothing(rows):
    features, classes = rows
    losses = separation_losses(features, classes)
    assert (losses[[4, 8]] == 0).all() and (losses[[0, 1, 2, 3, 5, 6, 7]] > 0).all()


def test_length_does_not_count_and_order_neither(rows):
    features, classes = rows
    losses = separation_losses(features, classes)
    torch.testing.assert_close(separation_losses(features * torch.arange(1, 10)[:, None], classes), losses)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(separation_losses(features[order], classes[order]), losses[order])


def test_classes_that_are_apart_have_less_loss_than_mixed_ones():
    corners = torch.eye(2).repeat_interleave(3, dim=0)
    apart, mixed = (separation_losses(corners, torch.tensor(classes)) for classes in ([0] * 3 + [1] * 3, [0, 1] * 3))
    torch.testing.assert_close(apart, torch.full((6,), math.log(2 + 3 * math.exp(-10))))  # two others of the class
    assert (mixed > apart).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(rows, dtype):
    features, classes = rows
    with torch.autocast("cpu", torch.bfloat16):
        losses = separation_losses(features.detach().to(dtype), classes)
    expected = separation_losses(features.detach().to(dtype).float(), classes)
    assert losses.dtype == torch.float32 and losses.equal(expected)


@pytest.mark.parametrize("num_rows", [0, 1])
def test_a_single_row_and_none_have_no_loss(num_rows):
    features = torch.randn(num_rows, 3, requires_grad=True)
    loss = separation_losses(features, torch.zeros(num_rows, dtype=torch.long)).sum()
    loss.backward()
    assert loss == 0 and torch.isfinite(features.grad).all()


def test_an_example_counts_as_much_whatever_the_number_of_its_variants(rows):
    features, _ = rows
    mask = torch.tensor([[True, True, True, False], [True, False, False, True], [True, True, True, True]])
    classes = torch.tensor([0, 1, 0])
    found = group_separation(features, classes, mask, mask.sum(dim=1))
    losses = separation_losses(features, torch.tensor([0] * 3 + [1] * 2 + [0] * 4))
    torch.testing.assert_close(found, losses[:3].mean() + losses[3:5].mean() + losses[5:].mean())


@pytest.mark.parametrize("how", ["weight 0", "without a label"])
def test_an_example_that_does_not_count_changes_nothing(rows, how):
    features, _ = rows
    mask = torch.ones(3, 3, dtype=torch.bool)
    classes, weights = torch.tensor([0, 1, 0]), torch.tensor([0.5, 1.0, 2.0])
    if how == "weight 0":
        weights[1] = 0
    else:
        classes[1] = -100
    found = group_separation(features, classes, mask, mask.sum(dim=1), weights)
    losses = separation_losses(features[[0, 1, 2, 6, 7, 8]], torch.zeros(6, dtype=torch.long))
    torch.testing.assert_close(found, 0.5 * losses[:3].mean() + 2 * losses[3:].mean())
