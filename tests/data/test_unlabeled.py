"""Which unlabelled examples a labelled one brings along, and how they are collated."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hf_mmel.data.unlabeled import INDEX, IndexedExamples, UnlabeledCollator


def collator(num_labelled=5, num_unlabelled=7, ratio=1.0, seed=0, collate=list):
    rows = [{"input_ids": [100 + row], "extra": row} for row in range(num_unlabelled)]
    return UnlabeledCollator(collate, rows, num_labelled, ratio, seed)


def rows_of_epochs(brought, num_epochs):
    """The rows that are brought along, in the order of epochs and examples."""
    rows = []
    for epoch in range(num_epochs):
        brought.set_epoch(epoch)
        rows += chain.from_iterable(brought.rows_of(i) for i in range(brought.num_labelled))
    return rows


@pytest.mark.parametrize("ratio", [0.1, 1 / 3, 0.5, 1.0, 2.5, 7.0, 20.0])
def test_every_row_is_used_once_before_any_is_used_again(ratio):
    rows = rows_of_epochs(collator(ratio=ratio), 30)
    assert len(rows) == int(30 * 5 * ratio)
    for start in range(0, len(rows), 7):
        assert len(set(rows[start : start + 7])) == len(rows[start : start + 7])


@pytest.mark.parametrize("ratio", [0.1, 1 / 3, 2.5])
def test_each_example_brings_the_ratio_rounded_up_or_down(ratio):
    brought = collator(num_labelled=50, ratio=ratio)
    assert {len(brought.rows_of(i)) for i in range(50)} == {int(ratio), int(ratio) + 1}


def test_cycles_have_orders_of_their_own_and_seeds_have_others():
    rows = rows_of_epochs(collator(num_labelled=7, num_unlabelled=7), 3)
    first, second, third = rows[:7], rows[7:14], rows[14:]
    assert len({tuple(first), tuple(second), tuple(third)}) == 3
    assert rows == rows_of_epochs(collator(num_labelled=7, num_unlabelled=7), 3)
    assert rows != rows_of_epochs(collator(num_labelled=7, num_unlabelled=7, seed=1), 3)


def test_what_an_example_brings_depends_on_its_number_and_the_epoch_alone():
    brought, other = collator(ratio=2.5), collator(ratio=2.5)
    for epoch in (3, 0, 2):
        brought.set_epoch(epoch)
        backwards = {i: brought.rows_of(i) for i in reversed(range(5))}
        other.set_epoch(epoch)
        assert backwards == {i: other.rows_of(i) for i in range(5)}


@pytest.mark.parametrize("workers", [0, 2])
def test_worker_processes_that_outlive_an_epoch_see_the_next_one(workers):
    brought = collator(collate=_extras)
    labelled = IndexedExamples([{"input_ids": [row], "extra": -1} for row in range(5)])
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    loader, found = DataLoader(labelled, batch_size=2, collate_fn=brought, **options), []
    for epoch in range(3):
        brought.set_epoch(epoch)
        found += [row for batch in loader for row in batch]
    assert found == rows_of_epochs(collator(), 3)


def _extras(examples):
    return [example["extra"] for example in examples if example["extra"] >= 0]


@pytest.mark.parametrize(
    ("label", "expected"),
    [(1, -100), ([1], [-100]), (torch.tensor(1), torch.tensor(-100)), (np.array([1]), np.array([-100]))],
)
def test_unlabelled_examples_have_the_columns_of_labelled_ones_and_no_label(label, expected):
    labelled = [{INDEX: 0, "input_ids": [1], "label": label}, {INDEX: 3, "input_ids": [2], "label": label}]
    batch = collator()(labelled)
    assert [row["input_ids"][0] for row in batch[:2]] == [1, 2] and all(row["label"] is label for row in batch[:2])
    assert len(batch) == 4
    for row in batch[2:]:
        assert row.keys() == {"input_ids", "label"} and row["input_ids"][0] >= 100
        assert type(row["label"]) is type(expected) and row["label"] == expected


def test_no_row_is_skipped_with_few_rows():
    counts = Counter(rows_of_epochs(collator(num_unlabelled=1, ratio=3.0), 2))
    assert counts == {0: 30}
