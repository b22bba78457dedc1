"""What comes between the steps of a training leaves it alone: evaluation, prediction, logs, callbacks, an end."""

import numpy as np
import pytest
import torch
from conftest import make_model
from pairwise import in_turn
from trainer_runs import LOSSES, run, training_logs, weights_of
from transformers import BertForSequenceClassification, EarlyStoppingCallback, Trainer, TrainerCallback

from hf_mmel import MMELTrainer, VariantCollator


FIGURES = ("mmel/loss_original", "mmel/loss_variants", "mmel/max_weight", "mmel/effective_num_variants")


class BetweenSteps(TrainerCallback):
    """Calls a function of the trainer before every other step."""

    def __init__(self, function):
        self.function, self.results = function, []

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step % 2 == 1:
            self.results.append(self.function(self.trainer))


FUNCTIONS = {
    "evaluate": lambda trainer: trainer.evaluate()["eval_loss"],
    "predict": lambda trainer: trainer.predict(trainer.eval_dataset).metrics["test_loss"],
    "get_train_dataloader": lambda trainer: next(iter(trainer.get_train_dataloader()))["labels"].sum().item(),
}


@in_turn(function=FUNCTIONS, mmel_loss=["hard", "soft"])
def test_what_a_callback_asks_of_the_trainer_does_not_disturb_the_training(
    arguments, tokenizer, dataset, augmenter, mmel_loss, function
):
    """Without dropout: every iterator over a data loader takes one of its random numbers, here as in `Trainer`."""
    fields = {"num_train_epochs": 3, "per_device_train_batch_size": 2, "logging_steps": 3, "learning_rate": 1e-2}
    runs = []
    for callbacks in ([], [BetweenSteps(function)]):
        trainer = MMELTrainer(
            make_model(tokenizer),
            arguments(**fields, mmel_loss=mmel_loss),
            train_dataset=dataset,
            eval_dataset=dataset,
            processing_class=tokenizer,
            augmenter=augmenter,
            callbacks=callbacks,
        )
        for callback in callbacks:
            callback.trainer = trainer
        trainer.train()
        runs.append(trainer)
    assert len(callbacks[0].results) == 7 and all(np.isfinite(callbacks[0].results))
    assert torch.equal(weights_of(runs[0]), weights_of(runs[1]))
    assert training_logs(runs[0]) == training_logs(runs[1])
    assert all(set(FIGURES) <= set(entry) for entry in training_logs(runs[1]))


@LOSSES
def test_evaluation_during_training_changes_nothing_and_is_the_stock_one(
    arguments, tokenizer, dataset, augmenter, mmel_loss
):
    fields = {"max_steps": 6, "learning_rate": 1e-2, "mmel_loss": mmel_loss, "logging_steps": 1}
    plain, _ = run(MMELTrainer, arguments(**fields), tokenizer, dataset, dropout=0.0, augmenter=augmenter)
    fields.update(eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2)
    evaluated, _ = run(
        MMELTrainer, arguments(**fields), tokenizer, dataset, dropout=0.0, augmenter=augmenter, eval_dataset=dataset
    )
    assert torch.equal(weights_of(plain), weights_of(evaluated))
    assert training_logs(plain) == training_logs(evaluated)
    evaluations = [entry for entry in evaluated.state.log_history if "eval_loss" in entry]
    assert [entry["step"] for entry in evaluations] == [2, 4, 6]
    for entry in evaluations:
        model = BertForSequenceClassification.from_pretrained(
            f"{evaluated.args.output_dir}/checkpoint-{entry['step']}"
        )
        stock = Trainer(model, arguments(), eval_dataset=dataset, processing_class=tokenizer)
        assert stock.evaluate()["eval_loss"] == entry["eval_loss"]


class RecordLogs(TrainerCallback):
    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append(dict(logs))


@LOSSES
def test_an_early_stop_ends_with_the_best_model_and_callbacks_see_the_figures(
    arguments, tokenizer, dataset, augmenter, mmel_loss
):
    """A large step spoils the model sooner or later, and the stop comes two evaluations after the best one."""
    recorder = RecordLogs()
    trainer = MMELTrainer(
        make_model(tokenizer, dropout=0.1),
        arguments(
            mmel_loss=mmel_loss,
            max_steps=60,
            per_device_train_batch_size=3,
            learning_rate=3e-2,
            logging_steps=1,
            eval_strategy="steps",
            eval_steps=1,
            save_strategy="steps",
            save_steps=1,
            save_total_limit=2,
            load_best_model_at_end=True,
            metric_for_best_model="eval_loss",
        ),
        train_dataset=dataset,
        eval_dataset=dataset,
        processing_class=tokenizer,
        augmenter=augmenter,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=2), recorder],
    )
    trainer.train()
    losses = {entry["step"]: entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry}
    best = min(losses, key=losses.get)
    assert trainer.state.global_step == best + 2 < 60
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{best}")
    saved = BertForSequenceClassification.from_pretrained(trainer.state.best_model_checkpoint)
    assert torch.equal(weights_of(trainer), torch.cat([p.detach().flatten() for p in saved.parameters()]))
    assert trainer.evaluate()["eval_loss"] == losses[best] < losses[best + 2]
    seen = [entry for entry in recorder.logs if "loss" in entry]
    assert len(seen) == best + 2 and all(set(FIGURES) <= set(entry) for entry in seen)


class OwnGroups:
    """Collates groups as a user's own collator may, of whose epochs the trainer knows nothing."""

    def __init__(self, tokenizer, augmenter):
        self.collator = VariantCollator(tokenizer, augmenter)

    def __call__(self, examples):
        return self.collator(examples)


@pytest.mark.parametrize("kind", ["augmenter", "own groups"])
def test_a_second_training_begins_its_figures_anew(arguments, tokenizer, dataset, augmenter, kind):
    """Three steps, logged by twos: the third is in no log, and must not come into the first of the next training."""
    given = {"augmenter": augmenter} if kind == "augmenter" else {"data_collator": OwnGroups(tokenizer, augmenter)}
    args = arguments(max_steps=3, logging_steps=2, learning_rate=0.0, per_device_train_batch_size=2)
    trainer = MMELTrainer(make_model(tokenizer), args, train_dataset=dataset, processing_class=tokenizer, **given)
    logs = []
    for _ in range(2):
        trainer.train()
        logs.append(training_logs(trainer))
    assert len(logs[0]) == 1 and logs[0] == logs[1]
