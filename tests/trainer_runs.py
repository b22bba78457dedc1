"""Short runs of trainers, and what they leave."""

import pytest
import torch
from conftest import make_model
from transformers import TrainerCallback


SPEED = "mmel/variants_per_second"
LOSSES = pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
# Ways to train on a batch of groups, as fields of the arguments.
WAYS = {
    "full": {},
    "in passes of groups": {"variant_chunk_size": 3},
    "in passes of parts": {"variant_chunk_size": 1},
    "top": {"variant_backward": "top"},
    "sample": {"variant_backward": "sample", "variant_backward_count": 2},
    "known scores": {"variant_backward": "sample", "variant_backward_count": 2, "score_interval": 2},
}


class Stream(torch.utils.data.IterableDataset):
    """Rows one after the other, without a length."""

    def __init__(self, rows):
        self.rows = list(rows)

    def __iter__(self):
        return iter(self.rows)


class RecordGradients(TrainerCallback):
    """Keeps the gradient of every update, before the optimizer takes it."""

    def __init__(self):
        self.gradients = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]).clone())


def run(cls, args, tokenizer, dataset, dropout=0.1, **kwargs):
    """Trains; the trainer and the gradients of all updates, (steps, parameters)."""
    recorder = RecordGradients()
    model = make_model(tokenizer, dropout=dropout)
    trainer = cls(model, args, train_dataset=dataset, processing_class=tokenizer, callbacks=[recorder], **kwargs)
    trainer.train()
    return trainer, torch.stack(recorder.gradients)


def training_logs(trainer):
    """What was logged of training losses, without what the clock has to do with."""
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [{name: value for name, value in entry.items() if name != SPEED} for entry in entries]


def weights_of(trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
