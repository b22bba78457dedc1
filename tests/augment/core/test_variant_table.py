"""Tables of variants, and who sees them."""

import copy
import gc
import multiprocessing
import pickle

import pytest
from conftest import SENTENCES, WORDS
from datasets.fingerprint import Hasher
from torch.utils.data import DataLoader

from augment import Edit, GreedySearch, LexiconSubstitution
from augment.core.batch import Batch
from augment.core.variant_table import VariantTable
from examples import examples_of
from hf_mmel import VariantCollator


@pytest.fixture
def source(tokenizer):
    return LexiconSubstitution(tokenizer, WORDS)


@pytest.fixture
def examples(tokenizer):
    return examples_of(tokenizer, SENTENCES)


def table_of(examples, mark) -> VariantTable:
    """A table with a variant of each example, which begins with the mark."""
    return VariantTable.of(Batch.of(examples), [[(Edit(0, (row["input_ids"][0],), (mark,)),)] for row in examples])


def mark_of(augmenter, example) -> int:
    return augmenter.variants(example, 1, 0)[0]["input_ids"][0]


def test_joined_tables_have_the_examples_of_all(source, examples):
    augmenter = GreedySearch(source)
    tables = [table_of([example], mark) for mark, example in enumerate(examples, 11)]
    augmenter.keep(VariantTable.joined(tables[::-1]))
    assert [mark_of(augmenter, example) for example in examples] == list(range(11, 20))
    empty = VariantTable.joined([])
    assert len(empty) == 0 and empty.lookup(Batch.of(examples)) == [[]] * 9
    assert len(VariantTable.joined([empty, *tables])) == 9


def test_of_examples_with_the_same_tokens_the_first_counts(source, examples):
    augmenter, batch = GreedySearch(source), Batch.of([examples[0]] * 3)
    augmenter.keep(VariantTable.of(batch, [[(Edit(0, (batch.rows[0][0],), (mark,)),)] for mark in (13, 11, 12)]))
    assert mark_of(augmenter, examples[0]) == 13
    augmenter.keep(VariantTable.joined([table_of(examples, mark) for mark in (12, 13, 11)]))
    assert mark_of(augmenter, examples[0]) == mark_of(augmenter, examples[8]) == 12


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_running_workers_see_a_new_table(tokenizer, source, examples, num_workers):
    augmenter = GreedySearch(source)
    collator = VariantCollator(tokenizer, augmenter, num_variants=1)
    loader = DataLoader(examples, 3, collate_fn=collator, num_workers=num_workers, persistent_workers=num_workers > 0)
    assert {int(row[1, 0]) for batch in loader for row in batch["input_ids"]} == {tokenizer.cls_token_id}
    for mark in (11, 12, 13):
        augmenter.keep(table_of(examples, mark))
        assert {int(row[1, 0]) for batch in loader for row in batch["input_ids"]} == {mark}


def test_pickled_copies_see_a_new_table_and_carry_none(source, examples):
    augmenter = GreedySearch(source)
    augmenter.keep(table_of(examples[:1], 11))
    copy, size = pickle.loads(pickle.dumps(augmenter)), len(pickle.dumps(augmenter))
    assert mark_of(copy, examples[0]) == 11
    augmenter.keep(table_of(examples * 100, 12))
    assert mark_of(copy, examples[0]) == mark_of(augmenter, examples[0]) == 12
    assert abs(len(pickle.dumps(augmenter)) - size) < 50


def test_caches_of_a_dataset_map_tell_one_table_from_the_next(source, examples):
    augmenter = GreedySearch(source)
    hashes = [Hasher.hash(augmenter), Hasher.hash(GreedySearch(source))]
    assert hashes[0] == hashes[1]
    for mark in (11, 12):
        augmenter.keep(table_of(examples, mark))
        hashes += [Hasher.hash(augmenter)]
        augmenter.variants(examples, 2, [0] * 9)
        assert Hasher.hash(augmenter) == hashes[-1]
    assert len(set(hashes)) == 3


def test_a_reader_sees_the_old_table_or_the_new_one(source, examples):
    augmenter = GreedySearch(source)
    augmenter.keep(table_of(examples, 0))
    reader = multiprocessing.get_context("fork").Process(target=read_until, args=(augmenter, examples, 60))
    reader.start()
    for mark in range(1, 61):
        augmenter.keep(table_of(examples, mark))
    reader.join(timeout=60)
    assert reader.exitcode == 0


def read_until(augmenter, examples, last):
    """Reads tables, each in whole, until the last one is there."""
    mark = -1
    while mark < last:
        seen = {row["input_ids"][0] for group in augmenter.variants(examples, 1, [0] * 9) for row in group}
        assert len(seen) == 1 and min(seen) >= mark
        (mark,) = seen


def test_the_folder_goes_with_its_augmenter_and_not_with_a_copy(source, examples):
    augmenter = GreedySearch(source)
    folder = augmenter._shared._folder
    assert not folder.exists()
    augmenter.keep(table_of(examples, 11))
    assert folder.stat().st_mode & 0o777 == 0o700 and [path.name for path in folder.iterdir()] == ["variants.json"]
    process = multiprocessing.get_context("fork").Process(target=drop, args=([augmenter],))
    process.start()
    process.join()
    copy = pickle.loads(pickle.dumps(augmenter))
    del copy
    gc.collect()
    assert process.exitcode == 0 and folder.exists()
    copy = pickle.loads(pickle.dumps(augmenter))
    assert mark_of(copy, examples[0]) == 11
    del augmenter, process
    gc.collect()
    assert not folder.exists()
    assert copy.variants(examples, 2, [0] * 9) == source.variants(examples, 2, [0] * 9)


def drop(augmenters):
    """Ends a forked process as one that has let go of its copy."""
    augmenters[0]._shared = None
    gc.collect()


def test_deep_copy_goes_its_own_way(source, examples):
    augmenter = GreedySearch(source)
    augmenter.keep(table_of(examples, 11))
    other = copy.deepcopy(augmenter)
    assert mark_of(other, examples[0]) == 11
    other.keep(table_of(examples, 12))
    assert (mark_of(augmenter, examples[0]), mark_of(other, examples[0])) == (11, 12)
