"""The forward passes that score variants: how many there are, and what they leave behind."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from conftest import WORDS, make_model
from trainer_runs import WAYS, same_gradient

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer
from hf_mmel.data.groups import Groups, trimmed
from hf_mmel.step.micro_batches import fastest_micro_batches


# What a pass of a GPU costs, in tokens: 22 ms by docs/performance.md, at 1.3 ms for 1,000 tokens.
LAUNCH = 22 / 1.3 * 1000


def cost(passes, lengths):
    return sum(part.sum() * lengths[part.any(axis=1)].max() + LAUNCH for part in passes)


def test_on_a_gpu_short_texts_are_one_pass_whatever_their_lengths():
    random = np.random.default_rng(0)
    for _ in range(20):
        lengths = random.integers(8, 129, 32)
        assert len(fastest_micro_batches(np.ones((32, 9), dtype=bool), lengths, "cuda")) == 1


def test_on_a_gpu_a_batch_is_cut_if_its_padding_costs_more_than_a_pass():
    """By what was measured, which the constant rounds."""
    random = np.random.default_rng(0)
    for _ in range(20):
        lengths = (16 + 496 * random.random(32) ** 6).astype(int)
        used = np.ones((32, 17), dtype=bool)
        passes = fastest_micro_batches(used, lengths, "cuda")
        assert len(passes) > 1 and (sum(passes) == 1).all()
        assert cost(passes, lengths) < cost([used], lengths)


def test_rows_of_a_pass_are_limited_on_a_gpu_too():
    parts = fastest_micro_batches(np.ones((8, 5), dtype=bool), np.full(8, 20), "cuda", max_rows=16)
    assert sorted(part.sum() for part in parts) == [10, 15, 15]


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("way", WAYS)
def test_what_a_model_keeps_of_a_pass_that_scores_serves_the_pass_that_is_trained_on(
    arguments, tokenizer, dataset, mmel_loss, way
):
    """As some models keep the positions of each length: a gradient needs them, although no gradient is theirs."""

    def factors(length):
        return torch.linspace(0.5, 1.5, length)[:, None]

    gradients = []
    for make in (factors, lru_cache(factors)):
        model = make_model(tokenizer, num_labels=2, dropout=0.0).train()
        model.bert.embeddings.register_forward_hook(
            lambda module, args, embedded, make=make: embedded * make(embedded.shape[1])
        )
        trainer = MMELTrainer(
            model,
            arguments(mmel_loss=mmel_loss, num_variants=4, lambda_p=0.05, loss_check=False, **WAYS[way]),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5),
        )
        batch = next(iter(trainer.get_train_dataloader()))
        torch.manual_seed(0)
        trainer.current_gradient_accumulation_steps = 1
        trainer.training_step(model, batch)
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert same_gradient(*gradients)


@pytest.mark.parametrize("is_whole", [True, False])
def test_rows_whose_padding_is_cut_are_contiguous(is_whole):
    """A compiled model is compiled anew for other strides."""
    present = torch.ones(2, 3, dtype=torch.bool)
    present[1, 2] = is_whole
    mask = torch.ones(2, 3, 8, dtype=torch.long)
    mask[..., 5:] = 0
    batch = {"input_ids": mask + 4, "attention_mask": mask, "labels": torch.zeros(2).long(), "variant_mask": present}
    rows = Groups.of(trimmed(batch)).rows
    assert all(x.is_contiguous() and x.shape == (5 + is_whole, 5) for x in rows.values())
