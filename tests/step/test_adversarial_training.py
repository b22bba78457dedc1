"""Training on adversarial variants: every head, any micro-batches, and what is refused."""

import pytest
import torch
from conftest import WORDS, make_model
from pairwise import pairwise
from task_heads import TASK_HEADS
from transformers import DataCollatorWithPadding

from augment import LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("hard", {"variant_chunk_size": 1}),
        ("soft", {"variant_chunk_size": 1}),
        ("soft", {"variant_chunk_size": 2}),
        ("hard", {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}),
    ],
)
def test_cuts_of_a_batch_change_nothing(loss, options, tokenizer, dataset, arguments):
    adversary = AdversarialVariants(2, 0.3, random_start=loss == "soft")  # other batches would have other starts
    weights = []
    for cut in ({}, options):
        given = {"mmel_loss": loss, "per_device_train_batch_size": 4, "max_steps": 2, "scoring_bf16": False}
        fixed = {"learning_rate": 0.1, "optim": "sgd", "train_sampling_strategy": "sequential"}
        args = arguments(**given | cut, **fixed)
        model = make_model(tokenizer, num_labels=2, initializer_range=0.3)
        trainer = MMELTrainer(
            model, args, train_dataset=dataset.select(range(8)), processing_class=tokenizer, adversary=adversary
        )
        trainer.train()
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.allclose(*weights, atol=1e-5)


@pairwise(name=list(TASK_HEADS), loss=["hard", "soft", "uniform"], beside=[False, True])
def test_every_head_trains_on_them(name, loss, beside, tokenizer, arguments):
    head = TASK_HEADS[name]
    model = head.model(tokenizer)
    args = arguments(mmel_loss=loss, max_steps=3, per_device_train_batch_size=3, num_variants=2, logging_steps=1)
    rows = head.rows(tokenizer)
    trainer = MMELTrainer(
        model,
        args,
        data_collator=head.collator(tokenizer),
        train_dataset=rows,
        processing_class=tokenizer,
        augmenter=LexiconSubstitution(tokenizer, WORDS) if beside else None,
        adversary=AdversarialVariants(1, 0.5),
    )
    trainer.train()
    lines = [line for line in trainer.state.log_history if "loss" in line]
    assert all(line["loss"] > 0 for line in lines)
    assert all(line["mmel/effective_num_variants"] >= 1 for line in lines)
    assert any(line["mmel/loss_variants"] != line["mmel/loss_original"] for line in lines)


@pytest.mark.parametrize("dtype", [float, int])
def test_texts_with_as_many_labels_as_tokens_are_trained_on(dtype, tokenizer, dataset, arguments):
    def trained(num_padding):
        size = max(map(len, dataset["input_ids"])) + num_padding
        labels = [[dtype((i + k) % 3 == 0) for k in range(size - num_padding)] for i in range(len(dataset))]
        rows = dataset.remove_columns("label").add_column("labels", labels)
        options = {"num_labels": size - num_padding, "problem_type": "multi_label_classification"}
        fields = {"mmel_loss": "hard", "max_steps": 2, "per_device_train_batch_size": 9, "learning_rate": 1e-3}
        trainer = MMELTrainer(
            make_model(tokenizer, **options),
            arguments(loss_check=dtype is float, **fields),  # the model itself takes floats alone
            data_collator=DataCollatorWithPadding(tokenizer, padding="max_length", max_length=size),
            train_dataset=rows,
            adversary=AdversarialVariants(random_start=False),
        )
        trainer.train()
        return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])

    assert torch.allclose(trained(0), trained(1), atol=1e-5)


@pytest.mark.parametrize("backward", ["top", "sample"])
def test_they_are_chosen_by_their_weights_too(backward, tokenizer, dataset, arguments):
    model = make_model(tokenizer, num_labels=2)
    args = arguments(mmel_loss="hard", variant_backward=backward, max_steps=3, learning_rate=1e-3)
    trainer = MMELTrainer(
        model, args, train_dataset=dataset, processing_class=tokenizer, adversary=AdversarialVariants(1, 1.0)
    )
    trainer.train()
    assert trainer.state.global_step == 3


def test_without_an_objective_there_are_none(tokenizer, dataset, arguments):
    weights = []
    for adversary in (None, AdversarialVariants()):
        model = make_model(tokenizer, num_labels=2)
        args = arguments(mmel_loss="none", max_steps=3)
        MMELTrainer(model, args, train_dataset=dataset, processing_class=tokenizer, adversary=adversary).train()
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(*weights)


def test_a_resumed_training_makes_the_same(tokenizer, dataset, arguments, tmp_path):
    def train(**options):
        model = make_model(tokenizer, num_labels=2, dropout=0.1)
        args = arguments(mmel_loss="soft", num_train_epochs=2, per_device_train_batch_size=3, learning_rate=1e-3)
        args.save_strategy, args.save_steps = "steps", 2
        trainer = MMELTrainer(
            model, args, train_dataset=dataset, processing_class=tokenizer, adversary=AdversarialVariants(2, 0.5)
        )
        trainer.train(**options)
        return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])

    whole = train()
    assert torch.equal(train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2")), whole)


def test_what_does_not_go_with_them_is_refused(tokenizer, dataset, arguments):
    def build(adversary, **options):
        model = make_model(tokenizer, num_labels=2)
        MMELTrainer(model, arguments(**options), train_dataset=dataset, adversary=adversary)

    with pytest.raises(TypeError, match=r"adversary is a int; expected hf_mmel\.AdversarialVariants"):
        build(3)
    with pytest.raises(ValueError, match="score_interval is 2, but adversarial variants"):
        build(AdversarialVariants(), score_interval=2, variant_backward="top")
    with pytest.raises(ValueError, match="random_start is False, but with mmel_loss='soft'"):
        build(AdversarialVariants(random_start=False), mmel_loss="soft")


def test_the_card_tells_of_them(tokenizer, dataset, arguments, tmp_path):
    args = arguments(mmel_loss="hard", max_steps=1)
    adversary = AdversarialVariants(3, 0.25)
    trainer = MMELTrainer(
        make_model(tokenizer), args, train_dataset=dataset, processing_class=tokenizer, adversary=adversary
    )
    trainer.train()
    trainer.create_model_card()
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "Adversarial perturbations of the input" in card and '"step_size": 0.25' in card
    assert "came with the data" not in card and "made by this augmenter" not in card
