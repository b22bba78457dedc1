"""A variant whose loss is infinite or NaN is left out, or ends the training, and never makes an update NaN."""

import logging

import pytest
import torch
from conftest import ENCODER_DECODERS, WORDS, make_encoder_decoder, make_model, perturb_weights
from pairwise import pairwise
from torch.utils.data import DataLoader
from trainer_runs import ROUNDING, WAYS, same_gradient
from transformers import ResNetConfig, ResNetForImageClassification, TrainerCallback

from augment import ImageVariants, LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer, VariantCollator
from hf_mmel.data.groups import VARIANT_MASK
from hf_mmel.objective.weighting import VariantLosses
from hf_mmel.step.nonfinite import MAX_WARNINGS


LOSSES = ["hard", "soft", "uniform"]


@pytest.fixture
def make_trainer(tokenizer, dataset, arguments):
    """A trainer of a model for which one token is poison: its embedding is not finite."""

    def make(value=torch.nan, **fields):
        adversary, model = fields.pop("adversary", None), make_model(tokenizer, num_labels=2, initializer_range=0.3)
        poison = tokenizer.unk_token_id

        def spoil(module, args, embedded):
            return embedded.masked_fill((args[0] == poison)[..., None], value)

        model.get_input_embeddings().register_forward_hook(spoil)
        fields = {"num_variants": 2, "lambda_p": 0.1, "scoring_bf16": False, "learning_rate": 1e-3, **fields}
        return MMELTrainer(
            model.train(),
            arguments(**fields),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=1.0),
            adversary=adversary,
        )

    return make


def poison(batch, tokenizer, places):
    """The batch with the poison as the first word of some variants, and the batch without these."""
    poisoned = {name: tensor.clone() for name, tensor in batch.items()}
    without = {name: tensor.clone() for name, tensor in batch.items()}
    for example, variant in places:
        assert batch[VARIANT_MASK][example, variant]
        poisoned["input_ids"][example, variant, 1] = tokenizer.unk_token_id
        without[VARIANT_MASK][example, variant] = False
    return poisoned, without


def batch_of(trainer):
    collator = trainer.build_group_collator()
    return collator([trainer.train_dataset[i] for i in range(6)])


def gradient_of(trainer, batch, num_items=6):
    for _ in range(1 if trainer.args.score_interval == 1 else 2):  # after the first step, scores are known
        trainer.model.zero_grad()
        torch.manual_seed(0)
        loss = trainer.training_step(trainer.model, dict(batch), num_items)
    return loss, torch.cat([p.grad.flatten() for p in trainer.model.parameters()])


def is_refused(loss, way, value=None):
    """Uniform weights have no largest ones."""
    return (loss, way) == ("uniform", "top")


@pairwise(unless=is_refused, loss=LOSSES, way=list(WAYS), value=[torch.nan, torch.inf])
def test_the_gradient_is_that_without_the_variant(make_trainer, tokenizer, loss, way, value):
    poisoned, without = poison(batch_of(make_trainer(**WAYS[way])), tokenizer, [(1, 2), (3, 1)])
    found_loss, found = gradient_of(make_trainer(value, mmel_loss=loss, **WAYS[way]), poisoned)
    expected_loss, expected = gradient_of(make_trainer(mmel_loss=loss, **WAYS[way]), without)
    assert found.isfinite().all() and same_gradient(found, expected)
    assert torch.allclose(found_loss, expected_loss, rtol=ROUNDING)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_loss_or_a_divergence_may_be_at_fault(value):
    fine, mask = torch.ones(2, 3), torch.tensor([[True, True, True], [True, True, False]])
    for place, expected in ((1, [False, True, False]), (0, [True, True, True])):
        wrong = fine.clone()
        wrong[0, place] = value
        wrong[1, 2] = value  # which is absent
        for values in (VariantLosses(wrong, fine[:, 0]), VariantLosses(fine, fine[:, 0], wrong)):
            assert values.nonfinite(mask).tolist() == [expected, [False] * 3]


@pairwise(unless=is_refused, loss=LOSSES, way=list(WAYS))
def test_with_an_original_all_of_its_variants_are_left_out(make_trainer, tokenizer, loss, way):
    batch = batch_of(make_trainer(**WAYS[way]))
    poisoned, _ = poison(batch, tokenizer, [(2, 0)])
    others = torch.tensor([0, 1, 3, 4, 5])
    if way == "sample":  # the draws are those of rows, of which there is one more
        poisoned, batch = (
            {name: x[torch.tensor([0, 1, 3, 4, 5, 2])] for name, x in b.items()} for b in (poisoned, batch)
        )
        others = torch.arange(5)
    _, found = gradient_of(make_trainer(mmel_loss=loss, **WAYS[way]), poisoned)
    _, expected = gradient_of(
        make_trainer(mmel_loss=loss, **WAYS[way]), {name: tensor[others] for name, tensor in batch.items()}
    )
    if way == "known scores":
        assert found.isfinite().all() and found.abs().sum() > 0
    else:
        assert same_gradient(found, expected)


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_of_which_nothing_is_left_has_no_gradient(make_trainer, tokenizer, way, caplog):
    trainer = make_trainer(mmel_loss="hard", **WAYS[way])
    poisoned, _ = poison(batch_of(trainer), tokenizer, [(i, 0) for i in range(6)])
    loss, gradient = gradient_of(trainer, poisoned)
    assert loss == 0 and not gradient.any()
    assert caplog.text.count("of an example is not finite, with all its variants") >= 6


@pytest.mark.parametrize("way", [way for way in WAYS if way != "known scores"])
def test_a_batch_of_which_nothing_is_left_has_outputs(make_trainer, tokenizer, way):
    trainer = make_trainer(mmel_loss="hard", **WAYS[way])
    poisoned, _ = poison(batch_of(trainer), tokenizer, [(i, 0) for i in range(6)])
    loss, outputs = trainer.compute_loss(trainer.model, poisoned, return_outputs=True)
    assert loss == 0 and outputs.logits.shape[1] == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_heads_that_read_the_end_token_find_it_where_nothing_is_left(kind, way, tokenizer, dataset, arguments):
    model, poison = make_encoder_decoder(tokenizer, kind), tokenizer.unk_token_id
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding) and module.num_embeddings == len(tokenizer):
            module.register_forward_hook(lambda _, ids, out: out.masked_fill((ids[0] == poison)[..., None], torch.inf))
    trainer = MMELTrainer(
        model.train(),
        arguments(mmel_loss="hard", num_variants=2, scoring_bf16=False, **WAYS[way]),
        train_dataset=dataset,
        processing_class=tokenizer,
        augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=1.0),
    )
    batch = batch_of(trainer)
    batch["input_ids"][..., 1] = poison
    loss, gradient = gradient_of(trainer, batch)
    assert loss == 0 and not gradient.any()


def test_originals_alone_are_left_out_too(make_trainer, tokenizer):
    trainer = make_trainer(mmel_loss="hard")
    batch = batch_of(trainer)
    batch[VARIANT_MASK][:, 1:] = False
    poisoned, _ = poison(batch, tokenizer, [(2, 0)])
    _, found = gradient_of(trainer, poisoned)
    others = torch.tensor([0, 1, 3, 4, 5])
    _, expected = gradient_of(make_trainer(mmel_loss="hard"), {name: tensor[others] for name, tensor in batch.items()})
    assert same_gradient(found, expected)


def test_the_warning_shows_the_texts(make_trainer, tokenizer, caplog):
    trainer = make_trainer(mmel_loss="hard")
    batch = batch_of(trainer)
    poisoned, _ = poison(batch, tokenizer, [(1, 2), (4, 0)])
    gradient_of(trainer, poisoned)
    variant, original = (tokenizer.decode(poisoned["input_ids"][1, v], skip_special_tokens=True) for v in (2, 0))
    first, second = (record.getMessage() for record in caplog.records if "not finite" in record.getMessage())
    assert first.startswith("In step 1 the loss of variant 2 of an example is not finite: '")
    assert variant.split(maxsplit=1)[-1] in first and f"made of {original!r}. It is left out." in first
    assert second.startswith("In step 1 the loss of an example is not finite, with all its variants: '")


def test_warnings_are_few_and_all_are_counted(make_trainer, tokenizer, caplog):
    trainer = make_trainer(mmel_loss="hard")
    poisoned, _ = poison(batch_of(trainer), tokenizer, [(i, 1) for i in range(4)])
    for _ in range(3):
        gradient_of(trainer, poisoned)
    assert caplog.text.count("It is left out") == MAX_WARNINGS
    assert caplog.text.count("Further variants that are not finite are only counted, in mmel/left_out.") == 1
    figures, _ = trainer._metrics.pop(lambda sums: sums)
    assert figures["mmel/left_out"] == 12
    assert all(torch.tensor(list(figures.values())).isfinite())


def test_warnings_name_the_step_of_their_training(make_trainer, tokenizer, caplog):
    trainer = make_trainer(mmel_loss="hard", max_steps=2)
    poisoned, _ = poison(batch_of(trainer), tokenizer, [(1, 1)])
    trainer.get_train_dataloader = lambda: DataLoader(
        [poisoned] * 2, batch_size=None
    )  # as a subclass may have its own
    for _ in range(2):
        caplog.clear()
        trainer.train()
        assert [step for step in range(1, 5) if f"In step {step} " in caplog.text] == [1, 2]


@pytest.mark.parametrize("way", WAYS)
def test_a_training_ends_if_that_is_asked_for(make_trainer, tokenizer, way):
    trainer = make_trainer(mmel_loss="hard", nonfinite_variants="raise", **WAYS[way])
    poisoned, _ = poison(batch_of(trainer), tokenizer, [(1, 2)])
    with pytest.raises(FloatingPointError, match=r"In step 1 the loss of variant 2 .* nonfinite_variants='skip'"):
        gradient_of(trainer, poisoned)


def test_a_model_that_has_diverged_ends_the_training(make_trainer):
    trainer = make_trainer(mmel_loss="hard")
    with torch.no_grad():
        trainer.model.classifier.bias.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match=r"classifier.bias is not: training has diverged"):
        gradient_of(trainer, batch_of(trainer))


def test_a_whole_training_goes_on(make_trainer, tokenizer):
    trainer = make_trainer(mmel_loss="soft", num_train_epochs=3, logging_steps=1)
    collate = VariantCollator.__call__

    def spoiled(collator, examples):
        batch = collate(collator, examples)
        present = batch[VARIANT_MASK].clone()
        present[:, 0] = False
        if present.any():
            example, variant = present.nonzero()[0].tolist()
            batch["input_ids"][example, variant, 1] = tokenizer.unk_token_id
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VariantCollator, "__call__", spoiled)
        trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert sum(entry.get("mmel/left_out", 0) for entry in logs) >= 3
    assert all(torch.tensor([entry[name] for name in entry]).isfinite().all() for entry in logs)
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())


def test_nothing_is_said_where_all_is_finite(make_trainer, caplog):
    trainer = make_trainer(mmel_loss="hard", logging_steps=1, max_steps=2)
    trainer.train()
    assert not any("mmel/left_out" in entry for entry in trainer.state.log_history)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING and "finite" in record.msg]


def test_what_is_not_finite_in_training_alone_is_counted(make_trainer, tokenizer):
    trainer = make_trainer(mmel_loss="hard", variant_backward="top", variant_backward_count=2)
    (hook,) = trainer.model.get_input_embeddings()._forward_hooks.values()
    trainer.model.get_input_embeddings()._forward_hooks.clear()
    trainer.model.get_input_embeddings().register_forward_hook(
        lambda module, args, embedded: hook(module, args, embedded) if torch.is_grad_enabled() else embedded
    )
    poisoned, _ = poison(batch_of(trainer), tokenizer, [(1, 0)])
    _, gradient = gradient_of(trainer, poisoned)
    assert gradient.isfinite().all() and gradient.abs().sum() > 0
    assert trainer._metrics.pop(lambda sums: sums)[0]["mmel/left_out"] >= 1


@pytest.mark.parametrize("is_plain", [False, True], ids=["variants", "originals"])
def test_batch_normalisation_remembers_nothing_of_it(arguments, is_plain):
    config = ResNetConfig(
        num_channels=3, embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=2
    )
    torch.manual_seed(0)
    pixels = torch.randn(6, 3, 8, 8)
    pixels[2, 1, 4, 4] = torch.nan
    rows = [{"pixel_values": x, "labels": i % 2} for i, x in enumerate(pixels)]

    def trained(rows):
        torch.manual_seed(1)
        trainer = MMELTrainer(
            perturb_weights(ResNetForImageClassification(config)),
            arguments(mmel_loss="hard", num_variants=2),
            train_dataset=rows,
            augmenter=ImageVariants(crop_padding=1),
        )
        batch = trainer.build_group_collator()(rows)
        batch[VARIANT_MASK][:, 1:] &= not is_plain
        trainer.model.train()
        _, gradient = gradient_of(trainer, batch)
        return gradient, [buffer.clone() for buffer in trainer.model.buffers() if buffer.is_floating_point()]

    gradient, buffers = trained(rows)
    expected, expected_buffers = trained(rows[:2] + rows[3:])
    assert same_gradient(gradient, expected)
    assert buffers and all(torch.allclose(*both, atol=1e-6) for both in zip(buffers, expected_buffers, strict=True))


def test_an_adversarial_variant_is_left_out_like_any(make_trainer, tokenizer):
    trainer = make_trainer(mmel_loss="hard", adversary=AdversarialVariants(1, 0.1))
    batch = batch_of(trainer)
    poisoned, _ = poison(batch, tokenizer, [(2, 0)])
    _, gradient = gradient_of(trainer, poisoned)
    assert gradient.isfinite().all() and gradient.abs().sum() > 0


class Huge(TrainerCallback):
    """Makes the losses some ten thousand, by a bias far from the labels."""

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        with torch.no_grad():
            model.classifier.bias.copy_(torch.tensor([1e4, -1e4]))


@pytest.mark.parametrize("precision", [{}, {"bf16": True}])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_ten_thousand_are_trained_on(make_trainer, loss, precision):
    trainer = make_trainer(mmel_loss=loss, logging_steps=1, max_steps=2, **precision)
    trainer.add_callback(Huge())
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "mmel/loss_original" in entry]
    assert len(logs) == 2 and all(entry["mmel/loss_original"] > 5e3 for entry in logs)
    assert all(torch.tensor(list(entry.values())).isfinite().all() for entry in logs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_model_of_half_precision_is_weighed_at_the_ends_of_its_range(make_trainer, tokenizer, loss, dtype):
    trainer = make_trainer(mmel_loss=loss)
    trainer.model.to(dtype)
    with torch.no_grad():  # logits next to the largest number of float16, which is 65,504
        trainer.model.classifier.bias.copy_(torch.tensor([6e4, -6e4]))
    poisoned, _ = poison(batch_of(trainer), tokenizer, [(1, 2)])
    found, gradient = gradient_of(trainer, poisoned)
    assert found.isfinite() and found > 1e4 and gradient.isfinite().all() and gradient.abs().sum() > 0
    figures, _ = trainer._metrics.pop(lambda sums: sums)
    assert figures["mmel/left_out"] == 1 and torch.tensor(list(figures.values())).isfinite().all()


def test_an_unknown_choice_is_refused(arguments):
    with pytest.raises(ValueError, match="nonfinite_variants is 'ignore'; expected one of 'skip', 'raise'"):
        arguments(nonfinite_variants="ignore")
