"""The line at the start of training that says how many examples have variants."""

import logging
import random
import re

import numpy as np
import pytest
import torch
from conftest import make_model
from trainer_runs import Stream, run, weights_of
from transformers import TrainerControl, TrainerState

from augment import GreedySearch, InTurn, LexiconSubstitution, RandomPunctuation, SameText
from augment.core.variant_count import ADVICE
from augment.registry import NAMES
from hf_mmel import GreedySearchCallback, MMELTrainer
from hf_mmel.data.group_collator import GroupCollator
from hf_mmel.data.variant_collator import VariantCollator
from hf_mmel.monitoring.variant_count import VariantCountCallback, WordChanges


LOGGER = "hf_mmel.monitoring.variant_count"
FEW = "25.0% of the training examples have no variant; the others have 2.00 different variants on average, of 2"


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """The whole sample is counted on a busy machine, too."""
    monkeypatch.setattr(VariantCountCallback, "max_seconds", 60)


@pytest.fixture
def few(tokenizer):
    """128 examples, of which a quarter has no variant."""
    texts = ["so odd", "so awful", "so odd and so awful", "nothing"]
    return [{**tokenizer(texts[i % 4]), "labels": i % 2} for i in range(128)]


@pytest.fixture
def lines(caplog):
    """The lines that the callback has logged, with their levels."""
    caplog.set_level(logging.INFO, logger=LOGGER)
    return lambda: [(r.levelname, r.getMessage()) for r in caplog.records if r.name == LOGGER]


@pytest.fixture
def collated(monkeypatch):
    """The number of examples in each batch that is collated."""
    sizes = []
    collate = VariantCollator.__call__
    monkeypatch.setattr(VariantCollator, "__call__", lambda self, rows: sizes.append(len(rows)) or collate(self, rows))
    return sizes


@pytest.fixture
def train(arguments, tokenizer, augmenter):
    def train(data, cls=MMELTrainer, augmenter=augmenter, **fields):
        fields = {"max_steps": 1, "num_variants": 2, "per_device_train_batch_size": 4} | fields
        return run(cls, arguments(**fields), tokenizer, data, augmenter=augmenter)[0]

    return train


def test_few_variants_are_a_warning_that_says_what_to_do(train, few, lines):
    train(few)
    assert lines() == [("WARNING", f"{FEW}. {ADVICE}")]
    assert {"context", "synonyms", "wordnet", "mlm"} == set(re.findall(r"'(\w+)'", ADVICE)) <= set(NAMES)
    assert all(name in ADVICE for name in ("masked LM", "min_sense_share", "num_variants"))


def test_enough_variants_are_a_line_of_information(train, few, lines):
    train([few[2]] * 8, num_variants=1)
    assert lines() == [("INFO", "All training examples have variants: 1.00 different variants on average, of 1.")]


def test_variants_that_only_change_punctuation_are_not_taken_for_changes_of_words(train, few, tokenizer, lines):
    marks = RandomPunctuation(tokenizer, places="end", marks=[".", ","])
    train([few[2]] * 8, augmenter=InTurn([LexiconSubstitution(tokenizer, {"odd": ["strange"]}), marks]))
    ((level, line),) = lines()
    assert level == "INFO" and line.endswith("50% of the variants change a word, the others only punctuation.")


@pytest.mark.parametrize("num_changed, percent", [(0, 0), (1, 1), (500, 50), (999, 99)])
def test_a_share_between_none_and_all_is_neither(tokenizer, num_changed, percent):
    changes = WordChanges(tokenizer)
    changes.num_variants, changes.num_changed = 1000, num_changed
    assert changes.sentence == f" {percent}% of the variants change a word, the others only punctuation."


def test_copies_are_no_changes_of_punctuation(train, few, tokenizer, lines):
    train([few[2]] * 8, augmenter=SameText(tokenizer))
    assert "punctuation" not in lines()[0][1]


def test_the_line_does_not_stand_behind_a_progress_bar(train, few, lines, monkeypatch):
    cleared = []
    monkeypatch.setattr("tqdm.std.tqdm.clear", lambda self, *args, **options: cleared.append(len(lines())))
    train([few[2]] * 8, disable_tqdm=False)
    assert cleared[0] == 0 and len(lines()) == 1


@pytest.mark.parametrize("mmel_loss", ["hard", "none"])
def test_nothing_is_said_of_training_on_originals(train, few, augmenter, lines, mmel_loss):
    train(few, augmenter=augmenter if mmel_loss == "none" else None, mmel_loss=mmel_loss)
    assert not lines()


def test_other_processes_than_the_first_say_nothing(few, lines, arguments, tokenizer, augmenter):
    callback, loader = VariantCountCallback(), loader_of(few, tokenizer, augmenter)
    for is_first in (False, True):
        state = TrainerState(is_world_process_zero=is_first)
        callback.on_train_begin(arguments(), state, TrainerControl())
        callback.on_epoch_begin(arguments(), state, TrainerControl(), train_dataloader=loader)
        assert len(lines()) == is_first


def loader_of(rows, tokenizer, augmenter):
    collator = VariantCollator(tokenizer, augmenter, num_variants=2)
    return torch.utils.data.DataLoader(rows, batch_size=4, collate_fn=collator)


def test_each_training_has_its_line(train, few, lines):
    trainer = train(few, num_train_epochs=2, max_steps=-1)
    trainer.train()
    assert lines() == [("WARNING", f"{FEW}. {ADVICE}")] * 2


class Restless(list):
    """Rows whose reading changes all global random states, as random transforms do."""

    def __getitem__(self, index):
        for draw in (random.random, np.random.rand, lambda: torch.rand(1)):
            draw()
        return super().__getitem__(index)


def test_the_count_changes_neither_variants_nor_weights(train, few, lines):
    class Uncounted(MMELTrainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.remove_callback(VariantCountCallback)

    fields = {"max_steps": 5, "learning_rate": 1e-2, "num_variants": 1}  # with dropout, and one of several variants
    uncounted, drawn = train(Restless(few), Uncounted, **fields), (random.random(), np.random.rand())
    assert not lines()
    counted = train(Restless(few), **fields)
    assert (random.random(), np.random.rand()) == drawn
    assert torch.equal(weights_of(uncounted), weights_of(counted)) and len(lines()) == 1


def test_at_most_a_thousand_examples_are_counted_in_batches_of_training(train, few, lines, collated):
    train(few * 10)
    assert collated[:250] == [4] * 250 and len(collated) < 260
    assert "(counted on 1,000 of 1,280 examples)" in lines()[0][1]


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.integration)])
def test_of_a_stream_the_first_batches_are_counted(train, few, lines, collated, workers):
    train(Stream(few), max_steps=30, dataloader_num_workers=workers)
    ((level, line),) = lines()
    assert level == "WARNING" and line.startswith(FEW[:5])
    assert re.search(r"\(counted on 1\d\d examples\)", line)
    assert workers or len(collated) <= 31  # the data loader reads one ahead


def test_of_few_steps_all_batches_are_counted(train, few, lines):
    train(Stream(few), max_steps=3)
    assert lines()[0][1].startswith(FEW)


def test_a_slow_augmenter_has_the_first_batches_counted(train, few, lines, collated, monkeypatch):
    monkeypatch.setattr(VariantCountCallback, "max_seconds", 0)
    train(few, max_steps=30)
    assert len(collated) <= 30 + 2  # one batch shows that it is slow, and one is read ahead
    assert re.search(r"\(counted on 10\d of 128 examples\)", lines()[0][1])


def test_examples_that_do_not_fit_into_one_batch_have_the_first_batches_counted(train, few, lines, monkeypatch):
    collate, calls = VariantCollator.__call__, []

    def fail_at_first(self, rows):
        calls.append(rows)
        if len(calls) == 1:
            raise ValueError("rows of different sizes")
        return collate(self, rows)

    monkeypatch.setattr(VariantCollator, "__call__", fail_at_first)
    train(few, max_steps=30)
    assert re.search(r"\(counted on 10\d of 128 examples\)", lines()[0][1])


def test_searched_variants_are_counted_after_the_search(arguments, tokenizer, few, augmenter, lines):
    search = GreedySearch(augmenter, num_positions=1, max_candidates=1)
    for callbacks in ([], [GreedySearchCallback()]):
        trainer = MMELTrainer(
            args=arguments(),
            model=make_model(tokenizer),
            augmenter=search,
            processing_class=tokenizer,
            train_dataset=few,
            callbacks=callbacks,
        )
        kinds = [type(callback) for callback in trainer.callback_handler.callbacks]
        assert kinds.index(GreedySearchCallback) < kinds.index(VariantCountCallback)


class Flips:
    """Variants of an array: the negative one, which for zeros is the same."""

    main_input_name = "values"

    def variants(self, rows, num_variants, seeds):
        return [[{**row, "values": -row["values"]}] * num_variants for row in rows]


def test_arrays_are_counted_as_texts_are():
    collator = GroupCollator(Flips(), num_variants=2)
    collator([{"values": [0, 0], "labels": 0}, {"values": [0, 1], "labels": 1}])
    collator([{"values": [1, 1], "labels": 1}])
    count = collator.variant_count
    assert (count.examples, count.without, count.different, count.num_variants) == (3, 1, 2, 2)
    collator.reset_variant_count()
    assert collator.variant_count.examples == 0
