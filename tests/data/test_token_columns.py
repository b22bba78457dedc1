"""Which columns have an entry for each token, and how collated variants have them."""

import numpy as np
import pytest
import torch
from conftest import SENTENCES, make_model
from datasets import Array2D, Dataset, Features, Sequence, Value
from task_heads import TASK_HEADS
from transformers import (
    BertForSequenceClassification,
    DataCollatorForMultipleChoice,
    DataCollatorWithPadding,
    default_data_collator,
)

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer, VariantCollator
from hf_mmel.data.groups import Groups, trimmed
from hf_mmel.data.token_columns import token_columns_of


LONGER = {"film": ["motion picture"], "movie": ["motion picture"], "awful": ["odd"], "children": ["kids"]}


@pytest.fixture
def longer(tokenizer):
    return LexiconSubstitution(tokenizer, LONGER, replace_prob=0.9)


def row_of(tokenizer, text: str, **options) -> dict:
    """Columns that say of each token which it is."""
    row = dict(tokenizer(text, **options))
    ids = row["input_ids"]
    columns = {"tokens_again": list(ids), "bbox": [[token, token + 1, 0, 1] for token in ids]}
    return {**row, **columns, "position_ids": list(range(len(ids)))}


def rows_of(tokenizer, **options) -> list[dict]:
    return [{**row_of(tokenizer, text, **options), "labels": i % 2} for i, text in enumerate(SENTENCES)]


def check(batch, augmenter) -> None:
    """Tokens that stay have their own entries; the pieces of a replacement those of the word's first piece."""
    ids, again, bbox = (batch[name] for name in ("input_ids", "tokens_again", "bbox"))
    assert bbox.shape == (*ids.shape, 4) and again.equal(bbox[..., 0])
    attended = batch["attention_mask"].bool()
    new = {token for words in LONGER.values() for word in words for token in augmenter.tokenizer(word)["input_ids"]}
    differs = (again != ids) & attended
    assert {*ids[differs].tolist()} <= new and differs.any()
    old = {augmenter.tokenizer(word)["input_ids"][1] for word in LONGER}
    assert {*again[differs].tolist()} <= old
    for row, mask in zip(batch["position_ids"].flatten(0, -2), attended.flatten(0, -2), strict=True):
        assert row[mask].tolist() == list(range(int(mask.sum())))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("multiple", [None, 16])
def test_columns_that_the_tokenizer_does_not_pad_are_padded_with_zeros(tokenizer, longer, side, multiple, monkeypatch):
    monkeypatch.setattr(tokenizer, "padding_side", side)
    rows = rows_of(tokenizer, padding="max_length", max_length=30)
    if side == "left":
        for row in rows:
            first = row["attention_mask"].index(1)
            row["position_ids"] = [0] * first + list(range(30 - first))
    batch = VariantCollator(tokenizer, longer, 3, pad_to_multiple_of=multiple)(rows)
    check(batch, longer)
    assert batch["input_ids"].shape[-1] > 30
    padding = ~batch["attention_mask"].bool()
    assert not batch["bbox"][padding][:, 2:3].any() and batch["tokens_again"].dtype == torch.int64
    check(VariantCollator(tokenizer, longer, 3)([rows_of(tokenizer)[0]]), longer)


def test_a_column_that_holds_ignored_tokens_is_padded_with_them(tokenizer, longer):
    tags = [-100, *range(len(tokenizer(SENTENCES[0])["input_ids"]) - 2), -100]
    row = {**tokenizer(SENTENCES[0]), "tags": tags, "label": 0}
    batch = VariantCollator(tokenizer, longer, 2, pad_to_multiple_of=16)([row])
    padding = ~batch["attention_mask"].bool()
    assert padding.any() and (batch["tags"][padding] == -100).all()


def test_rows_that_come_padded_keep_their_length_in_every_column(tokenizer, longer):
    rows = rows_of(tokenizer, padding="max_length", max_length=30)
    for row in rows:
        pairs = zip(row["input_ids"], row["attention_mask"], strict=True)
        row["bbox"] = [[token, token + 1, 7 - 7 * seen, 1] for token, seen in pairs]
    batch = VariantCollator(tokenizer, longer, 3, data_collator=default_data_collator)(rows)
    check(batch, longer)
    assert batch["input_ids"].shape[-1] == 30
    padding = ~batch["attention_mask"].bool()
    assert (batch["bbox"][padding][:, 2] == 7).all()  # as the row pads


def test_each_choice_has_the_columns_of_its_tokens(tokenizer, longer):
    rows = []
    for i in range(8):
        choices = [row_of(tokenizer, text, padding="max_length", max_length=24) for text in SENTENCES[i : i + 2]]
        rows.append({**{name: [row[name] for row in choices] for name in choices[0]}, "label": i % 2})
    assert token_columns_of(Dataset.from_list(rows)) == ("tokens_again", "bbox", "position_ids")
    check(VariantCollator(tokenizer, longer, 2, data_collator=DataCollatorForMultipleChoice(tokenizer))(rows), longer)


# --- which columns these are -----------------------------------------------------------------


def test_a_column_is_of_tokens_if_it_is_as_long_in_every_row(tokenizer):
    rows = rows_of(tokenizer)
    lengths = {len(row["input_ids"]) for row in rows}
    assert len(lengths) > 3 and {10, 11} <= lengths
    vectors = [{**row, "features": [0.5] * 11, "labels": [0, 1] * 5, "text": "film"} for row in rows]
    dataset = Dataset.from_list(vectors)
    expected = ("tokens_again", "bbox", "position_ids")
    for same in (dataset, dataset.with_format("torch"), dataset.shuffle(seed=0), dataset.with_format("numpy")):
        assert token_columns_of(same) == expected
    assert token_columns_of(dataset, used=["bbox", "features", "input_ids"]) == ("bbox",)
    assert token_columns_of(dataset.select_columns(["input_ids", "attention_mask", "labels", "text"])) is None
    assert token_columns_of(dataset.remove_columns("input_ids")) is None
    assert token_columns_of(dataset.select_columns(["input_ids", "features"])) == ()
    with_none = Dataset.from_list([{**row, "bbox": None if i == 2 else row["bbox"]} for i, row in enumerate(rows)])
    assert token_columns_of(with_none) == expected


def test_arrays_of_boxes_are_columns_of_tokens(tokenizer):
    rows = rows_of(tokenizer, padding="max_length", max_length=20)
    features = {"input_ids": Sequence(Value("int64")), "bbox": Array2D((20, 4), "int64")}
    data = {name: [row[name] for row in rows] for name in features}
    assert token_columns_of(Dataset.from_dict(data, features=Features(features))) == ("bbox",)


@pytest.mark.parametrize("sizes", ["square", "spans"])
def test_a_column_with_tokens_on_another_axis_is_refused_by_name(tokenizer, sizes):
    rows = [dict(tokenizer(text)) for text in SENTENCES]
    for row in rows:
        length = len(row["input_ids"])
        row["pairs"] = [[0] * length] * (length if sizes == "square" else 2)
    axes = "first two axes" if sizes == "square" else "second axis"
    with pytest.raises(ValueError, match=f"column pairs of train_dataset has the tokens on its {axes}.*Remove"):
        token_columns_of(Dataset.from_list(rows))
    assert token_columns_of(Dataset.from_list(rows), used=["input_ids"]) is None


class Copies:
    """An augmenter that leaves other columns alone."""

    columns = ("alignment", "keep_spans")

    def variants(self, examples, num_variants, seeds):
        return [[dict(example) for _ in range(num_variants)] for example in examples]


def test_an_augmenter_that_leaves_columns_of_tokens_behind_is_refused_by_name(tokenizer):
    collator = VariantCollator(tokenizer, Copies(), 2)
    with pytest.raises(TypeError, match="for each token in tokens_again, bbox, position_ids, but the columns of"):
        collator.read_columns(Dataset.from_list(rows_of(tokenizer)))
    collator.read_columns(Dataset.from_list([dict(tokenizer(text)) for text in SENTENCES]))


# --- training ---------------------------------------------------------------------------------


class Reading(BertForSequenceClassification):
    """Checks that it gets the tokens twice, and a vector that is as it was."""

    def forward(self, input_ids, attention_mask=None, labels=None, again=None, features=None, weights=None):
        own = weights.bool()
        assert again.shape == input_ids.shape and again[own].equal(input_ids[own])
        assert features.tolist() == [list(range(11))] * len(input_ids)
        assert weights.shape == input_ids.shape
        self.num_read = getattr(self, "num_read", 0) + 1
        return super().forward(input_ids, attention_mask, labels=labels)


@pytest.mark.parametrize("chunk", [None, 1])
def test_a_vector_that_is_as_long_as_some_rows_is_left_alone_in_training(arguments, tokenizer, longer, chunk):
    """`weights` are 0 for the words that may be replaced."""
    replaceable = {tokenizer(word)["input_ids"][1] for word in LONGER}
    rows = []
    for i, text in enumerate(SENTENCES):
        row = tokenizer(text, padding="max_length", max_length=11 if i % 2 else 24, truncation=True)
        ids = row["input_ids"]
        again = {"again": ids, "weights": [float(token not in replaceable) for token in ids]}
        columns = {"input_ids": ids, "attention_mask": row["attention_mask"], "unused": [[0] * len(ids)]}
        rows.append({**columns, **again, "features": list(range(11)), "labels": i % 2})
    model = Reading(make_model(tokenizer).config)
    fields = {"max_steps": 9, "per_device_train_batch_size": 1, "variant_chunk_size": chunk, "mmel_loss": "hard"}
    trainer = MMELTrainer(
        model,
        arguments(**fields),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        augmenter=longer,
    )
    assert trainer.train().global_step == 9 and model.num_read >= 9


def test_padding_stays_with_inputs_that_may_be_of_tokens(tokenizer, longer):
    rows = rows_of(tokenizer, padding="max_length", max_length=30)
    batch = VariantCollator(tokenizer, longer, 2)(rows)
    assert trimmed(batch)["bbox"].shape[2] == trimmed(batch)["input_ids"].shape[2] == batch["input_ids"].shape[2]
    plain = {name: batch[name] for name in ("input_ids", "attention_mask", "labels", "variant_mask")}
    assert trimmed(plain)["input_ids"].shape[2] < 30
    vector = {**plain, "features": torch.zeros(plain["input_ids"].shape)}
    assert Groups.of(trimmed(vector)).rows["features"].shape[1] == batch["input_ids"].shape[2]


def test_labels_of_several_classes_are_left_alone_however_long(tokenizer, longer):
    """As many 0 and 1 as tokens, among which no -100 stands for special tokens."""
    row = dict(tokenizer(SENTENCES[1]))
    labels = [float(i % 2) for i in range(len(row["input_ids"]))]
    for given in (labels, [int(label) for label in labels]):
        batch = VariantCollator(tokenizer, longer, 2)([{**row, "labels": given}])
        assert batch["labels"].tolist() == [given] and batch["variant_mask"].sum() > 1
        for name in ("labels", "label", "label_ids"):
            variants = longer.variants({**row, name: given}, 1, 0)
            assert all(variant[name] is given and variant["input_ids"] != row["input_ids"] for variant in variants)
    assert np.shape(TASK_HEADS["multi_label"].rows(tokenizer)[0]["label"]) == (3,)


@pytest.mark.parametrize("name", ["label", "label_ids"])
def test_labels_of_tokens_follow_them_whatever_the_name_of_their_column(tokenizer, longer, name):
    fillers = {"labels": -100, "input_ids": tokenizer.pad_token_id}
    rows = [
        {key: values + [fillers.get(key, 0)] * (30 - len(values)) for key, values in row.items()}
        for row in TASK_HEADS["tokens"].rows(tokenizer)
    ]
    renamed = [{name if key == "labels" else key: values for key, values in row.items()} for row in rows]
    collate = VariantCollator(tokenizer, longer, 2, data_collator=default_data_collator)
    expected, batch = collate(rows), collate(renamed)
    assert batch.keys() == expected.keys() and all(batch[key].equal(expected[key]) for key in expected)
    assert not expected["labels"][:, 1].equal(expected["labels"][:, 0])
