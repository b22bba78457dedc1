"""What MMELTrainer minimises, against the objective computed by hand."""

import copy
import math

import numpy as np
import pytest
import torch
from conftest import make_model, make_tokenizer

from hf_mmel import MMELTrainer, VariantCollator


def loss_by_hand(logits: np.ndarray, labels, mask, kind: str, lambda_p: float, lambda_t: float) -> float:
    """Equations 6 to 9 for the logits of the present variants, `(N, C)`, in float64 and group by group."""
    logp = logits - logits.max(-1, keepdims=True)
    logp = logp - np.log(np.exp(logp).sum(-1, keepdims=True))
    total = 0.0
    for group, label in zip(np.split(logp, np.cumsum(mask.sum(1))[:-1]), labels, strict=True):
        losses = -group[:, label]
        if kind == "soft":
            d = np.array([np.sum(np.exp(group[0]) * (group[0] - other)) for other in group[1:]])
            w = np.exp(d / lambda_p) / np.exp(d / lambda_p).sum()
            total += losses[0] + lambda_t * np.sum(w * d)
        else:
            w = np.exp(losses / lambda_p) if kind == "hard" else np.ones_like(losses)
            total += np.sum(w / w.sum() * losses)
    return total / len(labels)


@pytest.mark.parametrize("kind", ["hard", "soft", "uniform"])
def test_the_loss_of_a_batch_is_the_equation_of_the_paper(arguments, tokenizer, dataset, augmenter, kind):
    args = arguments(mmel_loss=kind, lambda_p=0.02, lambda_t=0.7, num_variants=3)
    trainer = MMELTrainer(
        make_model(tokenizer), args, train_dataset=dataset, processing_class=tokenizer, augmenter=augmenter
    )
    with torch.no_grad():  # an untrained model hardly tells a variant from its original
        for weight in trainer.model.parameters():
            weight.mul_(8.0 if weight.dim() > 1 else 1.0)
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    loss, outputs = trainer.compute_loss(trainer.model, batch, return_outputs=True)
    assert outputs.logits.std() > 0.1
    expected = loss_by_hand(
        outputs.logits.detach().double().numpy(),
        batch["labels"].numpy(),
        batch["variant_mask"].numpy(),
        kind,
        0.02,
        0.7,
    )
    assert loss.item() == pytest.approx(expected, abs=1e-5)
    assert not batch["variant_mask"].all() and len(outputs.logits) == batch["variant_mask"].sum()


def test_label_smoothing_applies_to_every_variant(arguments, tokenizer, dataset, augmenter):
    batch = VariantCollator(tokenizer, augmenter)([dataset[0], dataset[1]])
    losses = {}
    for smoothing in (0.0, 0.4):
        args = arguments(mmel_loss="uniform", label_smoothing_factor=smoothing)
        trainer = MMELTrainer(make_model(tokenizer), args, processing_class=tokenizer, augmenter=augmenter)
        trainer.model.train()
        losses[smoothing], outputs = trainer.compute_loss(trainer.model, dict(batch), return_outputs=True)
    mean_logp = [rows.log_softmax(-1).mean() for rows in outputs.logits.split(batch["variant_mask"].sum(1).tolist())]
    flat = -torch.stack(mean_logp)
    assert losses[0.4].item() == pytest.approx((0.6 * losses[0.0] + 0.4 * flat.mean()).item(), abs=1e-6)


class Indicator(torch.nn.Module):
    """Gives token 1 the wrong class with conviction and any other token the right one, class 0."""

    def __init__(self):
        super().__init__()
        self.config = copy.deepcopy(make_model(make_tokenizer("wordpiece")).config)
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, input_ids, labels=None):
        wrong = (input_ids == 1).any(-1).float()
        return {"logits": self.scale * torch.stack([1 - wrong, wrong], dim=-1)}


@pytest.mark.parametrize(("kind", "hard_variant_dominates"), [("hard", True), ("soft", True), ("uniform", False)])
def test_weight_concentrates_on_the_hard_variant(arguments, kind, hard_variant_dominates):
    """One of four variants is hard, the rest are trivial."""
    batch = {
        "input_ids": torch.tensor([[[5, 5], [5, 5], [5, 1], [5, 5], [5, 5]]]),
        "labels": torch.tensor([0]),
        "variant_mask": torch.ones(1, 5, dtype=torch.bool),
    }
    largest = {}
    for lambda_p in (0.1, 1.0, 100.0):
        trainer = MMELTrainer(Indicator(), arguments(mmel_loss=kind, lambda_p=lambda_p))
        trainer.model.train()
        trainer.compute_loss(trainer.model, batch)
        logs = {"loss": 0.0}
        trainer.log(logs)
        largest[lambda_p] = logs["mmel/max_weight"]
    if hard_variant_dominates:
        assert largest[0.1] > 0.99 and largest[0.1] > largest[1.0] > largest[100.0]
        assert largest[100.0] == pytest.approx(1 / (4 if kind == "soft" else 5), abs=0.02)
    else:
        assert list(largest.values()) == pytest.approx([0.2] * 3)


def test_reweight_original_takes_the_original_in_or_out_of_the_group(arguments, tokenizer, dataset, augmenter):
    batch = VariantCollator(tokenizer, augmenter, num_variants=2)([dataset[0]])
    logs = {}
    for kind in ("hard", "soft"):
        for reweight in (None, True, False):
            args = arguments(mmel_loss=kind, reweight_original=reweight, lambda_p=math.inf)
            trainer = MMELTrainer(make_model(tokenizer), args, processing_class=tokenizer, augmenter=augmenter)
            trainer.model.train()
            trainer.compute_loss(trainer.model, dict(batch))
            logs[kind, reweight] = {"loss": 0.0}
            trainer.log(logs[kind, reweight])
    effective = {key: round(entry["mmel/effective_num_variants"], 3) for key, entry in logs.items()}
    assert effective == {
        ("hard", None): 3,
        ("hard", True): 3,
        ("hard", False): 2,
        ("soft", None): 2,
        ("soft", True): 3,
        ("soft", False): 2,
    }


@pytest.mark.parametrize("kind", ["hard", "uniform"])
def test_an_original_without_variants_counts_though_originals_are_not_weighted(
    arguments, tokenizer, dataset, augmenter, kind
):
    """Sentences 0 and 1 have variants, 5 and 7 none: the loss of all four is the mean of those of the two halves."""
    collator = VariantCollator(tokenizer, augmenter, num_variants=2)
    args = arguments(mmel_loss=kind, reweight_original=False)
    trainer = MMELTrainer(make_model(tokenizer), args, processing_class=tokenizer, augmenter=augmenter)
    trainer.model.train()
    batches = [collator([dataset[i] for i in numbers]) for numbers in ([0, 1], [5, 7], [0, 1, 5, 7])]
    assert [batch["variant_mask"][:, 1:].any(dim=1).sum() for batch in batches] == [2, 0, 2]
    with_variants, without, all_four = (trainer.compute_loss(trainer.model, batch).item() for batch in batches)
    assert all_four == pytest.approx((with_variants + without) / 2, abs=1e-6)


def test_soft_label_carries_gradient_only_when_asked(arguments, tokenizer, dataset, augmenter):
    batch = VariantCollator(tokenizer, augmenter)([dataset[0], dataset[1]])
    gradients = []
    for flow in (False, True):
        args = arguments(mmel_loss="soft", soft_label_gradient=flow, lambda_t=100.0)
        trainer = MMELTrainer(make_model(tokenizer), args, processing_class=tokenizer, augmenter=augmenter)
        trainer.model.train()
        _, outputs = trainer.compute_loss(trainer.model, dict(batch), return_outputs=True)
        outputs.logits.retain_grad()
        loss = trainer.compute_loss(trainer.model, dict(batch))
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None]))
    assert gradients[0].norm() > 0 and not torch.allclose(gradients[0], gradients[1])
