"""Laws of substitution by a lexicon, with every family of tokenizers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import WORDS

from augment import LexiconSubstitution
from examples import examples_of, ids_of


ROOT = Path(__file__).parents[2]


def test_columns_of_one_example_do_not_depend_on_the_others(tokenizer, augmenter):
    full, bare = examples_of(tokenizer, ["the movie was awful and funny", "children ran and ran"])
    bare = {"input_ids": bare["input_ids"], "attention_mask": bare["attention_mask"][:-1]}
    together = augmenter.variants([full, bare], 4, [1, 2])
    assert together == [augmenter.variants(full, 4, 1), augmenter.variants(bare, 4, 2)]
    assert all(len(variant["attention_mask"]) == len(variant["input_ids"]) for variant in together[0])
    assert all(variant["attention_mask"] == bare["attention_mask"] for variant in together[1])  # not one per token


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


@pytest.mark.integration
def test_needs_of_a_fast_tokenizer_only_its_backend(tokenizer):
    """No torch, no transformers, no NLTK."""
    example = {"input_ids": tokenizer("the movie and the children ran")["input_ids"]}
    code = WITHOUT_TRANSFORMERS.format(
        root=str(ROOT), backend=tokenizer.backend_tokenizer.to_str(), words=WORDS, ids=example["input_ids"]
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    expected = LexiconSubstitution(tokenizer, WORDS).variants(example, 3, 0)
    assert result.stdout == f"{expected}\n", result.stderr


def test_lists_in_blocks_give_the_same_variants(make, any_tokenizer, monkeypatch):
    augmenter, examples = make(any_tokenizer), examples_of(any_tokenizer)
    expected = augmenter.variants(examples, 9, list(range(len(examples))))
    monkeypatch.setattr("augment.core.sampling._MAX_LISTED", 40)
    assert augmenter.variants(examples, 9, list(range(len(examples)))) == expected
