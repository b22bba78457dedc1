"""Training on some of the variants, and in several passes: the gradients are those of the whole objective."""

import weakref
from itertools import product

import pytest
import torch
from conftest import WORDS, make_model
from datasets import Dataset
from pairwise import pairwise
from task_heads import TASK_HEADS
from trainer_runs import ROUNDING, RecordGradients, same_gradient

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer
from hf_mmel.data.groups import VARIANT_MASK, layout_of, trimmed
from hf_mmel.objective.weighting import VariantLosses, select
from hf_mmel.step import micro_batches
from hf_mmel.step.micro_batches import fastest_micro_batches, fewest_micro_batches


METHODS = ["hard", "soft", "uniform"]


@pytest.fixture(params=TASK_HEADS.values(), ids=TASK_HEADS)
def head(request):
    return request.param


@pytest.fixture
def step(arguments, tokenizer):
    """
    Loss and gradient of one batch of a head: `step(head, **fields)`. `passes` has the rows of each forward pass with a
    graph, and of each without, `figures` the losses and weights that are logged.
    """

    def run(head, dropout=0.0, size=6, strength=1.0, **fields):
        rows = head.rows(tokenizer)[:size]
        trainer = MMELTrainer(
            head.model(tokenizer, dropout),
            arguments(num_variants=4, lambda_p=fields.pop("lambda_p", 0.05), loss_check=False, **fields),
            data_collator=head.collator(tokenizer),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5),
        )
        trainer.data_collator = head.collator(tokenizer)
        batch = trainer.build_group_collator()(rows)
        with torch.no_grad():
            for weight in trainer.model.parameters():
                weight.mul_(strength if weight.dim() > 1 else 1.0)
        model, run.passes, run.figures = trainer.model.train(), {True: [], False: []}, None

        def kept(losses, mask, weights, *args):
            run.figures = torch.stack([losses.masked_fill(~mask, 0), weights])

        trainer._metrics.add = kept

        def count(module, args, kwargs):
            run.passes[torch.is_grad_enabled()].append(len(kwargs["input_ids"]))

        model.register_forward_pre_hook(count, with_kwargs=True)
        torch.manual_seed(fields.get("seed", 0))
        loss = trainer.training_step(model, batch)
        run.batch, run.trainer = batch, trainer
        return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    return run


@pytest.fixture
def quick_passes_cost_nothing(monkeypatch):
    """The quickest passes are those without any padding, also of tiny texts."""
    monkeypatch.setattr(micro_batches, "_TOKENS_PER_PASS", {"cpu": 0})


# Examples, chunk size, and whether groups are cut.
SIZES = {
    "6-1": (6, 1, False),
    "6-2": (6, 2, False),
    "6-all": (6, None, False),
    "3-1": (3, 1, True),
    "1-2": (1, 2, True),
}


@pairwise(fixtures=["head"], head=TASK_HEADS, mmel_loss=METHODS, sizes=SIZES)
def test_passes_have_loss_gradient_and_figures_of_the_whole(step, head, mmel_loss, sizes, quick_passes_cost_nothing):
    """Where a pass has fewer rows than a group, that is five, groups are scored first and cut."""
    size, chunk, cut = sizes
    loss, gradient = step(head, mmel_loss=mmel_loss, size=size, variant_chunk_size=5)
    whole, (rows,) = step.figures, step.passes[True]
    parts_loss, parts = step(head, mmel_loss=mmel_loss, size=size, variant_chunk_size=chunk, scoring_bf16=False)
    assert max(step.passes[True]) <= size * (chunk or 5) and sum(step.passes[True]) == rows
    assert len(step.passes[True]) > 1 or head is TASK_HEADS["answers"]  # whose padding stays
    assert sum(step.passes[False]) == (rows if cut else 0)
    assert same_gradient(parts, gradient)
    assert loss == pytest.approx(parts_loss, rel=ROUNDING)
    assert torch.allclose(whole, step.figures, atol=1e-5)


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_groups_that_are_cut_are_weighed_as_whole_ones_where_lambda_p_is_solved(step, head, mmel_loss):
    fields = {"mmel_loss": mmel_loss, "lambda_p": 1.0, "effective_num_variants": 1.7, "strength": 6.0, "size": 3}
    loss, gradient = step(head, variant_chunk_size=5, **fields)
    whole = step.figures
    parts_loss, parts = step(head, variant_chunk_size=1, scoring_bf16=False, **fields)
    assert step.passes[False] and len(step.passes[True]) > 3
    assert same_gradient(parts, gradient) and loss == pytest.approx(parts_loss, rel=ROUNDING)
    assert torch.allclose(whole, step.figures, atol=1e-3)


@pytest.mark.parametrize("how", ["full", "top"])
def test_a_loss_that_a_subclass_changes_has_its_whole_gradient(
    arguments, tokenizer, step, how, quick_passes_cost_nothing
):
    class Doubled(MMELTrainer):
        def compute_loss(self, *args, **kwargs):
            return 2 * super().compute_loss(*args, **kwargs)

    step(TASK_HEADS["single_label"], mmel_loss="hard", variant_backward=how)
    once = torch.cat([p.grad.flatten() for p in step.trainer.model.parameters() if p.grad is not None])
    assert len(step.passes[True]) > 1
    model = TASK_HEADS["single_label"].model(tokenizer, 0.0)
    trainer = Doubled(model, step.trainer.args)
    trainer.training_step(model, step.batch)
    twice = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert same_gradient(twice, 2 * once)


def test_to_compute_a_loss_leaves_gradients_as_they_are(step, quick_passes_cost_nothing):
    step(TASK_HEADS["single_label"], mmel_loss="hard")
    trainer, model = step.trainer, step.trainer.model
    gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
    model.zero_grad()
    loss = trainer.compute_loss(model, step.batch)
    assert all(p.grad is None for p in model.parameters())
    loss.backward()
    assert same_gradient(torch.cat([p.grad.flatten() for p in model.parameters()]), gradient)


def test_a_soft_label_with_a_gradient_is_in_one_pass(step):
    fields = {"mmel_loss": "soft", "soft_label_gradient": True, "scoring_bf16": False}
    whole, parts = (step(TASK_HEADS["tokens"], variant_chunk_size=chunk, **fields)[1] for chunk in (None, 1))
    assert same_gradient(parts, whole)
    _, whole = step(TASK_HEADS["tokens"], size=1, **fields)
    _, part = step(TASK_HEADS["tokens"], size=1, variant_chunk_size=2, **fields)
    assert step.passes[True] == [5] and same_gradient(part, whole)  # more rows than 2


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_the_worst_variant_alone_is_the_whole_at_lambda_p_0(step, head, mmel_loss):
    """Of a model that tells variants apart: those of one hardly trained are as bad as each other but for rounding."""
    fields = {"mmel_loss": mmel_loss, "lambda_p": 0.0, "strength": 6.0}
    loss, gradient = step(head, **fields)
    rows = sum(step.passes[True])
    top_loss, top = step(head, **fields, variant_backward="top", variant_backward_count=1, scoring_bf16=False)
    assert sum(step.passes[False]) == rows and sum(step.passes[True]) <= (6 if mmel_loss == "hard" else 12) < rows
    assert same_gradient(top, gradient)
    assert loss == pytest.approx(top_loss, rel=ROUNDING)


@pytest.mark.integration
@pytest.mark.parametrize("mmel_loss", METHODS)
def test_the_mean_over_draws_is_the_gradient_of_the_whole(step, mmel_loss):
    head, fields = TASK_HEADS["single_label"], {"mmel_loss": mmel_loss, "lambda_p": 1.0, "size": 3, "strength": 6.0}
    _, gradient = step(head, **fields)
    options = {"variant_backward": "sample", "variant_backward_count": 1, "scoring_bf16": False}
    step(head, **fields, **options)
    trainer, model, draws = step.trainer, step.trainer.model, []
    for seed in range(150):
        model.zero_grad()
        torch.manual_seed(seed)
        trainer.training_step(model, dict(step.batch))
        draws.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    draws = torch.stack(draws)
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
    assert torch.equal(select(weights, "top", 4), weights)


@pytest.mark.parametrize("scoring_dropout", [False, True])
def test_scoring_leaves_the_random_state_and_the_mode_of_the_model(step, scoring_dropout):
    fields = {"mmel_loss": "hard", "lambda_p": 0.0, "dropout": 0.1, "variant_backward": "top", "scoring_bf16": False}
    step(TASK_HEADS["single_label"], scoring_dropout=scoring_dropout, **fields)
    model, batch, trainer = step.trainer.model, step.batch, step.trainer
    assert all(module.training for module in model.modules())
    before, after = [], []
    model.register_forward_pre_hook(lambda module, args: before.append(torch.get_rng_state()))
    model.register_forward_hook(lambda module, args, out: after.append(torch.get_rng_state()))
    trainer.compute_loss(model, batch)
    scoring, training = before
    assert torch.equal(scoring, training)
    assert torch.equal(scoring, after[0]) != scoring_dropout  # scoring did draw, if it was to
    assert not torch.equal(training, after[1])


def test_scoring_keeps_no_outputs_of_the_model(step, quick_passes_cost_nothing):
    """They hold all hidden states if the model returns these."""
    step(TASK_HEADS["single_label"], mmel_loss="hard", variant_backward="top", scoring_bf16=False)
    model, kept, alive = step.trainer.model, [], []
    model.register_forward_pre_hook(lambda module, args: alive.append(sum(output() is not None for output in kept)))
    model.register_forward_hook(lambda module, args, outputs: kept.append(weakref.ref(outputs.logits)))
    step.trainer.compute_loss(model, step.batch)
    assert len(alive) > 3 and max(alive) <= 1  # that of the pass before


@pytest.mark.parametrize("mmel_loss", METHODS)
@pytest.mark.parametrize("fields", [{"variant_backward": "sample"}, {"variant_chunk_size": 1}])
def test_a_batch_without_any_label_has_no_gradient(step, mmel_loss, fields):
    """But it has one to add, of zeros: other processes wait for it."""
    step(TASK_HEADS["single_label"], mmel_loss=mmel_loss, lambda_p=1.0, lambda_u=0.0, **fields)
    model, batch = step.trainer.model, {**step.batch, "labels": torch.full_like(step.batch["labels"], -100)}
    model.zero_grad()
    loss = step.trainer.compute_loss(model, batch)
    loss.backward()
    assert loss == 0 and all((p.grad == 0).all() for p in model.parameters())


def test_soft_labels_train_on_every_original(arguments):
    """Those without a label too, so that dropout draws the same numbers for a batch whatever its labels are."""
    weights, losses = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]), torch.zeros(2, 3)
    values = VariantLosses(losses, torch.tensor([1.0, 0.0]), losses)
    used = values.used(weights, arguments(mmel_loss="soft"))
    assert used.tolist() == [[True, True, False], [True, False, False]]
    assert values.used(weights, arguments(mmel_loss="soft", lambda_t=0.0)).nonzero().tolist() == [[0, 0], [1, 0]]
    hard = values._replace(divergences=None).used(weights, arguments(mmel_loss="hard"))
    assert hard.nonzero().tolist() == [[0, 1]]


def test_padding_at_the_end_of_all_variants_is_cut_off(step):
    step(TASK_HEADS["tokens"], mmel_loss="soft")
    batch = {**step.batch, "variant_mask": step.batch["variant_mask"].clone()}
    lengths = batch["attention_mask"].sum(dim=-1)
    short = lengths.amax(dim=1) < lengths.max()
    part = {name: tensor[short] for name, tensor in batch.items()}
    cut = trimmed(part)
    assert cut["input_ids"].shape[-1] == lengths[short][part["variant_mask"]].max() < batch["input_ids"].shape[-1]
    assert {name for name in cut if cut[name].shape[-1] != part[name].shape[-1]} == set(part) - {"variant_mask"}


def cut(function, mask, used, *options):
    """The micro-batches of groups with this `attention_mask`, as tensors."""
    lengths = None if mask is None else layout_of({"attention_mask": mask, VARIANT_MASK: used}).longest(used.numpy())
    return [torch.from_numpy(part) for part in function(used.numpy(), lengths, *options)]


def test_passes_hold_every_variant_once():
    torch.manual_seed(0)
    used = torch.rand(7, 5) < 0.7
    mask = (torch.arange(9) < torch.randint(1, 9, (7, 5, 1))).long()
    for most in (1, 2, 3, 5, 8, 40):
        passes = cut(fewest_micro_batches, mask, used, most)
        assert torch.equal(torch.stack(passes).sum(dim=0), used.long())
        assert all(0 < part.sum() <= most for part in passes)


def test_a_group_is_cut_into_passes_of_like_size():
    """Memory is that of the largest."""
    used = torch.ones(1, 33, dtype=torch.bool)
    assert [int(part.sum()) for part in cut(fewest_micro_batches, None, used, 16)] == [11, 11, 11]


def test_groups_of_like_length_share_a_pass_the_longest_first():
    lengths = torch.tensor([3, 9, 4, 8])
    mask = (torch.arange(9) < lengths[:, None, None].expand(4, 5, 1)).long()
    passes = cut(fewest_micro_batches, mask, torch.ones(4, 5, dtype=torch.bool), 10)
    assert [part.any(dim=1).nonzero().flatten().tolist() for part in passes] == [[1, 3], [0, 2]]


def tokens_of(passes, lengths):
    """Tokens that passes compute, padding included, and what a pass costs besides."""
    cost = micro_batches._TOKENS_PER_PASS["cpu"]
    return sum(int(part.sum()) * int(lengths[part.any(dim=1)].max()) + cost for part in passes)


def test_by_default_there_are_the_passes_that_cost_the_least():
    """Among all ways to cut groups that are sorted by length."""
    torch.manual_seed(0)
    for _ in range(40):
        lengths, used = torch.randint(1, 90, (6,)), torch.rand(6, 5) < 0.7
        used[:, 0] = True
        mask = (torch.arange(90) < lengths[:, None, None].expand(6, 5, 1)).long()
        passes = cut(fastest_micro_batches, mask, used, "cpu")
        assert torch.equal(torch.stack(passes).sum(dim=0), used.long())
        order = lengths.argsort(descending=True, stable=True)
        costs = []
        for cuts in product([False, True], repeat=5):
            starts = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), 6]
            parts = [torch.zeros_like(used) for _ in starts[1:]]
            for part, start, stop in zip(parts, starts, starts[1:], strict=False):
                part[order[start:stop]] = used[order[start:stop]]
            costs.append(tokens_of(parts, lengths))
        assert tokens_of(passes, lengths) == min(costs)


def test_the_quickest_passes_keep_groups_together_and_to_the_rows_of_a_pass():
    mask = (torch.arange(99) < torch.tensor([95, 96] * 4)[:, None, None].expand(8, 5, 1)).long()
    used = torch.ones(8, 5, dtype=torch.bool)
    for most, sizes in ((None, [40]), (20, [20, 20]), (12, [10, 10, 10, 10]), (3, [5] * 8)):
        passes = cut(fastest_micro_batches, mask, used, "cpu", most)
        assert [int(part.sum()) for part in passes] == sizes
        assert all(part.any(dim=1).sum() * 5 == part.sum() for part in passes)
    assert [int(part.sum()) for part in cut(fastest_micro_batches, None, used, "cpu")] == [40]


@pytest.mark.parametrize("accepts_loss_kwargs", [True, False])
def test_passes_of_micro_batches_have_the_gradient_of_whole_ones(arguments, tokenizer, dataset, accepts_loss_kwargs):
    """Whether or not `Trainer` divides the loss by the number of micro-batches."""
    gradients = []
    for chunk in (None, 1):
        fields = {"max_steps": 2, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
        recorder, model = RecordGradients(), make_model(tokenizer)
        trainer = MMELTrainer(
            model,
            arguments(mmel_loss="hard", num_variants=2, variant_chunk_size=chunk, **fields),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5),
            callbacks=[recorder],
        )
        trainer.model_accepts_loss_kwargs = accepts_loss_kwargs
        trainer.train()
        gradients.append(torch.stack(recorder.gradients))
    assert same_gradient(*gradients)
