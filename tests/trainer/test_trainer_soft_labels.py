"""Training with the soft labels of a teacher, or of an average of the weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import WORDS, make_model, make_tokenizer
from scripts.train_groups import train as train_groups
from test_trainer_processes import HALVES, QUARTERS, TORCHRUN, assert_same_training, launch
from trainer_runs import run, same_gradient, training_logs, weights_of
from transformers import DataCollatorWithPadding, TrainerCallback

from augment import GreedySearch, LexiconSubstitution
from hf_mmel import MMELTrainer, search_variants
from hf_mmel.search import Scorer
from hf_mmel.soft_label_models import WEIGHT_AVERAGE, WeightAverageCallback


@pytest.fixture
def make(arguments, tokenizer, dataset, augmenter):
    """A trainer of some updates by plain descent: `make(dropout, teacher=..., **fields)`."""

    def make(dropout=0.0, teacher=None, callbacks=None, model=None, augmenter=augmenter, **fields):
        defaults = {"learning_rate": 0.1, "optim": "sgd", "max_grad_norm": 0.0, "logging_steps": 1, "max_steps": 4}
        defaults |= {"per_device_train_batch_size": 4, "num_variants": 2, "lambda_t": 50.0, "scoring_bf16": False}
        return MMELTrainer(
            model or make_model(tokenizer, dropout),
            arguments(**{**defaults, **fields}),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=augmenter,
            callbacks=callbacks,
            teacher=teacher,
        )

    return make


def trained(trainer, **options):
    trainer.train(**options)
    return weights_of(trainer)


WAYS = {
    "full": {},
    "accumulated": {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2},
    "in passes of parts": {"variant_chunk_size": 1},
    "top": {"variant_backward": "top"},
    "known scores": {"variant_backward": "top", "score_interval": 2},
    "bf16": {"bf16": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_an_average_with_decay_0_is_the_model_itself(make, way):
    atol = 2e-3 if way == "bf16" else 1e-5
    start = weights_of(make())
    own = trained(make(**WAYS[way]))
    average = trained(make(soft_labels="ema", ema_decay=0.0, **WAYS[way]))
    slow = trained(make(soft_labels="ema", ema_decay=0.99, **WAYS[way]))
    assert torch.allclose(own, average, atol=atol)
    assert (own - slow).abs().max() > max(4 * atol, 1e-3) and (own - start).abs().max() > 1e-3


class KeepWeights(TrainerCallback):
    def __init__(self):
        self.weights = []

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.on_optimizer_step(args, state, control, model)

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_average_is_of_the_weights_after_each_update_and_stays_after_training(make, accumulation):
    keep = KeepWeights()
    fields = {"gradient_accumulation_steps": accumulation, "per_device_train_batch_size": 2}
    trainer = make(soft_labels="ema", ema_decay=0.7, callbacks=[keep], **fields)
    trainer.train()
    expected, *others = keep.weights
    assert len(others) == 4
    for weights in others:
        expected = 0.7 * expected + 0.3 * weights
    average = trainer.soft_label_model
    assert average is not trainer.model and not average.training
    assert torch.allclose(torch.cat([p.flatten() for p in average.parameters()]), expected, atol=1e-6)
    assert make().soft_label_model is None


def test_a_teacher_is_neither_trained_nor_saved(make, tokenizer):
    teacher = make_model(tokenizer, dropout=0.1).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    trainer = make(teacher=teacher, soft_labels="teacher")
    trainer.train()
    assert trainer.soft_label_model is teacher and teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    ours = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert ours.isdisjoint(map(id, teacher.parameters()))
    trainer.save_model()
    saved = type(trainer.model).from_pretrained(trainer.args.output_dir)
    assert saved.state_dict().keys() == trainer.model.state_dict().keys()


def test_soft_labels_of_another_model_draw_no_random_numbers(make):
    """So with λ_T = 0 they change nothing, under dropout."""
    runs = []
    for kind in ("self", "ema"):
        trainer = make(dropout=0.1, lambda_t=0.0, soft_labels=kind)
        runs.append((trained(trainer), [logs["loss"] for logs in training_logs(trainer)]))
    assert torch.equal(runs[0][0], runs[1][0]) and runs[0][1] == runs[1][1]


# Checks before training


def renamed(tokenizer, names, **config):
    model = make_model(tokenizer, num_labels=len(names), **config)
    model.config.id2label = dict(enumerate(names))
    return model


def with_embeddings(model, number):
    model.resize_token_embeddings(number)
    return model


REFUSED = {
    "no teacher": ({"soft_labels": "teacher"}, None, "there is no teacher; pass the model as MMELTrainer"),
    "not asked for": ({}, lambda t: make_model(t), "soft_labels is 'self'; set soft_labels='teacher', or"),
    "other labels": (None, lambda t: make_model(t, num_labels=3), "has the number of labels 3, the model 2; expected"),
    "other problem": (
        None,
        lambda t: make_model(t, problem_type="multi_label_classification"),
        "problem type 'multi_label_classification', the model 'single_label_classification'; expected the same",
    ),
    "other order": (
        None,
        lambda t: renamed(t, ["good", "bad"]),
        "has the labels good, bad, the model bad, good; expected the same in the same order",
    ),
    "few embeddings": (
        None,
        lambda t: with_embeddings(make_model(t), 7),
        r"The tokenizer has \d+ tokens, the teacher 7 embeddings: they do not belong together",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_teacher_that_does_not_fit_is_refused_before_training(make, tokenizer, name):
    fields, make_teacher, message = REFUSED[name]
    model = renamed(tokenizer, ["Bad", "good"], problem_type="single_label_classification")
    teacher = None if make_teacher is None else make_teacher(tokenizer)
    with pytest.raises(ValueError, match=message):
        trainer = make(teacher=teacher, model=model, **({"soft_labels": "teacher"} if fields is None else fields))
        trainer.training_step = lambda *args: pytest.fail("a step was made")
        trainer.train()


def test_a_teacher_whose_weights_are_not_finite_or_not_here_is_refused(make, tokenizer):
    teacher = make_model(tokenizer)
    with torch.no_grad():
        teacher.classifier.bias[0] = torch.nan
    with pytest.raises(ValueError, match=r"The teacher's classifier.bias is not finite"):
        make(teacher=teacher, soft_labels="teacher")
    with pytest.raises(ValueError, match="whole in each process"):
        make(teacher=make_model(tokenizer).to("meta"), soft_labels="teacher")
    with pytest.raises(TypeError, match="teacher is a str; expected a model"):
        make(teacher="bert-base-uncased", soft_labels="teacher")


def test_names_in_another_case_or_made_up_ones_fit(make, tokenizer):
    for teacher in (renamed(tokenizer, ["bad", "GOOD"]), make_model(tokenizer)):
        make(teacher=teacher, soft_labels="teacher", model=renamed(tokenizer, ["Bad", "good"]))


def test_numbers_have_no_temperature(make, tokenizer):
    trainer = make(model=make_model(tokenizer, num_labels=1), soft_label_temperature=0.5)
    with pytest.raises(ValueError, match=r"soft_label_temperature is 0.5, but the labels are numbers.*leave it out"):
        trainer.train()


def test_an_average_of_a_sharded_model_is_refused(make, monkeypatch):
    monkeypatch.setattr(MMELTrainer, "_is_sharded", True)
    with pytest.raises(
        ValueError, match=r"soft_labels is 'ema', .* FSDP and DeepSpeed shard; take 'self' or 'teacher'"
    ):
        make(soft_labels="ema")


# Greedy search


def test_a_search_compares_with_the_soft_labels(tokenizer, dataset):
    """The score of a row is its divergence from softmax(z / T) of the teacher."""
    model, teacher = make_model(tokenizer), make_model(tokenizer, initializer_range=0.3)
    collate = DataCollatorWithPadding(tokenizer)
    rows = [dataset[i] for i in range(3)]
    scorer = Scorer(model, "divergence", collate, 8, 0.0, None, None, teacher, 0.5)
    with torch.no_grad():
        scores = scorer.on(rows)(rows[::-1], np.array([2, 1, 0]))
        alone = [[of(input_ids=torch.tensor([row["input_ids"]])).logits[0] for of in (teacher, model)] for row in rows]
    expected = [((p / 0.5).softmax(0) * ((p / 0.5).log_softmax(0) - q.log_softmax(0))).sum() for p, q in alone]
    assert scores == pytest.approx([x.item() for x in expected[::-1]], abs=1e-5) and min(scores) > 1e-3


@pytest.mark.parametrize("kind", ["ema", "teacher"])
def test_a_search_in_training_has_the_model_of_the_soft_labels(make, tokenizer, kind, monkeypatch):
    seen = []

    def look(*args, **options):
        seen.append((options["soft_label_model"], options["soft_label_temperature"]))
        return search_variants(*args, **options)

    monkeypatch.setattr("hf_mmel.callbacks.search_variants", look)
    search = GreedySearch(LexiconSubstitution(tokenizer, WORDS), objective="divergence")
    teacher = make_model(tokenizer) if kind == "teacher" else None
    fields = {"soft_labels": kind, "soft_label_temperature": 0.5, "num_train_epochs": 1, "max_steps": -1}
    trainer = make(augmenter=search, teacher=teacher, **fields)
    trainer.train()
    assert seen == [(trainer.soft_label_model, 0.5)]


# Resuming and processes


@pytest.mark.integration
@pytest.mark.parametrize("way", ["full", "accumulated", "known scores"])
def test_a_resumed_run_with_an_average_equals_the_uninterrupted_one(make, way):
    fields = {"soft_labels": "ema", "ema_decay": 0.7, "soft_label_temperature": 0.8, "lambda_t_warmup": 0.6}
    fields |= {"save_steps": 1, "max_steps": 6, "optim": "adamw_torch", "learning_rate": 1e-3, **WAYS[way]}
    whole = make(dropout=0.1, save_strategy="steps", **fields)
    whole.train()
    for checkpoint in (2, 5):
        folder = Path(whole.args.output_dir) / f"checkpoint-{checkpoint}"
        assert (folder / WEIGHT_AVERAGE).is_file()
        resumed = make(dropout=0.1, **fields)
        resumed.train(resume_from_checkpoint=str(folder))
        assert torch.equal(weights_of(whole), weights_of(resumed))
        averages = [t.soft_label_model.state_dict() for t in (whole, resumed)]
        assert all(torch.equal(value, averages[1][name]) for name, value in averages[0].items())
        assert training_logs(whole) == training_logs(resumed)


@pytest.mark.integration
def test_a_checkpoint_without_the_average_is_resumed_with_a_warning(make, caplog):
    fields = {"soft_labels": "ema", "ema_decay": 0.7, "save_steps": 1}
    whole = make(save_strategy="steps", **fields)
    whole.train()
    folder = Path(whole.args.output_dir) / "checkpoint-3"
    (folder / WEIGHT_AVERAGE).unlink()
    make(**fields).train(resume_from_checkpoint=str(folder))
    assert f"checkpoint-3 has no {WEIGHT_AVERAGE}, so training resumes close to" in caplog.text


def test_an_average_is_made_for_soft_labels_alone(make):
    for fields in ({"mmel_loss": "hard"}, {"mmel_loss": "uniform"}, {"mmel_loss": "none"}):
        trainer = make(soft_labels="ema", max_steps=1, **fields)
        trainer.train()
        (callback,) = [x for x in trainer.callback_handler.callbacks if isinstance(x, WeightAverageCallback)]
        assert callback.average is None and trainer.soft_label_model is None


AVERAGE = {"mmel_loss": "soft", "soft_labels": "ema", "ema_decay": 0.5, "lambda_t": 20.0, "max_steps": 4}
CASES = {
    "average 4x1": ({**AVERAGE, "soft_label_temperature": 0.5}, HALVES),
    "average 2x2": ({**AVERAGE, "lambda_t_warmup": 0.5}, QUARTERS),
    "average, the two largest": (
        {**AVERAGE, "variant_backward": "top", "variant_backward_count": 2, "scoring_bf16": False},
        QUARTERS,
    ),
}
WHOLE = {**AVERAGE, **QUARTERS, "num_examples": 12, "dropout": 0.1, "train_sampling_strategy": "random"}


@pytest.mark.integration
def test_two_processes_equal_one_and_resume_exactly(tmp_path):
    cases = {name: {**both, **two} for name, (both, two) in CASES.items()}
    cases["whole"] = {**WHOLE, "save_strategy": "steps", "save_steps": 2}
    cases["resumed"] = {**WHOLE, "resume_from_checkpoint": str(tmp_path / "whole" / "checkpoint-2")}
    results = launch(TORCHRUN, tmp_path, cases)
    assert len(results) == 2
    for name, (both, _) in CASES.items():
        assert_same_training(train_groups(str(tmp_path / "one"), **both), results, name)
    for result in results:
        whole, resumed = result["whole"]["weights"], result["resumed"]["weights"]
        assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())


def test_the_soft_labels_of_an_average_differ_from_those_of_the_model(arguments, dataset, augmenter):
    """Else the laws above would hold of an option without an effect."""
    tokenizer, gradients = make_tokenizer("wordpiece"), []
    for fields in ({}, {"soft_labels": "ema", "ema_decay": 0.9}):
        args = arguments(max_steps=3, learning_rate=0.1, optim="sgd", lambda_t=50.0, num_variants=2, **fields)
        gradients.append(run(MMELTrainer, args, tokenizer, dataset, dropout=0.0, augmenter=augmenter)[1])
    assert same_gradient(gradients[0][0], gradients[1][0]) and not same_gradient(gradients[0][2], gradients[1][2])
