"""What is logged of variants: sums that no step waits for, histograms of weights, and the speed of training."""

import numpy as np
import pytest
import torch
from conftest import make_model
from trainer_runs import SPEED
from transformers import TrainerCallback

from hf_mmel import MMELTrainer
from hf_mmel.monitoring.hardest import HardestVariants
from hf_mmel.monitoring.metrics import NUM_BINS, GroupMetrics, weight_histogram


def groups_of_weights(seed=0, size=40, num_variants=6):
    """Weights that sum to one over the variants that are present, some of them."""
    rng = np.random.default_rng(seed)
    mask = rng.random((size, num_variants)) < 0.6
    mask[:, 0] = True
    weights = rng.gamma(0.3, size=mask.shape) * mask + 1e-30 * mask
    return torch.tensor(weights / weights.sum(axis=1, keepdims=True)), torch.tensor(mask)


@pytest.mark.parametrize("weighs_original", [True, False])
def test_counts_are_those_of_a_histogram_over_the_weighed_variants(weighs_original):
    weights, mask = groups_of_weights()
    weighed = mask.clone()
    weighed[:, 0] &= weighs_original
    weighed &= weighed.sum(dim=1, keepdim=True) > 1
    expected, _ = np.histogram(weights[weighed], bins=NUM_BINS, range=(0, 1))
    counts = weight_histogram(weights, mask, weighs_original)
    assert counts.tolist() == expected.tolist() and counts.sum() == weighed.sum() > 50
    assert (counts > 0).sum() > 10


@pytest.mark.parametrize("num_variants", range(2, 41))
def test_even_weights_fall_into_one_bin(num_variants):
    mask = torch.ones(3, num_variants, dtype=torch.bool)
    weights = torch.softmax(torch.full(mask.shape, 0.1), dim=1)
    for rounding in (-1e-7, 0.0, 1e-7):
        counts = weight_histogram(weights + rounding, mask)
        assert counts[int(NUM_BINS / num_variants + 1e-9)] == mask.numel()


def test_no_step_waits_for_the_device():
    """Tensors without values, of which nothing can be asked: no number, and no shape that depends on one."""
    shape = (4, 3)
    values = torch.rand(shape, device="meta")
    with pytest.raises(RuntimeError, match="meta"):
        values.sum().item()
    with pytest.raises(NotImplementedError):
        values[values > 0]
    mask, ids = torch.ones(shape, dtype=torch.bool, device="meta"), torch.ones(*shape, 5, device="meta").long()
    figures, hardest = GroupMetrics(), HardestVariants(6)
    for length in (5, 3, 4):
        figures.add(values, mask, values, False)
        hardest.add(ids[..., :length], ids[:, 0, 0], values, values, mask, step=1)
    assert figures._sums.device.type == "meta" and hardest._kept["variant"].shape == (6, 5)


class Seconds:
    """A clock that stands still unless it is told otherwise."""

    now = 0.0

    def perf_counter(self):
        return self.now


class Wait(TrainerCallback):
    """Time passes: before each update, and far more while an evaluation or a checkpoint is made."""

    def __init__(self, clock):
        self.clock = clock

    def on_step_begin(self, args, state, control, **kwargs):
        self.clock.now += 2.0

    def on_prediction_step(self, args, state, control, **kwargs):
        self.clock.now += 100.0

    def on_save(self, args, state, control, **kwargs):  # asked before the figures are
        self.clock.now += 1000.0


def test_variants_per_second_are_of_the_time_without_evaluation_and_saving(
    arguments, tokenizer, dataset, augmenter, monkeypatch
):
    clock, counts, add = Seconds(), [], GroupMetrics.add
    monkeypatch.setattr("hf_mmel.monitoring.metrics.time", clock)

    def counted(self, losses, variant_mask, *args, **kwargs):
        counts.append(int(variant_mask[:, 1:].sum()))
        add(self, losses, variant_mask, *args, **kwargs)

    monkeypatch.setattr(GroupMetrics, "add", counted)
    fields = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 2}
    args = arguments(**fields, max_steps=6, logging_steps=2, eval_on_start=True, per_device_train_batch_size=4)
    given = {"train_dataset": dataset, "eval_dataset": dataset, "processing_class": tokenizer}
    trainer = MMELTrainer(make_model(tokenizer), args, **given, augmenter=augmenter, callbacks=[Wait(clock)])
    trainer.train()
    speeds = [entry[SPEED] for entry in trainer.state.log_history if SPEED in entry]
    assert clock.now > 3000 and len(counts) == 6
    assert speeds == pytest.approx([(counts[i] + counts[i + 1]) / 4.0 for i in (0, 2, 4)])


def test_the_speed_is_that_of_all_processes():
    figures = GroupMetrics()
    figures._count_seconds = lambda: None
    figures._seconds = 4.0
    losses = torch.rand(2, 3)
    figures.add(losses, torch.ones(2, 3, dtype=torch.bool), torch.full((2, 3), 1 / 3))
    logs, counts = figures.pop(lambda sums: 2 * sums)  # as if another process had the same
    assert logs[SPEED] == pytest.approx(8 / 4.0) and sum(counts) == 12
    assert logs["mmel/loss_original"] == pytest.approx(losses[:, 0].mean().item())


def test_a_run_without_variants_has_no_speed(arguments, tokenizer, dataset):
    args = arguments(mmel_loss="none", class_weights=[1.0, 2.0], max_steps=2, logging_steps=1)
    trainer = MMELTrainer(make_model(tokenizer), args, train_dataset=dataset, processing_class=tokenizer)
    trainer.train()
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(entries) == 2 and all("mmel/loss_original" in entry and SPEED not in entry for entry in entries)


@pytest.mark.parametrize(
    ("logging", "steps"),
    [
        ({}, [4, 8]),
        ({"logging_steps": 9}, [4, 8]),
        ({"logging_steps": 8}, [8]),
        ({"logging_steps": 3}, [3, 6]),
        ({"logging_strategy": "no"}, []),
        ({"logging_strategy": "epoch"}, [4, 8]),
    ],
)
def test_a_training_shorter_than_a_logging_window_is_logged_by_epoch(
    arguments, tokenizer, dataset, augmenter, logging, steps
):
    fields = {"logging_steps": 500, "num_train_epochs": 2, "per_device_train_batch_size": len(dataset) // 4, **logging}
    args = arguments(dataloader_drop_last=True, **fields)
    trainer = MMELTrainer(make_model(tokenizer), args, None, dataset, None, tokenizer, augmenter=augmenter)
    trainer.train()
    assert [entry["step"] for entry in trainer.state.log_history if SPEED in entry] == steps
