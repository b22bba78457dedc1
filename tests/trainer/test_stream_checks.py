"""What is refused, and what is warned of, before several processes train on a stream."""

import logging
from types import SimpleNamespace

import pytest
import torch
from accelerate.data_loader import prepare_data_loader
from conftest import make_model
from datasets import Dataset
from datasets.distributed import split_dataset_by_node
from trainer_runs import Stream

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer, VariantCollator, streams


@pytest.fixture
def make_stream(tokenized_dataset):
    return lambda num_shards: tokenized_dataset.to_iterable_dataset(num_shards=num_shards)


@pytest.fixture
def tokenized_dataset(tokenizer):
    return Dataset.from_list([{**tokenizer(text), "label": 0} for text in ("a good film", "a bad film") * 3])


@pytest.fixture
def check(monkeypatch, caplog):
    """Checks a stream as the first of two processes does; what it warns of."""
    monkeypatch.setattr(streams, "is_in_processes", lambda: True)
    caplog.set_level(logging.WARNING)

    def check_in_two(stream, in_the_other=None, dispatch_batches=False, split_batches=False, **fields):
        other = stream if in_the_other is None else in_the_other
        monkeypatch.setattr(streams, "gathered", lambda state: [state, streams._random_state(other)])
        loader = torch.utils.data.DataLoader(stream, batch_size=2, collate_fn=list)
        options = {"dispatch_batches": dispatch_batches, "split_batches": split_batches, "put_on_device": True}
        loader = prepare_data_loader(loader, num_processes=2, process_index=0, **options)
        caplog.clear()
        streams.check_stream(stream, loader, SimpleNamespace(**{"world_size": 2, "process_index": 0, **fields}))
        return caplog.text

    return check_in_two


@pytest.mark.parametrize("num_shards", [2, 4])
def test_parts_that_can_be_dealt_evenly_are_fine(check, make_stream, num_shards):
    assert check(make_stream(num_shards)) == ""
    assert check(make_stream(num_shards).shuffle(seed=1).map(lambda row: row)) == ""


@pytest.mark.parametrize("dispatch_batches", [True, False, None])
def test_a_stream_that_would_be_split_twice_is_refused(check, make_stream, dispatch_batches):
    with pytest.raises(ValueError, match=r"was split by split_dataset_by_node, .* Pass the whole stream"):
        check(split_dataset_by_node(make_stream(4), 0, 2), dispatch_batches=dispatch_batches)


@pytest.mark.parametrize("num_shards", [1, 4])
def test_an_order_that_differs_between_processes_is_refused(check, make_stream, num_shards):
    orders = [make_stream(num_shards).shuffle().map(lambda row: row) for _ in range(2)]
    with pytest.raises(ValueError, match=r"another order in each process, .* Pass a seed"):
        check(*orders)


def test_scores_that_cannot_be_shared_are_refused(check, make_stream):
    with pytest.raises(ValueError, match="score_interval is 3, but each process reads its own parts"):
        check(make_stream(2), score_interval=3)
    check(make_stream(1), score_interval=3)  # all processes end their passes together


@pytest.mark.parametrize("dispatch_batches", [None, True])
def test_a_process_that_reads_for_all_is_warned_of(check, make_stream, dispatch_batches):
    text = check(make_stream(2), dispatch_batches=dispatch_batches)
    assert "Process 0 reads the stream for all 2 processes" in text and "{'dispatch_batches': False}" in text
    assert check(make_stream(2), dispatch_batches=dispatch_batches, split_batches=True) == ""


def test_parts_that_cannot_be_dealt_evenly_are_warned_of(check, make_stream):
    assert "3 parts for 2 processes. Processes with fewer parts" in check(make_stream(3))
    assert "1 parts for 2 processes, so each process reads all rows" in check(make_stream(1))
    assert check(make_stream(3), process_index=1) == ""  # one warning is enough


def test_one_process_and_other_datasets_are_not_checked(check, make_stream, tokenized_dataset):
    assert check(make_stream(1), world_size=1) == ""
    assert check(split_dataset_by_node(make_stream(4), 0, 2), world_size=1) == ""
    assert check(tokenized_dataset) == check(Stream(tokenized_dataset)) == ""


# Data that comes in batches, as from Ray Data


class Batches:
    """Makes its own batches, and is no dataset of torch."""

    def __init__(self, collate, rows):
        self.collate, self.rows = collate, rows

    def __iter__(self):
        return iter([self.collate(self.rows)])


class OwnBatches(MMELTrainer):
    """A trainer as `ray.train.huggingface.transformers.prepare_trainer` makes it."""

    def get_train_dataloader(self):
        return torch.utils.data.DataLoader(
            list(self.train_dataset), batch_size=1, collate_fn=lambda batches: batches[0]
        )


def test_an_augmenter_for_data_that_makes_its_own_batches_is_refused(arguments, tokenizer, tokenized_dataset):
    options = {"train_dataset": Batches(list, list(tokenized_dataset)), "processing_class": tokenizer}
    lexicon = LexiconSubstitution(tokenizer, {"good": ["fine"]})
    with pytest.raises(TypeError, match=r"is a Batches, which makes its batches itself.* pass a VariantCollator"):
        OwnBatches(make_model(tokenizer), arguments(max_steps=1), augmenter=lexicon, **options)
    OwnBatches(make_model(tokenizer), arguments(max_steps=1), **options)


def test_own_batches_without_variants_end_training_before_its_first_step(arguments, tokenizer, tokenized_dataset):
    collator = VariantCollator(tokenizer, LexiconSubstitution(tokenizer, {"good": ["fine"]}), num_variants=2)
    for collate in (collator, collator.data_collator):
        data = Batches(collate, list(tokenized_dataset))
        options = {"train_dataset": data, "data_collator": collator, "processing_class": tokenizer}
        trainer = OwnBatches(make_model(tokenizer), arguments(max_steps=1), **options)
        if collate is collator:
            trainer.train()
        else:
            trainer.training_step = lambda *args, **kwargs: pytest.fail("a step was made")
            with pytest.raises(TypeError, match=r"a training batch has no variant_mask, only .*input_ids"):
                trainer.train()


def test_a_collator_that_is_called_elsewhere_is_told_of_each_pass(arguments, tokenizer, tokenized_dataset):
    draws = []
    collator = VariantCollator(tokenizer, LexiconSubstitution(tokenizer, {"good": ["fine"]}), num_variants=2)

    class Draws(Batches):
        def __iter__(self):
            draws.append(int(collator._draw))
            return super().__iter__()

    class ReadsAnew(OwnBatches):
        def get_train_dataloader(self):
            data = self.train_dataset

            class Wrapped(torch.utils.data.IterableDataset):
                def __iter__(self):
                    return iter(data)

            return torch.utils.data.DataLoader(Wrapped(), batch_size=1, collate_fn=lambda batches: batches[0])

    options = {"data_collator": collator, "processing_class": tokenizer}
    data = Draws(collator, list(tokenized_dataset))
    ReadsAnew(make_model(tokenizer), arguments(max_steps=3), train_dataset=data, **options).train()
    assert draws == [0, 1, 2]
