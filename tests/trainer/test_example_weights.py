"""Weights of examples: a factor of the loss of each example, and of nothing else."""

import pytest
import torch
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from task_heads import TASK_HEADS
from trainer_runs import ROUNDING, WAYS, Stream, run, same_gradient, training_logs
from transformers import BertForSequenceClassification, Trainer, TrainingArguments

from augment import GreedySearch, LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer, MMELTrainingArguments
from hf_mmel.data.groups import take


METHODS = ["none", "uniform", "hard", "soft"]
WEIGHTS = torch.tensor([0.0, 0.5, 2.0, 1.25, 1.0, 4.0, 0.25, 3.0])  # whose float32 are exact
SGD = {"optim": "sgd", "max_grad_norm": 0.0, "lr_scheduler_type": "constant"}


@pytest.fixture
def rows(tokenizer):
    """Rows with a weight of their own, or the same for all."""

    def make(weights=WEIGHTS, label=lambda i: i % 2):
        weights = [weights] * len(WEIGHTS) if isinstance(weights, float) else weights.tolist()
        texts = zip(SENTENCES, weights, strict=False)
        return [{**tokenizer(text), "label": label(i), "trust": weight} for i, (text, weight) in enumerate(texts)]

    return make


@pytest.fixture
def trained(arguments, tokenizer, augmenter):
    """A trainer and its gradients, `(steps, parameters)`, on rows with the column `trust`."""

    def make(rows, column="trust", dataset=Dataset.from_list, dropout=0.0, **fields):
        kwargs = {name: fields.pop(name) for name in ("adversary", "compute_loss_func") if name in fields}
        kwargs["augmenter"] = fields.pop("augmenter", augmenter)
        defaults = {"max_steps": 2, "per_device_train_batch_size": 8, "logging_steps": 1, "lambda_p": 0.1, **SGD}
        defaults |= {"scoring_bf16": False, "train_sampling_strategy": "sequential", "learning_rate": 0.1}
        args = arguments(weight_column=column, **{**defaults, **fields})
        return run(MMELTrainer, args, tokenizer, dataset(rows), dropout, **kwargs)

    return make


def plain_mean(outputs, labels, num_items_in_batch=None):
    losses = torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum")
    return losses / (len(labels) if num_items_in_batch is None else num_items_in_batch)


@pytest.mark.parametrize("mmel_loss", METHODS)
@pytest.mark.parametrize("dataset", [Dataset.from_list, Stream])
def test_weights_of_one_change_nothing_bit_for_bit(trained, rows, mmel_loss, dataset):
    fields = {"mmel_loss": mmel_loss, "dataset": dataset, "dropout": 0.1}
    (ones, found), (plain, expected) = (trained(rows(1.0), column, **fields) for column in ("trust", None))
    assert found.equal(expected) and expected.any()
    logs = [
        [{name: entry[name] for name in ("loss", "grad_norm")} for entry in training_logs(t)] for t in (ones, plain)
    ]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("dataset", [Dataset.from_list, Stream])
def test_weights_of_one_leave_the_stock_training(trained, rows, arguments, tokenizer, dataset):
    """Without any augmenter, where the model computes its own loss."""
    _, found = trained(rows(1.0), dataset=dataset, augmenter=None, dropout=0.1)
    stock = {"max_steps": 2, "learning_rate": 0.1, "train_sampling_strategy": "sequential", **SGD}
    _, expected = run(Trainer, arguments(TrainingArguments, **stock), tokenizer, dataset(rows(1.0)))
    assert found.equal(expected) and expected.any()


@pytest.mark.parametrize("mmel_loss", METHODS)
@pytest.mark.parametrize("name", TASK_HEADS)
def test_the_loss_is_the_sum_of_the_weighted_losses_over_the_number_of_items(arguments, tokenizer, mmel_loss, name):
    """Loss and gradient of a batch, against those of each example alone, in float64."""
    head = TASK_HEADS[name]
    dataset = [{**row, "trust": WEIGHTS[i].item()} for i, row in enumerate(head.rows(tokenizer)[:6])]
    if name == "single_label":
        dataset[4]["label"] = -100
    fields = {"mmel_loss": mmel_loss, "lambda_p": 0.05, "lambda_t": 0.7, "lambda_u": 0, "num_variants": 3}
    trainer = MMELTrainer(
        head.model(tokenizer).double(),
        arguments(weight_column="trust", per_device_train_batch_size=6, **fields),
        data_collator=head.collator(tokenizer),
        train_dataset=Dataset.from_list(dataset),
        processing_class=tokenizer,
        augmenter=LexiconSubstitution(tokenizer, WORDS),
    )
    model, batch = trainer.model.train(), next(iter(trainer.get_train_dataloader()))
    assert batch["weight"].sum() == WEIGHTS[:6].sum()

    def result(batch):
        model.zero_grad()
        loss = trainer.compute_loss(model, dict(batch))
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    def num_items(batch):
        if name in ("regression", "multi_label", "answers"):
            return len(batch["input_ids"])
        return ((batch["labels"][:, 0] if batch["labels"].dim() == 3 else batch["labels"]) != -100).sum().item()

    loss, gradient = result(batch)
    expected = [0.0, 0.0]
    for i, weight in enumerate(batch["weight"].tolist()):
        alone = take({k: x for k, x in batch.items() if k != "weight"}, torch.tensor([i]))
        if share := num_items(alone) / num_items(batch):
            expected = [x + weight * share * y for x, y in zip(expected, result(alone), strict=True)]
    assert loss == pytest.approx(expected[0], rel=1e-7) and expected[0] > 0  # the divisor is in float32
    torch.testing.assert_close(gradient, expected[1], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("way", WAYS)
def test_in_every_way_of_training_weights_of_two_double_the_gradients(trained, rows, mmel_loss, way):
    fields = {"mmel_loss": mmel_loss, "learning_rate": 0.0, "max_steps": 3, **WAYS[way]}
    (twice, found), (once, expected) = (trained(rows(weight), **fields) for weight in (2.0, 1.0))
    torch.testing.assert_close(found, 2 * expected, rtol=1e-5, atol=1e-7)
    for name in ("mmel/max_weight", "mmel/effective_num_variants", "mmel/loss_variants"):  # those of variants
        pairs = zip(training_logs(twice), training_logs(once), strict=True)
        assert [a[name] for a, _ in pairs] == [b[name] for b in training_logs(once)]


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("way", [name for name in WAYS if "variant_chunk_size" in WAYS[name]])
def test_micro_batches_change_nothing(trained, rows, mmel_loss, way):
    (_, parts), (_, whole) = (trained(rows(), mmel_loss=mmel_loss, **fields) for fields in (WAYS[way], {}))
    assert same_gradient(parts, whole)


@pytest.mark.parametrize("mmel_loss", METHODS)
def test_accumulation_changes_nothing(trained, rows, mmel_loss):
    parts = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    (_, found), (_, expected) = (trained(rows(), mmel_loss=mmel_loss, **fields) for fields in (parts, {}))
    assert same_gradient(found, expected)


def test_scores_that_are_known_are_those_of_any_weight(trained, rows):
    """Two rows with the same text share their scores, but not their weights."""
    fields = {"mmel_loss": "hard", "learning_rate": 0.0, "max_steps": 3, "per_device_train_batch_size": 2}
    fields |= {"variant_backward": "top", "score_interval": 3}
    first = rows()[0]
    (_, unequal), (_, equal) = (
        trained([{**first, "trust": a}, {**first, "trust": b}], **fields) for a, b in ((0.0, 2.0), (1.0, 1.0))
    )
    assert same_gradient(unequal, equal)


@pytest.mark.parametrize("mmel_loss", METHODS)
def test_weights_of_examples_multiply_those_of_classes(trained, rows, mmel_loss):
    factors = torch.tensor([0.5, 2.0])
    both = trained(rows(), mmel_loss=mmel_loss, class_weights=factors.tolist())[1]
    product = trained(rows(WEIGHTS * factors[torch.arange(8) % 2]), mmel_loss=mmel_loss)[1]
    alone = trained(rows(), mmel_loss=mmel_loss)[1]
    assert same_gradient(both, product) and not same_gradient(both, alone)


@pytest.mark.parametrize("mmel_loss", METHODS)
def test_an_own_loss_function_is_weighted_as_well(trained, rows, mmel_loss):
    own, stock = (
        trained(rows(), mmel_loss=mmel_loss, **fields)[1] for fields in ({"compute_loss_func": plain_mean}, {})
    )
    assert same_gradient(own, stock)


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_adversarial_variants_have_the_weight_of_their_example(trained, rows, mmel_loss):
    adversary = AdversarialVariants(random_start=mmel_loss == "soft")
    options = {"mmel_loss": mmel_loss, "adversary": adversary, "learning_rate": 0.0, "augmenter": None}
    torch.manual_seed(0)
    twice = trained(rows(2.0), **options)[1]
    torch.manual_seed(0)
    once = trained(rows(1.0), **options)[1]
    torch.testing.assert_close(twice, 2 * once, rtol=1e-4, atol=1e-6)


class Recorder(BertForSequenceClassification):
    """Keeps the names of all that reaches it."""

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None, **kwargs):
        self.names = getattr(self, "names", set()) | kwargs.keys()
        return super().forward(input_ids, attention_mask, token_type_ids, labels=labels)


@pytest.mark.parametrize("are_ones", [True, False])
@pytest.mark.parametrize("remove_unused_columns", [True, False])
@pytest.mark.parametrize("search", [False, True])
def test_weights_never_reach_the_model_and_evaluation_is_the_stock_one(
    arguments, tokenizer, augmenter, rows, remove_unused_columns, are_ones, search
):
    data = Dataset.from_list(rows(1.0 if are_ones else WEIGHTS))
    model = Recorder(make_model(tokenizer).config)
    fields = {"max_steps": 2, "remove_unused_columns": remove_unused_columns, "num_variants": 2, "learning_rate": 0.0}
    trainer = MMELTrainer(
        model,
        arguments(weight_column="trust", mmel_loss="hard", **fields),
        train_dataset=data,
        processing_class=tokenizer,
        augmenter=GreedySearch(augmenter) if search else augmenter,
    )
    trainer.train()
    found = trainer.evaluate(data)["eval_loss"]
    assert trainer.predict(data.remove_columns("label")).predictions.shape == (8, 2)
    assert not {"trust", "weight"} & model.names
    stock = Trainer(model, arguments(TrainingArguments), processing_class=tokenizer)
    assert found == pytest.approx(stock.evaluate(data.remove_columns("trust"))["eval_loss"], rel=ROUNDING)


def test_a_batch_in_evaluation_mode_has_no_weights(trained, rows):
    trainer, _ = trained(rows(), mmel_loss="hard")
    batch = next(iter(trainer.get_train_dataloader()))
    plain = {name: x for name, x in batch.items() if name != "weight"}
    trainer.model.eval()
    assert trainer.compute_loss(trainer.model, dict(batch)).equal(trainer.compute_loss(trainer.model, plain))


@pytest.mark.parametrize("mmel_loss", METHODS)
def test_groups_of_an_own_collator_may_have_weights(arguments, tokenizer, mmel_loss, rows):
    """Without a `weight_column`: the collator makes them."""
    trainers = []
    for scale in (1.0, 3.0):

        def collate(examples, scale=scale):
            batch = dict(tokenizer.pad(examples, return_tensors="pt"))
            labels = batch.pop("label")
            groups = {name: torch.stack([x, x], dim=1) for name, x in batch.items()}
            mask = torch.tensor([[True, False]] * len(labels))
            return {**groups, "labels": labels, "variant_mask": mask, "weight": torch.full(labels.shape, scale)}

        data = [{name: x for name, x in row.items() if name != "trust"} for row in rows()]
        fields = {"max_steps": 1, "learning_rate": 0.0, "mmel_loss": mmel_loss}
        trainers.append(run(MMELTrainer, arguments(**fields), tokenizer, data, 0.0, data_collator=collate)[1])
    torch.testing.assert_close(trainers[1], 3 * trainers[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("column", "bad", "message"),
    [
        (
            "trust",
            -1.0,
            "Row 3 of train_dataset has the weight -1.0; expected a finite number >= 0 in the column 'trust'",
        ),
        ("trust", float("nan"), "Row 3 of train_dataset has the weight nan; .*Correct it, or remove the row"),
        ("trust", float("inf"), "Row 3 of train_dataset has the weight inf"),
        ("trust", None, "Row 3 of train_dataset has no weight; expected"),
        ("certainty", 1.0, r"has the columns \[.*\]; expected certainty, the weight_column.*leave weight_column out"),
        ("label", 1.0, "weight_column is 'label', which is the name of a column of labels"),
    ],
)
@pytest.mark.parametrize("mmel_loss", ["none", "hard"])
def test_bad_weights_are_refused_before_training(trained, rows, column, bad, message, mmel_loss):
    bad_rows = rows()
    bad_rows[3]["trust"] = bad
    with pytest.raises(ValueError, match=message):
        trained(bad_rows, column, mmel_loss=mmel_loss)


def test_bad_weights_of_other_datasets_are_refused_too(trained, rows):
    texts = [{**row, "trust": "high"} for row in rows()]
    with pytest.raises(
        ValueError, match="Row 0 of train_dataset has the weight 'high'; expected a finite number >= 0"
    ):
        trained(texts, dataset=list)
    missing = [{name: x for name, x in row.items() if i != 2 or name != "trust"} for i, row in enumerate(rows())]
    with pytest.raises(ValueError, match="Row 2 of train_dataset has no weight"):
        trained(missing, dataset=list)
    with pytest.raises(ValueError, match="An example of a training batch has the weight 'high'"):
        trained(texts, dataset=Stream)


def test_the_columns_of_a_trainer_are_as_before_after_its_loader_is_made(trained, rows):
    trainer, _ = trained(rows())
    assert "trust" not in trainer._signature_columns and isinstance(trainer.args, MMELTrainingArguments)
