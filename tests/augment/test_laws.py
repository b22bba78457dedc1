"""
Laws that every augmenter keeps.

A law of seeds, lists or columns is tested with one tokenizer, since no tokenizer has a part in it. A law of words and
pieces is tested with every family of tokenizers (`EVERY_TOKENIZER`), by the augmenters that make edits themselves.
Those that compose others, or take another lexicon, see pieces through the same code and have one tokenizer.
"""

import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from augmenters import AUGMENTERS
from conftest import SENTENCES, TOKENIZER_KINDS
from datasets import Dataset
from datasets.fingerprint import Hasher
from documented import Hesitation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from transformers import BatchEncoding

from augment import MaskedLMInsertion, apply_edits
from examples import PAIRS, TEXTS, examples_of, ids_of, pair_of
from hf_mmel import VariantCollator


ROOT = Path(__file__).parents[2]


@pytest.fixture(params=AUGMENTERS)
def build(request, wordnet, wordnet_cache, monkeypatch):
    """Makes an augmenter of one kind: `build(tokenizer, **options)`."""
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    return AUGMENTERS[request.param]


WITHOUT_EDITS_OF_THEIR_OWN = ["wordnet", "compose", "one_of", "first_of", "greedy", "same_text"]
EVERY_TOKENIZER = pytest.mark.parametrize(
    ("build", "any_tokenizer"),
    [
        (name, kind)
        for name in AUGMENTERS
        for kind in TOKENIZER_KINDS
        if kind == "wordpiece" or name not in WITHOUT_EDITS_OF_THEIR_OWN
    ],
    indirect=True,
)


def test_k_variants_with_the_same_keys(build, tokenizer):
    augmenter = build(tokenizer)
    for example in examples_of(tokenizer):
        variants = augmenter.variants(example, 3, 0)
        assert len(variants) == 3
        for variant in variants:
            assert variant.keys() == example.keys()
            assert len(variant["input_ids"]) == len(variant["attention_mask"]) == len(variant["token_type_ids"])


def test_changed_variants_differ_from_each_other(build, tokenizer):
    examples = examples_of(tokenizer, SENTENCES)
    groups = build(tokenizer).variants(examples, 4, list(range(len(examples))))
    for example, group in zip(examples, groups, strict=True):
        changed = [tuple(ids) for ids in ids_of(group) if ids != example["input_ids"]]
        assert len(changed) == len(set(changed))
    assert sum(group[0] != example for example, group in zip(examples, groups, strict=True)) >= 4


def test_one_by_one_equals_the_whole_list(build, tokenizer):
    augmenter, examples = build(tokenizer), examples_of(tokenizer)
    seeds = [i if i % 3 else (i, *range(i % 5)) for i in range(len(examples))]
    together = augmenter.variants(examples, 4, seeds)
    assert together == [augmenter.variants(example, 4, seed) for example, seed in zip(examples, seeds, strict=True)]
    assert together[::-1] == augmenter.variants(examples[::-1], 4, seeds[::-1])
    assert augmenter.variants([], 4, []) == []


def test_a_call_changes_nothing_that_a_later_call_sees(build, tokenizer):
    augmenter, example = build(tokenizer), examples_of(tokenizer)[0]
    first = augmenter.variants(example, 4, 0)
    augmenter.variants(example, 7, 1)
    augmenter.augment_text("the movie", 2, 3)
    assert augmenter.variants(example, 4, 0) == first


def test_int_seed_equals_tuple_of_it(build, tokenizer):
    augmenter, example = build(tokenizer), examples_of(tokenizer)[0]
    assert augmenter.variants(example, 4, 7) == augmenter.variants(example, 4, (7,))


def test_other_seeds_give_other_variants(build, tokenizer):
    augmenter, example = build(tokenizer), examples_of(tokenizer)[0]
    drawn = {str(ids_of(augmenter.variants(example, 2, seed))) for seed in [*range(10), *((0, i) for i in range(10))]}
    assert len(drawn) >= 5


FRESH = """
import os, sys
sys.path[:0] = {path}
from conftest import SENTENCES, make_tokenizer
from augmenters import AUGMENTERS
import nltk.data
nltk.data.path[:] = [{nltk_data!r}]
for name, build in AUGMENTERS.items():
    augmenter = build(make_tokenizer("wordpiece"))
    print(name, augmenter.augment_text(SENTENCES, 3, [(1, i) for i in range(len(SENTENCES))]))
"""


@pytest.mark.integration
def test_fresh_interpreter_gives_the_same_variants(tokenizer, nltk_data, wordnet, wordnet_cache, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    path = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "augment")]
    code = FRESH.format(path=path, nltk_data=str(nltk_data))
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    seeds = [(1, i) for i in range(len(SENTENCES))]
    expected = [f"{name} {build(tokenizer).augment_text(SENTENCES, 3, seeds)}" for name, build in AUGMENTERS.items()]
    assert result.stdout.splitlines() == expected, result.stderr


@pytest.mark.integration
def test_worker_processes_give_the_same_variants(build, tokenizer):
    examples = examples_of(tokenizer, SENTENCES)
    collator = VariantCollator(tokenizer, build(tokenizer), num_variants=3)
    batches = [
        [batch["input_ids"] for batch in DataLoader(examples, 2, collate_fn=collator, num_workers=num_workers)]
        for num_workers in (0, 2)
    ]
    for batch, *others in zip(*batches, strict=True):
        assert all(batch.equal(other) for other in others)


@EVERY_TOKENIZER
def test_only_the_words_named_by_the_edits_change(build, any_tokenizer):
    augmenter = build(any_tokenizer)
    for example in examples_of(any_tokenizer):
        variants = augmenter.variants(example, 5, 3)
        for variant, edits in zip(variants, augmenter.edits(example, 5, 3), strict=True):
            assert apply_edits(example["input_ids"], edits) == variant["input_ids"]
            for edit in edits:
                assert type(edit.start) is int and {type(piece) for piece in edit.old + edit.new} <= {int}
                assert type(edit.old) is tuple and type(edit.new) is tuple
            specials = [i for i in variant["input_ids"] if i in any_tokenizer.all_special_ids]
            assert specials == [i for i in example["input_ids"] if i in any_tokenizer.all_special_ids]


def test_flat_arrays_hold_the_same_variants(build, tokenizer):
    augmenter, examples = build(tokenizer), examples_of(tokenizer)
    examples += [pair_of(tokenizer, *pair) for pair in PAIRS]
    seeds = list(range(len(examples)))
    columns = {
        name: np.concatenate([example[name] for example in examples]) for name in ("input_ids", "token_type_ids")
    }
    row_lengths = np.array([len(example["input_ids"]) for example in examples])
    ids, lengths, source = augmenter.variant_arrays(columns["input_ids"].astype(int), row_lengths, 3, seeds)
    assert lengths.shape == (3, len(examples)) and len(ids) == len(source) == lengths.sum()
    cuts = lengths.ravel().cumsum()[:-1]
    rows = np.split(ids, cuts)
    types = np.split(columns["token_type_ids"][source], cuts)
    for b, group in enumerate(augmenter.variants(examples, 3, seeds)):
        for k, variant in enumerate(group):
            assert rows[k * len(examples) + b].tolist() == variant["input_ids"]
            assert types[k * len(examples) + b].tolist() == variant["token_type_ids"]
    no_ids, no_lengths, _ = augmenter.variant_arrays(np.array([]), np.array([]), 2, [])
    assert no_ids.shape == (0,) and no_lengths.shape == (2, 0)


def test_other_columns_pass_through(build, tokenizer):
    example = {**examples_of(tokenizer)[0], "labels": [0, 1], "idx": None, "text": "the movie", 3: object()}
    for variant in build(tokenizer).variants(example, 3, 0):
        assert variant["input_ids"] != example["input_ids"]
        assert all(variant[key] is example[key] for key in ("label", "labels", "idx", "text", 3))


@EVERY_TOKENIZER
def test_spans_to_keep_stay_and_move_with_their_tokens(build, any_tokenizer):
    augmenter = build(any_tokenizer)
    for example in examples_of(any_tokenizer, SENTENCES):
        ids = example["input_ids"]
        spans = [(2, 5), (len(ids) - 3, len(ids))]
        kept = [ids[start:stop] for start, stop in spans]
        for variant in augmenter.variants({**example, "keep_spans": spans}, 4, 0):
            assert [variant["input_ids"][start:stop] for start, stop in variant["keep_spans"]] == kept
    everything = {**example, "keep_spans": [(0, len(ids))]}
    assert augmenter.variants(everything, 2, 0) == [everything, everything]


def test_examples_may_be_of_any_mapping_and_array(build, tokenizer):
    augmenter, example = build(tokenizer), examples_of(tokenizer, ["the movie was awful and children ran"])[0]
    expected = augmenter.variants(example, 3, 0)
    arrays = {name: np.array(value) if type(value) is list else value for name, value in example.items()}
    assert augmenter.variants(BatchEncoding(dict(example)), 3, 0) == expected
    assert augmenter.variants(arrays, 3, 0) == expected
    assert {type(piece) for row in ids_of(augmenter.variants(arrays, 3, 0)) for piece in row} == {int}
    assert augmenter.variants((example,), 3, [0]) == [expected]


def test_pickled_augmenter_makes_the_same_variants(build, tokenizer):
    augmenter, examples = build(tokenizer), examples_of(tokenizer)
    copy = pickle.loads(pickle.dumps(augmenter))
    seeds = list(range(len(examples)))
    assert copy.variants(examples, 3, seeds) == augmenter.variants(examples, 3, seeds)


def test_use_does_not_change_the_hash_of_a_dataset_map(build, tokenizer):
    augmenter, again = build(tokenizer, keep_words=["movie"]), build(tokenizer, keep_words=["movie"])
    fingerprint = Hasher.hash(augmenter)
    augmenter.variants(examples_of(tokenizer), 2, list(range(len(TEXTS))))
    augmenter.augment_text("the movie was awful", 2, 0)
    assert Hasher.hash(augmenter) == fingerprint == Hasher.hash(again)


def variants_of_rows(rows, indices, augmenter):
    groups = augmenter.variants([{"input_ids": ids} for ids in rows["input_ids"]], 2, indices)
    return {"variants": [ids_of(group) for group in groups]}


def test_variants_of_a_data_set_are_mapped_once(build, tokenizer):
    """`Dataset.map` knows an augmenter that is built again, and another one, by its hash."""
    rows = Dataset.from_list([{"input_ids": tokenizer(text)["input_ids"]} for text in SENTENCES])

    def mapped(**options):
        augmenter = build(tokenizer, **options)
        return rows.map(variants_of_rows, batched=True, with_indices=True, fn_kwargs={"augmenter": augmenter})

    first = mapped()
    assert mapped()._fingerprint == first._fingerprint != mapped(keep_words=["movie"])._fingerprint
    augmenter = build(tokenizer)
    for i, row in enumerate(first):
        assert row["variants"] == ids_of(augmenter.variants({"input_ids": row["input_ids"]}, 2, i))


@EVERY_TOKENIZER
def test_pairs_keep_their_parts(build, any_tokenizer):
    augmenter = build(any_tokenizer)
    for first, second in PAIRS:
        example = pair_of(any_tokenizer, first, second)
        for variant in augmenter.variants(example, 4, 0):
            ids, types = variant["input_ids"], variant["token_type_ids"]
            separators = [i for i, piece in enumerate(ids) if piece == any_tokenizer.sep_token_id]
            assert len(separators) == 2 and separators[1] == len(ids) - 1
            assert types == [0] * (separators[0] + 1) + [1] * (separators[1] - separators[0])


@EVERY_TOKENIZER
@pytest.mark.parametrize("max_length", [4, 7, 12])
def test_max_length_is_never_exceeded(build, any_tokenizer, max_length):
    augmenter = build(any_tokenizer, max_length=max_length)
    encoded = any_tokenizer([*TEXTS * 3, "the film"], truncation=True, max_length=max_length)["input_ids"]
    variants = augmenter.variants([{"input_ids": ids} for ids in encoded], 4, list(range(len(encoded))))
    assert max(len(ids) for group in variants for ids in ids_of(group)) <= max_length
    changed = [ids != row for row, group in zip(encoded, variants, strict=True) for ids in ids_of(group)]
    assert any(changed) or max_length < 12


@EVERY_TOKENIZER
def test_empty_and_one_word_input(build, any_tokenizer):
    augmenter = build(any_tokenizer)
    for text in ("", "the", "movie", "12", "!"):
        example = examples_of(any_tokenizer, [text])[0]
        variants = augmenter.variants(example, 2, 0)
        assert len(variants) == 2 and variants[0] is not variants[1], text
        if text in ("the", "movie"):
            assert all(any_tokenizer.decode(ids, skip_special_tokens=True) for ids in ids_of(variants)), text
        else:
            assert variants == [example, example], text
        assert len(augmenter.augment_text(text, 2, 0)) == 2, text


def test_texts_one_by_one_equal_the_whole_list(build, tokenizer):
    augmenter, seeds = build(tokenizer), list(range(len(TEXTS)))
    together = augmenter.augment_text(TEXTS, 3, seeds)
    assert together == [augmenter.augment_text(text, 3, seed) for text, seed in zip(TEXTS, seeds, strict=True)]
    assert augmenter.augment_text([], 3, []) == []


@EVERY_TOKENIZER
def test_texts_have_no_loose_spaces(build, any_tokenizer):
    for group in build(any_tokenizer).augment_text(SENTENCES, 4, list(range(len(SENTENCES)))):
        for text in group:
            assert text == " ".join(text.split()) and text


def random_texts(count: int) -> list[str]:
    """Texts of words, marks and odd characters: a control, ligatures, accents, joiners, emoji, other scripts."""
    rng = random.Random(0)
    parts = [*"aeiou -.,'\n\t\0", " movie ", " film ", "ran", "'s", *"éßİ\u0301\u200d👩電عﬁ"]
    anything = [*range(32, 0xD800), *range(0xE000, 0x110000)]
    return [
        "".join(
            rng.choice(parts) if rng.random() < 0.7 else chr(rng.choice(anything)) for _ in range(rng.randrange(30))
        )
        for _ in range(count)
    ]


@EVERY_TOKENIZER
def test_odd_texts_have_variants(build, any_tokenizer):
    texts, seeds, augmenter = random_texts(300), list(range(300)), build(any_tokenizer)
    encoded = [{"input_ids": ids} for ids in any_tokenizer(texts)["input_ids"]]
    groups = augmenter.variants(encoded, 2, seeds)
    # Few texts have two words side by side, and fewer a function word before another word.
    least = {Hesitation: 10, MaskedLMInsertion: 1}.get(type(augmenter), 20)
    assert sum(group != [row, row] for row, group in zip(encoded, groups, strict=True)) > least


@EVERY_TOKENIZER
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=40), max_size=4), num_variants=st.integers(1, 5), seed=st.integers())
def test_any_text_gives_valid_ids(build, any_tokenizer, texts, num_variants, seed):
    augmenter, seeds = build(any_tokenizer), [(seed, i) for i in range(len(texts))]
    encoded = [{"input_ids": ids} for ids in any_tokenizer(texts)["input_ids"]] if texts else []
    groups = augmenter.variants(encoded, num_variants, seeds)
    ids = {piece for group in groups for row in ids_of(group) for piece in row}
    assert all(type(piece) is int and 0 <= piece < len(any_tokenizer) for piece in ids)
    assert [len(group) for group in groups] == [num_variants] * len(texts)
    assert all(len(group) == num_variants for group in augmenter.augment_text(texts, num_variants, seeds))
