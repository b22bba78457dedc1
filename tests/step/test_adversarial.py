"""Adversarial variants: how they are found, and that they are weighed like any others."""

from types import SimpleNamespace

import pytest
import torch
from conftest import ENCODER_DECODERS, make_encoder_decoder, make_model, perturb_weights
from task_heads import TASK_HEADS
from transformers import ViTConfig, ViTForImageClassification

from hf_mmel import AdversarialVariants, MMELTrainer
from hf_mmel.data.groups import PERTURBATION, as_groups
from hf_mmel.functional import divergence, mmel_hard_loss, mmel_soft_loss, per_variant_loss
from hf_mmel.step.adversarial import movable, with_copies
from hf_mmel.step.forward import VariantForward, perturbed_embeddings


KIND = "single_label_classification"


def lengths(delta, norm):
    flat = delta.flatten(1)
    return flat.abs().amax(dim=1) if norm == "linf" else flat.norm(dim=1)


def same_signs(signs, gradient) -> bool:
    """Whether signs are those of a gradient, wherever it is so far from 0 that rounding cannot turn it."""
    clear = gradient.abs() > 1e-4 * gradient.flatten(1).abs().amax(dim=1).view(-1, *[1] * (gradient.dim() - 1))
    return bool(clear.float().mean() > 0.25 and torch.allclose(signs[clear], gradient[clear].sign(), atol=1e-3))


def searched(model, adversary, args, groups):
    return adversary.add_to(groups, VariantForward(model, args, model.config.problem_type))


@pytest.fixture
def batch(tokenizer, dataset):
    rows = tokenizer.pad(
        [{k: row[k] for k in ("input_ids", "attention_mask")} for row in dataset], return_tensors="pt"
    )
    return {**rows, "labels": torch.tensor(dataset["label"])}


@pytest.fixture
def model(tokenizer):
    return make_model(tokenizer, num_labels=2, initializer_range=0.3).train()


# --- the search ---------------------------------------------------------


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_one_step_from_the_example_is_the_fast_gradient_method(norm, model, batch, arguments):
    adversary = AdversarialVariants(1, 0.3, norm, random_start=False)
    found = searched(model, adversary, arguments(mmel_loss="hard"), as_groups(batch))
    assert found[PERTURBATION].shape[:2] == (len(batch["input_ids"]), 1)
    ids = batch["input_ids"]
    embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
    logits = model(inputs_embeds=embedded, attention_mask=batch["attention_mask"]).logits
    losses = per_variant_loss(logits, batch["labels"], KIND)
    (gradient,) = torch.autograd.grad(losses.sum(), embedded)
    if norm == "linf":
        assert same_signs(found[PERTURBATION][:, 0] / 0.3, gradient)
    else:
        expected = 0.3 * gradient / gradient.flatten(1).norm(dim=1)[:, None, None]
        assert torch.allclose(found[PERTURBATION][:, 0], expected, atol=1e-4)
    assert not found[PERTURBATION][:, 0][batch["attention_mask"] == 0].any()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("loss", ["hard", "soft"])
def test_more_steps_in_the_same_ball_lose_more(norm, loss, model, batch, arguments):
    size = 0.4 if norm == "l2" else 0.02
    lost = []
    for num_steps in (1, 4, 16):
        torch.manual_seed(0)
        adversary = AdversarialVariants(num_steps, size / 2, norm, radius=size, num_variants=2)
        groups = searched(model, adversary, arguments(mmel_loss=loss), as_groups(batch))
        delta = groups[PERTURBATION]
        assert delta.shape[:2] == (9, 2) and not torch.equal(delta[:, 0], delta[:, 1])
        assert (lengths(delta.flatten(0, 1), norm) <= size * (1 + 1e-5)).all()
        assert not delta.transpose(1, 2)[batch["attention_mask"] == 0].any()
        with torch.no_grad(), perturbed_embeddings(model, delta[:, 0]):
            logits = model(batch["input_ids"], batch["attention_mask"]).logits
        with torch.no_grad():
            plain = model(batch["input_ids"], batch["attention_mask"]).logits
        losses = per_variant_loss(logits, batch["labels"], KIND) if loss == "hard" else divergence(logits, plain, KIND)
        lost.append(losses.mean().item())
    before = per_variant_loss(plain, batch["labels"], KIND).mean().item() if loss == "hard" else 0.0
    assert before < lost[0] < lost[1] <= lost[2] * 1.02


def test_the_search_leaves_no_gradient_and_no_hook(model, batch, arguments):
    model.dropout.p, state = 0.5, torch.get_rng_state()
    searched(model, AdversarialVariants(2, 0.1), arguments(mmel_loss="hard"), as_groups(batch))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.get_input_embeddings()._forward_hooks and model.training
    assert not torch.equal(torch.get_rng_state(), state)  # the starts are drawn from it, so that a resume repeats them


def test_floats_are_moved_themselves(arguments):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = ViTConfig(**sizes, image_size=16, patch_size=8, num_labels=3)
    model = perturb_weights(ViTForImageClassification(config)).train()
    images = {"pixel_values": torch.rand(4, 3, 16, 16), "labels": torch.tensor([0, 1, 2, 0])}
    adversary = AdversarialVariants(1, 8 / 255, "linf", random_start=False)
    found = searched(model, adversary, arguments(mmel_loss="hard"), as_groups(images))
    pixels = images["pixel_values"].clone().requires_grad_()
    losses = per_variant_loss(model.eval()(pixels).logits, images["labels"], KIND)
    (gradient,) = torch.autograd.grad(losses.sum(), pixels)
    assert same_signs(found[PERTURBATION][:, 0] * 255 / 8, gradient)
    assert torch.equal(found["pixel_values"][:, 1], images["pixel_values"])


@pytest.mark.parametrize("loss", ["hard", "soft"])
@pytest.mark.parametrize("name", TASK_HEADS)
def test_a_perturbation_is_of_the_text_whatever_padding_the_batch_needs(name, loss, tokenizer, arguments, monkeypatch):
    head = TASK_HEADS[name]
    model, rows, found = perturb_weights(head.model(tokenizer)).train(), head.rows(tokenizer)[:4], []
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)  # predictions that are far from uniform
    adversary = AdversarialVariants(2, 0.3, random_start=loss == "soft", radius=5.0)
    monkeypatch.setattr(adversary, "start", lambda free: 0.1 * free * torch.arange(free.shape[-1]).sin())
    for multiple in (1, 64):
        batch = head.collator(tokenizer, pad_to_multiple_of=multiple)(rows)
        groups = searched(model, adversary, arguments(mmel_loss=loss), as_groups(batch))
        found.append(groups[PERTURBATION])
        assert not found[-1][groups["attention_mask"][:, -1:] == 0].any()
    short, long = found
    assert short.shape[-2] < long.shape[-2] and short[:, 0].any()
    assert torch.allclose(short, long[..., : short.shape[-2], :], atol=1e-5)


@pytest.mark.parametrize("loss", ["hard", "soft"])
@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_of_an_encoder_decoder_model_the_input_of_the_encoder_is_moved(kind, loss, tokenizer, batch, arguments):
    model = make_encoder_decoder(tokenizer, kind)
    found = searched(model, AdversarialVariants(2, 0.5), arguments(mmel_loss=loss), as_groups(batch))[PERTURBATION]
    outputs = []
    for delta in (None, found[:, 0]):
        with torch.no_grad(), perturbed_embeddings(model.eval(), delta):
            outputs.append(model(batch["input_ids"], batch["attention_mask"]).logits)
    assert not torch.allclose(*outputs)


def test_padding_of_numeric_inputs_is_not_moved():
    """Waveforms are padded with zeros, and have a mask; the mask of spectrograms may be of another shape."""
    forward = SimpleNamespace(main_input="input_values")
    waves, mask = torch.rand(2, 1, 6), torch.tensor([[[1] * 6], [[1] * 4 + [0] * 2]])
    groups = {"input_values": waves, "attention_mask": mask}
    assert torch.equal(movable(groups, forward, 1), mask.float())
    assert torch.equal(
        movable({**groups, "input_values": waves[..., None].expand(2, 1, 6, 3)}, forward, 1)[..., 1], mask.float()
    )
    assert movable({**groups, "input_values": torch.rand(2, 1, 3, 6)}, forward, 1).all()
    assert movable({"input_values": waves}, forward, 1).all()


# --- the weights --------------------------------------------------------


@pytest.mark.parametrize("loss", ["hard", "soft", "uniform"])
def test_they_are_weighed_by_the_closed_form(loss, model, batch, arguments, dataset):
    args = arguments(mmel_loss=loss, lambda_p=0.2, lambda_t=2.0)
    adversary = AdversarialVariants(2, 0.3, num_variants=2)
    trainer = MMELTrainer(model, args, train_dataset=dataset, adversary=adversary)
    torch.manual_seed(1)
    found = trainer.compute_loss(model, dict(batch))
    torch.manual_seed(1)
    delta = searched(model, adversary, args, as_groups(batch))[PERTURBATION]
    logits = []
    for v in range(3):
        with perturbed_embeddings(model, delta[:, v - 1] if v else None):
            logits.append(model(batch["input_ids"], batch["attention_mask"]).logits)
    logits = torch.stack(logits, dim=1)
    losses = torch.stack([per_variant_loss(logits[:, v], batch["labels"], KIND) for v in range(3)], dim=1)
    if loss == "soft":
        expected = mmel_soft_loss(losses[:, 0], divergence(logits[:, 1:], logits[:, :1].detach(), KIND), 0.2, 2.0)
    else:
        expected = mmel_hard_loss(losses, 0.2 if loss == "hard" else float("inf"))
    assert torch.allclose(found, expected.mean(), rtol=1e-4)
    found.backward()
    assert model.classifier.weight.grad.abs().sum() > 0


def test_an_objective_that_is_changed_in_mid_training_decides_anew(tokenizer, dataset, arguments, batch):
    rows = []
    model = make_model(tokenizer, num_labels=2).train()
    model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    args = arguments(mmel_loss="none", class_weights=[1.0, 2.0], loss_check=False)
    options = {"train_dataset": dataset, "adversary": AdversarialVariants()}
    trainer = MMELTrainer(model, args, processing_class=tokenizer, **options)
    trainer.get_train_dataloader()
    for args.mmel_loss in ("none", "hard", "none"):
        trainer.compute_loss(model, batch)
    size = len(dataset)
    assert rows == [size, size, 2 * size, size]


@pytest.mark.parametrize("loss", ["hard", "soft"])
def test_groups_without_an_original_have_no_adversarial_variant(loss, model, batch, arguments):
    groups = as_groups(batch)
    groups["variant_mask"][0] = False
    adversary, args = AdversarialVariants(1, 0.3), arguments(mmel_loss=loss)
    found = searched(model, adversary, args, groups)
    assert not found["variant_mask"][0].any() and found["variant_mask"][1:].all()
    alone = {name: x[:1] for name, x in groups.items()}
    assert not searched(model, adversary, args, alone)["variant_mask"].any()


def test_copies_stand_at_the_end_and_labels_stay():
    batch = {"input_ids": torch.arange(12).view(2, 2, 3), "labels": torch.tensor([0, 1])}
    found = with_copies(batch, 2)
    assert found["input_ids"].shape == (2, 4, 3) and torch.equal(found["labels"], batch["labels"])
    assert torch.equal(found["input_ids"][:, 2], batch["input_ids"][:, 0])
    assert torch.equal(found["input_ids"][:, 3], batch["input_ids"][:, 0])


# --- what is refused ----------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps is 0; expected a whole number >= 1"),
        ({"num_variants": 1.5}, "num_variants is 1.5; expected a whole number"),
        ({"step_size": 0.0}, "step_size is 0.0; expected a finite number > 0"),
        ({"radius": float("inf")}, "radius is inf; expected a finite"),
        ({"norm": "l1"}, "norm is 'l1'; expected one of 'l2', 'linf'"),
        ({"num_variants": 2, "random_start": False}, "all of them would be the same"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AdversarialVariants(**options)


def test_the_configuration_is_plain_data():
    adversary = AdversarialVariants(3, 0.2, "linf", num_variants=2)
    config = adversary.to_dict()
    assert config.pop("class") == "AdversarialVariants" and AdversarialVariants(**config).to_dict() == {
        "class": "AdversarialVariants",
        **config,
    }
    assert "step_size=0.2" in repr(adversary)


def test_the_search_has_no_dropout(tokenizer, batch, arguments):
    model = make_model(tokenizer, num_labels=2, dropout=0.5, initializer_range=0.3).train()
    adversary, args = AdversarialVariants(1, 0.3, random_start=False), arguments(mmel_loss="hard")
    one, other = (searched(model, adversary, args, as_groups(batch))[PERTURBATION] for _ in range(2))
    assert torch.equal(one, other) and model.training


def test_under_soft_labels_a_step_leads_away_from_the_prediction_on_the_original(model, batch, arguments):
    adversary = AdversarialVariants(1, 0.3)
    torch.manual_seed(3)
    found = searched(model, adversary, arguments(mmel_loss="soft"), as_groups(batch))
    ids, mask = batch["input_ids"], batch["attention_mask"]
    embedded = model.get_input_embeddings()(ids).detach()
    torch.manual_seed(3)
    start = adversary.start(mask[..., None].float().expand_as(embedded).contiguous()).requires_grad_()
    moved = model(inputs_embeds=embedded + start, attention_mask=mask).logits
    apart = divergence(moved, model(inputs_embeds=embedded, attention_mask=mask).logits.detach(), KIND)
    (gradient,) = torch.autograd.grad(apart.sum(), start)
    expected = adversary.step(start.detach(), gradient)
    assert torch.allclose(found[PERTURBATION][:, 0], expected, atol=1e-3)
