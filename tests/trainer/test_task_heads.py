"""Every task head under `MMELTrainer`: equal to the stock trainer without variants, and learning with them."""

import numpy as np
import pytest
import torch
from conftest import WORDS
from datasets import Dataset
from pairwise import in_turn
from task_heads import TASK_HEADS
from trainer_runs import ROUNDING, RecordGradients, same_gradient, weights_of
from transformers import BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

from augment import Compose, LexiconSubstitution, RandomDelete
from hf_mmel import MMELTrainer, MMELTrainingArguments
from hf_mmel.search import check_searchable


METHODS = ["hard", "soft", "uniform"]


@pytest.fixture(params=TASK_HEADS.values(), ids=TASK_HEADS)
def head(request):
    return request.param


@pytest.fixture
def train(arguments, tokenizer):
    """Trains a head's model on its rows: `train(cls, head, dropout, **fields of the arguments)`."""

    def run(cls, head, dropout=0.0, rows=None, callbacks=(), **fields):
        augmenter = fields.pop("augmenter", None)
        kwargs = {} if augmenter is None else {"augmenter": augmenter}
        padding = fields.pop("padding", {})
        dataset = Dataset.from_list(head.rows(tokenizer) if rows is None else rows)
        recorder = RecordGradients()
        defaults = {"per_device_train_batch_size": 4, "logging_steps": 1, "num_variants": 3}
        defaults = defaults if cls is MMELTrainer else {k: v for k, v in defaults.items() if k != "num_variants"}
        trainer = cls(
            head.model(tokenizer, dropout),
            arguments(MMELTrainingArguments if cls is MMELTrainer else TrainingArguments, **{**defaults, **fields}),
            data_collator=head.collator(tokenizer, **padding),
            train_dataset=dataset,
            eval_dataset=dataset,
            processing_class=tokenizer,
            callbacks=[recorder, *callbacks],
            **kwargs,
        )
        trainer.train()
        trainer.gradients = torch.stack(recorder.gradients)
        return trainer

    return run


def arrays(predictions) -> list[np.ndarray]:
    return list(predictions) if isinstance(predictions, tuple) else [predictions]


@pytest.mark.parametrize(
    ("head", "mmel_loss"),
    [
        *((TASK_HEADS["single_label"], method) for method in METHODS),
        *((head, "soft") for name, head in TASK_HEADS.items() if name != "single_label"),
    ],
    ids=lambda x: getattr(x, "name", x),
)
def test_an_original_without_variants_trains_as_under_the_stock_trainer_bit_for_bit(
    train, head, tokenizer, tmp_path, mmel_loss
):
    fields = {"max_steps": 6, "dropout": 0.1, "save_strategy": "steps", "save_steps": 6}
    stock = train(Trainer, head, **fields)
    checkpoint = tmp_path / "out" / "checkpoint-6"
    expected = {path.name: path.read_bytes() for path in checkpoint.glob("*") if path.suffix != ".json"}
    ours = train(MMELTrainer, head, mmel_loss=mmel_loss, augmenter=LexiconSubstitution(tokenizer, {}), **fields)

    assert stock.gradients.norm() > 0
    assert torch.equal(stock.gradients, ours.gradients) and torch.equal(weights_of(stock), weights_of(ours))
    names = ("loss", "grad_norm", "learning_rate", "epoch")
    histories = [[[entry.get(name) for name in names] for entry in t.state.log_history[:-1]] for t in (stock, ours)]
    assert histories[0] == histories[1] and len(histories[0]) == 6
    assert stock.evaluate()["eval_loss"] == ours.evaluate()["eval_loss"]
    predictions = [arrays(t.predict(t.eval_dataset).predictions) for t in (stock, ours)]
    assert all(np.array_equal(a, b) for a, b in zip(*predictions, strict=True))
    found = {path.name: path.read_bytes() for path in checkpoint.glob("*") if path.suffix != ".json"}
    assert expected.keys() == found.keys() and {"model.safetensors", "optimizer.pt", "rng_state.pth"} <= found.keys()
    assert all(expected[name] == found[name] for name in expected if name != "training_args.bin")


@pytest.mark.parametrize("mmel_loss", METHODS)
def test_variants_equal_to_the_original_change_nothing(train, head, tokenizer, mmel_loss):
    """Though they are computed and weighed: the objective itself is that of the stock trainer then."""
    trainer = train(MMELTrainer, head, max_steps=1, mmel_loss=mmel_loss, augmenter=LexiconSubstitution(tokenizer, {}))
    batch = next(iter(trainer.get_train_dataloader()))
    model = trainer.model.train()
    gradients, losses = [], []
    for present in (False, True):
        batch["variant_mask"][:, 1:] = present
        model.zero_grad()
        loss = trainer.compute_loss(model, dict(batch))
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert losses[0] == pytest.approx(losses[1], rel=ROUNDING)
    assert same_gradient(*gradients)


class UntilLearned(TrainerCallback):
    """Ends training once the loss of the evaluation is below seven tenths of that before training."""

    first = None

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self.first = self.first or metrics["eval_loss"]
        control.should_training_stop = metrics["eval_loss"] < 0.7 * self.first


@in_turn(fixtures=["head"], head=TASK_HEADS, mmel_loss=METHODS)
def test_a_tiny_model_learns(train, head, augmenter, mmel_loss):
    fields = {"learning_rate": 5e-3, "lr_scheduler_type": "constant", "lambda_p": 0.1, "augmenter": augmenter}
    fields |= {"eval_strategy": "steps", "eval_steps": 10, "eval_on_start": True, "callbacks": [UntilLearned()]}
    trainer = train(MMELTrainer, head, max_steps=500, mmel_loss=mmel_loss, **fields)
    assert trainer.state.global_step < 500, "the model has not learned"
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    figures = [entry[name] for entry in logs for name in ("loss", "mmel/loss_variants") if name in entry]
    assert len(figures) > len(logs) >= 10 and np.isfinite(figures).all()


@in_turn(1, ["head"], head=TASK_HEADS, mmel_loss=METHODS)
def test_accumulation_changes_nothing(train, head, tokenizer, mmel_loss):
    """Rows are padded to one length, since a model for question answering sees its padding."""
    augmenter = LexiconSubstitution(tokenizer, {word: [new[0]] for word, new in WORDS.items()}, replace_prob=0.5)
    fields = {"max_steps": 2, "mmel_loss": mmel_loss, "optim": "sgd", "learning_rate": 0.1, "augmenter": augmenter}
    fields |= {"lambda_p": 0.1, "max_grad_norm": 0.0, "train_sampling_strategy": "sequential"}
    fields["padding"] = {"padding": "max_length", "max_length": 40}
    rows = head.rows(tokenizer)[:8]
    whole = train(MMELTrainer, head, rows=rows, per_device_train_batch_size=8, **fields)
    parts = train(MMELTrainer, head, rows=rows, per_device_train_batch_size=2, gradient_accumulation_steps=4, **fields)
    assert same_gradient(parts.gradients, whole.gradients)


def test_evaluation_on_groups_looks_at_the_originals(train, head, augmenter):
    trainer = train(MMELTrainer, head, max_steps=1, augmenter=augmenter)
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.eval()
    with torch.no_grad():
        loss = trainer.compute_loss(trainer.model, dict(batch))
        plain = {
            name: x if name == "labels" and x.dim() < 3 else x[:, 0].contiguous()
            for name, x in batch.items()
            if name not in ("variant_mask", "alignment")
        }
        expected = trainer.model(**plain).loss
    assert loss.item() == pytest.approx(expected.item(), rel=ROUNDING)


@pytest.mark.parametrize("name", ["single_label", "tokens"])
@pytest.mark.parametrize("mmel_loss", [*METHODS, "none"])
def test_class_weights_of_one_change_nothing_and_those_of_zero_leave_a_class_out(
    train, tokenizer, augmenter, name, mmel_loss
):
    fields = {"max_steps": 3, "mmel_loss": mmel_loss, "optim": "sgd", "learning_rate": 0.1, "augmenter": augmenter}
    plain, ones, half = (
        train(MMELTrainer, TASK_HEADS[name], class_weights=weights, **fields)
        for weights in (None, [1.0, 1.0], [0.0, 1.0])
    )
    assert same_gradient(ones.gradients, plain.gradients)
    assert (plain.gradients - half.gradients).norm() > 1e-3
    # Without the items of class 0 the same sum of losses, over fewer items.
    batch = next(iter(half.get_train_dataloader()))
    labels = batch["labels"]
    of_originals = labels[:, 0] if labels.dim() == 3 else labels
    share = (of_originals == 1).sum() / (of_originals >= 0).sum()
    whole = half.compute_loss(half.model.train(), dict(batch))
    of_class_1 = half.compute_loss(half.model, {**batch, "labels": labels.masked_fill(labels == 0, -100)})
    assert 0 < share < 1 and whole.item() == pytest.approx((of_class_1 * share).item(), rel=ROUNDING)


def one_at_a_time(trainer, batch, class_weights):
    """The loss of a batch of groups of sentences, word by word from the definitions in docs/design.md."""
    args, items, total = trainer.args, 0, 0.0
    for i, mask in enumerate(batch["variant_mask"]):
        present = mask.nonzero().flatten().tolist()
        ids, attention = batch["input_ids"][i, present], batch["attention_mask"][i, present]
        log_p = trainer.model(input_ids=ids, attention_mask=attention).logits.log_softmax(-1)
        losses, divergences, original = [], [], batch["labels"][i, 0]
        for row, variant in zip(log_p, present, strict=True):
            labels = batch["labels"][i, variant]
            words = [place for place, label in enumerate(labels) if label >= 0]
            counted = sum(class_weights[labels[place]] for place in words)
            losses.append(sum(-class_weights[labels[place]] * row[place, labels[place]] for place in words) / counted)
            pairs = [(place, batch["alignment"][i, variant, place]) for place in (original >= 0).nonzero().flatten()]
            pairs = [(place, other) for place, other in pairs if other >= 0]
            counted = sum(class_weights[original[place]] for place, _ in pairs)
            kl = [(log_p[0, a].exp() * (log_p[0, a] - row[b])).sum() * class_weights[original[a]] for a, b in pairs]
            divergences.append(sum(kl) / counted)
        losses, divergences = torch.stack(losses), torch.stack(divergences)
        if args.mmel_loss == "soft":
            weights = torch.softmax(divergences[1:] / args.lambda_p, dim=0)
            loss = losses[0] + args.lambda_t * (weights * divergences[1:]).sum()
        else:
            weights = torch.softmax(losses / (args.lambda_p if args.mmel_loss == "hard" else 1e9), dim=0)
            loss = (weights * losses).sum()
        words = original[original >= 0]
        total += loss * sum(class_weights[label] for label in words)
        items += len(words)
    return total / items


@pytest.mark.parametrize("class_weights", [None, [0.3, 2.0]], ids=["plain", "weighted"])
@pytest.mark.parametrize("mmel_loss", METHODS)
def test_sentences_whose_words_grow_and_vanish_have_the_loss_of_the_definitions(
    train, tokenizer, mmel_loss, class_weights
):
    lost_and_grown = Compose([LexiconSubstitution(tokenizer, WORDS), RandomDelete(tokenizer, replace_prob=0.3)])
    fields = {"mmel_loss": mmel_loss, "lambda_p": 0.05, "lambda_t": 0.7, "class_weights": class_weights}
    trainer = train(
        MMELTrainer, TASK_HEADS["tokens"], max_steps=10, learning_rate=1e-2, augmenter=lost_and_grown, **fields
    )
    batch = next(iter(trainer.get_train_dataloader()))
    words = (batch["labels"] >= 0).sum(dim=-1)
    assert (words[:, 1:] < words[:, :1]).any() and batch["variant_mask"][:, 1:].any(dim=1).all()
    loss = trainer.compute_loss(trainer.model.train(), dict(batch))
    with torch.no_grad():
        expected = one_at_a_time(trainer, batch, class_weights or [1.0, 1.0])
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


def test_class_weights_leave_the_weights_within_a_group_alone(train, augmenter):
    fields = {"max_steps": 1, "mmel_loss": "hard", "lambda_p": 0.02, "augmenter": augmenter}
    plain, weighted = (
        train(MMELTrainer, TASK_HEADS["single_label"], class_weights=weights, **fields)
        for weights in (None, [0.3, 5.0])
    )
    for name in ("mmel/max_weight", "mmel/effective_num_variants"):
        a, b = (t.state.log_history[0][name] for t in (plain, weighted))
        assert a == pytest.approx(b, abs=1e-5) and a > 0.3
    assert plain.state.log_history[0]["loss"] != pytest.approx(weighted.state.log_history[0]["loss"], rel=1e-2)


@pytest.mark.parametrize("kind", [None, "torch", "numpy"])
@pytest.mark.parametrize("name", TASK_HEADS)
def test_heads_other_than_those_of_texts_are_not_searched(tokenizer, name, kind):
    head = TASK_HEADS[name]
    dataset = Dataset.from_list(head.rows(tokenizer)).with_format(kind)
    if head.model_class is BertForSequenceClassification:
        check_searchable(dataset)
        check_searchable(dataset.select([]))
        return
    with pytest.raises(TypeError, match="a greedy search scores variants of whole texts"):
        check_searchable(dataset)
    with pytest.raises(TypeError, match="for question answering, multiple choice or labels of tokens"):
        check_searchable([dataset[0]])
