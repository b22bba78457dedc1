"""The term that separates classes in training: which rows and representations it compares."""

import re

import pytest
import torch
from conftest import ENCODER_DECODERS, SENTENCES, WORDS, make_encoder_decoder, make_model
from datasets import Dataset
from task_heads import TASK_HEADS
from torch import nn
from trainer_runs import WAYS, RecordGradients, Stream, same_gradient
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from augment import ImageVariants, LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer
from hf_mmel.data.groups import layout_of
from hf_mmel.objective.separation import TEMPERATURE, group_separation
from hf_mmel.step.micro_batches import fewest_micro_batches
from hf_mmel.step.representations import classifier_of


VIT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
VIT |= {"image_size": 8, "patch_size": 4}
METHODS = ["none", "uniform", "hard", "soft"]


@pytest.fixture
def trainer(arguments, tokenizer):
    """A trainer on six sentences, in their order, of a model in float64 to which they look different."""

    def make(labels=(0, 1, 0), weights=None, model=None, adversary=None, **fields):
        rows = [{**tokenizer(text), "label": labels[i % len(labels)]} for i, text in enumerate(SENTENCES[:6])]
        if weights is not None:
            rows = [{**row, "weight": weight} for row, weight in zip(rows, weights, strict=True)]
            fields["weight_column"] = "weight"
        defaults = {"per_device_train_batch_size": 6, "lambda_p": 0.1, "num_variants": 3, "scoring_bf16": False}
        defaults |= {"train_sampling_strategy": "sequential", "max_grad_norm": 0.0, "optim": "sgd"}
        return MMELTrainer(
            (model or make_model(tokenizer, initializer_range=0.3)).double(),
            arguments(**{**defaults, "feature_separation": 0.5, **fields}),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS),
            adversary=adversary,
        )

    return make


def loss_and_gradient(trainer, batch, factor=None):
    if factor is not None:
        trainer.args.feature_separation = factor
        trainer._step = None
    model = trainer.model.train()
    model.zero_grad()
    loss = trainer.compute_loss(model, dict(batch))
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def term_of(trainer, batch, weights):
    """The mean over the labelled examples of the term, row by row from the definition, and its gradient."""
    model, mask = trainer.model, batch.get("variant_mask")
    if mask is None or trainer.args.mmel_loss == "none":
        mask = torch.ones(len(batch["labels"]), 1, dtype=torch.bool)
    vectors, classes, owners = [], [], []
    for i, v in mask.nonzero().tolist():
        of_row = [
            batch[name][i, v] if batch[name].dim() == 3 else batch[name][i] for name in ("input_ids", "attention_mask")
        ]
        length = int(of_row[1].sum())
        pooled = model.bert(input_ids=of_row[0][None, :length], attention_mask=of_row[1][None, :length]).pooler_output
        if weights[i] and batch["labels"][i] >= 0:
            vectors.append(pooled[0] / pooled[0].norm())
            classes.append(batch["labels"][i].item())
            owners.append(i)
    total = 0.0
    for r, vector in enumerate(vectors):
        others = [q for q in range(len(vectors)) if q != r]
        same = [p for p in others if classes[p] == classes[r]]
        denominator = sum(torch.exp(vector @ vectors[q] / TEMPERATURE) for q in others)
        logs = [torch.log(torch.exp(vector @ vectors[p] / TEMPERATURE) / denominator) for p in same]
        if logs:
            total = total - weights[owners[r]] * sum(logs) / len(logs) / owners.count(owners[r])
    total = total / (batch["labels"] >= 0).sum()
    model.zero_grad()
    total.backward()
    return total.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("mmel_loss", METHODS)
@pytest.mark.parametrize(
    ("labels", "weights"),
    [((0, 1, 0), None), ((0, 1, 0), [1.0, 0.5, 2.0, 0.0, 1.0, 4.0]), ((0, 1, -100, 0, 1, 0), None)],
    ids=["plain", "weights", "without a label"],
)
def test_the_term_is_added_to_the_objective(trainer, mmel_loss, labels, weights):
    made = trainer(labels, weights, mmel_loss=mmel_loss)
    batch = next(iter(made.get_train_dataloader()))
    term, gradient = term_of(made, batch, weights or [1.0] * 6)
    (loss, with_term), (plain, without) = (loss_and_gradient(made, batch, factor) for factor in (0.5, 0.0))
    assert loss - plain == pytest.approx(0.5 * term, rel=1e-5) and term > 0.1
    difference = with_term - without[: len(with_term)]
    # The last layer has no part in the term, so its gradient is that of the objective.
    num_shared = len(gradient)
    torch.testing.assert_close(difference[:num_shared], 0.5 * gradient, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(difference[num_shared:], torch.zeros_like(difference[num_shared:]))


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_without_a_limit_a_batch_is_compared_as_a_whole(trainer, mmel_loss, monkeypatch):
    """However it would be cut to be the fastest."""
    monkeypatch.setattr("hf_mmel.step.micro_batches._TOKENS_PER_PASS", {"cpu": 0})
    made = trainer(mmel_loss=mmel_loss)
    batch = next(iter(made.get_train_dataloader()))
    calls = []
    made.model.register_forward_hook(lambda *_: calls.append(1))
    made._backpropagates_micro_batches = True
    made.args.loss_check = False
    loss_and_gradient(made, batch)
    assert len(calls) == 1


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("batch_size", [6, 3], ids=["of whole groups", "of parts of groups"])
def test_each_micro_batch_adds_the_term_of_its_own_rows(trainer, mmel_loss, batch_size):
    fields = {"variant_chunk_size": 1, "per_device_train_batch_size": batch_size, "num_variants": 5}
    made = trainer((0, 0, 1), mmel_loss=mmel_loss, **fields)
    batch = next(iter(made.get_train_dataloader()))
    mask, model = batch["variant_mask"], made.model
    lengths = layout_of(batch).longest(mask.numpy())
    parts = [torch.from_numpy(part) for part in fewest_micro_batches(mask.numpy(), lengths, batch_size)]
    assert len(parts) > 1 and mask.sum(dim=1).max() > 3
    expected = 0.0
    for part in parts:
        rows = {name: batch[name][part] for name in ("input_ids", "attention_mask")}
        features = model.bert(**rows).pooler_output
        expected += group_separation(features, batch["labels"], part, mask.sum(dim=1)).item() / batch_size
    loss, plain = (loss_and_gradient(made, batch, factor)[0] for factor in (0.5, 0.0))
    assert loss - plain == pytest.approx(0.5 * expected, rel=1e-5) and expected > 0.1


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("way", WAYS)
def test_it_trains_in_every_way(trainer, mmel_loss, way):
    gradients = []
    for factor in (0.1, 0.0):
        made = trainer(mmel_loss=mmel_loss, max_steps=3, feature_separation=factor, **WAYS[way])
        made.add_callback(recorder := RecordGradients())
        made.train()
        gradients.append(torch.stack(recorder.gradients))
    assert gradients[0].isfinite().all() and not same_gradient(gradients[0][0], gradients[1][0])


def test_adversarial_variants_are_compared_as_well(trainer):
    makes = [
        trainer(mmel_loss="hard", adversary=a) for a in (None, AdversarialVariants(step_size=5.0, random_start=False))
    ]
    terms = []
    for made in makes:
        batch = next(iter(made.get_train_dataloader()))
        with_term, plain = (loss_and_gradient(made, batch, factor)[0] for factor in (0.5, 0.0))
        terms.append(with_term - plain)
    assert abs(terms[0] - terms[1]) > 1e-3


def test_variants_that_lost_their_label_are_not_compared(trainer):
    made = trainer(mmel_loss="hard")
    batch = next(iter(made.get_train_dataloader()))
    strategy = made._group_step.full
    weigh = strategy.loss

    def without_variants(plan, result, mask):
        """As `keeping_label` has it if no variant kept its label."""
        loss = weigh(plan, result, mask)
        plan.variant_mask[:, 1:] = False
        return loss

    strategy.loss = without_variants
    loss, _ = loss_and_gradient(made, batch)
    plain, _ = loss_and_gradient(made, batch, 0.0)
    made.args.mmel_loss = "none"
    originals = {name: batch[name][:, 0] for name in ("input_ids", "attention_mask")}
    term, _ = term_of(made, {**batch, **originals}, [1.0] * 6)
    assert loss - plain == pytest.approx(0.5 * term, rel=1e-5)


# Which layer


@pytest.mark.parametrize(
    ("make", "width"),
    [
        (lambda tokenizer: make_model(tokenizer), 32),
        *((lambda tokenizer, kind=kind: make_encoder_decoder(tokenizer, kind), 32) for kind in ENCODER_DECODERS),
        (lambda tokenizer: ViTForImageClassification(ViTConfig(**VIT)), 16),
        (lambda tokenizer: ResNetForImageClassification(ResNetConfig(hidden_sizes=[8, 24], depths=[1, 1])), 24),
        (lambda tokenizer: nn.Sequential(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 2)), 7),
    ],
    ids=["bert", *ENCODER_DECODERS, "vit", "resnet", "without a config"],
)
def test_the_last_linear_layer_onto_the_classes_is_found(tokenizer, make, width):
    layer = classifier_of(make(tokenizer))
    assert layer.in_features == width and layer.out_features == 2


def test_a_model_without_such_a_layer_is_refused_before_training(trainer, tokenizer):
    model = make_model(tokenizer)
    model.classifier = nn.Bilinear(32, 32, 2)
    made = trainer(model=model)
    with pytest.raises(
        ValueError, match=r"a BertForSequenceClassification has no torch\.nn\.Linear with 2 outputs; set it"
    ):
        made.train()


def test_a_model_that_classifies_each_token_first_is_refused_before_the_first_update(trainer, tokenizer):
    sizes = {"vocab_size": len(tokenizer), "n_embd": 16, "n_layer": 1, "n_head": 2, "pad_token_id": 0}
    made = trainer(model=GPT2ForSequenceClassification(GPT2Config(**sizes)), loss_check=False)
    with pytest.raises(ValueError, match=r"GPT2ForSequenceClassification, which read \(.*, 16\) for .* Set it to 0"):
        made.train()
    assert made.state.global_step == 0


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("regression", "the problem type is 'regression'"),
        ("multi_label", "the problem type is 'multi_label_classification'"),
        ("tokens", "the labels are those of tokens"),
        ("choices", "the labels are the numbers of choices"),
        ("answers", "the labels are places of answers"),
    ],
)
def test_other_heads_are_refused_by_name(arguments, tokenizer, name, found):
    head = TASK_HEADS[name]
    made = MMELTrainer(
        head.model(tokenizer),
        arguments(feature_separation=0.1, mmel_loss="none"),
        data_collator=head.collator(tokenizer),
        train_dataset=Dataset.from_list(head.rows(tokenizer)),
        processing_class=tokenizer,
    )
    with pytest.raises(ValueError, match=f"feature_separation is 0.1, but {re.escape(found)}; it is for one class"):
        made.train()


def test_probabilities_as_labels_are_refused(trainer):
    with pytest.raises(ValueError, match="but the labels are floats; it is for one class for each text or image"):
        trainer(([0.2, 0.8], [0.5, 0.5])).train()


def test_labels_that_are_no_classes_are_refused_in_the_first_batch_of_a_stream(trainer, tokenizer):
    made = trainer(max_steps=1, model=make_model(tokenizer, problem_type="single_label_classification"))
    made.train_dataset = Stream([{**tokenizer(text), "label": [0.2, 0.8]} for text in SENTENCES])
    with pytest.raises(ValueError, match=r"feature_separation is given, but a batch has labels of torch\.float.*to 0"):
        made.train()


def test_images_are_separated_too(arguments):
    torch.manual_seed(0)
    rows = [{"pixel_values": torch.rand(3, 8, 8), "labels": i % 2} for i in range(8)]
    fields = {"max_steps": 1, "mmel_loss": "hard", "num_variants": 2, "per_device_train_batch_size": 8}
    gradients = []
    for factor in (0.0, 0.5):
        torch.manual_seed(0)
        model = ViTForImageClassification(ViTConfig(**VIT))
        made = MMELTrainer(
            model,
            arguments(feature_separation=factor, remove_unused_columns=False, **fields),
            train_dataset=rows,
            augmenter=ImageVariants(),
        )
        batch = next(iter(made.get_train_dataloader()))
        gradients.append(loss_and_gradient(made, batch)[1])
    assert gradients[1].isfinite().all() and not same_gradient(*gradients)


def test_data_parallel_is_refused(trainer):
    made = trainer()
    made.args._n_gpu = 2
    with pytest.raises(ValueError, match=r"feature_separation is 0\.5, but DataParallel splits a batch"):
        made.get_train_dataloader()
