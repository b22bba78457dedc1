"""Variants of parts of a dataset, made anywhere and in any order."""

import numpy as np
import pytest
from conftest import SENTENCES, WORDS
from datasets import Dataset

from augment import LexiconSubstitution, VariantsFromColumn, variants_of_shard


PAIRS = {"text": SENTENCES, "text_b": SENTENCES[::-1], "label": list(range(len(SENTENCES)))}


@pytest.fixture
def augmenter(tokenizer):
    return LexiconSubstitution(tokenizer, WORDS)


def shard(rows, numbers):
    return {name: [column[i] for i in numbers] for name, column in rows.items()}


@pytest.mark.parametrize("columns", ["text", ["text", "text_b"]])
def test_shards_in_any_order_are_the_whole(augmenter, columns):
    options = {"augmenter": augmenter, "columns": columns, "num_variants": 3}
    numbers = np.arange(len(SENTENCES))
    whole = variants_of_shard(PAIRS, numbers, 7, **options)["variants"]
    assert any(whole) and variants_of_shard(PAIRS, numbers, 8, **options)["variants"] != whole
    for num_shards in (2, 3, len(SENTENCES)):
        made = {}
        for part in reversed(range(num_shards)):
            own = numbers[part::num_shards][::-1]
            variants = variants_of_shard(shard(PAIRS, own), own, 7, **options)["variants"]
            made |= dict(zip(own.tolist(), variants, strict=True))
        assert [made[i] for i in range(len(SENTENCES))] == whole


@pytest.mark.parametrize("num_proc", [None, 2])
def test_it_is_a_function_for_dataset_map(augmenter, num_proc):
    options = {"augmenter": augmenter, "num_variants": 2}
    dataset = Dataset.from_dict(PAIRS).map(
        variants_of_shard, batched=True, batch_size=2, with_indices=True, num_proc=num_proc, fn_kwargs=options
    )
    assert dataset["variants"] == variants_of_shard(PAIRS, range(len(SENTENCES)), **options)["variants"]


def test_variants_are_new_unless_copies_are_kept(augmenter):
    rows = {"text": [*SENTENCES, "no word is known"]}
    numbers = range(len(rows["text"]))
    new = variants_of_shard(rows, numbers, augmenter=augmenter, num_variants=4)["variants"]
    kept = variants_of_shard(rows, numbers, augmenter=augmenter, num_variants=4, keep_copies=True)["variants"]
    assert new[-1] == [] and kept[-1] == [rows["text"][-1]] * 4
    for text, variants, all_of_them in zip(rows["text"], new, kept, strict=True):
        assert len(all_of_them) == 4 and variants == list(dict.fromkeys(v for v in all_of_them if v != text))


def test_variants_from_column_reads_the_pairs(tokenizer, augmenter):
    variants = variants_of_shard(PAIRS, range(len(SENTENCES)), augmenter=augmenter, columns=["text", "text_b"])
    row = {name: column[0] for name, column in (PAIRS | variants).items()}
    reader = VariantsFromColumn(tokenizer, "variants", ["text", "text_b"])
    texts = [
        tokenizer.decode(v["input_ids"], skip_special_tokens=True)
        for v in reader.variants(row | tokenizer(row["text"], row["text_b"]))
    ]
    assert texts[: len(row["variants"])] == [
        tokenizer.decode(tokenizer(*pair)["input_ids"], skip_special_tokens=True) for pair in row["variants"]
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"columns": "sentence"},
            r"^The rows have no column 'sentence'; their columns are 'text', 'text_b', 'label'\.$",
        ),
        ({"new_column": "label"}, r"^The rows already have a column 'label'\. Choose another new_column\.$"),
        ({"index": [0]}, r"^Received the numbers of 1 rows, and columns of other lengths: \{'text': \d+\}\.$"),
        ({"num_variants": 0}, r"^num_variants is 0; expected a whole number >= 1\.$"),
    ],
)
def test_what_cannot_be_made_is_an_error(augmenter, changed, message):
    options = {"index": range(len(SENTENCES)), "augmenter": augmenter, **changed}
    with pytest.raises(ValueError, match=message):
        variants_of_shard(PAIRS, **options)


@pytest.mark.parametrize("changed", [{"augmenter": "synonyms"}, {"index": [0.5] * len(SENTENCES)}])
def test_what_has_the_wrong_type_is_an_error(augmenter, changed):
    options = {"index": range(len(SENTENCES)), "augmenter": augmenter, **changed}
    with pytest.raises(TypeError):
        variants_of_shard(PAIRS, **options)
