"""Soft labels of a teacher and of an average of the weights, with a temperature, and the warm-up of λ_T."""

import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from conftest import WORDS, make_model
from datasets import Dataset
from pairwise import pairwise
from task_heads import TASK_HEADS
from torch import nn
from trainer_runs import ROUNDING, WAYS, same_gradient

from augment import LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer
from hf_mmel.data.groups import SOFT_LABELS, VARIANT_MASK
from hf_mmel.step import micro_batches
from hf_mmel.step.soft_labels import WeightAverage, with_soft_labels


def strengthened(model, by=6.0, seed=None):
    """A model that tells variants apart; with a seed it is another one."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if generator is not None:
                weight.add_(0.02 * torch.randn(weight.shape, generator=generator))
            weight.mul_(by if weight.dim() > 1 else 1.0)
    return model


@pytest.fixture
def make(arguments, tokenizer, monkeypatch):
    """
    A trainer of a head for MMEL-S, and a batch of three groups of four: `make(head, teacher=..., **fields)`. Groups
    have passes of their own, and in passes of parts they are cut.
    """
    monkeypatch.setattr(micro_batches, "_TOKENS_PER_PASS", {"cpu": 0})

    def make(head, teacher=None, size=3, dtype=torch.float32, adversary=None, **fields):
        rows = head.rows(tokenizer)[:size]
        fields = {"scoring_bf16": False, "loss_check": False, "lambda_p": 0.05, "num_variants": 3, **fields}
        trainer = MMELTrainer(
            strengthened(head.model(tokenizer)).to(dtype).train(),
            arguments(**fields),
            data_collator=head.collator(tokenizer),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5),
            adversary=adversary,
            teacher=teacher,
        )
        trainer.data_collator = head.collator(tokenizer)
        batch = trainer.build_group_collator()(rows)
        if fields.get("score_interval", 1) > 1:
            batch["group_key"] = torch.arange(size)
        return trainer, batch

    return make


def gradient_of(trainer, batch):
    """Loss and gradient of a step on a batch."""
    trainer.model.zero_grad()
    torch.manual_seed(1)
    loss = trainer.training_step(trainer.model.train(), dict(batch)).item()
    return loss, torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


@pairwise(head=TASK_HEADS, way=list(WAYS), kind=["teacher", "ema"], adversary=[False, True])
def test_a_model_that_equals_the_trained_one_predicts_the_same_soft_labels(
    make, tokenizer, head, way, kind, adversary
):
    fields = dict(WAYS[way])
    if adversary and fields.get("score_interval", 1) == 1:
        fields["adversary"] = AdversarialVariants(num_steps=2, step_size=0.1)
    own_loss, own = gradient_of(*make(head, **fields))
    teacher = strengthened(head.model(tokenizer)).train() if kind == "teacher" else None
    loss, gradient = gradient_of(*make(head, teacher, soft_labels=kind, ema_decay=0.5, **fields))
    assert loss == pytest.approx(own_loss, rel=ROUNDING) and same_gradient(gradient, own)


def by_hand(trainer, teacher, batch, temperature):
    """The loss of a batch, example by example and variant by variant, from the definitions in docs/design.md."""
    args, model, losses = trainer.args, trainer.model, []
    for i, mask in enumerate(batch[VARIANT_MASK]):

        def logits_of(predictor, v, i=i):
            return predictor(
                input_ids=batch["input_ids"][i, v : v + 1], attention_mask=batch["attention_mask"][i, v : v + 1]
            ).logits[0]

        label, variants = batch["labels"][i], [v for v in mask.nonzero().flatten().tolist() if v]
        with torch.no_grad():
            z = logits_of(teacher, 0) / temperature
        first, divergences = logits_of(model, 0), []
        if model.config.problem_type == "multi_label_classification":
            loss = F.binary_cross_entropy_with_logits(first, label.to(first.dtype))
        elif model.config.num_labels == 1:
            loss = (first[0] - label).square()
        else:
            loss = -first.log_softmax(-1)[label]
        for v in variants:
            q = logits_of(model, v)
            if model.config.problem_type == "multi_label_classification":
                p, q = z.sigmoid(), q.sigmoid()
                divergences.append((p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum())
            elif model.config.num_labels == 1:
                divergences.append((z[0] - q[0]).square())
            else:
                p = z.softmax(-1)
                divergences.append((p * (p.log() - q.log_softmax(-1))).sum())
        if variants:
            d = torch.stack(divergences)
            loss = loss + args.lambda_t * ((d / args.lambda_p).softmax(0).detach() * d).sum()
        losses.append(loss)
    return torch.stack(losses).mean()


@pairwise(
    head=["single_label", "regression", "multi_label"],
    way=["full", "in passes of groups", "in passes of parts"],
    temperature=[0.5, 1.0, 3.0],
    kind=["teacher", "self"],
)
def test_loss_and_gradient_are_those_of_a_loop_in_float64(make, tokenizer, head, way, temperature, kind):
    temperature = 1.0 if head == "regression" else temperature
    teacher = strengthened(TASK_HEADS[head].model(tokenizer), by=3.0, seed=1).double() if kind == "teacher" else None
    fields = {"soft_label_temperature": temperature, "lambda_t": 0.7, "lambda_p": 0.2, **WAYS[way]}
    trainer, batch = make(TASK_HEADS[head], teacher, dtype=torch.float64, soft_labels=kind, **fields)
    loss, gradient = gradient_of(trainer, batch)
    trainer.model.zero_grad()
    expected = by_hand(trainer, teacher or trainer.model, batch, temperature)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    found = torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])
    assert (gradient - found).abs().max() < 1e-6 * found.abs().max()  # scores are kept in float32


@pytest.mark.parametrize("head", ["single_label", "tokens", "answers"])
def test_top_trains_on_the_variant_that_diverges_most_from_the_teacher(make, tokenizer, head):
    fields = {"lambda_p": 0.0, "soft_labels": "teacher"}
    teacher = strengthened(TASK_HEADS[head].model(tokenizer), by=3.0, seed=1)
    loss, gradient = gradient_of(*make(TASK_HEADS[head], teacher, **fields))
    top_loss, top = gradient_of(*make(TASK_HEADS[head], teacher, variant_backward="top", **fields))
    assert top_loss == pytest.approx(loss, rel=ROUNDING) and same_gradient(top, gradient)
    _, own = gradient_of(*make(TASK_HEADS[head], lambda_p=0.0))
    assert not same_gradient(own, gradient)


def test_a_teacher_predicts_in_evaluation_mode_and_stays_as_it_is(make, tokenizer):
    head = TASK_HEADS["single_label"]
    teacher = strengthened(head.model(tokenizer, dropout=0.3), seed=1).train()
    teacher.dropout.eval()  # one module is in a mode of its own
    before, modes = [p.clone() for p in teacher.parameters()], [m.training for m in teacher.modules()]
    trainer, batch = make(head, teacher, soft_labels="teacher")
    gradient_of(trainer, batch)
    with torch.no_grad():
        found = with_soft_labels(batch, teacher)[SOFT_LABELS]
        assert torch.equal(found, with_soft_labels(batch, deepcopy(teacher).eval())[SOFT_LABELS])
        assert not torch.equal(found[:, 0], teacher(input_ids=batch["input_ids"][:, 0]).logits)  # with dropout
    assert [m.training for m in teacher.modules()] == modes
    assert all(p.grad is None and torch.equal(p, b) for p, b in zip(teacher.parameters(), before, strict=True))
    assert not with_soft_labels(batch, teacher)[SOFT_LABELS].requires_grad


class FewInputs(nn.Module):
    """A classifier that takes ids alone, and labels."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, labels):
        return self.model(input_ids=input_ids).logits


def test_a_teacher_gets_the_inputs_that_it_takes(make, tokenizer):
    head = TASK_HEADS["single_label"]
    _, batch = make(head)
    teacher = strengthened(head.model(tokenizer), seed=1)
    with torch.no_grad():
        expected = teacher(input_ids=batch["input_ids"][:, 0]).logits
    found = with_soft_labels(batch, FewInputs(teacher).eval())[SOFT_LABELS]
    assert found.shape == (3, 1, 2) and torch.allclose(found[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("fields", [{"soft_labels": "teacher"}, {"soft_label_temperature": 0.5}], ids=str)
def test_an_original_that_is_weighted_is_compared_with_its_soft_label_in_any_batch(make, tokenizer, fields):
    """An example without variants adds the same, whether others of its batch have variants or not."""
    head = TASK_HEADS["single_label"]
    teacher = strengthened(head.model(tokenizer), seed=1) if "soft_labels" in fields else None
    trainer, batch = make(head, teacher, size=4, reweight_original=True, loss_check=True, **fields)
    batch[VARIANT_MASK][:2, 1:] = False
    assert batch[VARIANT_MASK][2:, 1:].any()

    def loss_of(part):
        return gradient_of(trainer, {name: x[part] for name, x in batch.items()})[0]

    whole, first, rest = loss_of(slice(None)), loss_of(slice(2)), loss_of(slice(2, 4))
    assert whole == pytest.approx((first + rest) / 2, rel=ROUNDING)
    plain = head.model(tokenizer)
    plain.load_state_dict(trainer.model.state_dict())
    originals = {name: x[:2] if name == "labels" else x[:2, 0] for name, x in batch.items() if name in _INPUTS}
    assert first > plain(**originals).loss.item() + 1e-3


_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "labels")


@pytest.mark.parametrize("way", WAYS)
def test_an_example_whose_soft_label_is_not_finite_is_left_out(make, tokenizer, way):
    """A loss that is not finite is left out with its variants; the example still counts in the mean."""
    head = TASK_HEADS["single_label"]
    trainer, batch = make(
        head, soft_labels="teacher", teacher=strengthened(head.model(tokenizer), seed=1), **WAYS[way]
    )
    if WAYS[way].get("variant_backward") == "sample":
        trainer.args.variant_backward_count = 99  # all, in place of draws
    _, of_others = gradient_of(trainer, {name: x[1:] for name, x in batch.items()})
    teacher, spoilt = trainer.teacher, batch["input_ids"][0, 0]

    def spoil(module, args, kwargs, outputs):
        is_first = (kwargs["input_ids"] == spoilt).all(dim=1)
        outputs["logits"] = outputs["logits"].masked_fill(is_first[:, None], math.nan)
        return outputs

    teacher.register_forward_hook(spoil, with_kwargs=True)
    trainer._scores.clear()
    _, gradient = gradient_of(trainer, batch)
    assert same_gradient(gradient, of_others * 2 / 3)


@pytest.mark.parametrize("way", WAYS)
def test_lambda_t_grows_linearly_from_0(make, way):
    """Also where variants are drawn: the draws are the same at each step."""
    head, found = TASK_HEADS["single_label"], []
    for step in range(6):
        trainer, batch = make(head, lambda_t=200.0, lambda_t_warmup=0.5, **WAYS[way])
        trainer.state.global_step, trainer.state.max_steps = step, 8
        found.append(gradient_of(trainer, batch)[0])
    none, whole = (gradient_of(*make(head, lambda_t=value, **WAYS[way]))[0] for value in (0.0, 200.0))
    assert whole > none + 1e-2
    shares = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
    assert torch.allclose(torch.tensor(found), none + shares * (whole - none), atol=1e-5)
    assert found[4] == found[5] == whole


@pytest.mark.parametrize("way", ["in passes of parts", "top", "sample", "known scores"])
def test_originals_alone_are_trained_on_while_lambda_t_is_0(make, way):
    trainer, batch = make(TASK_HEADS["single_label"], lambda_t_warmup=0.5, **WAYS[way])
    trainer.state.max_steps, rows = 8, []
    trainer.model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(torch.is_grad_enabled() * len(kwargs["input_ids"])), with_kwargs=True
    )
    gradient_of(trainer, batch)
    assert sum(rows) == len(batch["labels"])


# The average


class Mixed(nn.Module):
    """Weights in two precisions, a frozen one, and buffers."""

    def __init__(self):
        super().__init__()
        self.in_half = nn.Linear(3, 3).to(torch.bfloat16)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.norm = nn.BatchNorm1d(3)


def test_an_average_is_that_of_its_equation_in_float32():
    torch.manual_seed(0)
    model = Mixed()
    average = WeightAverage(model)
    expected = {name: p.detach().float().clone() for name, p in model.named_parameters()}
    for step in range(40):
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.add_(torch.randn(weight.shape) * 0.1)
            model.norm.running_mean.fill_(step)
        average.update(model, 0.9)
        expected = {name: 0.9 * a + 0.1 * model.get_parameter(name).detach().float() for name, a in expected.items()}
    for name, weight in average.model.named_parameters():
        assert weight.dtype == model.get_parameter(name).dtype and not weight.requires_grad
        # Averages that are kept in bfloat16 would be off by more than its rounding at the end.
        assert torch.allclose(weight, expected[name].to(weight.dtype), rtol=2**-8, atol=1e-6), name
    assert all(value.dtype == torch.float32 for value in average.state_dict().values())
    assert average.state_dict()["in_half.weight"].sub(expected["in_half.weight"]).abs().max() < 1e-6
    assert average.model.frozen.weight is model.frozen.weight  # costs no memory
    assert "frozen.weight" not in average.state_dict()
    assert torch.equal(average.model.norm.running_mean, torch.full((3,), 39.0))
    assert average.model.norm.running_mean is not model.norm.running_mean


def test_an_average_is_restored_and_refuses_one_of_other_weights():
    model = Mixed()
    average, other = WeightAverage(model), WeightAverage(Mixed())
    other.load_state_dict(average.state_dict())
    assert all(
        torch.equal(a, b)
        for a, b in zip(average.model.parameters(), other.model.parameters(), strict=True)
        if not (a is model.frozen.weight or a is model.frozen.bias)
    )
    model.norm.requires_grad_(False)
    with pytest.raises(ValueError, match=r"differ in the weight norm.bias; expected the same trainable weights"):
        WeightAverage(model).load_state_dict(average.state_dict())


def test_a_deep_copy_of_weights_that_are_tied_is_tied(tokenizer):
    model = make_model(tokenizer)
    model.classifier.bias = model.bert.pooler.dense.bias = nn.Parameter(torch.zeros(2))
    average = WeightAverage(model).model
    assert average.classifier.bias is average.bert.pooler.dense.bias is not model.classifier.bias
