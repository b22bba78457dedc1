"""What a collator passes on besides tensors with an entry for each row reaches the model, as with `Trainer`."""

import numpy as np
import pytest
import torch
from conftest import SENTENCES, make_model
from datasets import Dataset
from transformers import BertForSequenceClassification, DataCollatorWithPadding, Trainer, TrainingArguments

from hf_mmel import AdversarialVariants, MMELTrainer, VariantCollator
from hf_mmel.data.groups import Groups, as_groups, originals, take, trimmed
from hf_mmel.step.forward import VariantForward


class Passing(DataCollatorWithPadding):
    """Pads, and passes on extras of every kind."""

    def __call__(self, features):
        texts = [row["text"] for row in features]
        batch = super().__call__([{k: v for k, v in row.items() if k != "text"} for row in features])
        lengths = [len(text) for text in texts]
        return {
            **batch,
            "texts": texts,
            "pair": (texts, 0.5),
            "lengths": np.array(lengths),
            "temperature": 2.0,
            "scalar": torch.tensor(3.0),
            "prior": torch.tensor([0.25, 0.75]),
            "flag": True,
            "nothing": None,
            "nested": {"ids": batch["input_ids"], "deeper": {"lengths": torch.tensor(lengths), "name": "film"}},
        }


EXTRAS = ["texts", "pair", "lengths", "temperature", "scalar", "prior", "flag", "nothing", "nested"]


@pytest.fixture
def rows(tokenizer):
    return [{**tokenizer(text), "text": text, "labels": i % 2} for i, text in enumerate(SENTENCES)]


def check(extras, texts, ids):
    """Extras belong to these texts, and to these ids as the collator padded them."""
    assert extras["texts"] == texts and extras["pair"] == (texts, 0.5)
    lengths = [len(text) for text in texts]
    assert isinstance(extras["lengths"], np.ndarray) and extras["lengths"].tolist() == lengths
    assert (extras["temperature"], extras["flag"], extras["nothing"]) == (2.0, True, None)
    assert extras["scalar"].item() == 3.0 and extras["prior"].tolist() == [0.25, 0.75]
    assert extras["nested"]["ids"].equal(ids) and extras["nested"]["deeper"]["name"] == "film"
    assert extras["nested"]["deeper"]["lengths"].tolist() == lengths


def test_extras_are_those_of_the_rows_that_are_present(tokenizer, augmenter, rows):
    batch = VariantCollator(tokenizer, augmenter, 3, data_collator=Passing(tokenizer))(rows)
    mask = batch["variant_mask"]
    assert not mask.all()
    for groups, examples in ((batch, range(9)), (take(batch, torch.tensor([7, 2])), (7, 2))):
        groups = Groups.of(trimmed(groups))
        texts = [SENTENCES[i] for i in examples for _ in range(int(mask[i].sum()))]
        check(groups.rows, texts, groups.rows["input_ids"])
    plain = originals(batch)
    check(plain, SENTENCES, plain["input_ids"])


def test_examples_as_groups_keep_their_extras(tokenizer, rows):
    plain = Passing(tokenizer)(rows)
    groups = as_groups({name: plain[name] for name in ("prior", *EXTRAS, "input_ids", "labels")})
    check(Groups.of(groups).rows, SENTENCES, plain["input_ids"])
    check(originals(groups), SENTENCES, plain["input_ids"])
    assert originals(groups)["labels"].equal(plain["labels"])


class Reading(BertForSequenceClassification):
    """Checks that extras belong to its rows."""

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None, **extras):
        assert {*EXTRAS} <= {*extras}
        check({name: extras[name] for name in EXTRAS}, extras["texts"], input_ids)
        assert len(extras["texts"]) == len(input_ids)
        self.num_read = getattr(self, "num_read", 0) + 1
        return super().forward(input_ids, attention_mask, token_type_ids, labels=labels)


def test_a_batch_of_which_nothing_is_left_keeps_its_extras(arguments, tokenizer, augmenter, rows):
    model = Reading(make_model(tokenizer).config)
    batch = VariantCollator(tokenizer, augmenter, 2, data_collator=Passing(tokenizer))(rows)
    model.forward = lambda *args, texts, prior, **inputs: make_model(tokenizer)(inputs["input_ids"])
    loss, _ = VariantForward(model, arguments()).zero_loss(model, batch)
    assert loss.item() == 0.0


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"mmel_loss": "hard"}, {}),
        ({"mmel_loss": "soft", "variant_chunk_size": 1}, {}),
        ({"mmel_loss": "hard", "variant_backward": "top"}, {}),
        ({"mmel_loss": "soft"}, {"adversary": AdversarialVariants(1)}),
        ({"mmel_loss": "none", "class_weights": [1.0, 2.0]}, {}),
        ({"mmel_loss": "none"}, {}),
    ],
    ids=["hard", "chunks", "top", "adversary", "class weights", "none"],
)
def test_a_model_gets_the_extras_of_its_rows_however_it_is_trained(
    arguments, tokenizer, augmenter, rows, fields, options
):
    model = Reading(make_model(tokenizer).config)
    trainer = MMELTrainer(
        model,
        arguments(max_steps=3, per_device_train_batch_size=3, remove_unused_columns=False, **fields),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        data_collator=Passing(tokenizer),
        augmenter=augmenter,
        **options,
    )
    assert trainer.train().global_step == 3 and model.num_read >= 3


def test_extras_that_a_model_only_reads_change_nothing(arguments, tokenizer, augmenter, rows):
    """Training equals the one without them, and without variants that of `Trainer`."""
    fields = {"max_steps": 3, "per_device_train_batch_size": 3, "remove_unused_columns": False}
    without = [{name: value for name, value in row.items() if name != "text"} for row in rows]

    def loss(args, with_extras=True):
        stock = make_model(tokenizer)
        model = Reading(stock.config) if with_extras else stock
        model.load_state_dict(stock.state_dict())
        trainer = (MMELTrainer if hasattr(args, "mmel_loss") else Trainer)(
            model,
            args,
            train_dataset=Dataset.from_list(rows if with_extras else without),
            processing_class=tokenizer,
            data_collator=(Passing if with_extras else DataCollatorWithPadding)(tokenizer),
            **({"augmenter": augmenter} if hasattr(args, "mmel_loss") else {}),
        )
        return trainer.train().training_loss

    for mmel_loss in ("hard", "soft"):
        args = arguments(**fields, mmel_loss=mmel_loss)
        assert loss(args) == pytest.approx(loss(args, with_extras=False), rel=1e-5)
    assert loss(arguments(**fields, mmel_loss="none")) == loss(arguments(TrainingArguments, **fields))
