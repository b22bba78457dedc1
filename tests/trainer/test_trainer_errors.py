"""What MMELTrainer refuses, before any work is done."""

import pytest
import torch
from conftest import make_model, make_tokenizer
from datasets import Dataset
from torch.utils.data import default_collate
from transformers import TrainingArguments

from hf_mmel import MMELTrainer, VariantCollator


def test_what_does_not_go_together_is_refused_before_training(arguments, tokenizer, dataset, augmenter):
    model = make_model(tokenizer)
    good = {"args": arguments(), "train_dataset": dataset, "processing_class": tokenizer, "augmenter": augmenter}
    for error, message, change in [
        (TypeError, "MMELTrainingArguments", {"args": arguments(TrainingArguments)}),
        (ValueError, "processing_class=tokenizer", {"processing_class": None}),
        (
            ValueError,
            "compute_loss_func and class_weights",
            {"compute_loss_func": print, "args": arguments(class_weights=[1.0, 2.0])},
        ),
        (ValueError, "has an augmenter already", {"data_collator": VariantCollator(tokenizer, augmenter)}),
        (ValueError, "another vocabulary", {"processing_class": make_tokenizer("bpe")}),
        (TypeError, "expected an object with variants", {"augmenter": "wordnet"}),
    ]:
        large = make_model(make_tokenizer("bpe"))  # enough embeddings for either tokenizer
        with pytest.raises(error, match=message):
            MMELTrainer(large, **{**good, **change})
    small = make_model(tokenizer)
    small.resize_token_embeddings(len(tokenizer) - 1)
    with pytest.raises(ValueError, match="they do not belong together"):
        MMELTrainer(small, **good)
    assert MMELTrainer(model, **good).train().global_step > 0


@pytest.mark.parametrize(
    ("label", "message"),
    [(2, r"Row 3 .* label 2; .*expected 0 to 1"), (-1, "Row 3 .* label -1"), (None, "Row 3 .* has no label")],
)
def test_a_bad_label_is_refused_before_training_with_its_row(arguments, tokenizer, dataset, augmenter, label, message):
    rows = dataset.to_list()
    rows[3]["label"] = label
    trainer = MMELTrainer(
        make_model(tokenizer),
        arguments(),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        augmenter=augmenter,
    )
    with pytest.raises(ValueError, match=message):
        trainer.train()


@pytest.mark.parametrize(("column", "message"), [("input_ids", "Tokenise it first"), ("label", "expected one named")])
def test_a_missing_column_is_named(arguments, tokenizer, dataset, augmenter, column, message):
    trainer = MMELTrainer(
        make_model(tokenizer),
        arguments(),
        train_dataset=dataset.remove_columns(column),
        processing_class=tokenizer,
        augmenter=augmenter,
    )
    with pytest.raises(ValueError, match=message):
        trainer.train()


def test_batches_that_are_no_groups_are_named(arguments, tokenizer, dataset):
    trainer = MMELTrainer(make_model(tokenizer), arguments(), processing_class=tokenizer)
    trainer.model.train()
    group = default_collate([{"input_ids": torch.ones(3, 5, dtype=torch.long)}] * 2)
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="expected labels"):
        trainer.compute_loss(trainer.model, {**group, "variant_mask": mask})
    with pytest.raises(ValueError, match=r"token_type_ids has the shape \(2, 5\)"):
        inputs = {**group, "token_type_ids": torch.zeros(2, 5, dtype=torch.long)}
        trainer.compute_loss(trainer.model, {**inputs, "labels": torch.zeros(2), "variant_mask": mask})


@pytest.mark.parametrize("names", [["bad", "good"], ["label"]])
def test_label_names_that_no_batch_has_are_refused_before_training(arguments, tokenizer, dataset, augmenter, names):
    data = {"train_dataset": dataset, "eval_dataset": {"one": dataset}, "processing_class": tokenizer}
    trainer = MMELTrainer(make_model(tokenizer), arguments(label_names=names), **data, augmenter=augmenter)
    with pytest.raises(ValueError, match=rf"label_names is .* has '{names[0]}', so that an evaluation would have no"):
        trainer.train()


@pytest.mark.parametrize("sharded", ["is_fsdp_enabled", "is_deepspeed_enabled"])
@pytest.mark.parametrize(
    ("fields", "received"),
    [
        ({"variant_chunk_size": 1}, "variant_chunk_size is 1"),
        ({"score_interval": 2, "variant_backward": "top"}, "score_interval is 2"),
    ],
)
def test_passes_of_a_sharded_model_are_refused_before_training(
    arguments, tokenizer, dataset, augmenter, sharded, fields, received
):
    trainer = MMELTrainer(
        make_model(tokenizer),
        arguments(**fields),
        train_dataset=dataset,
        processing_class=tokenizer,
        augmenter=augmenter,
    )
    setattr(trainer, sharded, True)
    with pytest.raises(ValueError, match=f"{received}, but under FSDP and DeepSpeed"):
        trainer.train()
