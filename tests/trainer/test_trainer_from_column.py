"""Training on variants that the dataset brings in a column of texts."""

import pytest
import torch
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from trainer_runs import LOSSES, Stream, run, weights_of
from transformers import default_data_collator

from augment import LexiconSubstitution, VariantsFromColumn
from hf_mmel import MMELTrainer, VariantCollator


FIELDS = {"per_device_train_batch_size": 3, "learning_rate": 1e-2, "train_sampling_strategy": "sequential"}
PARAPHRASES = [
    ["the film was bad", "an awful movie", "the actors were bad"],
    ["a superb film"],
    [],
    ["the plot is bad", "the music is wonderful", "the story is lovely", "a terrible plot"],
    None,
    ["the kids laughed", "children laughed"],
    ["we left early"],
    ["a wonderful story", "a superb tale", "a story"],
    ["the worst film"],
]


@pytest.fixture
def rows(tokenizer):
    return Dataset.from_list(
        [
            {"text": text, "paraphrases": paraphrases, **tokenizer(text), "label": i % 2}
            for i, (text, paraphrases) in enumerate(zip(SENTENCES, PARAPHRASES, strict=True))
        ]
    )


@pytest.fixture
def from_column(tokenizer):
    return VariantsFromColumn(tokenizer, "paraphrases")


class RecordGroups(MMELTrainer):
    """Keeps the tokens of the groups that are trained on, and the names of the inputs."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        if model.training:
            self.names = set(inputs)
            rows = zip(inputs["input_ids"], inputs["attention_mask"], inputs["variant_mask"].tolist(), strict=True)
            groups = [
                [ids[k][mask[k].bool()].tolist() for k, is_present in enumerate(present) if is_present]
                for ids, mask, present in rows
            ]
            self.groups = [*getattr(self, "groups", []), *groups]
        return super().compute_loss(model, inputs, *args, **kwargs)


def tokens_of(tokenizer, texts):
    return [tokenizer(text)["input_ids"] for text in texts]


@LOSSES
def test_a_group_is_the_original_and_the_texts_that_the_row_has(arguments, tokenizer, rows, from_column, mmel_loss):
    args = arguments(**FIELDS, mmel_loss=mmel_loss, max_steps=3, num_variants=4)
    trainer, _ = run(RecordGroups, args, tokenizer, rows, augmenter=from_column)
    expected = [tokens_of(tokenizer, [text, *(own or ())]) for text, own in zip(SENTENCES, PARAPHRASES, strict=True)]
    assert trainer.groups == expected
    assert trainer.names <= {"input_ids", "attention_mask", "token_type_ids", "labels", "variant_mask"}


@LOSSES
def test_variants_that_are_absent_change_nothing(arguments, tokenizer, rows, from_column, mmel_loss):
    weights = []
    for num_variants in (4, 7):
        args = arguments(**FIELDS, mmel_loss=mmel_loss, max_steps=6, num_variants=num_variants)
        weights.append(weights_of(run(MMELTrainer, args, tokenizer, rows, dropout=0.0, augmenter=from_column)[0]))
    torch.testing.assert_close(*weights, atol=1e-5, rtol=0)


def test_rows_without_a_text_train_as_plain_fine_tuning(arguments, tokenizer, rows, from_column):
    empty = rows.select([2, 4]).to_list()
    batch = VariantCollator(tokenizer, from_column, num_variants=3)(empty)
    assert batch["variant_mask"].tolist() == [[True, False, False, False]] * 2
    few = Dataset.from_list([*empty, *rows.select([0]).to_list()])
    fields = {"train_sampling_strategy": "sequential", "per_device_train_batch_size": 2, "max_steps": 1}
    ours, gradients = run(MMELTrainer, arguments(**fields), tokenizer, few, augmenter=from_column)
    plain, expected = run(MMELTrainer, arguments(**fields, mmel_loss="none"), tokenizer, few)
    assert torch.equal(gradients, expected) and torch.equal(weights_of(ours), weights_of(plain))


def test_more_texts_than_wanted_are_drawn_anew_in_every_epoch(arguments, tokenizer, rows, from_column):
    args = arguments(**FIELDS, max_steps=24, num_variants=2)  # 8 epochs
    trainer, _ = run(RecordGroups, args, tokenizer, rows, augmenter=from_column)
    allowed = tokens_of(tokenizer, PARAPHRASES[3])
    drawn = [group[1:] for group in trainer.groups[3::9]]
    assert len(drawn) == 8 and all(len(group) == 2 and group[0] != group[1] for group in drawn)
    assert {tuple(ids) for group in drawn for ids in group} == set(map(tuple, allowed))


def test_another_augmenter_fills_the_groups(arguments, tokenizer, rows):
    then = LexiconSubstitution(tokenizer, WORDS)
    augmenter = VariantsFromColumn(tokenizer, "paraphrases", then=then)
    args = arguments(**FIELDS, max_steps=3, num_variants=3)
    filled, _ = run(RecordGroups, args, tokenizer, rows, augmenter=augmenter)
    lexicon_alone, _ = run(RecordGroups, args, tokenizer, rows, augmenter=then)
    assert [filled.groups[i] for i in (2, 4)] == [lexicon_alone.groups[i] for i in (2, 4)]
    assert len(filled.groups[2]) > 1
    for group, own in zip(filled.groups, PARAPHRASES, strict=True):
        own = tokens_of(tokenizer, own or ())
        assert all(ids in own for ids in group[1 : 1 + min(3, len(own))])


@pytest.mark.parametrize("stream_of", [Dataset.to_iterable_dataset, Stream], ids=["datasets", "torch"])
def test_a_stream_has_the_groups_of_rows_read_in_order(arguments, tokenizer, rows, from_column, stream_of):
    args = arguments(**FIELDS, max_steps=6, num_variants=2)
    read, _ = run(RecordGroups, args, tokenizer, rows, augmenter=from_column)
    streamed, _ = run(RecordGroups, args, tokenizer, stream_of(rows), augmenter=from_column)
    assert read.groups == streamed.groups and torch.equal(weights_of(read), weights_of(streamed))


def test_worker_processes_make_the_same_groups(arguments, tokenizer, rows, from_column):
    groups = []
    for num_workers in (0, 2):
        args = arguments(**FIELDS, max_steps=6, num_variants=2, dataloader_num_workers=num_workers)
        groups.append(run(RecordGroups, args, tokenizer, rows, augmenter=from_column)[0].groups)
    assert groups[0] == groups[1]


def test_evaluation_during_training_sees_no_variants(arguments, tokenizer, rows, from_column):
    args = arguments(**FIELDS, max_steps=3, eval_strategy="epoch")
    trainer, _ = run(MMELTrainer, args, tokenizer, rows, eval_dataset=rows, augmenter=from_column)
    plain = MMELTrainer(
        trainer.model, args, eval_dataset=rows.remove_columns("paraphrases"), processing_class=tokenizer
    )
    (logged,) = [logs["eval_loss"] for logs in trainer.state.log_history if "eval_loss" in logs]
    assert logged == plain.evaluate()["eval_loss"]


def test_rows_that_come_padded_have_variants_of_their_length(tokenizer, from_column):
    text, paraphrases = SENTENCES[0], PARAPHRASES[0]
    options = {"padding": "max_length", "max_length": 32, "truncation": True}
    row = {"text": text, "paraphrases": paraphrases, **tokenizer(text, **options), "label": 1}
    collator = VariantCollator(tokenizer, from_column, num_variants=3, data_collator=default_data_collator)
    batch = collator([row])
    expected = tokenizer([text, *paraphrases], return_tensors="pt", **options)
    assert torch.equal(batch["input_ids"][0], expected["input_ids"])
    assert torch.equal(batch["attention_mask"][0], expected["attention_mask"]) and batch["variant_mask"].all()


def of_tokens(row):
    return {**row, "label": [-100, *[1] * (len(row["input_ids"]) - 2), -100]}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            of_tokens,
            ValueError,
            "Row 0 .from 0. has a label for each token, and the texts in the column 'paraphrases'",
        ),
        (lambda row: {**row, "start_positions": 1, "end_positions": 2}, ValueError, "Row 0 .* has an answer"),
        (lambda row: {**row, "bbox": row["input_ids"]}, TypeError, "an entry for each token in bbox"),
        (lambda row: {**row, "text": f"{row['text']} and"}, ValueError, "Row 0 .* input_ids, which are not the"),
        (
            lambda row: {**row, "paraphrases": 1},
            ValueError,
            "Row 0 .*: the column 'paraphrases' is 1; expected a list",
        ),
        (
            lambda row: {**row, "paraphrases": []},
            ValueError,
            "'paraphrases' has no text that differs .* any of 9 rows",
        ),
        (
            lambda row: {"text": row["text"], "input_ids": row["input_ids"], "label": 0},
            ValueError,
            "has no column 'para",
        ),
    ],
)
def test_what_has_no_variants_of_this_kind_is_refused_before_training(
    arguments, tokenizer, rows, from_column, change, error, message
):
    data = Dataset.from_list([change(row) for row in rows.to_list()])
    options = {"train_dataset": data, "processing_class": tokenizer, "augmenter": from_column}
    fields = {"max_steps": 1, "remove_unused_columns": "bbox" not in data.column_names}
    trainer = MMELTrainer(make_model(tokenizer), arguments(**fields), **options)
    trainer.training_step = lambda *args, **kwargs: pytest.fail("a step was made")
    with pytest.raises(error, match=message):
        trainer.train()
