"""Variants that seem to have lost their label have no part in the training, if that is asked for."""

import math
import re
from pathlib import Path

import pytest
import torch
from conftest import WORDS, make_model
from datasets import Dataset
from pairwise import pairwise
from trainer_runs import WAYS

from augment import LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer, MMELTrainingArguments
from hf_mmel.data.groups import VARIANT_MASK
from hf_mmel.objective.weighting import VariantLosses


LOSSES = ["hard", "soft", "uniform"]


@pytest.fixture
def make_trainer(tokenizer, dataset, arguments):
    """A trainer of a model that is sure of itself."""

    def make(num_labels=2, dataset=dataset, adversary=None, **fields):
        return MMELTrainer(
            make_model(tokenizer, num_labels=num_labels, initializer_range=1.0).train(),
            arguments(**{"num_variants": 3, "lambda_p": 0.5, "scoring_bf16": False, **fields}),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=1.0) if adversary is None else None,
            adversary=adversary,
        )

    return make


def batch_of(trainer):
    rows = trainer.train_dataset
    return trainer.build_group_collator()([rows[i] for i in range(len(rows))])


def probabilities(trainer, batch):
    """What the model gives to the labels, `(B, V)`, and whether it gives less to any other class."""
    ids, attention = batch["input_ids"], batch["attention_mask"]
    trainer.model.eval()
    with torch.no_grad():
        logits = trainer.model(input_ids=ids.flatten(0, 1), attention_mask=attention.flatten(0, 1)).logits
    trainer.model.train()
    all_classes = logits.softmax(-1).view(*ids.shape[:2], -1)
    found = all_classes[torch.arange(len(ids)), :, batch["labels"]]
    return found, found == all_classes.amax(dim=-1)


def step(trainer, batch):
    for _ in range(1 if trainer.args.score_interval == 1 else 2):  # after the first step, scores are known
        trainer.model.zero_grad()
        torch.manual_seed(0)
        loss = trainer.training_step(trainer.model, dict(batch), len(batch["labels"]))
    return loss, torch.cat([p.grad.flatten() for p in trainer.model.parameters()])


def is_refused(loss, way, task=None):
    """Uniform weights have no largest ones."""
    return (loss, way) == ("uniform", "top")


@pairwise(
    unless=is_refused, loss=LOSSES, way=list(WAYS), task={"two classes": (2, 0.0, 0.4), "smoothed": (4, 0.4, 0.25)}
)
def test_the_gradient_is_that_without_the_variants_that_the_model_denies(make_trainer, loss, way, task):
    """Whether it is right is a matter of the most probable class, and label smoothing of neither."""
    num_labels, smoothing, least = task
    fields = {"num_labels": num_labels, "label_smoothing_factor": smoothing, "mmel_loss": loss}
    fields |= WAYS[way]
    trainer = make_trainer(min_label_probability=least, **fields)
    batch = batch_of(trainer)
    found, right = probabilities(trainer, batch)
    denied = batch[VARIANT_MASK] & (found < least) & right[:, :1]
    assert denied.any() and (batch[VARIANT_MASK] & ~denied)[:, 1:].any()
    assert (batch[VARIANT_MASK] & (found < least) & ~denied).any()  # where the model is wrong on the original
    result = step(trainer, batch)
    logs = trainer._metrics.pop(lambda sums: sums)[0]
    expected = step(make_trainer(**fields), {**batch, VARIANT_MASK: batch[VARIANT_MASK] & ~denied})
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(result, expected, strict=True))
    assert logs["mmel/left_out"] == denied.sum() * (2 if way == "known scores" else 1)
    assert not torch.allclose(step(make_trainer(**fields), batch)[1], expected[1], atol=1e-5)


def test_a_variant_is_left_out_for_its_probability_where_the_original_is_right(tmp_path):
    args = MMELTrainingArguments(str(tmp_path), min_label_probability=0.3)
    losses, right = torch.zeros(2, 3), torch.tensor([[True, False, True], [False, True, True]])
    probabilities = torch.tensor([[0.45, 0.29, 0.31], [0.25, 0.01, 0.3]])
    values = VariantLosses(losses, torch.ones(2), None, probabilities, right)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    for kept in (values, VariantLosses.unpacked(values.packed())):
        assert kept.keeping_label(mask, args).tolist() == [[True, False, True], [True, True, False]]
    args.min_label_probability = None
    assert values.keeping_label(mask, args) is mask


@pytest.mark.parametrize(
    "columns", [(), ("divergences",), ("label_probabilities", "are_right"), VariantLosses._fields[2:5]]
)
def test_packed_values_are_those_that_were_packed(columns):
    values = VariantLosses(torch.rand(2, 3), torch.rand(2), **{name: torch.rand(2, 3) for name in columns})
    values = values._replace(unlabelled=torch.rand(2))
    for found, expected in zip(VariantLosses.unpacked(values.packed()), values, strict=True):
        assert found is expected is None or torch.equal(found, expected)


@pytest.mark.parametrize("value", [0, -0.1, 0.6, math.nan])
def test_what_is_no_such_probability_is_refused(arguments, value):
    with pytest.raises(ValueError, match=r"min_label_probability is .*; expected a number in \(0, 0.5\]"):
        arguments(min_label_probability=value)


@pytest.mark.parametrize("adversary", [None, AdversarialVariants()])
@pytest.mark.parametrize("problem_type", [None, "regression"])
def test_numbers_have_no_probability(make_trainer, dataset, problem_type, adversary):
    rows = Dataset.from_list([{**row, "label": float(row["label"])} for row in dataset])
    trainer = make_trainer(num_labels=1, dataset=rows, adversary=adversary, min_label_probability=0.2)
    trainer.model.config.problem_type = problem_type
    with pytest.raises(ValueError, match=r"min_label_probability is 0.2, but the labels are numbers"):
        trainer.train()


def test_it_is_told_of_on_the_model_card(make_trainer):
    trainer = make_trainer(min_label_probability=0.2, max_steps=1)
    trainer.train()
    trainer.create_model_card()
    card = Path(trainer.args.output_dir, "README.md").read_text(encoding="utf-8")
    assert re.search(r"`min_label_probability` *\| *`0.2` *\| *minimum probability of the label", card)
