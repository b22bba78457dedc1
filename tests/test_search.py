"""Greedy search with a model, on its own and in training."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_model
from datasets import Dataset
from judgements import BAD, GOOD, LEXICON, NOUNS, learned
from scripts import search_groups
from trainer_runs import Stream, same_weights, weights_of
from transformers import TrainerCallback

from augment import GreedySearch, LexiconSubstitution
from hf_mmel import GreedySearchCallback, MMELTrainer, VariantCollator, search_variants
from hf_mmel.callbacks import SEARCHED_VARIANTS
from hf_mmel.functional import divergence, per_variant_loss


SCRIPT = Path(search_groups.__file__)


def made_examples(tokenizer, number=48):
    """Texts of three judgements, with the label that two of them have."""
    rng = np.random.default_rng(0)
    examples = []
    for _ in range(number):
        first, second = rng.permutation(NOUNS)[:2]
        good = rng.integers(0, 2, 3)
        words = [str(rng.choice(GOOD if one else BAD)) for one in good]
        text = f"the {first} was {words[0]} and {words[1]}, the {second} is {words[2]}"
        examples.append({**tokenizer(text + " and dull" * int(rng.integers(0, 2))), "label": int(good.sum() > 1)})
    return examples


@pytest.fixture(scope="session")
def trained(tokenizer):
    """A model that knows the labels of the made examples."""
    return learned(tokenizer, made_examples(tokenizer))


@pytest.fixture
def source(tokenizer):
    return LexiconSubstitution(tokenizer, LEXICON)


def logits_alone(model, row) -> torch.Tensor:
    """The logits of one row, without padding, `(1, C)`."""
    with torch.no_grad():
        return model(torch.tensor([row["input_ids"]])).logits


def objective_alone(model, objective, example, variant, problem_type="single_label_classification") -> float:
    if objective == "loss":
        return per_variant_loss(logits_alone(model, variant), torch.tensor([example["label"]]), problem_type).item()
    return divergence(*(logits_alone(model, row) for row in (variant, example)), problem_type).item()


def mean_objective(model, objective, examples, groups) -> float:
    pairs = [(example, variant) for example, group in zip(examples, groups, strict=True) for variant in group]
    return float(np.mean([objective_alone(model, objective, *pair) for pair in pairs]))


@pytest.mark.parametrize("strategy", ["beam", "orders"])
@pytest.mark.parametrize("objective", ["loss", "divergence"])
def test_searched_variants_are_clearly_harder_than_draws(tokenizer, trained, source, objective, strategy):
    examples = made_examples(tokenizer)
    seeds = list(range(len(examples)))
    augmenter = GreedySearch(source, objective=objective, strategy=strategy, num_positions=2)
    drawn = mean_objective(trained, objective, examples, augmenter.variants(examples, 3, seeds))
    assert search_variants(trained, augmenter, examples, 3) == len(examples)
    groups = augmenter.variants(examples, 3, seeds)
    assert mean_objective(trained, objective, examples, groups) > 1.5 * drawn > 0
    assert all(
        variant["label"] == row["label"] for row, group in zip(examples, groups, strict=True) for variant in group
    )


@pytest.mark.parametrize("objective", ["loss", "divergence"])
def test_one_position_has_the_hardest_of_its_replacements(tokenizer, trained, source, objective):
    examples = made_examples(tokenizer, 12)
    augmenter = GreedySearch(source, objective=objective, num_positions=1)
    search_variants(trained, augmenter, examples, 1, batch_size=5)
    for example in examples:
        ((edit,),) = augmenter.edits(example, 1, 0)
        values = {}
        for piece in tokenizer.convert_tokens_to_ids(LEXICON[tokenizer.decode(edit.old)]):
            ids = [*example["input_ids"][: edit.start], piece, *example["input_ids"][edit.start + 1 :]]
            values[piece] = objective_alone(trained, objective, example, {**example, "input_ids": ids})
        assert len(values) == 3 and values[edit.new[0]] == pytest.approx(max(values.values()), abs=1e-5)


class Recorded(GreedySearch):
    """Keeps what it was given to search."""

    def search(self, examples, score, num_variants, seeds):
        self.seen = (*getattr(self, "seen", ()), *(tuple(row["input_ids"]) for row in examples))
        self.score, self.examples = score, examples
        return super().search(examples, score, num_variants, seeds)


@pytest.mark.parametrize("objective", ["loss", "divergence"])
@pytest.mark.parametrize(
    ("label", "problem_type", "num_labels"),
    [(2, "single_label_classification", 3), (0.5, "regression", 1), ([1.0, 0.0], "multi_label_classification", 2)],
)
def test_scores_are_those_of_each_row_alone(tokenizer, source, objective, label, problem_type, num_labels):
    examples = [{**row, "label": label} for row in made_examples(tokenizer, 5)]
    model = make_model(tokenizer, num_labels=num_labels)
    augmenter = Recorded(source, objective=objective)
    search_variants(model, augmenter, examples, 2, batch_size=7)
    rows, of = [*examples, *examples[::-1]], np.array([4, 3, 2, 1, 0, 4, 3, 2, 1, 0])
    with torch.no_grad():
        scores = augmenter.score(rows, of)
    for row, number, score in zip(rows, of, scores, strict=True):
        assert score == pytest.approx(objective_alone(model, objective, examples[number], row, problem_type), abs=1e-5)


def test_the_model_is_left_as_it_was(tokenizer, source):
    model = make_model(tokenizer, dropout=0.5).train()
    model.bert.encoder.layer[0].eval()  # frozen, say
    modes = {name: module.training for name, module in model.named_modules()}
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    examples = made_examples(tokenizer, 8)
    tables = []
    for _ in range(2):
        augmenter = GreedySearch(source)
        search_variants(model, augmenter, examples, 2)
        tables.append(augmenter.variants(examples, 2, [0] * 8))
    assert tables[0] == tables[1]  # no dropout
    assert {name: module.training for name, module in model.named_modules()} == modes and model.training
    assert torch.equal(torch.get_rng_state(), state) and np.array_equal(np.random.get_state()[1], numpy_state)
    assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(ValueError, match="expected a label"):
        search_variants(model, augmenter, [{"input_ids": row["input_ids"]} for row in examples], 2)
    assert {name: module.training for name, module in model.named_modules()} == modes


def test_max_examples_are_drawn_by_the_seed(tokenizer, trained, source):
    examples = made_examples(tokenizer)
    chosen = {}
    for seed in (0, (0, 1), (0, 2), 0):
        augmenter = Recorded(source)
        assert search_variants(trained, augmenter, examples, 2, seed, max_examples=10, batch_size=4) == 10
        assert chosen.setdefault(seed, augmenter.seen) == augmenter.seen
        assert len(set(augmenter.seen)) == 10
        others = [row for row in examples if tuple(row["input_ids"]) not in augmenter.seen]
        assert len(others) == len(examples) - 10
        seeds = list(range(len(others)))
        assert augmenter.variants(others, 2, seeds) == source.variants(others, 2, seeds)
    assert len({*chosen.values()}) == 3


def test_a_search_does_not_depend_on_the_other_examples(tokenizer, trained, source):
    examples = made_examples(tokenizer, 20)
    tables = []
    for order, batch_size in ((slice(None), 64), (slice(None, None, -1), 3)):
        augmenter = GreedySearch(source)
        search_variants(trained, augmenter, examples[order], 2, batch_size=batch_size)
        tables.append(augmenter.variants(examples, 2, [0] * 20))
    assert tables[0] == tables[1]


# In training


class Epochs(TrainerCallback):
    """Keeps the variants that each epoch is trained on."""

    def __init__(self, augmenter, rows):
        self.augmenter, self.rows, self.variants = augmenter, list(rows), []

    def on_epoch_end(self, args, state, control, **kwargs):
        self.variants.append(self.augmenter.variants(self.rows, 3, [0] * len(self.rows)))


@pytest.fixture
def small_dataset(tokenizer):
    return Dataset.from_list(made_examples(tokenizer, 8))


def train(arguments, tokenizer, dataset, augmenter, callbacks=(), model=None, resume=None, **fields):
    fields = {"mmel_loss": "hard", "num_variants": 3, "per_device_train_batch_size": 4, "logging_steps": 1, **fields}
    trainer = MMELTrainer(
        make_model(tokenizer) if model is None else model,
        arguments(**{"num_train_epochs": 3, "learning_rate": 1e-3, **fields}),
        train_dataset=dataset,
        processing_class=tokenizer,
        augmenter=augmenter,
        callbacks=list(callbacks),
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_train_on_what_was_searched_for_the_epoch(arguments, tokenizer, small_dataset, source, persistent):
    runs = []
    for workers in ({}, {"dataloader_num_workers": 2, "dataloader_persistent_workers": persistent}):
        epochs = Epochs(GreedySearch(source), small_dataset)
        trainer = train(arguments, tokenizer, small_dataset, epochs.augmenter, [epochs], **workers)
        runs.append((weights_of(trainer), epochs.variants))
    assert torch.equal(runs[0][0], runs[1][0]) and runs[0][1] == runs[1][1]
    assert len({str(variants) for variants in runs[0][1]}) == 3
    plain = train(arguments, tokenizer, small_dataset, source)
    assert not torch.equal(runs[0][0], weights_of(plain))


@pytest.mark.parametrize(("mmel_loss", "objective"), [("hard", "loss"), ("soft", "divergence"), ("uniform", "loss")])
def test_training_sees_harder_variants_than_those_of_the_source(
    arguments, tokenizer, small_dataset, trained, source, mmel_loss, objective
):
    losses = []
    for augmenter in (source, GreedySearch(source, objective=objective)):
        fields = {"mmel_loss": mmel_loss, "learning_rate": 0.0, "num_train_epochs": 2}
        trainer = train(arguments, tokenizer, small_dataset, augmenter, model=trained, **fields)
        losses.append([log["mmel/loss_variants"] for log in trainer.state.log_history if "mmel/loss_variants" in log])
    assert len(losses[0]) == 4 and np.mean(losses[1]) > 1.5 * np.mean(losses[0])
    assert len(set(losses[1])) > 2


def searched_epochs(monkeypatch, *args, **kwargs) -> list[int]:
    """The epochs for which a run searched."""
    epochs = []

    def spy(model, augmenter, examples, num_variants, seed, **options):
        epochs.append(seed[1])
        return search_variants(model, augmenter, examples, num_variants, seed, **options)

    monkeypatch.setattr("hf_mmel.callbacks.search_variants", spy)
    train(*args, **kwargs)
    return epochs


def test_searches_come_every_refresh_epochs_and_where_a_checkpoint_has_none(
    arguments, tokenizer, small_dataset, source, monkeypatch
):
    setting = (monkeypatch, arguments, tokenizer, small_dataset)
    every_second = GreedySearchCallback(refresh_epochs=2)
    assert searched_epochs(*setting, GreedySearch(source), num_train_epochs=4) == [0, 1, 2, 3]
    fields = {"num_train_epochs": 5, "save_strategy": "steps", "save_steps": 3}
    assert searched_epochs(*setting, GreedySearch(source), [every_second], **fields) == [0, 2, 4]
    checkpoint = Path(arguments().output_dir) / "checkpoint-3"  # in the middle of epoch 1
    resumed = {"callbacks": [every_second], "resume": str(checkpoint), **fields}
    assert searched_epochs(*setting, GreedySearch(source), **resumed) == [2, 4]
    (checkpoint / SEARCHED_VARIANTS).unlink()
    assert searched_epochs(*setting, GreedySearch(source), **resumed) == [1, 2, 4]
    assert searched_epochs(*setting, GreedySearch(source), mmel_loss="none") == []
    assert searched_epochs(*setting, source) == []


def test_options_of_a_callback_of_ones_own_are_taken(arguments, tokenizer, small_dataset, source):
    augmenter = Recorded(source)
    callback = GreedySearchCallback(max_examples=3, batch_size=2)
    trainer = train(arguments, tokenizer, small_dataset, augmenter, [callback], num_train_epochs=1)
    assert len(augmenter.seen) == 3
    found = [entry for entry in trainer.callback_handler.callbacks if isinstance(entry, GreedySearchCallback)]
    assert found == [callback]


def test_a_collator_of_ones_own_is_searched_for(arguments, tokenizer, small_dataset, source):
    augmenter = Recorded(source)
    collator = VariantCollator(tokenizer, augmenter, num_variants=2)
    args = arguments(max_steps=1)
    MMELTrainer(make_model(tokenizer), args, collator, train_dataset=small_dataset).train()
    assert len(augmenter.seen) == 8


@pytest.mark.parametrize("dataset_class", ["datasets", "torch"])
def test_columns_that_the_model_does_not_know_are_no_trouble(arguments, tokenizer, source, dataset_class):
    rows = [{**row, "text": "a text", "keep_spans": [[0, 5]]} for row in made_examples(tokenizer, 4)]
    augmenter = Recorded(source)
    dataset = Dataset.from_list(rows) if dataset_class == "datasets" else rows
    epochs = Epochs(augmenter, rows)
    train(arguments, tokenizer, dataset, augmenter, [epochs], num_train_epochs=1)
    assert len(augmenter.seen) == 4
    for row, group in zip(rows, epochs.variants[0], strict=True):
        assert group != source.variants(row, 3, 0)
        assert all(variant["input_ids"][:5] == row["input_ids"][:5] for variant in group)


@pytest.mark.integration
def test_two_processes_equal_one(tmp_path):
    reference = search_groups.train(str(tmp_path))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(SCRIPT)]
    result = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    expected = search_groups.variants_of(reference)
    for rank in range(2):
        state = torch.load(tmp_path / f"state{rank}.pt", weights_only=False)
        assert state["variants"] == expected
        for name, weight in reference.model.state_dict().items():
            assert same_weights(weight, state["weights"][name]), name


# Refusals


def test_a_stream_is_refused_before_training(arguments, tokenizer, small_dataset, trained, source):
    streams = [Stream(small_dataset.to_list()), small_dataset.to_iterable_dataset()]
    for stream in streams:
        with pytest.raises(TypeError, match="a stream, which a greedy search would have to read"):
            train(arguments, tokenizer, stream, GreedySearch(source), max_steps=1)
    for stream in (*streams, iter(small_dataset)):
        with pytest.raises(TypeError, match="a stream"):
            search_variants(trained, GreedySearch(source), stream, 2)
    train(arguments, tokenizer, streams[0], source, max_steps=1)


def test_a_sharded_model_is_refused_before_training(arguments, tokenizer, small_dataset, source, monkeypatch):
    monkeypatch.setattr("hf_mmel.train_data.is_deepspeed_zero3_enabled", lambda: True)
    with pytest.raises(ValueError, match="needs the whole model in every process"):
        train(arguments, tokenizer, small_dataset, GreedySearch(source), max_steps=1)


def test_what_does_not_go_together_is_refused(arguments, tokenizer, small_dataset, trained, source):
    examples = small_dataset.to_list()
    with pytest.raises(TypeError, match="expected a GreedySearch"):
        search_variants(trained, source, examples, 2)
    with pytest.raises(TypeError, match="expected a GreedySearch"):
        train(arguments, tokenizer, small_dataset, source, [GreedySearchCallback()])
    for options in ({"batch_size": 0}, {"max_examples": 0}):
        with pytest.raises(ValueError, match="expected numbers >= 1"):
            search_variants(trained, GreedySearch(source), examples, 2, **options)
    for name in ("refresh_epochs", "max_examples", "batch_size"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            GreedySearchCallback(**{name: 0})
