"""Labels that are probabilities of the classes are trained on by cross entropy, for originals and variants."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from torch import nn
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

from augment import GreedySearch, LexiconSubstitution
from hf_mmel import MMELTrainer, search_variants
from hf_mmel.report import write_report
from hf_mmel.report.predictions import predict


PROBABILITIES = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0]]
SINGLE = {"num_labels": 3, "problem_type": "single_label_classification"}


def rows_of(tokenizer, labels):
    return Dataset.from_list([{**tokenizer(text), "labels": labels(i)} for i, text in enumerate(SENTENCES[:8])])


@pytest.fixture
def soft_rows(tokenizer):
    return rows_of(tokenizer, lambda i: PROBABILITIES[i % 3])


def trainer_of(model, args, tokenizer, dataset, words=WORDS):
    augmenter = LexiconSubstitution(tokenizer, words, replace_prob=0.5)
    options = {"train_dataset": dataset, "eval_dataset": dataset, "processing_class": tokenizer}
    return MMELTrainer(model, args, augmenter=augmenter, **options)


@pytest.mark.parametrize("words", [WORDS, {"unheard": ["unseen"]}], ids=["variants", "originals alone"])
def test_the_loss_is_the_cross_entropy_with_the_probabilities(arguments, tokenizer, soft_rows, words):
    trainer = trainer_of(
        make_model(tokenizer, **SINGLE), arguments(mmel_loss="uniform", num_variants=2), tokenizer, soft_rows, words
    )
    batch = next(iter(trainer.get_train_dataloader()))
    loss, outputs = trainer.compute_loss(trainer.model.train(), batch, return_outputs=True)
    mask = batch["variant_mask"]
    labels = batch["labels"].repeat_interleave(mask.sum(dim=1), dim=0)
    of_rows = F.cross_entropy(outputs.logits, labels, reduction="none")
    weights = (mask / mask.sum(dim=1, keepdim=True))[mask]
    torch.testing.assert_close(loss, (weights * of_rows).sum() / len(mask))
    assert trainer.model.config.problem_type == SINGLE["problem_type"]


@pytest.mark.parametrize("mmel_loss", ["hard", "soft", "uniform", "none"])
def test_training_and_evaluation_have_this_loss(arguments, tokenizer, soft_rows, mmel_loss):
    """Also where the model itself has none for such labels."""
    args = arguments(mmel_loss=mmel_loss, num_train_epochs=8, per_device_train_batch_size=4, learning_rate=5e-3)
    trainer = trainer_of(make_model(tokenizer, **SINGLE), args, tokenizer, soft_rows)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    prediction = trainer.predict(soft_rows)
    expected = F.cross_entropy(torch.tensor(prediction.predictions), torch.tensor(soft_rows["labels"])).item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, abs=1e-5)
    assert expected < before


def test_one_hot_probabilities_train_as_classes(arguments, tokenizer):
    of_classes = rows_of(tokenizer, lambda i: i % 3)
    one_hot = rows_of(tokenizer, lambda i: [float(c == i % 3) for c in range(3)])
    gradients = []
    for rows in (of_classes, one_hot):
        args = arguments(mmel_loss="hard", max_steps=3, per_device_train_batch_size=4, label_smoothing_factor=0.1)
        trainer = trainer_of(make_model(tokenizer, **SINGLE), args, tokenizer, rows)
        trainer.train()
        gradients.append(torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()]))
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def test_a_model_that_takes_probabilities_of_itself_needs_no_problem_type(arguments, tokenizer, soft_rows):
    torch.manual_seed(0)
    config = DebertaV2Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    config.num_labels = 3
    model = DebertaV2ForSequenceClassification(config)
    trainer = trainer_of(model, arguments(mmel_loss="hard", max_steps=2), tokenizer, soft_rows)
    trainer.train()
    assert model.config.problem_type is None


def test_a_model_that_takes_them_for_several_labels_is_refused(arguments, tokenizer, soft_rows):
    trainer = trainer_of(make_model(tokenizer, num_labels=3), arguments(max_steps=1), tokenizer, soft_rows)
    with pytest.raises(ValueError, match=r"BertForSequenceClassification computes the loss .* problem_type"):
        trainer.train()


@pytest.mark.parametrize("labels", [[0.7, 0.2, 0.3], [1.2, -0.2, 0.0], [0.5, 0.5]])
@pytest.mark.parametrize("problem_type", ["single_label_classification", None])
def test_what_is_no_probability_is_named(arguments, tokenizer, labels, problem_type):
    rows = rows_of(tokenizer, lambda i: labels)
    model = make_model(tokenizer, num_labels=3, problem_type=problem_type)
    trainer = trainer_of(model, arguments(max_steps=1), tokenizer, rows)
    with pytest.raises(ValueError, match=r"Row 0 of train_dataset has the labels|labels of train_dataset are lists"):
        trainer.train()


def test_zeros_and_ones_without_a_problem_type_are_several_labels(arguments, tokenizer):
    rows = rows_of(tokenizer, lambda i: [float(c == i % 3) for c in range(3)])
    model = make_model(tokenizer, num_labels=3)
    trainer_of(model, arguments(mmel_loss="hard", max_steps=1), tokenizer, rows).train()
    assert model.config.problem_type == "multi_label_classification"  # as the model sets it, given labels


class BareLogits(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    @property
    def config(self):
        return self.model.config

    def forward(self, input_ids, attention_mask=None, labels=None):
        return self.model(input_ids, attention_mask).logits


def test_a_model_of_bare_logits_is_evaluated(arguments, tokenizer, soft_rows):
    model = make_model(tokenizer, **SINGLE)
    predictions = [
        trainer_of(kind, arguments(), tokenizer, soft_rows).predict(soft_rows) for kind in (model, BareLogits(model))
    ]
    assert predictions[1].predictions.shape == (8, 3)
    assert np.array_equal(predictions[0].predictions, predictions[1].predictions)
    assert predictions[0].metrics["test_loss"] == predictions[1].metrics["test_loss"]


class DemandsLabels(nn.Module):
    """Its forward cannot be called without labels. It returns a loss of its own before the logits, or with them."""

    def __init__(self, model, as_dict):
        super().__init__()
        self.model, self.as_dict = model, as_dict

    @property
    def config(self):
        return self.model.config

    def forward(self, input_ids, labels, attention_mask=None):
        logits = self.model(input_ids, attention_mask).logits
        loss = F.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits} if self.as_dict else (loss, logits)


@pytest.mark.parametrize("as_dict", [True, False])
@pytest.mark.parametrize("mmel_loss", ["hard", "none"])
def test_a_model_that_demands_labels_gets_them(arguments, tokenizer, soft_rows, mmel_loss, as_dict):
    model = make_model(tokenizer, **SINGLE)
    expected = trainer_of(model, arguments(), tokenizer, soft_rows).predict(soft_rows)
    args = arguments(mmel_loss=mmel_loss, max_steps=1)
    model = DemandsLabels(model, as_dict)
    trainer = trainer_of(model, args, tokenizer, soft_rows)
    found = trainer.predict(soft_rows)
    assert np.array_equal(found.predictions, expected.predictions)
    assert found.metrics["test_loss"] == expected.metrics["test_loss"]
    trainer.train()
    assert search_variants(model, GreedySearch(LexiconSubstitution(tokenizer, WORDS)), soft_rows, 1) == len(soft_rows)


@pytest.mark.integration
def test_a_report_takes_the_likeliest_class_for_the_label(arguments, tokenizer, soft_rows, tmp_path):
    args = arguments(mmel_loss="hard", max_steps=2, per_device_train_batch_size=4)
    trainer = trainer_of(make_model(tokenizer, **SINGLE), args, tokenizer, soft_rows)
    trainer.train()
    predictions = predict(trainer)
    assert predictions.labels.tolist() == [int(np.argmax(PROBABILITIES[i % 3])) for i in range(8)]
    assert write_report(trainer, tmp_path / "report").is_file()
    hardest = trainer.state.stateful_callbacks["VariantHistory"]["attributes"]["hardest_variants"]
    assert {row["label"] for row in hardest} <= {"LABEL_0", "LABEL_1", "LABEL_2"}


def test_without_an_augmenter_they_train_as_well(arguments, tokenizer, soft_rows):
    args = arguments(max_steps=1, per_device_train_batch_size=8, logging_steps=1)
    model = make_model(tokenizer, **SINGLE)
    trainer = MMELTrainer(model, args, train_dataset=soft_rows, eval_dataset=soft_rows, processing_class=tokenizer)
    loss = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.state.log_history[-2]["loss"] == pytest.approx(loss, abs=1e-5)
