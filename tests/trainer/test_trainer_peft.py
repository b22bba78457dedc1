"""Adapters of `peft` under MMELTrainer: they alone are trained, saved and resumed."""

from pathlib import Path

import pytest
import torch
from conftest import make_model
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from trainer_runs import LOSSES, training_logs, weights_of
from transformers import Trainer

from hf_mmel import MMELTrainer


FIELDS = {"max_steps": 6, "per_device_train_batch_size": 3, "learning_rate": 1e-2, "logging_steps": 1}


def make_adapted(tokenizer, dropout=0.1, **config):
    """A classifier of two layers with adapters in its attention, the same at every call."""
    model = make_model(tokenizer, dropout=dropout, **config)
    return get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=4, target_modules=["query", "value"]))


@pytest.fixture
def train(arguments, tokenizer, dataset, augmenter):
    def train(model=None, cls=MMELTrainer, checkpoint=None, **fields):
        args = arguments(**{**FIELDS, **fields})
        given = {"augmenter": augmenter} if cls is MMELTrainer else {}
        model = model or make_adapted(tokenizer)
        trainer = cls(model, args, train_dataset=dataset, eval_dataset=dataset, processing_class=tokenizer, **given)
        trainer.train(resume_from_checkpoint=checkpoint and f"{args.output_dir}/checkpoint-{checkpoint}")
        return trainer

    return train


@LOSSES
def test_adapters_and_head_alone_are_trained_on_groups(train, tokenizer, mmel_loss):
    before = dict(make_adapted(tokenizer).named_parameters())
    trainer = train(mmel_loss=mmel_loss)
    for name, weight in trainer.model.named_parameters():
        trained = "lora_" in name or "modules_to_save" in name
        assert weight.requires_grad == trained and torch.equal(weight, before[name]) != trained, name
    assert max(entry.get("mmel/effective_num_variants", 0) for entry in training_logs(trainer)) > 1.1


def test_an_average_of_adapters_shares_the_frozen_weights(train):
    trainer = train(mmel_loss="soft", soft_labels="ema", ema_decay=0.5)
    averaged = dict(trainer.soft_label_model.named_parameters())
    for name, weight in trainer.model.named_parameters():
        assert (averaged[name] is weight) != weight.requires_grad, name
    (lora, *_) = (name for name in averaged if "lora_B" in name)
    assert averaged[lora].any() and not torch.equal(averaged[lora], trainer.model.get_parameter(lora))


@LOSSES
def test_an_adapted_model_has_the_loss_of_the_same_model_merged(
    arguments, tokenizer, dataset, augmenter, train, mmel_loss
):
    adapted = train(make_adapted(tokenizer, dropout=0.0), mmel_loss=mmel_loss, lambda_p=0.1)
    batch = next(iter(adapted.get_train_dataloader()))
    losses = []
    for model in (adapted.model, adapted.model.merge_and_unload()):
        trainer = MMELTrainer(model, adapted.args, None, dataset, None, tokenizer, augmenter=augmenter)
        model.train()
        losses.append(trainer.compute_loss(model, dict(batch)).item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert adapted.model.config.problem_type == "single_label_classification"


def test_without_variants_an_adapted_model_trains_as_under_the_stock_trainer(train):
    stock = train(cls=Trainer)
    ours = train(mmel_loss="none")
    assert torch.equal(weights_of(stock), weights_of(ours))


def test_a_regression_head_is_known_through_the_wrapper(arguments, tokenizer, dataset, augmenter):
    rows = dataset.remove_columns("label").add_column("label", [i / 9 for i in range(9)])
    model = make_adapted(tokenizer, dropout=0.0, num_labels=1)
    trainer = MMELTrainer(
        model, arguments(**{**FIELDS, "max_steps": 30}), None, rows, None, tokenizer, augmenter=augmenter
    )
    trainer.train()
    losses = [entry["loss"] for entry in training_logs(trainer)]
    assert model.config.problem_type == "regression"
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])


def test_a_vocabulary_of_another_model_is_refused_through_the_wrapper(arguments, tokenizer, augmenter):
    small = make_model(tokenizer)
    small.resize_token_embeddings(len(tokenizer) - 1)
    adapted = get_peft_model(small, LoraConfig(task_type=TaskType.SEQ_CLS, target_modules=["query"]))
    with pytest.raises(ValueError, match="they do not belong together"):
        MMELTrainer(adapted, arguments(), processing_class=tokenizer, augmenter=augmenter)


@LOSSES
def test_a_saved_adapter_predicts_alike_on_its_base(train, arguments, tokenizer, dataset, tmp_path, mmel_loss):
    trainer = train(mmel_loss=mmel_loss)
    trainer.save_model(str(tmp_path / "adapter"))
    saved = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert "adapter_model.safetensors" in saved and "model.safetensors" not in saved
    loaded = PeftModel.from_pretrained(make_model(tokenizer), str(tmp_path / "adapter"))
    expected = trainer.evaluate()["eval_loss"]
    other = Trainer(loaded, arguments(), eval_dataset=dataset, processing_class=tokenizer)
    assert other.evaluate()["eval_loss"] == expected
    untrained = Trainer(make_adapted(tokenizer), arguments(), eval_dataset=dataset, processing_class=tokenizer)
    assert untrained.evaluate()["eval_loss"] != expected


@LOSSES
def test_a_resumed_adapter_ends_with_the_weights_of_an_uninterrupted_run(train, mmel_loss):
    fields = {"mmel_loss": mmel_loss, "save_strategy": "steps", "save_steps": 1}
    whole = train(**fields)
    assert (Path(whole.args.output_dir) / "checkpoint-4" / "adapter_model.safetensors").exists()
    resumed = train(checkpoint=4, **fields)
    assert torch.equal(weights_of(whole), weights_of(resumed))
    assert training_logs(whole) == training_logs(resumed)
