"""What each head makes of a batch: losses and divergences by the equations, items, refusals."""

import numpy as np
import pytest
import torch
from head_batches import CLASSES, FEATURES, HEADS, TOKENS, batch_of, evened, judge, reference
from hypothesis import given, settings
from hypothesis import strategies as st
from task_heads import TASK_HEADS
from transformers.trainer_pt_utils import LabelSmoother

from hf_mmel.data.groups import IGNORE_INDEX, POSITIONS, Groups, num_items
from hf_mmel.objective.heads import Head


# --- values ----------------------------------------------------------------


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), smoothing=st.sampled_from([0.0, 0.2]), weighted=st.booleans())
@pytest.mark.parametrize("name", HEADS)
def test_losses_and_divergences_equal_the_equations(name, seed, smoothing, weighted):
    if name in ("regression", "answers"):
        smoothing = 0.0
    class_weights = [0.5, 2.0, 0.0] if weighted and name in ("single_label", "tokens") else None
    logits, batch = batch_of(name, seed)
    tensor = None if class_weights is None else torch.tensor(class_weights)
    losses, divergences = judge(name, logits, batch, smoothing, tensor)
    if name == "multi_label":
        smoothing = 0.0  # off, as in `Trainer`
    totals, sizes, expected = reference(name, logits, batch, smoothing, class_weights)
    np.testing.assert_allclose(losses.totals, totals, atol=1e-9)
    np.testing.assert_allclose(losses.sizes, sizes, atol=1e-12)
    np.testing.assert_allclose(losses.mean(), np.divide(totals, sizes, out=0 * totals, where=sizes > 0), atol=1e-9)
    np.testing.assert_allclose(divergences, expected, atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_the_loss_of_a_batch_is_that_of_the_model_of_transformers(name, tokenizer):
    head = TASK_HEADS[name]
    model = head.model(tokenizer).double().eval()
    batch = head.collator(tokenizer)(head.rows(tokenizer))
    batch = {name: x.double() if x.is_floating_point() else x for name, x in batch.items()}
    if name == "tokens":
        assert (batch["labels"] == IGNORE_INDEX).any() and not batch["attention_mask"].all()
    outputs = model(**batch)
    # Three variants, all of them the original: what is averaged is the same three times.
    per_example = ("labels",) if batch.get("labels", torch.zeros(0)).shape != batch["input_ids"].shape else ()
    groups = {k: x if k in per_example else torch.stack([x] * 3, dim=1) for k, x in batch.items()}
    mask = torch.ones(len(batch["input_ids"]), 3, dtype=torch.bool)
    groups = Groups.of({**groups, "variant_mask": mask})
    judge = Head.of(groups, model.config.problem_type)
    logits = judge.logits(outputs, len(mask), "a model")
    losses = judge.losses(torch.stack([logits] * 3, dim=1), groups)
    assert losses.totals.shape == mask.shape
    for v in range(3):
        torch.testing.assert_close(losses.totals[:, v].sum() / losses.sizes[:, v].sum(), outputs.loss.double())
    gradients = [
        torch.autograd.grad(loss, model.base_model.parameters(), retain_graph=True, allow_unused=True)
        for loss in (losses.totals[:, 0].sum() / losses.sizes[:, 0].sum(), outputs.loss)
    ]
    assert sum(g.abs().sum() for g in gradients[0] if g is not None) > 0
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours is None) == (theirs is None) and (ours is None or torch.allclose(ours, theirs, atol=1e-10))


@pytest.mark.parametrize("name", ["single_label", "choices", "tokens"])
def test_label_smoothing_is_that_of_transformers(name):
    logits, batch = batch_of(name)
    losses, _ = judge(name, logits, batch, 0.3)
    plain, _ = judge(name, logits, batch)
    labels = batch["labels"] if name == "tokens" else batch["labels"][:, None].expand(logits.shape[:2])
    theirs = LabelSmoother(0.3)({"logits": logits.flatten(0, -2)}, labels.flatten())
    torch.testing.assert_close(losses.totals.sum() / losses.sizes.sum(), theirs)
    assert not torch.allclose(losses.totals, plain.totals, atol=1e-3)


# --- what min_label_probability goes by ---------------------------------------


def right_on(name, logits, batch, b, v) -> bool:
    """Whether more than half of the predictions on a variant are right."""
    if name == "answers":
        labels = [batch[position][b, v] for position in POSITIONS]
        right = [logits[b, v, :, i].argmax() == label for i, label in enumerate(labels)]
    elif name == "tokens":
        labels = batch["labels"][b, v]
        right = [logits[b, v, i].argmax() == y for i, y in enumerate(labels) if y != IGNORE_INDEX]
    elif name == "multi_label":
        right = [(x > 0) == (y == 1) for x, y in zip(logits[b, v], batch["labels"][b], strict=True)]
    else:
        right = [logits[b, v].argmax() == batch["labels"][b]]
    return 2 * sum(right) > len(right)


@pytest.mark.parametrize("name", [name for name in HEADS if name != "regression"])
def test_probabilities_of_labels_are_not_smoothed_and_the_largest_is_right(name):
    outcomes = set()
    for seed in range(5):
        logits, batch = batch_of(name, seed)
        groups = Groups.of(batch)
        classes = name in ("single_label", "tokens")
        head = Head.of(groups, None, *((0.4, torch.tensor([0.5, 2.0, 0.0])) if classes else ()))
        totals, sizes, _ = reference(name, logits, batch)
        means = np.divide(totals, sizes, out=0 * totals, where=sizes > 0)
        np.testing.assert_allclose(head.label_probabilities(logits, groups), np.exp(-means), atol=1e-9)
        right = head.are_right(logits, groups)
        assert right.tolist() == [[right_on(name, logits, batch, b, v) for v in range(3)] for b in range(2)]
        outcomes |= set(right.flatten().tolist())
    assert outcomes == {True, False}


# --- items -----------------------------------------------------------------


def test_a_variant_that_lost_words_counts_as_much_as_its_original():
    logits, batch = batch_of("tokens", seed=3)
    losses, _ = judge("tokens", logits, batch)
    kept = losses.sizes > 0
    assert (losses.sizes[:, 1:] < losses.sizes[:, :1]).any() and kept.all()
    torch.testing.assert_close(evened(losses) / losses.sizes[:, :1], losses.totals / losses.sizes)
    torch.testing.assert_close(evened(losses)[:, 0], losses.totals[:, 0])
    batch["labels"][:, 1] = IGNORE_INDEX
    without, _ = judge("tokens", logits, batch)
    assert (evened(without)[:, 1] == 0).all() and (without.mean()[:, 1] == 0).all()


@pytest.mark.parametrize("name", ["single_label", "tokens"])
def test_class_weights_multiply_each_item(name):
    logits, batch = batch_of(name)
    factors = [0.25, 1.0, 4.0]
    plain, _ = judge(name, logits, batch)
    weighted, _ = judge(name, logits, batch, class_weights=torch.tensor(factors))
    for c in range(3):
        labels = batch["labels"]
        only = {**batch, "labels": labels.masked_fill(labels != c, IGNORE_INDEX)}
        of_class, _ = judge(name, logits, only)
        of_class_weighted, _ = judge(name, logits, only, class_weights=torch.tensor(factors))
        torch.testing.assert_close(of_class_weighted.totals, factors[c] * of_class.totals)
        torch.testing.assert_close(of_class_weighted.sizes, factors[c] * of_class.sizes)
    assert not torch.allclose(weighted.totals, plain.totals)
    ones, _ = judge(name, logits, batch, class_weights=torch.ones(3))
    torch.testing.assert_close(ones, plain)


def test_class_weights_leave_the_losses_within_a_group_of_texts_alone():
    logits, batch = batch_of("single_label")
    plain, divergences = judge("single_label", logits, batch)
    weighted, same = judge("single_label", logits, batch, class_weights=torch.tensor([0.25, 1.0, 4.0]))
    torch.testing.assert_close(weighted.mean(), plain.mean())
    assert torch.equal(divergences, same)


def test_a_class_with_weight_zero_and_an_ignored_label_have_neither_loss_nor_size():
    logits, batch = batch_of("single_label")
    batch["labels"] = torch.tensor([1, IGNORE_INDEX])
    logits.requires_grad_()
    losses, _ = judge("single_label", logits, batch, class_weights=torch.tensor([1.0, 0.0, 1.0]))
    assert not losses.totals.any() and not losses.sizes.any() and not losses.mean().any()
    evened(losses).sum().backward()
    assert not logits.grad.any()


# --- input that cannot be right --------------------------------------------


@pytest.mark.parametrize("name", HEADS)
def test_options_without_a_use_are_refused(name):
    logits, batch = batch_of(name)
    if name not in ("single_label", "tokens"):
        with pytest.raises(ValueError, match="class_weights are"):
            judge(name, logits, batch, class_weights=torch.ones(CLASSES[name]))
    if name in ("regression", "answers"):
        with pytest.raises(ValueError, match=r"label_smoothing .*0\.1"):
            judge(name, logits, batch, smoothing=0.1)


@pytest.mark.parametrize("name", HEADS)
def test_logits_of_another_head_are_refused_by_their_shape(name):
    logits, batch = batch_of(name)
    head = Head.of(Groups.of(batch))
    size, num_variants, length = FEATURES
    rows = size * num_variants
    wrong = torch.zeros(rows, 3) if name == "tokens" else torch.zeros(rows, length, 3)
    outputs = {"start_logits": wrong, "end_logits": wrong} if name == "answers" else {"logits": wrong}
    for form in (outputs, tuple(outputs.values())):
        with pytest.raises(ValueError, match=r"TinyModel gave logits of shape \(6, .* for N = 6 variants; expected"):
            head.logits(form, rows, "TinyModel")
    good = logits.flatten(0, 1)
    parts = {"start_logits": good[..., 0], "end_logits": good[..., 1]} if name == "answers" else {"logits": good}
    for form in (parts, tuple(parts.values())):
        assert torch.equal(head.logits(form, rows, "TinyModel"), good)
        with pytest.raises(ValueError, match="for N = 7 variants"):
            head.logits(form, rows + 1, "TinyModel")


def test_a_batch_with_answers_needs_a_model_that_looks_for_them():
    _, batch = batch_of("answers")
    with pytest.raises(ValueError, match="TinyModel gave logits, hidden for a batch with start_positions and end_pos"):
        Head.of(Groups.of(batch)).logits({"logits": 0, "hidden": 0}, 6, "TinyModel")


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_are_not_compared_without_an_alignment(name):
    logits, batch = batch_of(name)
    del batch["alignment"]
    with pytest.raises(ValueError, match="has no alignment"):
        judge(name, logits, batch)
    groups = Groups.of(batch)
    assert Head.of(groups).losses(logits, groups).totals.shape == FEATURES[:2]  # its losses need none


@pytest.mark.parametrize("name", HEADS)
def test_a_mean_over_items_is_a_mean_over_what_the_batch_counts(name):
    """The sizes of the originals add up to the number of items that an update is divided by."""
    logits, batch = batch_of(name)
    losses, _ = judge(name, logits, batch)
    assert losses.sizes[:, 0].sum() == num_items(batch)
