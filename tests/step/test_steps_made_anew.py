"""A step that counted on finite losses, and was wrong, is made again: as one that looked after each forward pass."""

import pytest
import torch
from conftest import WORDS, make_model
from pairwise import pairwise
from trainer_runs import WAYS

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer
from hf_mmel.data.groups import VARIANT_MASK
from hf_mmel.step.group_step import GroupStep


@pytest.fixture
def steps(tokenizer, dataset, arguments, monkeypatch):
    """
    The gradient after steps with dropout on batches of which some have a variant that is not finite:
    `steps(poisoned, looks, **fields)`. With `looks` each forward pass is looked at. `steps.passes` counts them.
    """
    plan_and_run = GroupStep._plan_and_run

    def looking(self, *args, **options):
        return plan_and_run(self, *args, **{**options, "is_careful": True})

    def run(poisoned, looks=False, only_in_training=False, **fields):
        monkeypatch.setattr(GroupStep, "_plan_and_run", looking if looks else plan_and_run)
        model, poison = make_model(tokenizer, dropout=0.1, num_labels=2).train(), tokenizer.unk_token_id
        model.get_input_embeddings().register_forward_hook(
            lambda module, args, embedded: (
                embedded.masked_fill((args[0] == poison)[..., None], torch.nan)
                if module.training or not only_in_training
                else embedded
            )
        )
        run.passes = 0

        def count(*args):
            run.passes += 1

        model.register_forward_pre_hook(count)
        trainer = MMELTrainer(
            model,
            arguments(num_variants=2, lambda_p=0.1, scoring_bf16=False, loss_check=False, **fields),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=1.0),
        )
        collator = trainer.build_group_collator()
        torch.manual_seed(0)
        for number, is_poisoned in enumerate(poisoned):
            batch = collator([dataset[(6 * number + i) % len(dataset)] for i in range(6)])
            if is_poisoned:
                example, variant = batch[VARIANT_MASK].nonzero()[-1]
                batch["input_ids"][example, variant, 1] = poison
            trainer.training_step(model, batch, 6)
        run.scores = trainer._scores.values[:6]
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    return run


@pairwise(mmel_loss=["hard", "soft"], way=list(WAYS), poisoned=[(True,), (False, True), (True, False)])
def test_it_has_the_gradient_of_a_step_that_looked(steps, mmel_loss, way, poisoned):
    """In dropout and draws as well, and added to the gradients of an earlier batch."""
    found = steps(poisoned, mmel_loss=mmel_loss, **WAYS[way])
    passes = steps.passes
    assert torch.equal(found, steps(poisoned, looks=True, mmel_loss=mmel_loss, **WAYS[way]))
    assert found.isfinite().all() and found.any() and passes >= steps.passes


@pytest.mark.parametrize("way", WAYS)
def test_a_step_on_finite_losses_makes_no_more_passes(steps, way):
    found = steps([False], mmel_loss="hard", **WAYS[way])
    passes = steps.passes
    assert torch.equal(found, steps([False], looks=True, mmel_loss="hard", **WAYS[way])) and passes == steps.passes


@pytest.mark.parametrize("stays_on_device", [False, True])
def test_a_variant_that_is_not_finite_in_training_keeps_the_score_that_is_known(steps, stays_on_device, monkeypatch):
    monkeypatch.setattr("hf_mmel.step.strategies.is_on_host", lambda tensor: not stays_on_device)
    fields = {"variant_backward": "top", "variant_backward_count": 3, "score_interval": 2, "mmel_loss": "hard"}
    assert steps([True], only_in_training=True, **fields).isfinite().all() and steps.scores.isfinite().all()
