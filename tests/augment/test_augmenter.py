"""Laws that every augmenter keeps, with every family of tokenizers."""

import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
from conftest import SENTENCES, TOKENIZER_KINDS, WORDS, make_tokenizer
from transformers import BatchEncoding

from augment import LexiconSubstitution, apply_edits
from examples import examples_of, ids_of


ROOT = Path(__file__).parents[2]


def test_k_variants_with_the_same_keys(make, any_tokenizer):
    for example in examples_of(any_tokenizer):
        variants = make(any_tokenizer).variants(example, 3, 0)
        assert len(variants) == 3
        for variant in variants:
            assert variant.keys() == example.keys()
            assert len(variant["input_ids"]) == len(variant["attention_mask"]) == len(variant["token_type_ids"])


def test_one_by_one_equals_the_whole_list(make, any_tokenizer):
    augmenter, examples = make(any_tokenizer), examples_of(any_tokenizer)
    seeds = [i if i % 3 else (i, *range(i % 5)) for i in range(len(examples))]
    together = augmenter.variants(examples, 4, seeds)
    assert together == [augmenter.variants(example, 4, seed) for example, seed in zip(examples, seeds, strict=True)]
    assert together[::-1] == augmenter.variants(examples[::-1], 4, seeds[::-1])
    assert augmenter.variants([], 4, []) == []


def test_columns_of_one_example_do_not_depend_on_the_others(tokenizer, augmenter):
    full, bare = examples_of(tokenizer, ["the movie was awful and funny", "children ran and ran"])
    bare = {"input_ids": bare["input_ids"], "attention_mask": bare["attention_mask"][:-1]}
    together = augmenter.variants([full, bare], 4, [1, 2])
    assert together == [augmenter.variants(full, 4, 1), augmenter.variants(bare, 4, 2)]
    assert all(len(variant["attention_mask"]) == len(variant["input_ids"]) for variant in together[0])
    assert all(variant["attention_mask"] == bare["attention_mask"] for variant in together[1])  # not one per token


def test_fewer_variants_are_not_other_examples(make, any_tokenizer):
    """A call changes nothing that a later call sees."""
    augmenter, example = make(any_tokenizer), examples_of(any_tokenizer)[0]
    first = augmenter.variants(example, 4, 0)
    augmenter.variants(example, 7, 1)
    augmenter.augment_text("the movie", 2, 3)
    assert augmenter.variants(example, 4, 0) == first


def test_int_seed_equals_tuple_of_it(make, any_tokenizer):
    augmenter, example = make(any_tokenizer), examples_of(any_tokenizer)[0]
    assert augmenter.variants(example, 4, 7) == augmenter.variants(example, 4, (7,))


def test_other_seeds_give_other_variants(make, any_tokenizer):
    augmenter, example = make(any_tokenizer), examples_of(any_tokenizer)[0]
    drawn = {str(ids_of(augmenter.variants(example, 2, seed))) for seed in [*range(10), *((0, i) for i in range(10))]}
    assert len(drawn) >= 5


FRESH = """
import sys
sys.path[:0] = {path}
from conftest import *
for kind in TOKENIZER_KINDS:
    augmenter = LexiconSubstitution(make_tokenizer(kind), WORDS)
    print(augmenter.augment_text(SENTENCES, 3, [(1, i) for i in range(len(SENTENCES))]))
"""


def test_fresh_interpreter_gives_the_same_variants():
    code = FRESH.format(path=[str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    seeds = [(1, i) for i in range(len(SENTENCES))]
    expected = [
        LexiconSubstitution(make_tokenizer(kind), WORDS).augment_text(SENTENCES, 3, seeds) for kind in TOKENIZER_KINDS
    ]
    assert result.stdout.splitlines() == list(map(str, expected)), result.stderr


def test_variants_differ_wherever_the_candidates_allow(make, any_tokenizer):
    augmenter = make(any_tokenizer)
    for example in examples_of(any_tokenizer):
        counts = {}
        for variant in augmenter.edits(example, 400, 0):
            for edit in variant:
                counts.setdefault(edit.start, set()).add(edit.new)
        possible = int(np.prod([len(options) + 1 for options in counts.values()])) - 1
        for num_variants in (1, 4, 9):
            ids = ids_of(augmenter.variants(example, num_variants, 0))
            changed = [tuple(row) for row in ids if row != example["input_ids"]]
            assert len(changed) == len(set(changed)) == min(num_variants, possible)


def test_nothing_to_replace_gives_copies(make, any_tokenizer):
    for text in ("", "the", "12 + 3", "!!!", "😀", "電影很好", "الفيلم", "фильм"):
        example = examples_of(any_tokenizer, [text])[0]
        variants = make(any_tokenizer).variants(example, 2, 0)
        assert variants == [example, example] and variants[0] is not example


def test_every_replacement_is_a_candidate_of_its_word(make, any_tokenizer):
    augmenter, tokenizer, seen = make(any_tokenizer), any_tokenizer, 0
    for example in examples_of(tokenizer):
        for variant in augmenter.edits(example, 9, 0):
            for edit in variant:
                old, new = tokenizer.decode(edit.old).strip(), tokenizer.decode(edit.new).strip()
                assert new.lower() in make.table[old.lower()]
                assert [case(old) == old for case in (str.lower, str.upper)] == [
                    case(new) == new for case in (str.lower, str.upper)
                ]
                seen += 1
    assert seen > 20


def test_only_the_words_named_by_the_edits_change(make, any_tokenizer):
    augmenter = make(any_tokenizer)
    for example in examples_of(any_tokenizer):
        variants = augmenter.variants(example, 5, 3)
        for variant, edits in zip(variants, augmenter.edits(example, 5, 3), strict=True):
            assert apply_edits(example["input_ids"], edits) == variant["input_ids"]
            for edit in edits:
                assert type(edit.start) is int and {type(piece) for piece in edit.old + edit.new} == {int}
                assert type(edit.old) is tuple and type(edit.new) is tuple
            specials = [i for i in variant["input_ids"] if i in any_tokenizer.all_special_ids]
            assert specials == [i for i in example["input_ids"] if i in any_tokenizer.all_special_ids]


def test_other_columns_pass_through(make, any_tokenizer):
    example = {**examples_of(any_tokenizer)[0], "labels": [0, 1], "idx": None, "text": "the movie", 3: object()}
    for variant in make(any_tokenizer).variants(example, 3, 0):
        assert variant["input_ids"] != example["input_ids"]
        assert all(variant[key] is example[key] for key in ("label", "labels", "idx", "text", 3))


def test_examples_may_be_of_any_mapping_and_array(make, any_tokenizer):
    augmenter, example = make(any_tokenizer), examples_of(any_tokenizer, ["the movie was awful and children ran"])[0]
    expected = augmenter.variants(example, 3, 0)
    arrays = {name: np.array(value) if type(value) is list else value for name, value in example.items()}
    assert augmenter.variants(BatchEncoding(dict(example)), 3, 0) == expected
    assert augmenter.variants(arrays, 3, 0) == expected
    assert {type(piece) for row in ids_of(augmenter.variants(arrays, 3, 0)) for piece in row} == {int}
    assert augmenter.variants((example,), 3, [0]) == [expected]


def test_a_replacement_has_the_values_of_the_first_piece_of_its_word(any_tokenizer):
    augmenter = LexiconSubstitution(any_tokenizer, WORDS, replace_prob=1.0)
    example = examples_of(any_tokenizer, ["the movie and the children"])[0]
    example["special_tokens_mask"] = list(range(len(example["input_ids"])))  # so that the places can be read off
    edits = augmenter.edits(example, 1, 0)[0]
    (variant,) = augmenter.variants(example, 1, 0)
    expected = list(range(len(example["input_ids"])))
    for edit in reversed(edits):
        expected[edit.start : edit.start + len(edit.old)] = [edit.start] * len(edit.new)
    assert variant["special_tokens_mask"] == expected
    assert variant["attention_mask"] == [1] * len(expected)


def test_pickled_augmenter_makes_the_same_variants(make, any_tokenizer):
    augmenter, examples = make(any_tokenizer), examples_of(any_tokenizer)
    copy = pickle.loads(pickle.dumps(augmenter))
    assert copy.variants(examples, 3, list(range(len(examples)))) == augmenter.variants(
        examples, 3, list(range(len(examples)))
    )


def random_texts(count: int) -> list[str]:
    rng = random.Random(0)
    parts = [
        *"aeiou -.,'\n\t\0",
        " movie ",
        " film ",
        "ran",
        "'s",
        "é",
        "ß",
        "İ",
        "\u0301",
        "\u200d",
        "👩",
        "電",
        "ع",
        "ﬁ",
    ]
    anything = [*range(32, 0xD800), *range(0xE000, 0x110000)]
    return [
        "".join(
            rng.choice(parts) if rng.random() < 0.7 else chr(rng.choice(anything)) for _ in range(rng.randrange(30))
        )
        for _ in range(count)
    ]


def test_any_string_has_variants(make, any_tokenizer):
    texts, seeds, augmenter = random_texts(300), list(range(300)), make(any_tokenizer, replace_prob=0.8)
    encoded = [{"input_ids": ids} for ids in any_tokenizer(texts)["input_ids"]]
    groups = augmenter.variants(encoded, 2, seeds)
    ids = {piece for group in groups for row in ids_of(group) for piece in row}
    assert min(ids) >= 0 and max(ids) < len(any_tokenizer)
    assert sum(group != [row, row] for row, group in zip(encoded, groups, strict=True)) > 20
    assert all(len(group) == 2 for group in augmenter.augment_text(texts, 2, seeds))


WITHOUT_TRANSFORMERS = """
import sys
sys.path.insert(0, {root!r})
from types import SimpleNamespace
from tokenizers import Tokenizer

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "nltk", "lemminflect", "hf_mmel"):
            raise ImportError(name + " was imported")

sys.meta_path.insert(0, Refuse())
import augment

backend = Tokenizer.from_str({backend!r})
tokenizer = SimpleNamespace(
    is_fast=True, backend_tokenizer=backend, get_vocab=backend.get_vocab, model_max_length=64,
    added_tokens_decoder={{}}, all_special_ids=[2, 3], special_tokens_map={{}},
    unk_token_id=1, unk_token="[UNK]", sep_token_id=3, eos_token_id=None,
)
augmenter = augment.LexiconSubstitution(tokenizer, {words!r})
print(augmenter.variants({{"input_ids": {ids!r}}}, 3, 0))
"""


def test_needs_of_a_fast_tokenizer_only_its_backend(tokenizer):
    """No torch, no transformers, no NLTK."""
    example = {"input_ids": tokenizer("the movie and the children ran")["input_ids"]}
    code = WITHOUT_TRANSFORMERS.format(
        root=str(ROOT), backend=tokenizer.backend_tokenizer.to_str(), words=WORDS, ids=example["input_ids"]
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    expected = LexiconSubstitution(tokenizer, WORDS).variants(example, 3, 0)
    assert result.stdout == f"{expected}\n", result.stderr
