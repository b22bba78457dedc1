"""Examples without a label, -100, teach nothing with lambda_u=0, and count in no logged mean of labelled ones."""

import pytest
import torch
import torch.nn.functional as F
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from trainer_runs import RecordGradients
from transformers import (
    BertForTokenClassification,
    DataCollatorForTokenClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
)

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer


def make_deberta(tokenizer):
    """Its loss without a label is a number without a gradient."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return DebertaV2ForSequenceClassification(DebertaV2Config(vocab_size=len(tokenizer), num_labels=2, **sizes))


def make_llama(tokenizer):
    """Its loss is divided by the number of labels in the update."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    options = {"vocab_size": len(tokenizer), "num_labels": 2, "pad_token_id": tokenizer.pad_token_id}
    return LlamaForSequenceClassification(LlamaConfig(**sizes, **options))


def make_tagger(tokenizer):
    return BertForTokenClassification(make_model(tokenizer).config)


def mean_over_items(outputs, labels, num_items_in_batch=None):
    losses = F.cross_entropy(outputs.logits, labels, reduction="sum")
    return losses / (labels.ne(-100).sum() if num_items_in_batch is None else num_items_in_batch)


def rows_of(tokenizer, labels):
    return Dataset.from_list([{**tokenizer(text), "labels": labels(i)} for i, text in enumerate(SENTENCES[:4])])


def trainer_of(model, args, tokenizer, rows, **options):
    augmenter = LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5)
    return MMELTrainer(model, args, train_dataset=rows, processing_class=tokenizer, augmenter=augmenter, **options)


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("mmel_loss", ["hard", "soft", "none"])
@pytest.mark.parametrize(
    ("make", "fields", "options"),
    [
        (make_model, {}, {}),
        (make_model, {"label_smoothing_factor": 0.1}, {}),
        (make_model, {}, {"compute_loss_func": mean_over_items}),
        (make_deberta, {}, {}),
        (make_llama, {}, {}),
        (make_tagger, {}, {}),
    ],
    ids=["bert", "smoothing", "loss function", "deberta", "llama", "tagger"],
)
def test_an_update_without_any_label_changes_nothing(
    arguments, tokenizer, make, fields, options, mmel_loss, accumulation
):
    rows = rows_of(tokenizer, lambda i: -100)
    if make is make_tagger:
        rows = rows.map(lambda row: {"labels": [-100] * len(row["input_ids"])})
        options = {"data_collator": DataCollatorForTokenClassification(tokenizer)}
    args = arguments(
        mmel_loss=mmel_loss,
        lambda_u=0.0,
        max_steps=1,
        per_device_train_batch_size=4 // accumulation,
        gradient_accumulation_steps=accumulation,
        logging_steps=1,
        logging_nan_inf_filter=False,
        **fields,
    )
    recorder = RecordGradients()
    trainer = trainer_of(make(tokenizer), args, tokenizer, rows, callbacks=[recorder], **options)
    trainer.train()
    assert not recorder.gradients[0].any()
    assert trainer.state.log_history[0]["loss"] == 0


@pytest.mark.parametrize("make", [make_model, make_deberta, make_llama], ids=["bert", "deberta", "llama"])
def test_a_micro_batch_without_labels_adds_nothing_to_an_update(arguments, tokenizer, make):
    """Without variants, where the loss is that of `Trainer`, which scales it by its own rules."""
    gradients = []
    for labels, accumulation in ((lambda i: i % 2, 1), (lambda i: i % 2 if i < 2 else -100, 2)):
        rows = rows_of(tokenizer, labels).select(range(2 * accumulation))
        recorder = RecordGradients()
        args = arguments(
            mmel_loss="none",
            max_steps=1,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=accumulation,
            train_sampling_strategy="sequential",
        )
        torch.manual_seed(0)
        trainer_of(make(tokenizer).eval(), args, tokenizer, rows, callbacks=[recorder]).train()
        gradients.append(F.normalize(recorder.gradients[0], dim=0))
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


def test_a_finite_loss_of_another_label_column_stays(arguments, tokenizer):
    rows = rows_of(tokenizer, lambda i: -100)

    class WithPenalty(type(make_model(tokenizer))):
        def forward(self, input_ids, attention_mask=None, labels=None):
            outputs = super().forward(input_ids, attention_mask)
            outputs.loss = outputs.logits.pow(2).mean()
            return outputs

    args = arguments(mmel_loss="none", max_steps=1, logging_steps=1)
    trainer = trainer_of(WithPenalty(make_model(tokenizer).config), args, tokenizer, rows)
    trainer.train()
    assert trainer.state.log_history[0]["loss"] > 0


# What is logged


FIGURES = ["loss_original", "loss_variants", "max_weight", "effective_num_variants"]


def figures_of(trainer):
    trainer.train()
    logs = next(entry for entry in trainer.state.log_history if "loss" in entry)
    return {name: logs[f"mmel/{name}"] for name in FIGURES if f"mmel/{name}" in logs}


@pytest.mark.parametrize("mmel_loss", ["hard", "soft", "uniform"])
@pytest.mark.parametrize("words", [WORDS, {"unheard": ["unseen"]}], ids=["variants", "originals alone"])
def test_logged_means_are_those_of_the_labelled_examples(arguments, tokenizer, mmel_loss, words):
    found = []
    for labels, chosen in ((lambda i: i % 2, [0, 1]), (lambda i: i % 2 if i < 2 else -100, range(4))):
        rows = rows_of(tokenizer, labels).select(chosen)
        fields = {"max_steps": 1, "logging_steps": 1, "per_device_train_batch_size": 4, "lambda_p": 0.1}
        args = arguments(mmel_loss=mmel_loss, num_variants=2, **fields)
        augmenter = LexiconSubstitution(tokenizer, words, replace_prob=0.5)
        options = {"train_dataset": rows, "processing_class": tokenizer, "augmenter": augmenter}
        found.append(figures_of(MMELTrainer(make_model(tokenizer), args, **options)))
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert found[0].keys() == set(FIGURES if words is WORDS else FIGURES[:1])


def test_batches_of_originals_count_by_their_labelled_examples(arguments, tokenizer):
    """Two micro-batches of one update, of one labelled example and of two."""
    labels = [0, -100, 1, 1]
    rows = rows_of(tokenizer, lambda i: labels[i])
    fields = {"max_steps": 1, "logging_steps": 1, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    args = arguments(mmel_loss="hard", train_sampling_strategy="sequential", **fields)
    options = {"train_dataset": rows, "processing_class": tokenizer}
    augmenter = LexiconSubstitution(tokenizer, {"unheard": ["unseen"]})
    trainer = MMELTrainer(make_model(tokenizer), args, augmenter=augmenter, **options)
    batch = tokenizer.pad(rows.remove_columns("labels")[:], return_tensors="pt")
    with torch.no_grad():
        losses = F.cross_entropy(trainer.model(**batch).logits, torch.tensor(labels), reduction="none")
    assert figures_of(trainer)["loss_original"] == pytest.approx(losses.sum().item() / 3, rel=1e-4)
