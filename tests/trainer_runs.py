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


# Other kernels, or sums in another order, move gradients in float32 by up to 3e-6 of the largest. A wrong variant or
# weight moves them by more than 1e-2 of it.
ROUNDING = 1e-4


def same_gradient(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """
    Whether two gradients are equal but for rounding, and not zero. Where they are small since large ones cancel, as do
    those of choices that hardly differ, rounding is that of the large ones, 1e-7.
    """
    return bool(expected.any() and (found - expected).abs().max() <= ROUNDING * expected.abs().max() + 1e-6)


def same_weights(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """
    Whether weights are equal but for rounding, after a few steps of plain SGD with a learning rate of about 1e-2.
    Rounding moves weights of size 1 by some 1e-7 a step; a gradient that is wrong by a hundredth moves some by 5e-5.
    """
    return torch.allclose(found, expected, atol=1e-5, rtol=0)


def weights_of(trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
