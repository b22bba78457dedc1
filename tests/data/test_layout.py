"""What the host knows of a batch on a device: it is what the device has, or it is forgotten."""

import copy
import pickle

import numpy as np
import pytest
import torch
from accelerate.utils import concatenate, send_to_device, slice_tensors
from conftest import WORDS, make_model
from torch.utils.data import DataLoader

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer, VariantCollator
from hf_mmel.data.groups import GROUP_KEY, VARIANT_MASK, WEIGHT, as_groups, layout_of, take, with_layout
from hf_mmel.data.layout import LAYOUT, HostedBatch, HostingCollator, on_device, read


@pytest.fixture
def batch(tokenizer, dataset):
    collator = VariantCollator(tokenizer, LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5), epochs_per_draw=2)
    batch = collator([dataset[i] for i in range(5)])
    return {**batch, WEIGHT: torch.tensor([1.0, 1.0, 2.0, 1.0, 1.0])}


def on_meta(batch):
    """The batch on a device that cannot be read."""
    return send_to_device(HostedBatch(batch), torch.device("meta"), non_blocking=True)


def same(found, expected):
    return all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_layout_tells_what_the_tensors_say(batch):
    batch["labels"][3] = -100
    layout = layout_of(batch)
    assert layout.present.tolist() == batch[VARIANT_MASK].tolist()
    assert layout.lengths.tolist() == batch["attention_mask"].sum(dim=-1).tolist()
    assert layout.are_labelled.tolist() == [True, True, True, False, True]
    assert layout.are_weighted.tolist() == [False, False, True, False, False]
    assert layout.group_keys.tolist() == batch[GROUP_KEY].tolist()
    used = layout.present.copy()
    used[0, 1:] = False
    assert layout.longest(used)[0] == layout.lengths[0, 0]


def test_a_batch_on_a_device_has_the_layout_of_its_tensors_on_the_host(batch):
    moved = on_meta(batch)
    assert moved["input_ids"].is_meta and isinstance(moved, HostedBatch)
    for again in (moved, send_to_device(moved, torch.device("meta"))):
        assert same(with_layout(as_groups(again), again)[LAYOUT], layout_of(batch))


def test_so_has_a_batch_of_plain_examples(batch):
    plain = {name: batch[name][:, 0] for name in ("input_ids", "attention_mask")} | {"labels": batch["labels"]}
    moved = on_meta(plain)
    layout = with_layout(as_groups(moved), moved)[LAYOUT]
    assert layout.present.all() and layout.present.shape == (5, 1)
    assert layout.lengths[:, 0].tolist() == plain["attention_mask"].sum(dim=-1).tolist()


@pytest.mark.parametrize("name", [VARIANT_MASK, "attention_mask", "labels", WEIGHT, GROUP_KEY])
@pytest.mark.parametrize("how", ["replaced", "in place"])
def test_a_tensor_that_was_changed_on_the_device_is_forgotten(batch, name, how):
    moved = on_meta(batch)
    assert name in moved.on_host()
    if how == "replaced":
        moved[name] = moved[name].clone()
    else:
        moved[name][:2] = 0
    assert name not in moved.on_host()
    with pytest.raises((NotImplementedError, RuntimeError)):  # to be read from the device
        with_layout(as_groups(moved), moved)


def test_on_the_host_a_change_is_no_change_of_another_tensor(batch):
    moved = HostedBatch(batch).to("cpu")
    moved[VARIANT_MASK][:, 1:] = False
    assert not with_layout(moved, moved)[LAYOUT].present[:, 1:].any()


@pytest.mark.parametrize(
    "made",
    [
        lambda batch: {**batch},
        lambda batch: {name: x[:3] for name, x in batch.items()},
        lambda batch: slice_tensors(batch, slice(0, 3)),
        lambda batch: concatenate([batch, batch]),
    ],
    ids=["a dictionary", "rows", "a slice of Accelerate", "batches in one"],
)
def test_a_batch_that_is_made_of_it_remembers_nothing(batch, made):
    """As where one process reads the batches of all, which are put together, sent and cut."""
    other = made(HostedBatch(batch).to("cpu"))
    assert not getattr(other, "copies", {})
    assert same(with_layout(other, other)[LAYOUT], layout_of(dict(other)))


def test_worker_processes_and_pinned_memory_keep_the_kind_of_the_batch(batch):
    for other in (copy.copy(HostedBatch(batch)), pickle.loads(pickle.dumps(HostedBatch(batch)))):
        assert isinstance(other, HostedBatch) and other.keys() == batch.keys() and other.copies == {}


def test_a_collator_that_gives_another_kind_of_batch_is_left_alone():
    class Own(dict):
        pass

    assert type(HostingCollator(lambda rows: {"x": 1})([])) is HostedBatch
    assert type(HostingCollator(lambda rows: Own())([])) is Own


def test_some_examples_have_their_part_of_the_layout(batch):
    batch[VARIANT_MASK][2, 1:] = False
    groups = with_layout(batch, batch)
    taken = take(groups, np.array([2, 4]))
    part = {name: x[torch.tensor([2, 4])] for name, x in batch.items()}
    assert same(taken[LAYOUT], layout_of(part))
    assert torch.equal(taken["input_ids"], part["input_ids"])


def test_tensors_of_a_device_are_read_in_one_copy(monkeypatch):
    tensors = torch.tensor([[True, False]]), torch.tensor(3), torch.tensor([2**60, -1])
    expected = read(*tensors)
    monkeypatch.setattr("hf_mmel.data.layout.is_on_host", lambda tensor: False)
    found = read(*tensors)
    assert same(found, expected) and [x.dtype for x in found] == [x.dtype for x in expected]
    assert on_device(found[0], torch.device("cpu")).dtype == torch.bool


def test_the_batches_of_a_trainer_reach_the_step_with_what_the_host_knows(
    tokenizer, dataset, arguments, augmenter, monkeypatch
):
    known = []

    class Recording(MMELTrainer):
        def compute_loss(self, model, inputs, *args, **kwargs):
            known.append(inputs.on_host().keys() >= {VARIANT_MASK, "attention_mask", "labels"})
            return super().compute_loss(model, inputs, *args, **kwargs)

    Recording(
        make_model(tokenizer),
        arguments(max_steps=3, per_device_train_batch_size=2, gradient_accumulation_steps=2, mmel_loss="hard"),
        train_dataset=dataset,
        processing_class=tokenizer,
        augmenter=augmenter,
    ).train()
    assert known and all(known)


def test_a_batch_of_a_loader_of_ones_own_is_read_from_the_device(tokenizer, dataset, arguments, augmenter):
    trainer = MMELTrainer(
        make_model(tokenizer),
        arguments(max_steps=1, mmel_loss="hard"),
        train_dataset=dataset,
        processing_class=tokenizer,
        augmenter=augmenter,
    )
    batch = trainer.build_group_collator()([dataset[i] for i in range(4)])
    trainer.get_train_dataloader = lambda: DataLoader([batch], batch_size=None)
    assert trainer.train().training_loss > 0
