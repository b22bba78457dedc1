"""A dataset of unlabelled examples, of which each labelled example of a batch brings some along."""

from collections import Counter

import pytest
import torch
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from trainer_runs import RecordGradients, Stream, run, same_gradient, training_logs, weights_of

from augment import GreedySearch, LexiconSubstitution
from hf_mmel import MMELTrainer


FIELDS = {"per_device_train_batch_size": 2, "learning_rate": 1e-3, "num_train_epochs": 3}


class RecordBatches(MMELTrainer):
    """Keeps the batches that are trained on."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        self.batches = [*getattr(self, "batches", []), dict(inputs)]
        return super().compute_loss(model, inputs, *args, **kwargs)


@pytest.fixture
def labelled(tokenizer):
    return Dataset.from_list([{**tokenizer(text), "label": i % 2} for i, text in enumerate(SENTENCES[:4])])


@pytest.fixture
def unlabelled(tokenizer):
    return Dataset.from_list([{**tokenizer(text)} for text in SENTENCES[4:]])


def unlabelled_texts(trainer):
    """The unlabelled texts of all batches, in their order."""
    ids = []
    for batch in trainer.batches:
        originals = batch["input_ids"][:, 0] if batch["input_ids"].dim() > 2 else batch["input_ids"]
        ids += [row[row != 0].tolist() for row in originals[batch["labels"] == -100]]
    return [str(row) for row in ids]


def same_batches(one, other):
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("fields", [{"unlabeled_ratio": 0.0}, {"lambda_u": 0.0}], ids=["no ratio", "no weight"])
@pytest.mark.parametrize("mmel_loss", ["soft", "hard"])
def test_without_a_ratio_or_a_weight_training_is_supervised_bit_for_bit(
    arguments, tokenizer, labelled, unlabelled, augmenter, mmel_loss, fields
):
    options = arguments(**FIELDS, mmel_loss=mmel_loss), tokenizer, labelled
    plain, gradients = run(MMELTrainer, *options, augmenter=augmenter)
    args = arguments(**FIELDS, mmel_loss=mmel_loss, logging_steps=1, **fields)
    off, same = run(MMELTrainer, args, *options[1:], augmenter=augmenter, unlabeled_dataset=unlabelled)
    assert torch.equal(gradients, same) and torch.equal(weights_of(plain), weights_of(off))
    assert not any("unlabeled" in name for entry in training_logs(off) for name in entry)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.5])
def test_every_unlabelled_example_is_seen_equally_often(arguments, tokenizer, labelled, unlabelled, augmenter, ratio):
    """40 examples are brought along for each unit of the ratio, of 5 texts."""
    args = arguments(**{**FIELDS, "num_train_epochs": 10}, unlabeled_ratio=ratio)
    trainer, _ = run(RecordBatches, args, tokenizer, labelled, augmenter=augmenter, unlabeled_dataset=unlabelled)
    counts = Counter(unlabelled_texts(trainer))
    assert len(counts) == 5 and set(counts.values()) == {8 * ratio}
    assert all((batch["labels"] != -100).sum() == 2 for batch in trainer.batches)


def test_unlabelled_examples_need_no_weight(arguments, tokenizer, labelled, unlabelled, augmenter):
    weighted = labelled.add_column("trust", [0.5, 2.0, 0.0, 3.0])
    args = arguments(**FIELDS, weight_column="trust")
    trainer, _ = run(RecordBatches, args, tokenizer, weighted, augmenter=augmenter, unlabeled_dataset=unlabelled)
    for batch in trainer.batches:
        assert (batch["weight"][batch["labels"] == -100] == 1).all()
        assert set(batch["weight"][batch["labels"] != -100].tolist()) <= {0.5, 2.0, 0.0, 3.0}


def test_the_two_means_are_apart_however_an_update_is_cut(arguments, tokenizer, labelled, unlabelled, augmenter):
    """Micro-batches have 5 unlabelled examples to 2 labelled ones, or 2 and 3 to 1, or 4 to 2 and 1 to 0."""
    gradients = []
    for size, accumulation in ((4, 1), (2, 2), (1, 4), (3, 2)):
        fields = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation, "lambda_u": 30.0}
        args = arguments(**fields, unlabeled_ratio=2.5, max_steps=2, train_sampling_strategy="sequential")
        options = {"dropout": 0.0, "augmenter": augmenter, "unlabeled_dataset": unlabelled}
        gradients.append(run(MMELTrainer, args, tokenizer, labelled, **options)[1])
    for cut in gradients[1:]:
        assert all(same_gradient(a, b) for a, b in zip(cut, gradients[0], strict=True))
    args = arguments(per_device_train_batch_size=4, lambda_u=0.0, max_steps=2, train_sampling_strategy="sequential")
    supervised = run(MMELTrainer, args, tokenizer, labelled, dropout=0.0, augmenter=augmenter)[1]
    assert not same_gradient(gradients[0][0], supervised[0])


def test_an_update_has_the_means_of_its_batch(arguments, tokenizer, labelled, unlabelled, augmenter):
    """Of 4 labelled and 10 unlabelled examples, as `compute_loss` has them of a batch by itself."""
    fields = {"per_device_train_batch_size": 4, "unlabeled_ratio": 2.5, "lambda_u": 30.0, "max_steps": 1}
    options = {"dropout": 0.0, "augmenter": augmenter, "unlabeled_dataset": unlabelled}
    trainer, gradients = run(RecordBatches, arguments(**fields, learning_rate=0.0), tokenizer, labelled, **options)
    (batch,) = trainer.batches
    assert len(batch["labels"]) == 14
    trainer.model.zero_grad()
    trainer.compute_loss(trainer.model, batch).backward()
    assert same_gradient(gradients[0], torch.cat([p.grad.flatten() for p in trainer.model.parameters()]))


def test_unlabelled_examples_do_not_change_the_scale_of_the_labelled_ones(
    arguments, tokenizer, labelled, unlabelled, augmenter
):
    """With a threshold that nothing reaches."""
    gradients = []
    for dataset in (None, unlabelled):
        args = arguments(**FIELDS, max_steps=2, confidence_threshold=0.999, unlabeled_ratio=3.0)
        options = {"dropout": 0.0, "augmenter": augmenter, "unlabeled_dataset": dataset}
        gradients.append(run(MMELTrainer, args, tokenizer, labelled, **options)[1])
    assert all(same_gradient(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("columns", [True, False], ids=["columns removed", "columns kept"])
@pytest.mark.parametrize("strategy", ["random", "group_by_length", "sequential"])
def test_batches_do_not_depend_on_the_kind_of_the_datasets(
    arguments, tokenizer, labelled, unlabelled, augmenter, strategy, columns
):
    class Torch(torch.utils.data.Dataset):
        def __init__(self, rows):
            self.rows = list(rows)

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, i):
            return self.rows[i]

    if columns:
        labelled = labelled.add_column("note", ["a"] * 4)
        unlabelled = unlabelled.add_column("remark", list(range(5)))
    batches = []
    for make in (lambda rows: rows, list, Torch):
        args = arguments(**FIELDS, train_sampling_strategy=strategy, remove_unused_columns=columns)
        options = {"augmenter": augmenter, "unlabeled_dataset": make(unlabelled)}
        batches.append(run(RecordBatches, args, tokenizer, make(labelled), **options)[0].batches)
    assert same_batches(batches[0], batches[1]) and same_batches(batches[0], batches[2])
    assert set(batches[0][0]) == {"input_ids", "attention_mask", "labels", "variant_mask"}
    assert batches[0][0]["variant_mask"].shape == (4, 5)


@pytest.mark.parametrize("unlabeled_loss", ["pseudo_label", "entropy"])
def test_own_predictions_need_no_variants(arguments, tokenizer, labelled, unlabelled, unlabeled_loss):
    args = arguments(**FIELDS, mmel_loss="none", unlabeled_loss=unlabeled_loss, logging_steps=1)
    trainer, _ = run(RecordBatches, args, tokenizer, labelled, unlabeled_dataset=unlabelled)
    assert len(unlabelled_texts(trainer)) == 12
    assert all(entry["mmel/loss_unlabeled"] > 0.1 for entry in training_logs(trainer))


def test_an_augmenter_prepares_for_both_datasets(arguments, tokenizer, labelled, unlabelled):
    class Prepares(LexiconSubstitution):
        def precompute(self, dataset):
            self.prepared = [row["input_ids"] for row in dataset]

    augmenter = Prepares(tokenizer, WORDS)
    run(MMELTrainer, arguments(max_steps=1), tokenizer, labelled, augmenter=augmenter, unlabeled_dataset=unlabelled)
    assert augmenter.prepared == [*labelled["input_ids"], *unlabelled["input_ids"]]


def test_the_trainer_has_its_own_data_again(arguments, tokenizer, labelled, unlabelled, augmenter):
    options = {"processing_class": tokenizer, "augmenter": augmenter, "unlabeled_dataset": unlabelled}
    trainer = MMELTrainer(make_model(tokenizer), arguments(), train_dataset=labelled, **options)
    collator = trainer.data_collator
    trainer.get_train_dataloader()
    assert trainer.train_dataset is labelled and trainer.data_collator is collator
    assert "example_index" not in trainer._signature_columns


def refusals():
    lexicon = {"augmenter": True}
    yield "soft', or unlabeled_loss", {"mmel_loss": "hard"}, lexicon
    yield "soft', or unlabeled_loss", {"mmel_loss": "none"}, lexicon
    yield "nothing makes the variants", {}, {"augmenter": False}
    yield "train_dataset is a Stream, a stream", {}, {**lexicon, "labelled": Stream}
    yield "unlabeled_dataset is a IterableDataset, a stream", {}, {**lexicon, "unlabelled": "stream"}
    yield "unlabeled_dataset has no rows", {}, {**lexicon, "unlabelled": lambda rows: rows.select([])}
    yield "expected one data set", {}, {**lexicon, "unlabelled": lambda rows: {"train": rows}}
    yield "also has attention_mask", {}, {**lexicon, "unlabelled": lambda rows: rows.remove_columns("attention_mask")}
    yield "has the label 0.5", {}, {**lexicon, "labelled": lambda rows: [{**row, "label": 0.5} for row in rows]}
    yield "a GreedySearch searches", {}, {"augmenter": GreedySearch}


@pytest.mark.parametrize(("message", "fields", "changes"), list(refusals()), ids=[case[0] for case in refusals()])
def test_what_does_not_fit_is_refused_before_training(
    arguments, tokenizer, labelled, unlabelled, message, fields, changes
):
    lexicon = LexiconSubstitution(tokenizer, WORDS)
    kind = changes["augmenter"]
    augmenter = kind(lexicon) if kind is GreedySearch else lexicon if kind else None
    change = changes.get("unlabelled", lambda rows: rows)
    change = Dataset.to_iterable_dataset if change == "stream" else change
    train_dataset = changes.get("labelled", lambda rows: rows)(labelled)
    steps = []
    with pytest.raises((TypeError, ValueError), match=message):
        trainer = MMELTrainer(
            make_model(tokenizer, num_labels=2),
            arguments(max_steps=1, **fields),
            train_dataset=train_dataset,
            processing_class=tokenizer,
            augmenter=augmenter,
            unlabeled_dataset=change(unlabelled),
            callbacks=[recorder := RecordGradients()],
        )
        steps = recorder.gradients
        trainer.train()
    assert not steps


@pytest.mark.integration
@pytest.mark.parametrize("fields", [{}, {"dataloader_num_workers": 2}])
def test_a_resumed_run_is_that_of_an_uninterrupted_one_bit_for_bit(
    arguments, tokenizer, labelled, unlabelled, augmenter, fields
):
    """From step 4, in the middle of an epoch, with a ratio that is no whole number."""
    runs = []
    for checkpoint in (None, 4):
        strategy = "steps" if checkpoint is None else "no"
        args = arguments(
            **{**FIELDS, "num_train_epochs": 4, "per_device_train_batch_size": 1, "save_strategy": strategy},
            **{"save_steps": 1, "unlabeled_ratio": 1.3, "logging_steps": 1, "lambda_u": 20.0, **fields},
        )
        options = {"processing_class": tokenizer, "augmenter": augmenter, "unlabeled_dataset": unlabelled}
        trainer = RecordBatches(make_model(tokenizer, 0.1), args, train_dataset=labelled.select(range(3)), **options)
        trainer.train(resume_from_checkpoint=checkpoint and f"{args.output_dir}/checkpoint-{checkpoint}")
        runs.append(trainer)
    whole, resumed = runs
    assert same_batches(whole.batches[4:], resumed.batches)
    assert torch.equal(weights_of(whole), weights_of(resumed))
    assert training_logs(whole) == training_logs(resumed)


def test_a_trainer_without_unlabelled_examples_has_no_callback_for_them(arguments, tokenizer, labelled, augmenter):
    options = {"processing_class": tokenizer, "augmenter": augmenter, "train_dataset": labelled}
    trainer = MMELTrainer(make_model(tokenizer), arguments(), **options)
    trainer.get_train_dataloader()
    assert not any("Unlabeled" in type(callback).__name__ for callback in trainer.callback_handler.callbacks)


def test_class_weights_do_not_weigh_unlabelled_examples(arguments, tokenizer, labelled, unlabelled, augmenter):
    parts = []
    for weights in (None, [0.5, 2.0]):
        options = {"dropout": 0.0, "augmenter": augmenter, "unlabeled_dataset": unlabelled}
        gradients = []
        for lambda_u in (1e5, 1e-9):
            fields = {"max_grad_norm": 0.0, "unlabeled_ratio": 5.0, "lambda_u": lambda_u, "class_weights": weights}
            args = arguments(**FIELDS, max_steps=1, **fields)
            gradients.append(run(MMELTrainer, args, tokenizer, labelled, **options)[1][0])
        parts.append(gradients[0] - gradients[1])
    assert same_gradient(*parts)
