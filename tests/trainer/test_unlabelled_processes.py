"""Training with unlabelled examples on two processes equals training on one."""

import pytest
import torch
from scripts.train_groups import train
from test_trainer_processes import HALVES, QUARTERS, TORCHRUN, assert_same_training, launch


pytestmark = pytest.mark.integration  # it starts processes


# The divergences of the tiny model as it is drawn are no larger than the rounding of its losses.
DIVERGENCE = {"mmel_loss": "soft", "lambda_u": 25.0, "head_factor": 30.0}
LABELS = {"labels": [0, 1, 0, 1, -100, -100, 0, -100]}
ROWS = {"unlabelled": [8, 0, 6, 4, 2], "max_steps": 3, "unlabeled_ratio": 0.7}
# Name -> arguments of both runs, of that on two processes; that on one has batches of 8.
CASES = {
    "divergence": ({**LABELS, **DIVERGENCE}, HALVES),
    "divergence, in micro-batches": ({**LABELS, **DIVERGENCE}, QUARTERS),
    "divergence, a dataset": ({**ROWS, **DIVERGENCE}, QUARTERS),
    "pseudo-labels": ({**LABELS, "unlabeled_loss": "pseudo_label"}, HALVES),
    "pseudo-labels, a dataset": ({**ROWS, "unlabeled_loss": "pseudo_label"}, QUARTERS),
    "annealing": ({"training_signal_annealing": "log", "max_steps": 3}, QUARTERS),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = {name: {**both, **two} for name, (both, two) in CASES.items()}
    return launch(TORCHRUN, tmp_path_factory.mktemp("two"), cases)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_equal_one(results, tmp_path, name):
    both, _ = CASES[name]
    reference = train(str(tmp_path / "one"), **both)
    assert_same_training(reference, results, name)
    off = {"lambda_u": 0.0, "training_signal_annealing": "none"}
    without = train(str(tmp_path / "off"), **{**both, **off})
    weights = [torch.cat([p.flatten() for p in trainer.model.parameters()]) for trainer in (reference, without)]
    assert (weights[0] - weights[1]).abs().max() > 2e-5  # more than what counts as rounding
