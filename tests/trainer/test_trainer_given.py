"""What users of earlier versions and other libraries give a trainer works, or is refused in one sentence."""

import pytest
import torch
from conftest import SENTENCES, make_model
from datasets import Dataset, DatasetDict
from torch.utils.data import IterableDataset

from augment import Compose, LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer, VariantCollator


@pytest.fixture
def make_trainer(arguments, tokenizer, dataset, augmenter):
    def make(fields=None, **options):
        given = {"train_dataset": dataset, "processing_class": tokenizer, "augmenter": augmenter, **options}
        return MMELTrainer(make_model(tokenizer), arguments(max_steps=2, **(fields or {})), **given)

    return make


@pytest.fixture
def raw():
    return Dataset.from_list([{"text": text, "label": i % 2} for i, text in enumerate(SENTENCES)])


# --- evaluation data --------------------------------------------------------------------------


def never_trained(trainer):
    trainer.training_step = lambda *args, **kwargs: pytest.fail("a step was made")
    return trainer


def relabelled(dataset, row, label):
    rows = dataset.to_list()
    rows[row]["label"] = label
    return Dataset.from_list(rows)


@pytest.mark.parametrize("fields", [{"eval_strategy": "epoch"}, {"eval_strategy": "steps"}, {"eval_on_start": True}])
@pytest.mark.parametrize(
    "kind", [lambda data: data, lambda data: data.to_list(), lambda data: data.with_format("torch")]
)
def test_evaluation_data_are_checked_before_training(make_trainer, dataset, raw, fields, kind):
    trainer = never_trained(make_trainer(fields, eval_dataset=kind(raw)))
    with pytest.raises(ValueError, match=r"^eval_dataset has the columns \[.*expected input_ids.*Tokenise it first"):
        trainer.train()
    for options in ({"a": dataset, "b": kind(raw)}, DatasetDict(a=dataset, b=raw)):
        trainer = never_trained(make_trainer(fields, eval_dataset=options))
        with pytest.raises(ValueError, match=r"^eval_dataset\['b'\] has the columns"):
            trainer.train()


@pytest.mark.parametrize(
    ("label", "message"),
    [(2, r"Row 3 of eval_dataset has the label 2; .*expected 0 to 1"), (None, "Row 3 of eval_dataset has no label")],
)
def test_labels_of_evaluation_data_are_checked_before_training(make_trainer, dataset, label, message):
    wrong = relabelled(dataset, 3, label)
    trainer = never_trained(make_trainer({"eval_strategy": "epoch"}, eval_dataset=wrong))
    with pytest.raises(ValueError, match=message):
        trainer.train()
    trainer = never_trained(make_trainer({"eval_strategy": "epoch"}, eval_dataset={"a": dataset, "b": wrong}))
    with pytest.raises(ValueError, match=message.replace("eval_dataset", r"eval_dataset\['b'\]")):
        trainer.train()
    assert make_trainer({"eval_strategy": "no"}, eval_dataset=wrong).train().global_step == 2  # which does not read it


class Rows(IterableDataset):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


@pytest.mark.parametrize("kind", ["rows", "list", "stream", "torch stream", "transform", "splits", "dict"])
def test_good_evaluation_data_of_every_kind_pass(make_trainer, tokenizer, dataset, raw, kind):
    def tokenised(rows):
        return {**tokenizer(rows["text"]), "label": rows["label"]}

    data = {
        "rows": dataset,
        "list": dataset.to_list(),
        "stream": dataset.to_iterable_dataset(),
        "torch stream": Rows(dataset.to_list()),
        "transform": raw.with_transform(tokenised),
        "splits": DatasetDict(a=dataset, b=dataset),
        "dict": {"a": dataset, "b": dataset.to_list()},
    }[kind]
    fields = {"eval_strategy": "steps", "eval_steps": 2, "remove_unused_columns": kind != "transform"}
    trainer = make_trainer(fields, eval_dataset=data)
    trainer.train()
    loss = "eval_a_loss" if kind in ("splits", "dict") else "eval_loss"
    assert any(loss in logs for logs in trainer.state.log_history)


def test_evaluation_data_without_labels_are_those_of_metrics_of_its_own(make_trainer, dataset):
    fields = {"eval_strategy": "steps", "eval_steps": 2}
    assert make_trainer(fields, eval_dataset=dataset.remove_columns("label")).train().global_step == 2


# --- training data ----------------------------------------------------------------------------


@pytest.mark.parametrize("with_variants", [True, False])
def test_all_splits_as_training_data_are_refused(make_trainer, dataset, with_variants, augmenter):
    for splits in (DatasetDict(train=dataset, test=dataset), {"train": dataset, "test": dataset}):
        with pytest.raises(TypeError, match=r"train_dataset is a \w*[dD]ict with the keys train, test; expected one"):
            make_trainer(train_dataset=splits, augmenter=augmenter if with_variants else None)


@pytest.mark.parametrize("labels", [["bad", "good"], [["bad"], ["good", "bad"]]])
@pytest.mark.parametrize("name", ["train_dataset", "eval_dataset"])
def test_labels_that_are_text_are_refused_with_the_way_out(make_trainer, dataset, labels, name):
    rows = [{**row, "label": labels[i % 2]} for i, row in enumerate(dataset.to_list())]
    given = {"eval_dataset": dataset, name: Dataset.from_list(rows)}
    trainer = never_trained(make_trainer({"eval_strategy": "epoch"}, **given))
    with pytest.raises(ValueError, match=rf"Row 0 of {name} has the label .*bad.*, which is text; expected"):
        trainer.train()
    encoded = Dataset.from_list([{**row, "label": "bad"} for row in dataset.to_list()]).class_encode_column("label")
    assert make_trainer(train_dataset=encoded).train().global_step == 2


# --- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [LexiconSubstitution, Compose])
def test_a_class_in_the_place_of_an_augmenter_is_refused(make_trainer, tokenizer, kind):
    message = f"augmenter is the class {kind.__name__}; expected an object of it"
    with pytest.raises(TypeError, match=message):
        make_trainer(augmenter=kind)
    with pytest.raises(TypeError, match=message):
        VariantCollator(tokenizer, kind)


def test_a_class_in_the_place_of_an_adversary_is_refused(make_trainer):
    with pytest.raises(TypeError, match="adversary is the class AdversarialVariants; expected an object of it"):
        make_trainer(adversary=AdversarialVariants)
    with pytest.raises(TypeError, match=r"adversary is a str; expected hf_mmel\.AdversarialVariants"):
        make_trainer(adversary="pgd")


def test_the_tokenizer_is_now_the_processing_class(make_trainer, tokenizer):
    with pytest.raises(TypeError, match="tokenizer is given, which transformers 5 removed; pass processing_class="):
        make_trainer(tokenizer=tokenizer)


def test_lambda_p_as_text_trains_as_the_number_does(make_trainer):
    weights = []
    for lambda_p in ("inf", float("inf")):
        trainer = make_trainer({"lambda_p": lambda_p, "mmel_loss": "hard"})
        trainer.train()
        weights.append(torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()]))
    assert weights[0].equal(weights[1])
