"""A run that resumes from a checkpoint ends exactly as one that was never interrupted."""

from pathlib import Path

import pytest
import torch
from conftest import SENTENCES, make_model
from datasets import Dataset
from trainer_runs import Stream, training_logs, weights_of
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from hf_mmel import MMELTrainer


# As a function of the rows. The streams are so long that none is read twice: `Trainer`, which does not know their
# length, takes all steps for one epoch and resumes at the wrong place in a second reading.
KINDS = {
    "rows with random access": lambda rows: rows,
    "streamed rows": lambda rows: Dataset.from_list(list(rows) * 4).to_iterable_dataset(num_shards=2),
    "a torch stream": lambda rows: Stream(list(rows) * 8),
}


@pytest.fixture
def train(arguments, tokenizer, augmenter):
    """Trains with dropout, a random order where there is one, and a checkpoint at every step."""

    def train(dataset, checkpoint=None, callbacks=None, **fields):
        defaults = {"per_device_train_batch_size": 2, "max_steps": 8, "learning_rate": 1e-3, "logging_steps": 1}
        trainer = MMELTrainer(
            make_model(tokenizer, dropout=0.1),
            arguments(**{**defaults, "save_strategy": "steps", "save_steps": 1, **fields}),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=augmenter,
            callbacks=callbacks,
        )
        folder = Path(trainer.args.output_dir)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(folder / f"checkpoint-{checkpoint}"))
        return trainer

    return train


@pytest.fixture
def rows(tokenizer):
    """Texts that all have variants, so that every log has all figures."""
    texts = [text for text in SENTENCES if "movie" in text or "film" in text or "odd" in text or "story" in text]
    return Dataset.from_list([{**tokenizer(f"{text} {i}"), "label": i % 2} for i, text in enumerate(texts * 2)])


def optimizer_state(trainer):
    """The optimizer's state in one tensor."""
    states = trainer.optimizer.state_dict()["state"].values()
    return torch.cat([value.flatten().float() for state in states for value in state.values()])


@pytest.mark.parametrize(
    ("accumulation", "workers", "mmel_loss"), [(1, 0, "hard"), (2, 0, "soft"), (1, 2, "soft"), (2, 2, "hard")]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_has_weights_optimizer_and_logs_of_an_uninterrupted_one(
    train, rows, kind, accumulation, workers, mmel_loss
):
    """Step 4 is in the middle of an epoch, and the run goes on into the next one."""
    fields = {"gradient_accumulation_steps": accumulation, "dataloader_num_workers": workers, "mmel_loss": mmel_loss}
    whole = train(KINDS[kind](rows), **fields)
    assert whole.state.epoch == (1 if "stream" in kind else 1.6 if accumulation == 1 else 2.8)
    assert all("mmel/effective_num_variants" in entry for entry in training_logs(whole))
    resumed = train(KINDS[kind](rows), 4, **fields)
    assert whole.state.global_step == resumed.state.global_step == 8
    assert torch.equal(weights_of(whole), weights_of(resumed))
    assert torch.equal(optimizer_state(whole), optimizer_state(resumed))
    assert training_logs(whole) == training_logs(resumed)


def test_figures_after_a_resume_are_of_the_steps_since_as_is_the_loss(train, rows):
    """Both sums of a window that a stop has cut are lost with the process: `Trainer` keeps none in its checkpoints."""
    every_step, whole = train(rows, logging_steps=1), train(rows, logging_steps=4)
    resumed = train(rows, 6, logging_steps=4)
    means = {}
    for name in ("loss", "mmel/loss_original", "mmel/max_weight", "mmel/effective_num_variants"):
        steps = [entry[name] for entry in training_logs(every_step)]
        means[name] = [sum(steps[4:]) / 4, sum(steps[6:]) / 2]
        for trainer, mean in zip((whole, resumed), means[name], strict=True):
            last = training_logs(trainer)[-1]
            assert last["step"] == 8 and last[name] == pytest.approx(mean, abs=1e-5)
    assert means["loss"][0] != pytest.approx(means["loss"][1], abs=1e-4)


def test_ignore_data_skip_resumes_at_the_first_batch_with_the_variants_of_the_epoch(train, rows, monkeypatch):
    seen = []

    class Look(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            seen.append([])

    compute_loss = MMELTrainer.compute_loss

    def looking(self, model, inputs, *args, **kwargs):
        seen[-1].append(inputs["input_ids"])
        return compute_loss(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(MMELTrainer, "compute_loss", looking)
    whole = train(rows, callbacks=[Look()])
    steps_per_epoch = whole.state.max_steps / whole.state.epoch
    assert steps_per_epoch == 5
    first_of_second_epoch = seen[5][0]
    seen.clear()
    train(rows, 7, callbacks=[Look()], ignore_data_skip=True)
    assert torch.equal(seen[0][0], first_of_second_epoch)


class CountSteps(TrainerCallback, ExportableState):
    """A callback whose state goes into the checkpoints."""

    def __init__(self, steps=0):
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        self.steps += 1

    def state(self):
        return {"args": {"steps": self.steps}, "attributes": {}}


def test_restored_callbacks_leave_the_epochs_of_the_variants_alone(train, rows):
    restored = {"restore_callback_states_from_checkpoint": True}
    whole = train(rows, callbacks=[CountSteps()], **restored)
    resumed = train(rows, 5, callbacks=[CountSteps()], **restored)  # at the end of an epoch
    (counter,) = [callback for callback in resumed.callback_handler.callbacks if isinstance(callback, CountSteps)]
    assert counter.steps == 8
    assert torch.equal(weights_of(whole), weights_of(resumed))
