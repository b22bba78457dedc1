"""Copies that are meant to be trained on: the divergence of two readings of one text, which dropout makes differ."""

import pytest
import torch
import torch.nn.functional as F
from conftest import WORDS
from datasets import Dataset
from task_heads import TASK_HEADS
from trainer_runs import WAYS, same_gradient

from augment import LexiconSubstitution, SameText
from hf_mmel import MMELTrainer
from hf_mmel.functional import divergence, mmel_soft_loss, per_variant_loss


NUM_VARIANTS, KIND = 2, "single_label_classification"


@pytest.fixture(params=TASK_HEADS.values(), ids=TASK_HEADS)
def head(request):
    return request.param


@pytest.fixture
def step(arguments, tokenizer):
    """
    Loss and gradient of one batch: `step(head, augmenter, **fields)`. `rows` has the number of rows of each forward
    pass with a gradient, and `logits` the last logits.
    """

    def run(head, augmenter, dropout=0.0, strength=1.0, **fields):
        fields = {"num_variants": NUM_VARIANTS, "mmel_loss": "soft", "loss_check": False, **fields}
        rows, model = head.rows(tokenizer)[:6], head.model(tokenizer, dropout)
        trainer = MMELTrainer(
            model,
            arguments(**fields),
            data_collator=head.collator(tokenizer),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            augmenter=augmenter,
        )
        for weight in model.parameters():
            weight.data.mul_(strength if weight.dim() > 1 else 1.0)
        run.batch, run.rows = trainer.build_group_collator()(rows), []

        def count(module, args, kwargs, outputs):
            if torch.is_grad_enabled():
                run.rows.append(len(kwargs["input_ids"]))
                run.logits = outputs.get("logits")

        model.register_forward_hook(count, with_kwargs=True)
        torch.manual_seed(0)
        loss = trainer.training_step(model.train(), run.batch).item()
        return loss, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    return run


@pytest.mark.parametrize("way", WAYS)
def test_all_copies_that_a_way_trains_on_are_computed(step, head, tokenizer, way):
    step(head, SameText(tokenizer), dropout=0.1, **WAYS[way])
    trained = WAYS[way].get("variant_backward_count", 1) if "variant_backward" in WAYS[way] else NUM_VARIANTS
    least = 6 * (1 + (1 if "variant_backward" in WAYS[way] else NUM_VARIANTS))
    assert step.batch["variant_mask"].all() and least <= sum(step.rows) <= 6 * (1 + trained)


@pytest.mark.parametrize("way", WAYS)
def test_without_dropout_copies_change_nothing(step, head, tokenizer, way):
    without = LexiconSubstitution(tokenizer, {"unheard": ["of"]})  # whose copies are left out
    expected, gradient = step(head, without, **WAYS[way])
    assert not step.batch["variant_mask"][:, 1:].any()
    loss, found = step(head, SameText(tokenizer), **WAYS[way])
    assert loss == pytest.approx(expected, rel=1e-4) and same_gradient(found, gradient)


def test_the_loss_is_that_of_two_readings(step, tokenizer):
    loss, _ = step(TASK_HEADS["single_label"], SameText(tokenizer), 0.3, strength=10.0, num_variants=1, lambda_t=0.7)
    original, copy = step.logits.view(6, 2, -1).unbind(dim=1)
    one_way, other_way = divergence(copy, original, KIND).mean(), divergence(original, copy, KIND).mean()
    assert one_way > 0.01 and (one_way - other_way).abs() > 0.01 * one_way
    losses = F.cross_entropy(original, step.batch["labels"], reduction="none")
    expected = losses.mean() + 0.7 * one_way
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_copies_stand_in_only_for_variants_that_were_not_found(step, tokenizer):
    lexicon = LexiconSubstitution(tokenizer, WORDS)
    for augmenter in (lexicon, SameText(tokenizer, lexicon)):
        step(TASK_HEADS["single_label"], augmenter, dropout=0.1)
        mask, ids = step.batch["variant_mask"], step.batch["input_ids"]
        has_variants = (ids[:, 1:] != ids[:, :1]).any(2).any(1)
        assert 0 < has_variants.sum() < 6
        expected = torch.cat([torch.ones(6, 1).bool(), (ids[:, 1:] != ids[:, :1]).any(2)], dim=1)
        if augmenter is not lexicon:
            expected |= ~has_variants[:, None]
        assert torch.equal(mask, expected) and sum(step.rows) == expected.sum()


def test_r_drop_is_the_mean_over_both_orders_of_the_readings():
    """With λ_T = α / 2 and a gradient through the soft label; the order is random, so their expectations are equal."""
    torch.manual_seed(0)
    one, two = torch.randn(2, 8, 3).requires_grad_()
    labels, alpha = torch.randint(3, (8,)), 1.7

    def mmel_s(original, copy):
        losses, divergences = per_variant_loss(original, labels, KIND), divergence(copy, original, KIND)
        return mmel_soft_loss(losses, divergences[:, None], lambda_p=1.0, lambda_t=alpha / 2).mean()

    def r_drop():  # equations 1 to 4 of the paper
        p, q = one.log_softmax(-1), two.log_softmax(-1)
        both = F.kl_div(q, p, log_target=True, reduction="batchmean") + F.kl_div(
            p, q, log_target=True, reduction="batchmean"
        )
        return F.nll_loss(p, labels) + F.nll_loss(q, labels) + alpha * both / 2

    found, expected = mmel_s(one, two) + mmel_s(two, one), r_drop()
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(*(torch.autograd.grad(x, (one, two)) for x in (found, expected)), strict=True):
        torch.testing.assert_close(ours, theirs)
