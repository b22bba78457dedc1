"""MMELTrainer where transformers' Trainer was: runs, evaluation, columns, workers, resuming, logging."""

import numpy as np
import pytest
import torch
from augmenters import masked_lm
from conftest import make_model
from datasets import Dataset
from scripts.train_groups import train
from trainer_runs import Stream, run, weights_of
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from augment import MaskedLMSubstitution
from hf_mmel import MMELTrainer, VariantCollator


class SingleVariantGroups:
    """Collates examples into groups of the original alone."""

    def __init__(self, tokenizer):
        self.padding = DataCollatorWithPadding(tokenizer)

    def __call__(self, examples):
        batch = self.padding(examples)
        groups = {name: tensor if name == "labels" else tensor[:, None] for name, tensor in batch.items()}
        return {**groups, "variant_mask": torch.ones(len(examples), 1, dtype=torch.bool)}


def test_without_variants_every_step_is_the_stock_trainers(arguments, tokenizer, dataset):
    fields = {"max_steps": 6, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "logging_steps": 1}
    stock, stock_gradients = run(Trainer, arguments(TrainingArguments, **fields), tokenizer, dataset)
    ours, our_gradients = run(MMELTrainer, arguments(TrainingArguments, **fields), tokenizer, dataset)
    assert stock_gradients.norm() > 0
    assert torch.equal(stock_gradients, our_gradients) and torch.equal(weights_of(stock), weights_of(ours))
    losses = [[entry["loss"] for entry in t.state.log_history if "loss" in entry] for t in (stock, ours)]
    assert losses[0] == losses[1]


def test_mmel_loss_none_is_plain_fine_tuning_in_spite_of_an_augmenter(arguments, tokenizer, dataset, augmenter):
    stock, gradients = run(Trainer, arguments(TrainingArguments, max_steps=4), tokenizer, dataset)
    ours, ours_gradients = run(
        MMELTrainer, arguments(max_steps=4, mmel_loss="none"), tokenizer, dataset, augmenter=augmenter
    )
    assert torch.equal(gradients, ours_gradients) and torch.equal(weights_of(stock), weights_of(ours))


@pytest.mark.parametrize("mmel_loss", ["hard", "soft", "uniform"])
def test_one_variant_matches_stock_trainer(arguments, tokenizer, dataset, mmel_loss):
    stock, gradients = run(Trainer, arguments(TrainingArguments, max_steps=20), tokenizer, dataset)
    ours, ours_gradients = run(
        MMELTrainer,
        arguments(max_steps=20, mmel_loss=mmel_loss),
        tokenizer,
        dataset,
        data_collator=SingleVariantGroups(tokenizer),
    )
    assert gradients.norm() > 0
    assert torch.equal(gradients, ours_gradients) and torch.equal(weights_of(stock), weights_of(ours))


@pytest.mark.parametrize("given", ["augmenter", "collator"])
def test_evaluation_and_prediction_see_no_variants(arguments, tokenizer, dataset, augmenter, given):
    kwargs = (
        {"augmenter": augmenter} if given == "augmenter" else {"data_collator": VariantCollator(tokenizer, augmenter)}
    )
    model = make_model(tokenizer)
    args = arguments(per_device_eval_batch_size=3)
    ours = MMELTrainer(model, args, train_dataset=dataset, eval_dataset=dataset, processing_class=tokenizer, **kwargs)
    stock = Trainer(model, args, eval_dataset=dataset, processing_class=tokenizer)
    assert next(iter(ours.get_train_dataloader()))["input_ids"].dim() == 3
    assert ours.evaluate()["eval_loss"] == stock.evaluate()["eval_loss"]
    assert np.array_equal(ours.predict(dataset).predictions, stock.predict(dataset).predictions)


def test_evaluation_on_groups_looks_at_the_originals(arguments, tokenizer, dataset, augmenter):
    model = make_model(tokenizer)
    ours = MMELTrainer(model, arguments(), eval_dataset=dataset, processing_class=tokenizer)
    expected = ours.evaluate()["eval_loss"]
    ours.data_collator = VariantCollator(tokenizer, augmenter)
    assert ours.evaluate()["eval_loss"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("remove_unused_columns", [True, False])
@pytest.mark.parametrize("as_list", [True, False])
def test_spans_to_keep_reach_the_augmenter_and_not_the_model(
    arguments, tokenizer, augmenter, remove_unused_columns, as_list
):
    rows = [{**tokenizer("the movie was awful"), "keep_spans": [[2, 3]], "label": i % 2} for i in range(8)]
    trainer = MMELTrainer(
        make_model(tokenizer),
        arguments(num_variants=3, remove_unused_columns=remove_unused_columns, max_steps=2),
        train_dataset=rows if as_list else Dataset.from_list(rows),
        processing_class=tokenizer,
        augmenter=augmenter,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    assert "keep_spans" not in batch and (batch["input_ids"][:, :, 2] == rows[0]["input_ids"][2]).all()
    assert batch["variant_mask"][:, 1].all()
    trainer.train()


def test_evaluation_does_not_see_the_columns_of_the_augmenter(arguments, tokenizer, augmenter):
    rows = [{**tokenizer("the movie was awful"), "keep_spans": [[2, 3]], "label": i % 2} for i in range(8)]
    dataset = Dataset.from_list(rows)
    trainer = MMELTrainer(
        make_model(tokenizer),
        arguments(),
        train_dataset=dataset,
        eval_dataset=dataset,
        processing_class=tokenizer,
        augmenter=augmenter,
    )
    trainer.get_train_dataloader()
    assert "keep_spans" not in trainer.get_eval_dataloader().dataset.column_names
    assert trainer.evaluate()["eval_loss"] > 0


def test_a_masked_lm_is_asked_once_about_the_training_set(arguments, tokenizer, dataset, tmp_path, monkeypatch):
    asked, begin = [], MaskedLMSubstitution._begin

    def counted(self, batch, fill_mask):
        asked.append(len(batch))
        return begin(self, batch, fill_mask)

    monkeypatch.setattr(MaskedLMSubstitution, "_begin", counted)
    augmenter = masked_lm(tokenizer, cache_dir=tmp_path)
    run(MMELTrainer, arguments(num_train_epochs=3, mmel_loss="hard"), tokenizer, dataset, augmenter=augmenter)
    assert sum(asked) == len(dataset)


class SizedStream(Stream):
    """A stream that knows its length and has no numbers for its rows."""

    def __len__(self):
        return len(self.rows)


@pytest.mark.parametrize("stream_of", [Dataset.to_iterable_dataset, SizedStream])
def test_a_stream_gets_masked_lm_candidates_as_it_comes(arguments, tokenizer, dataset, tmp_path, stream_of):
    augmenter, stream = masked_lm(tokenizer, cache_dir=tmp_path / "cache"), stream_of(dataset)
    args = arguments(max_steps=3, mmel_loss="hard", logging_steps=1, per_device_train_batch_size=4)
    trainer, _ = run(MMELTrainer, args, tokenizer, stream, augmenter=augmenter)
    assert trainer.state.log_history[0]["mmel/effective_num_variants"] > 1.1
    assert not (tmp_path / "cache").exists()


# Logging


def test_the_figures_of_the_variants_are_means_over_the_logging_window(tmp_path):
    every_step = train(str(tmp_path), max_steps=4, logging_steps=1)
    one_window = train(str(tmp_path), max_steps=4, logging_steps=4)
    names = ["mmel/loss_original", "mmel/loss_variants", "mmel/max_weight", "mmel/effective_num_variants"]
    steps = [entry for entry in every_step.state.log_history if "loss" in entry]
    (window,) = [entry for entry in one_window.state.log_history if "loss" in entry]
    assert len(steps) == 4
    for name in ["loss", "mmel/loss_original"]:
        assert window[name] == pytest.approx(np.mean([entry[name] for entry in steps]), abs=1e-5)
    for entry in steps:
        assert set(names) <= set(entry)
        assert 1 / 4 <= entry["mmel/max_weight"] <= 1 <= entry["mmel/effective_num_variants"] <= 4


def test_every_epoch_trains_on_new_variants(tmp_path):
    """With a learning rate of zero, only new variants can change the loss of an epoch."""
    trainer = train(str(tmp_path), learning_rate=0.0, max_steps=3)
    losses = [entry["mmel/loss_variants"] for entry in trainer.state.log_history if "loss" in entry]
    originals = [entry["mmel/loss_original"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(set(losses)) == 3 and len(set(originals)) == 1
