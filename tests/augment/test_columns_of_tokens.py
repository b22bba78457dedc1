"""Columns with an entry for each token follow the tokens into a variant."""

import numpy as np
import pytest
import torch
from conftest import SENTENCES, TOKENIZER_KINDS, WORDS
from pairwise import pairwise

from augment import Compose, LexiconSubstitution, RandomDelete, RandomInsert, RandomSwap
from augment.core.batch import IGNORE_INDEX


LONGER = {**WORDS, "film": ["motion picture"], "awful": ["really terrible"]}

KINDS = {"list": list, "tuple": tuple, "numpy": np.array, "torch": torch.tensor}


def marked(tokenizer, text: str) -> dict:
    """An example whose columns say which token an entry belongs to."""
    row = dict(tokenizer(text))
    ids = row["input_ids"]
    return {
        **row,
        "global_attention_mask": [int(i % 3 == 0) for i in range(len(ids))],
        "bbox": [[i, i, i + 1, token] for i, token in enumerate(ids)],
        "weights": [i / 2 for i in range(len(ids))],
        "matrix": [[1, 2]] * 3,
        "label": 1,
    }


def make_all(tokenizer) -> list:
    words = LexiconSubstitution(tokenizer, LONGER, replace_prob=0.9)
    return [
        words,
        RandomDelete(tokenizer, replace_prob=0.3),
        RandomInsert(words, replace_prob=0.3),
        Compose([words, RandomDelete(tokenizer)]),
    ]


@pairwise(["any_tokenizer"], number=range(4), any_tokenizer=TOKENIZER_KINDS, kind=KINDS)
def test_each_token_of_a_variant_has_the_entries_of_the_token_it_comes_from(any_tokenizer, number, kind):
    augmenter, num_longer = make_all(any_tokenizer)[number], 0
    for seed, text in enumerate(SENTENCES):
        example = marked(any_tokenizer, text)
        lists = {name: example[name] for name in ("global_attention_mask", "bbox", "weights")}
        given = {**example, **{name: kind(values) for name, values in lists.items()}}
        arrays = augmenter.variant_arrays(np.array(example["input_ids"]), [len(example["input_ids"])], 3, [seed])
        sources = np.split(arrays[2], arrays[1].ravel().cumsum()[:-1])
        for variant, source in zip(augmenter.variants(given, 3, seed), sources, strict=True):
            if variant["input_ids"] == example["input_ids"]:
                continue
            num_longer += len(source) != len(example["input_ids"])
            assert {name: variant[name] for name in lists} == {
                name: [values[i] for i in source] for name, values in lists.items()
            }
            assert variant["matrix"] is example["matrix"] and variant["label"] == 1
    assert num_longer


def test_a_column_with_ignored_tokens_is_one_of_labels(tokenizer):
    """The first piece of a replacement has the label of the word, the others have none."""
    example = dict(tokenizer("a film"))
    augmenter = LexiconSubstitution(tokenizer, {"film": ["motion picture"]}, replace_prob=1.0)
    columns = {"tags": [IGNORE_INDEX, 4, 5, IGNORE_INDEX], "kinds": [3, 4, 5, 6]}
    (variant,) = augmenter.variants({**example, **columns}, 1, 0)
    assert variant["tags"] == [IGNORE_INDEX, 4, 5, IGNORE_INDEX, IGNORE_INDEX]
    assert variant["kinds"] == [3, 4, 5, 5, 6]


@pytest.mark.parametrize("padding", ["none", "right", "left"])
@pytest.mark.parametrize("first", [0, 2])
def test_positions_that_count_up_are_counted_anew(tokenizer, padding, first):
    augmenter = LexiconSubstitution(tokenizer, {"film": ["motion picture"]}, replace_prob=1.0)
    row = dict(tokenizer("a film was odd"))
    size, pads = len(row["input_ids"]), 0 if padding == "none" else 3
    left, right = (pads, 0) if padding == "left" else (0, pads)

    def around(values, filler):
        return [filler] * left + values + [filler] * right

    example = {
        "input_ids": around(row["input_ids"], tokenizer.pad_token_id),
        "attention_mask": around([1] * size, 0),
        "position_ids": around(list(range(first, first + size)), 1),
    }
    (variant,) = augmenter.variants(example, 1, 0)
    assert variant["position_ids"] == around(list(range(first, first + size + 1)), 1)
    del example["attention_mask"]
    example["position_ids"] = [7, 3, 3, 9, 2, 8, *range(left + right)]
    (variant,) = augmenter.variants(example, 1, 0)
    place = example["input_ids"].index(tokenizer.convert_tokens_to_ids("film"))
    expected = example["position_ids"]
    assert variant["position_ids"] == [*expected[: place + 1], *expected[place:]]  # numbers of another meaning follow


def test_token_columns_name_those_that_follow(tokenizer):
    """A vector that happens to be as long as the tokens is none, if the column says so."""
    augmenter = LexiconSubstitution(tokenizer, {"film": ["motion picture"]}, replace_prob=1.0)
    example = dict(tokenizer("a film"))
    columns = {"bbox": [[0], [1], [2], [3]], "features": [0.0, 1.0, 2.0, 3.0]}
    (followed,) = augmenter.variants({**example, **columns}, 1, 0)
    assert [len(followed[name]) for name in columns] == [5, 5]
    (variant,) = augmenter.variants({**example, **columns, "token_columns": ["bbox"]}, 1, 0)
    assert variant["bbox"] == [[0], [1], [2], [2], [3]] and variant["features"] is columns["features"]
    assert variant["attention_mask"] == [1] * 5 and variant["token_columns"] == ["bbox"]
    swap = RandomSwap(tokenizer)
    assert swap.variants({**example, **columns, "token_columns": []}, 1, 0)


def test_words_that_move_away_from_their_entries_are_refused_by_name(tokenizer):
    example = marked(tokenizer, SENTENCES[0])
    with pytest.raises(ValueError, match="moves words, whose global_attention_mask, bbox, weights would stay behind"):
        RandomSwap(tokenizer).variants(example, 2, 0)
    plain = dict(tokenizer(SENTENCES[0]))
    numbered = {**plain, "position_ids": list(range(len(plain["input_ids"])))}
    assert len(RandomSwap(tokenizer).variants(numbered, 2, 0)) == 2
