"""Training with a given effective number of variants, and with weights that are uniform at first."""

import math

import pytest
import torch
from conftest import make_model
from trainer_runs import LOSSES, WAYS, run, training_logs, weights_of

from hf_mmel import MMELTrainer


@pytest.fixture
def log(arguments, tokenizer):
    """
    Trains on one batch of five groups of four variants, one of them absent, at a step of a training run of 8:
    `log(step, **fields)`. What is logged of it, and the loss.
    """
    ids = torch.randint(5, 30, (5, 4, 6), generator=torch.manual_seed(0))
    mask = torch.ones(5, 4, dtype=torch.bool)
    mask[1, 3] = False
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.tensor([0, 1, 0, 1, 1])}
    batch |= {"variant_mask": mask, "group_key": torch.arange(5)}

    def log(step=0, scale=8.0, **fields):
        trainer = MMELTrainer(
            make_model(tokenizer),
            arguments(**{"scoring_bf16": False, "loss_check": False, "num_variants": 3, **fields}),
        )
        trainer.state.global_step, trainer.state.max_steps = step, 8
        with torch.no_grad():
            for weight in trainer.model.parameters():
                weight.mul_(scale if weight.dim() > 1 else 1.0)
        trainer.model.train()
        torch.manual_seed(1)
        loss = trainer.compute_loss(trainer.model, dict(batch))
        loss.backward()
        logs = {"loss": loss.item()}
        trainer.log(logs)
        log.gradient = torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])
        return logs

    return log


@LOSSES
@pytest.mark.parametrize("way", WAYS)
def test_all_ways_of_training_have_the_effective_number_of_variants(log, mmel_loss, way):
    for scale in (4.0, 8.0):
        logs = log(scale=scale, mmel_loss=mmel_loss, effective_num_variants=1.8, **WAYS[way])
        assert logs["mmel/effective_num_variants"] == pytest.approx(1.8, abs=1e-3)
        assert 0 < logs["mmel/lambda_p"] < math.inf


@LOSSES
def test_lambda_p_is_logged_where_it_is_solved(log, mmel_loss):
    logs = log(mmel_loss=mmel_loss, effective_num_variants=1.8)
    assert "mmel/lambda_p" not in log(mmel_loss=mmel_loss) and "mmel/lambda_p" not in log(mmel_loss="uniform")
    assert "mmel/lambda_p" not in log(mmel_loss="uniform", effective_num_variants=1.8)
    assert "mmel/lambda_p" not in log(mmel_loss=mmel_loss, effective_num_variants=4)  # all weights are uniform
    assert log(mmel_loss=mmel_loss, effective_num_variants=2.5)["mmel/lambda_p"] > logs["mmel/lambda_p"]


@LOSSES
def test_the_limits_are_the_worst_variant_and_plain_augmentation(log, mmel_loss):
    for number, lambda_p in ((1, 0.0), (4, math.inf), (math.inf, math.inf)):
        solved = log(mmel_loss=mmel_loss, effective_num_variants=number)
        gradient = log.gradient
        given = log(mmel_loss=mmel_loss, lambda_p=lambda_p)
        assert solved["loss"] == given["loss"] and torch.equal(gradient, log.gradient)


@LOSSES
@pytest.mark.parametrize("way", ["full", "in passes of groups", "in passes of parts"])
@pytest.mark.parametrize("fields", [{"lambda_p": 0.05}, {"effective_num_variants": 1.5}], ids=["given", "solved"])
def test_loss_and_weights_go_linearly_from_uniform_ones_to_those_of_the_objective(log, mmel_loss, way, fields):
    def figures(step, warmup=0.0, **options):
        logs = log(step, mmel_loss=mmel_loss, reweighting_warmup=warmup, **WAYS[way], **options)
        return torch.tensor([logs["loss"], logs["mmel/max_weight"]])

    uniform, whole = figures(0, lambda_p=math.inf), figures(0, **fields)
    assert (whole - uniform > 1e-3).all()
    for step, share in enumerate([0, 0, 0, 0.5, 1, 1, 1, 1]):
        expected = (1 - share) * uniform + share * whole
        assert torch.allclose(figures(step, 0.25, **fields), expected, atol=1e-5)


@LOSSES
def test_variants_are_drawn_by_the_weights_of_the_step(log, mmel_loss):
    """At first as often as each other: the draws are those of uniform weights."""
    options = {"mmel_loss": mmel_loss, "variant_backward": "sample", "variant_backward_count": 1}
    early = log(0, reweighting_warmup=0.25, lambda_p=0.0, **options)["loss"]
    late = log(4, reweighting_warmup=0.25, lambda_p=0.0, **options)["loss"]
    assert early == log(lambda_p=math.inf, **options)["loss"]
    assert late == log(lambda_p=0.0, **options)["loss"] != early


@pytest.mark.parametrize("accumulation", [1, 2])
def test_steps_are_those_of_the_training_run(arguments, tokenizer, dataset, augmenter, accumulation):
    """The first half of training equals plain augmentation, bit for bit, and the second does not."""

    def gradients(**fields):
        fields |= {"gradient_accumulation_steps": accumulation, "per_device_train_batch_size": 2, "max_steps": 4}
        args = arguments(learning_rate=1e-3, logging_steps=1, **fields)
        return run(MMELTrainer, args, tokenizer, dataset, augmenter=augmenter)

    _, uniform = gradients(mmel_loss="uniform")
    trainer, warming_up = gradients(mmel_loss="hard", lambda_p=0.01, reweighting_warmup=0.5)
    assert torch.equal(uniform[:3], warming_up[:3]) and not torch.equal(uniform[3], warming_up[3])
    assert len(training_logs(trainer)) == 4 and weights_of(trainer).isfinite().all()
