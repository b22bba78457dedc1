"""A run that resumes from a checkpoint ends exactly as one that was never interrupted."""

from pathlib import Path

import pytest
import torch
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from pairwise import pairwise
from trainer_runs import Stream, training_logs, weights_of
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import HubStrategy

from augment import GreedySearch, LexiconSubstitution
from hf_mmel import GreedySearchCallback, MMELTrainer
from hf_mmel.callbacks import SEARCHED_VARIANTS


pytestmark = pytest.mark.integration  # whole trainings, each interrupted and resumed


# As a function of the rows. The streams are so long that none is read twice: `Trainer`, which does not know their
# length, takes all steps for one epoch and resumes at the wrong place in a second reading.
KINDS = {
    "rows with random access": lambda rows: rows,
    "streamed rows": lambda rows: Dataset.from_list(list(rows) * 4).to_iterable_dataset(num_shards=2),
    "a torch stream": lambda rows: Stream(list(rows) * 8),
}


@pytest.fixture
def train(arguments, tokenizer, augmenter):
    """Trains with dropout, a random order where there is one, and a checkpoint at every step unless it resumes."""

    def train(dataset, checkpoint=None, callbacks=None, augmenter=augmenter, **fields):
        defaults = {"per_device_train_batch_size": 2, "max_steps": 8, "learning_rate": 1e-3, "logging_steps": 1}
        defaults["save_strategy"] = "steps" if checkpoint is None else "no"
        trainer = MMELTrainer(
            make_model(tokenizer, dropout=0.1),
            arguments(
                **{**defaults, "save_strategy": "steps" if checkpoint is None else "no", "save_steps": 1, **fields}
            ),
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


@pairwise(kind=list(KINDS), accumulation=[1, 2], workers=[0, 2], mmel_loss=["hard", "soft"])
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


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_weights_that_warm_up_are_resumed_exactly(train, rows, mmel_loss):
    """Before, within and after the part of training in which they change: it ends at step 6 of 8."""
    fields = {"mmel_loss": mmel_loss, "effective_num_variants": 1.5, "reweighting_warmup": 0.375}
    whole = train(rows, **fields)
    largest = [entry["mmel/max_weight"] for entry in training_logs(whole)]
    assert max(largest[:4]) < min(largest[5:])
    for checkpoint in (2, 4, 7):
        resumed = train(rows, checkpoint, **fields)
        assert torch.equal(weights_of(whole), weights_of(resumed))
        assert torch.equal(optimizer_state(whole), optimizer_state(resumed))
        assert training_logs(whole) == training_logs(resumed)


SCORED = {"variant_backward": "top", "variant_backward_count": 2, "scoring_bf16": False, "lambda_p": 0.1}
LASTING = {
    "scores": {**SCORED, "score_interval": 2},
    "scores with what is left out": {**SCORED, "score_interval": 3, "min_label_probability": 0.5},
    "searched variants": {"mmel_loss": "hard"},
    "variants searched every third epoch": {"mmel_loss": "hard"},
    "both": {**SCORED, "score_interval": 3, "variant_backward": "sample"},
}


@pytest.fixture
def train_lasting(train, rows, tokenizer):
    """Trains for four epochs of five steps with scores or searched variants that outlast a step."""

    def run(name, checkpoint=None, **fields):
        options = {"num_train_epochs": 4, "max_steps": -1, **LASTING[name], **fields}
        if "search" in name or name == "both":
            options["augmenter"] = GreedySearch(LexiconSubstitution(tokenizer, WORDS))
        if "every third" in name:
            options["callbacks"] = [GreedySearchCallback(refresh_epochs=3)]
        return train(rows, checkpoint, **options)

    return run


@pytest.mark.parametrize("name", LASTING)
def test_scores_and_searched_variants_are_resumed_exactly(train_lasting, name, caplog):
    """In the middle of epochs that draw and of others, and between epochs."""
    whole = train_lasting(name)
    for checkpoint in (3, 5, 8, 15):
        resumed = train_lasting(name, checkpoint)
        assert whole.state.global_step == resumed.state.global_step == 20
        assert torch.equal(weights_of(whole), weights_of(resumed))
        assert torch.equal(optimizer_state(whole), optimizer_state(resumed))
        assert training_logs(whole) == training_logs(resumed)
    assert "not exactly" not in caplog.text


@pytest.mark.parametrize(("name", "file"), [("scores", "scores.pth"), ("searched variants", SEARCHED_VARIANTS)])
def test_a_checkpoint_without_them_is_resumed_with_a_warning(train_lasting, name, file, caplog):
    whole = train_lasting(name)
    folder = Path(whole.args.output_dir)
    for checkpoint in (10, 8):
        (folder / f"checkpoint-{checkpoint}" / file).unlink()
        resumed = train_lasting(name, checkpoint)
        assert torch.equal(weights_of(whole), weights_of(resumed)) == (checkpoint == 10)  # when new ones are due
        assert (f"checkpoint-{checkpoint} has no {file}, so" in caplog.text) == (checkpoint == 8)


def test_scores_of_another_objective_are_not_resumed(train_lasting):
    train_lasting("scores", num_train_epochs=2)
    resumed = train_lasting("scores", 8, mmel_loss="hard")
    assert resumed.state.global_step == 20


@pytest.mark.parametrize("strategy", ["checkpoint", "all_checkpoints", "every_save", "end"])
def test_searched_variants_are_not_in_checkpoints_that_are_pushed(train_lasting, strategy):
    trainer = train_lasting("searched variants", num_train_epochs=1)
    (callback,) = [x for x in trainer.callback_handler.callbacks if isinstance(x, GreedySearchCallback)]
    trainer.args.push_to_hub, trainer.args.hub_strategy = True, HubStrategy(strategy)
    folder = Path(trainer.args.output_dir)
    callback.save(folder, trainer.args)
    assert (folder / SEARCHED_VARIANTS).exists() == (strategy in ("every_save", "end"))


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
