"""What the weights do where one variant of an example is hard and the others are trivial."""

import math
from itertools import pairwise

import pytest
import torch
from conftest import make_model
from datasets import Dataset
from transformers import TrainerCallback

from hf_mmel import MMELTrainer
from hf_mmel.objective import weighting


FILLERS = ["plot", "music", "film", "story"]
PRAISE, BLAME = "lovely", "awful"
HARD = 2  # the variant that says the contrary; 1 and 3 change a word that means nothing


class OneHardVariant:
    """Of each example, variants with another filler word, and one with the word of the other label."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def variants(self, examples, num_variants, seeds):
        words = self.tokenizer.get_vocab()
        contrary = {words[PRAISE]: words[BLAME], words[BLAME]: words[PRAISE]}
        groups = []
        for example in examples:
            ids = example["input_ids"]
            filler = next(index for index, name in enumerate(FILLERS) if words[name] in ids)
            group = []
            for variant in range(1, num_variants + 1):
                other = words[FILLERS[(filler + variant) % len(FILLERS)]]
                new = [other if token == words[FILLERS[filler]] else token for token in ids]
                group.append({**example, "input_ids": [contrary.get(x, x) for x in ids] if variant == HARD else new})
            groups.append(group)
        return groups


class UntilLearned(TrainerCallback):
    """Ends training once the loss is small, however many steps that takes."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        control.should_training_stop = logs.get("loss", math.inf) < 0.01
        assert control.should_training_stop or state.global_step < state.max_steps, "the model has not learned"


@pytest.fixture
def opinions(tokenizer):
    texts = [(f"the {filler} was {word}", word == PRAISE) for filler in FILLERS for word in (PRAISE, BLAME)]
    return Dataset.from_list([{**tokenizer(text), "label": int(label)} for text, label in texts])


@pytest.fixture
def trained(arguments, tokenizer, opinions, monkeypatch):
    """
    Trains, first on the originals until their variants are as hard as they can be: `trained(steps, **fields)`. The
    trainer has the weights of each step in `weights`, the original, where it has none, left out.
    """
    model = make_model(tokenizer)
    first = {"num_train_epochs": 500, "learning_rate": 3e-3, "lr_scheduler_type": "constant", "logging_steps": 1}
    args = arguments(mmel_loss="none", **first)
    MMELTrainer(model, args, None, opinions, processing_class=tokenizer, callbacks=[UntilLearned()]).train()
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def run(steps, **fields):
        model.load_state_dict(start)
        seen, mmel_weights = [], weighting.mmel_weights

        def spied(losses, lambda_p, mask):
            seen.append(mmel_weights(losses, lambda_p, mask))
            return seen[-1]

        monkeypatch.setattr(weighting, "mmel_weights", spied)
        args = arguments(max_steps=steps, num_variants=3, logging_steps=1, **fields)
        trainer = MMELTrainer(
            model, args, train_dataset=opinions, processing_class=tokenizer, augmenter=OneHardVariant(tokenizer)
        )
        trainer.train()
        monkeypatch.setattr(weighting, "mmel_weights", mmel_weights)
        assert len(seen) == steps
        trainer.weights = seen
        return trainer

    return run


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_weights_concentrate_on_the_hard_variant(trained, mmel_loss):
    trainer = trained(1, mmel_loss=mmel_loss, lambda_p=0.5, learning_rate=0.0)
    (weights,) = trainer.weights
    assert weights.shape == (8, 4)
    assert (weights[:, HARD] > 0.9).all() and torch.allclose(weights.sum(dim=1), torch.ones(8))
    logs = trainer.state.log_history[0]
    assert logs["mmel/max_weight"] == pytest.approx(weights[:, HARD].mean().item(), abs=1e-4)
    assert 1 <= logs["mmel/effective_num_variants"] < 1.5
    assert logs["mmel/loss_original"] < 0.1 * logs["mmel/loss_variants"]


def test_weights_stay_uniform_under_plain_augmentation(trained):
    trainer = trained(1, mmel_loss="uniform", lambda_p=0.0, learning_rate=0.0)
    assert torch.equal(trainer.weights[0], torch.full((8, 4), 0.25))
    assert trainer.state.log_history[0]["mmel/effective_num_variants"] == pytest.approx(4, abs=1e-4)


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_weights_follow_lambda_p(trained, mmel_loss):
    lambdas = [0.0, 1.0, 4.0, 16.0, math.inf]
    runs = [trained(1, mmel_loss=mmel_loss, lambda_p=value, learning_rate=0.0).weights[0] for value in lambdas]
    of_hard = [weights[:, HARD].mean().item() for weights in runs]
    share = 1 / 4 if mmel_loss == "hard" else 1 / 3
    assert of_hard[0] == 1 and of_hard[-1] == pytest.approx(share)
    assert all(higher > lower + 1e-3 for higher, lower in pairwise(of_hard))
    # The weights of a run are those of equation 6 at its lambda: their logarithms differ by the same losses.
    gaps = [value * (w[:, HARD] / w[:, 1]).log() for value, w in zip(lambdas, runs, strict=True) if 1 <= value < 99]
    assert torch.allclose(gaps[0], gaps[1], rtol=1e-3) and torch.allclose(gaps[1], gaps[2], rtol=1e-3)


def test_the_smaller_lambda_p_the_more_is_learned_from_the_hard_variant(trained):
    """By plain descent, whose steps are as long as the gradient: the loss of the hard variants falls further."""
    descent = {"optim": "sgd", "learning_rate": 1e-2, "max_grad_norm": 0.0}
    left = [
        trained(8, mmel_loss="hard", lambda_p=value, **descent).state.log_history[7]["mmel/loss_variants"]
        for value in (0.1, 4.0, math.inf)
    ]
    assert left[0] < left[1] - 1e-2 < left[2] - 2e-2
