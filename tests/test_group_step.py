"""Training on some of the variants, and in several passes: the gradients are those of the whole objective."""

import pytest
import torch
from conftest import WORDS
from datasets import Dataset
from task_heads import TASK_HEADS

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer
from hf_mmel.groups import in_passes, trimmed
from hf_mmel.objective import select


METHODS = ["hard", "soft", "uniform"]


@pytest.fixture(params=TASK_HEADS.values(), ids=TASK_HEADS)
def head(request):
    return request.param


@pytest.fixture
def step(arguments, tokenizer):
    """
    Loss and gradient of one batch of a head: `step(head, **fields)`. `passes` has the rows of each forward pass with a
    graph, and of each without.
    """

    def run(head, dropout=0.0, size=6, strength=1.0, **fields):
        rows = head.rows(tokenizer)[:size]
        trainer = MMELTrainer(
            head.model(tokenizer, dropout),
            arguments(num_variants=4, lambda_p=fields.pop("lambda_p", 0.05), **fields),
            data_collator=head.collator(tokenizer),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5),
        )
        trainer.data_collator = head.collator(tokenizer)
        batch = trainer._build_variant_collator()(rows)
        with torch.no_grad():
            for weight in trainer.model.parameters():
                weight.mul_(strength if weight.dim() > 1 else 1.0)
        model, run.passes = trainer.model.train(), {True: [], False: []}

        def count(module, args, kwargs):
            run.passes[torch.is_grad_enabled()].append(len(kwargs["input_ids"]))

        model.register_forward_pre_hook(count, with_kwargs=True)
        torch.manual_seed(fields.get("seed", 0))
        loss = trainer.compute_loss(model, batch)
        loss.backward()
        run.batch, run.trainer = batch, trainer
        return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    return run


@pytest.mark.parametrize("mmel_loss", METHODS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_passes_have_the_gradient_of_the_whole(step, head, mmel_loss, size):
    """Of one variant per example, groups are cut; of five, each pass has groups as a whole."""
    loss, gradient = step(head, mmel_loss=mmel_loss)
    (rows,), _ = step.passes[True], step.passes[False]
    parts_loss, parts = step(head, mmel_loss=mmel_loss, variant_chunk_size=size, size=6, scoring_bf16=False)
    assert max(step.passes[True]) <= 6 * size and sum(step.passes[True]) >= rows
    assert gradient.norm() > 0 and torch.allclose(gradient, parts, atol=1e-6, rtol=1e-4)
    assert loss == pytest.approx(parts_loss, abs=1e-6)


@pytest.mark.parametrize("mmel_loss", METHODS)
def test_a_group_too_large_for_a_pass_is_cut(step, head, mmel_loss):
    whole = step(head, size=1, mmel_loss=mmel_loss)
    parts = step(head, size=1, mmel_loss=mmel_loss, variant_chunk_size=2, scoring_bf16=False)
    assert len(step.passes[True]) == 3 and max(step.passes[True]) == 2  # five variants
    assert torch.allclose(whole[1], parts[1], atol=1e-6, rtol=1e-4) and whole[0] == pytest.approx(parts[0], abs=1e-6)


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_the_worst_variant_alone_is_the_whole_at_lambda_p_0(step, head, mmel_loss):
    loss, gradient = step(head, mmel_loss=mmel_loss, lambda_p=0.0)
    rows = sum(step.passes[True])
    top_loss, top = step(
        head, mmel_loss=mmel_loss, lambda_p=0.0, variant_backward="top", variant_backward_count=1, scoring_bf16=False
    )
    assert sum(step.passes[False]) == rows and sum(step.passes[True]) <= (6 if mmel_loss == "hard" else 12) < rows
    assert gradient.norm() > 0 and torch.allclose(gradient, top, atol=1e-6, rtol=1e-4)
    assert loss == pytest.approx(top_loss, abs=1e-6)


@pytest.mark.parametrize("mmel_loss", METHODS)
def test_the_mean_over_draws_is_the_gradient_of_the_whole(step, mmel_loss):
    head, fields = TASK_HEADS["single_label"], {"mmel_loss": mmel_loss, "lambda_p": 1.0, "size": 3, "strength": 6.0}
    _, gradient = step(head, **fields)
    options = {"variant_backward": "sample", "variant_backward_count": 1, "scoring_bf16": False}
    draws = torch.stack([step(head, seed=seed, **fields, **options)[1] for seed in range(150)])
    error = (draws.mean(dim=0) - gradient).norm()
    spread = (draws - gradient).norm(dim=1).square().mean().sqrt()
    assert spread > 0.05 * gradient.norm()  # the draws differ
    assert error < 3 * spread / len(draws) ** 0.5


def test_draws_have_the_weights_as_their_mean():
    weights = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    torch.manual_seed(0)
    for count in (1, 2):
        mean = torch.stack([select(weights, "sample", count) for _ in range(4000)]).mean(dim=0)
        assert torch.allclose(mean, weights, atol=0.03) and (mean[1] == 0).all()


def test_the_largest_weights_are_scaled_to_their_sum():
    weights = torch.tensor([[0.5, 0.1, 0.3, 0.1], [0.0, 0.0, 0.0, 0.0]])
    assert torch.allclose(select(weights, "top", 2), torch.tensor([[0.625, 0.0, 0.375, 0.0], [0.0] * 4]))
    assert torch.equal(select(weights, "top", 4), weights) and torch.equal(select(weights, "full", 1), weights)


@pytest.mark.parametrize("scoring_dropout", [False, True])
def test_scoring_leaves_the_random_state_and_the_mode_of_the_model(step, scoring_dropout):
    head = TASK_HEADS["single_label"]
    fields = {"mmel_loss": "hard", "lambda_p": 0.0, "dropout": 0.1, "variant_backward": "top"}
    step(head, scoring_dropout=scoring_dropout, scoring_bf16=False, **fields)
    model, batch, trainer = step.trainer.model, step.batch, step.trainer
    assert all(module.training for module in model.modules())
    seen: list[torch.Tensor] = []
    model.dropout.register_forward_hook(lambda module, args, out: seen.append(torch.get_rng_state()))
    torch.manual_seed(1)
    trainer.compute_loss(model, batch)
    scoring, training = seen
    assert torch.equal(scoring, training) == (scoring_dropout and step.passes[True][-1] == step.passes[False][-1])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(scoring, before) != scoring_dropout


@pytest.mark.parametrize("mmel_loss", METHODS)
@pytest.mark.parametrize("fields", [{"variant_backward": "sample"}, {"variant_chunk_size": 1}])
def test_a_batch_without_any_label_has_no_gradient(step, mmel_loss, fields):
    """But it has one to add, of zeros: other processes wait for it."""
    step(TASK_HEADS["single_label"], mmel_loss=mmel_loss, lambda_p=1.0, **fields)
    model, batch = step.trainer.model, {**step.batch, "labels": torch.full_like(step.batch["labels"], -100)}
    model.zero_grad()
    loss = step.trainer.compute_loss(model, batch)
    loss.backward()
    assert loss == 0 and all((p.grad == 0).all() for p in model.parameters())


def test_padding_at_the_end_of_all_variants_is_cut_off(step):
    step(TASK_HEADS["tokens"], mmel_loss="soft")
    batch = {**step.batch, "variant_mask": step.batch["variant_mask"].clone()}
    lengths = batch["attention_mask"].sum(dim=-1)
    short = lengths.amax(dim=1) < lengths.max()
    part = {name: tensor[short] for name, tensor in batch.items()}
    cut = trimmed(part)
    assert cut["input_ids"].shape[-1] == lengths[short][part["variant_mask"]].max() < batch["input_ids"].shape[-1]
    assert {name for name in cut if cut[name].shape[-1] != part[name].shape[-1]} == set(part) - {"variant_mask"}


def test_passes_hold_every_variant_once():
    torch.manual_seed(0)
    used = torch.rand(7, 5) < 0.7
    mask = (torch.arange(9) < torch.randint(1, 9, (7, 5, 1))).long()
    for most in (1, 2, 3, 5, 8, 40, None):
        passes = in_passes({"attention_mask": mask}, used, most)
        assert torch.equal(torch.stack(passes).sum(dim=0), used.long())
        assert all(0 < part.sum() <= (most or 35) for part in passes)


def test_a_group_is_cut_into_passes_of_like_size():
    """Memory is that of the largest."""
    used = torch.ones(1, 33, dtype=torch.bool)
    assert [int(part.sum()) for part in in_passes({}, used, 16)] == [11, 11, 11]
