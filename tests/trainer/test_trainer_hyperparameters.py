"""Hyperparameter search: every trial trains with the objective that it was given, or is refused."""

import optuna
import pytest
import torch
from conftest import make_model
from trainer_runs import run, same_weights, weights_of
from transformers import Trainer, TrainingArguments

from augment import GreedySearch
from hf_mmel import MMELTrainer


pytestmark = pytest.mark.integration  # every search is several trainings


optuna.logging.set_verbosity(optuna.logging.WARNING)

# The seed of the data is given because making a model sets the global one, from which samplers would take it.
STEPS = {"max_steps": 3, "per_device_train_batch_size": 4, "optim": "sgd", "max_grad_norm": 0.0, "data_seed": 7}


class RecordTrials(MMELTrainer):
    """Keeps, per trial, what was proposed, the numbers of variants in the batches, and the weights at the end."""

    def __init__(self, *args, **kwargs):
        self.proposed, self.num_variants, self.weights = [], [], []
        super().__init__(*args, **kwargs)

    def compute_loss(self, model, inputs, *args, **kwargs):
        if model.training:
            self.num_variants[-1].add(inputs["variant_mask"].shape[1] - 1 if "variant_mask" in inputs else 0)
        return super().compute_loss(model, inputs, *args, **kwargs)

    def train(self, *args, trial, **kwargs):
        self.num_variants.append(set())
        output = super().train(*args, trial=trial, **kwargs)
        self.proposed.append(trial.params)
        self.weights.append(weights_of(self))
        return output


@pytest.fixture
def search(arguments, tokenizer, dataset, augmenter):
    """Searches over a space, or over a list of trials, and returns the trainer and the best run."""

    def search(space, n_trials=None, augmenter=augmenter, fields=None, **kwargs):
        trainer = RecordTrials(
            args=arguments(**{**STEPS, **(fields or {})}),
            train_dataset=dataset,
            eval_dataset=dataset,
            processing_class=tokenizer,
            model_init=lambda: make_model(tokenizer),
            augmenter=augmenter,
        )
        hp_space = space if callable(space) else lambda trial: space[trial.number]
        n_trials = n_trials or len(space)
        return trainer, trainer.hyperparameter_search(hp_space, n_trials=n_trials, backend="optuna", **kwargs)

    return search


def test_every_trial_trains_with_the_objective_that_was_proposed(search, arguments, tokenizer, dataset, augmenter):
    """Its weights are those of a run that was given the same arguments from the start."""

    def space(trial):
        return {
            "mmel_loss": trial.suggest_categorical("mmel_loss", ["hard", "soft"]),
            "num_variants": trial.suggest_int("num_variants", 1, 6),
            "lambda_p": trial.suggest_float("lambda_p", 1e-3, 10.0, log=True),
            "lambda_t": trial.suggest_float("lambda_t", 0.1, 10.0),
            "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True),
        }

    trainer, best = search(space, n_trials=3, sampler=optuna.samplers.RandomSampler(seed=5))
    assert {trial["mmel_loss"] for trial in trainer.proposed} == {"hard", "soft"}
    assert trainer.num_variants == [{trial["num_variants"]} for trial in trainer.proposed]
    assert len({trial["num_variants"] for trial in trainer.proposed}) > 1
    for trial, weights in zip(trainer.proposed, trainer.weights, strict=True):
        alone, _ = run(MMELTrainer, arguments(**STEPS, **trial), tokenizer, dataset, dropout=0.0, augmenter=augmenter)
        # The trainer of the search has a compute_loss of its own, and so takes all variants in one pass.
        assert same_weights(weights_of(alone), weights)
    assert best.hyperparameters == trainer.proposed[int(best.run_id)]


@pytest.mark.parametrize("name", ["lambda_p", "lambda_t"])
def test_a_proposed_strength_shows_in_the_weights(search, name):
    trials = [{"mmel_loss": "soft", "learning_rate": 0.1, name: value} for value in (1e-3, 5.0)]
    trainer, _ = search(trials, fields={"lambda_p": 0.1, "lambda_t": 20.0})
    assert not torch.equal(*trainer.weights)


@pytest.mark.parametrize("first", ["none", "soft"])
def test_a_trial_may_switch_the_variants_off_and_the_next_on(search, arguments, tokenizer, dataset, first):
    trials = [{"mmel_loss": name, "learning_rate": 1e-2} for name in ("none", "soft", "none", "hard")]
    trainer, _ = search(trials, fields={"mmel_loss": first})
    assert trainer.num_variants == [{0}, {4}, {0}, {4}]
    args = arguments(TrainingArguments, **STEPS, learning_rate=1e-2)
    stock, _ = run(Trainer, args, tokenizer, dataset, dropout=0.0)
    plain, soft, plain_again, hard = trainer.weights
    assert torch.equal(plain, weights_of(stock)) and torch.equal(plain_again, weights_of(stock))
    assert not torch.equal(soft, hard)


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        ({"mmel_loss": "worst"}, "mmel_loss is 'worst'; expected one of"),
        ({"lambda_p": -1.0}, r"lambda_p is -1.0; expected a number in \[0, inf\]"),
        ({"mmel_loss": "uniform", "lambda_p": -1.0}, "lambda_p is -1.0; expected a number in"),
        ({"mmel_loss": "hard", "lambda_t": -1.0}, "lambda_t is -1.0; expected a finite number"),
        ({"num_variants": 0}, "num_variants is 0; expected a whole number >= 1"),
    ],
)
def test_a_trial_out_of_range_is_refused_before_its_first_step(search, trial, message):
    with pytest.raises(ValueError, match=message):
        search([trial])
    good = {"lambda_p": 0.5, "mmel_loss": "hard", "lambda_t": 1.0, "num_variants": 2}
    trainer, best = search([trial, good], catch=(ValueError,))  # a study may go on after such a trial
    assert trainer.num_variants == [set(), {2}] and best.run_id == "1"


def test_whole_numbers_given_do_not_round_those_proposed(search):
    """Trainer casts what a trial proposes to the type of the field as it stands."""
    trials = [{"lambda_p": 0.3, "lambda_t": 0.7, "mmel_loss": "soft"}]
    trainer, _ = search(trials, fields={"lambda_p": 1, "lambda_t": 1})
    assert (trainer.args.lambda_p, trainer.args.lambda_t) == (0.3, 0.7)


def test_a_trial_with_variants_has_them_searched_and_one_without_does_not(search, augmenter, monkeypatch):
    searches = []
    monkeypatch.setattr("hf_mmel.callbacks.search_variants", lambda *args, **kwargs: searches.append(args[3]) or 0)
    for names, number in ((["none"], 0), (["none", "hard"], 1), (["hard", "none"], 1)):
        searches.clear()
        trials = [{"mmel_loss": name, "num_variants": 2} for name in names]
        search(trials, augmenter=GreedySearch(augmenter), fields={"mmel_loss": names[0]})
        assert searches == [2] * number
