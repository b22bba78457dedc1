"""Examples without a label in training: their mean is apart from that of the labelled ones."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from task_heads import TASK_HEADS
from trainer_runs import RecordGradients, same_gradient

from augment import LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer


THRESHOLD = 0.785  # two of the three unlabelled examples are above
LABELS = [0, -100, 1, 1, -100, -100]
WAYS = {
    "whole groups": {"variant_chunk_size": 5},
    "parts of groups": {"variant_chunk_size": 1},
    "top": {"variant_backward": "top", "variant_backward_count": 5},
    "sample": {"variant_backward": "sample", "variant_backward_count": 5},
    "known scores": {"variant_backward": "top", "variant_backward_count": 5, "score_interval": 2},
}


@pytest.fixture
def step(arguments, tokenizer):
    """Loss and gradient of one batch: `step(labels, **fields)`, in float64 and with predictions that differ."""

    def step(labels=LABELS, augment=True, adversary=None, **fields):
        rows = [{**tokenizer(text), "label": y} for text, y in zip(SENTENCES, labels, strict=False)]
        args = arguments(num_variants=4, lambda_p=0.05, scoring_bf16=False, **fields)
        augmenter = LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5) if augment else None
        options = {"train_dataset": Dataset.from_list(rows), "processing_class": tokenizer, "adversary": adversary}
        trainer = MMELTrainer(sharpened(make_model(tokenizer)).double(), args, augmenter=augmenter, **options)
        collate = trainer.build_group_collator() or trainer.data_collator
        model, batch = trainer.model.train(), collate(rows)
        loss = trainer.training_step(model, batch)
        gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
        return SimpleNamespace(loss=loss.item(), gradient=gradient, model=model, batch=batch, trainer=trainer)

    return step


def sharpened(model):
    """The model with predictions that differ: from 0.75 to 0.82 for its first class."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4 if weight.dim() > 1 else 1)
        model.classifier.weight.mul_(10)
    return model


def by_hand(found, unlabelled_loss, lambda_t=1.0, lambda_u=1.0, threshold=0.0):
    """The objective as loops over examples and variants, and its gradient."""
    model, batch = found.model, found.batch
    losses, terms = [], []
    for i, label in enumerate(batch["labels"].tolist()):
        rows = [
            model(
                input_ids=batch["input_ids"][i, v][None],
                attention_mask=batch["attention_mask"][i, v][None],
            ).logits[0]
            for v in range(batch["variant_mask"].shape[1])
            if batch["variant_mask"][i, v]
        ]
        p = rows[0].softmax(0)
        divergences = [sum(p_c * (p_c.log() - q.log_softmax(0)[c]) for c, p_c in enumerate(p.detach())) for q in rows]
        exponentials = [(d.detach() / 0.05).exp() for d in divergences[1:]]
        term = sum(e * d for e, d in zip(exponentials, divergences[1:], strict=True)) / (sum(exponentials) or 1)
        if label != -100:
            losses.append(-p[label].log() + lambda_t * term)
        elif p.max() >= threshold:
            own = {"divergence": term, "pseudo_label": -p.max().log(), "entropy": -(p * p.log()).sum()}
            terms.append(own[unlabelled_loss])
    loss = sum(losses) / max(1, len(losses)) + lambda_u * sum(terms) / batch["labels"].eq(-100).sum()
    model.zero_grad()
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters()]), len(terms)


@pytest.mark.parametrize("unlabeled_loss", ["divergence", "pseudo_label", "entropy"])
@pytest.mark.parametrize("threshold", [0.0, THRESHOLD])
@pytest.mark.parametrize("labels", [LABELS, [-100] * 6], ids=["mixed", "no label"])
def test_loss_and_gradient_are_those_of_a_loop_written_by_hand(step, unlabeled_loss, threshold, labels):
    fields = {"lambda_t": 0.5, "lambda_u": 2.0}
    options = {"unlabeled_loss": unlabeled_loss, "confidence_threshold": threshold}
    found = step(labels, **fields, **options)
    gradient = found.gradient.clone()
    loss, expected, num_confident = by_hand(found, unlabeled_loss, **fields, threshold=threshold)
    assert num_confident > 0 and (num_confident == labels.count(-100)) == (threshold == 0)
    assert found.loss == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-8)
    assert gradient.abs().max() > 1e-4


def test_the_threshold_is_for_the_prediction_before_it_is_sharpened(step):
    """At the temperature 0.1 every soft label is above the threshold."""
    sharp = {"soft_label_temperature": 0.1, "mmel_loss": "soft"}
    all_count, some_count = (step([-100] * 6, **sharp, confidence_threshold=t) for t in (0.0, THRESHOLD))
    assert 0 < some_count.loss < all_count.loss


@pytest.mark.parametrize("mmel_loss", ["hard", "uniform", "none"])
@pytest.mark.parametrize("unlabeled_loss", ["pseudo_label", "entropy"])
def test_losses_of_own_predictions_are_added_to_every_objective(step, mmel_loss, unlabeled_loss):
    fields = {"mmel_loss": mmel_loss, "unlabeled_loss": unlabeled_loss}
    alone, both = (step(**fields, lambda_u=lambda_u) for lambda_u in (0.0, 1.5))
    gradients, model = (alone.gradient, both.gradient.clone()), both.model
    inputs = {name: both.batch[name] for name in ("input_ids", "attention_mask")}
    rows = [{name: x[i].view(-1, x.shape[-1])[:1] for name, x in inputs.items()} for i in range(6) if LABELS[i] < 0]
    logits = [model(**row).logits[0].log_softmax(0) for row in rows]
    losses = [-(x.exp() * x).sum() if unlabeled_loss == "entropy" else -x.max() for x in logits]
    model.zero_grad()
    (1.5 * sum(losses) / len(losses)).backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.testing.assert_close(gradients[1] - gradients[0], expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    "fields",
    [
        {"lambda_u": 2.0, "lambda_t": 0.5, "confidence_threshold": THRESHOLD},
        {"lambda_t": 0.0},
        {"unlabeled_loss": "entropy"},
        {"mmel_loss": "hard", "unlabeled_loss": "pseudo_label"},
        {"mmel_loss": "hard", "reweight_original": False, "unlabeled_loss": "entropy"},
    ],
    ids=["threshold", "divergence of unlabelled alone", "entropy", "hard", "hard without the original"],
)
def test_every_way_to_train_has_the_same_gradient(step, way, fields):
    whole, cut = step(**fields), step(**fields, **way)
    assert whole.loss == pytest.approx(cut.loss, rel=1e-5)
    torch.testing.assert_close(cut.gradient, whole.gradient, rtol=1e-4, atol=1e-6)


def test_without_a_weight_or_above_all_confidence_unlabelled_examples_change_nothing(step):
    ignored = step(lambda_u=0.0)
    assert torch.equal(ignored.gradient, step(confidence_threshold=1 - 1e-12).gradient)
    assert not same_gradient(step().gradient, ignored.gradient)


def test_threshold_0_leaves_nothing_out(step):
    assert torch.equal(step(confidence_threshold=0.0).gradient, step(confidence_threshold=0.4999).gradient)


def test_adversarial_variants_teach_unlabelled_examples(step):
    """Virtual adversarial training: no augmenter, and no label."""
    torch.manual_seed(0)
    adversary = AdversarialVariants(step_size=1.0)
    assert step([-100] * 6, augment=False, adversary=adversary).gradient.any()
    assert not step([-100] * 6, augment=False, adversary=adversary, lambda_u=0.0).gradient.any()


def test_own_predictions_use_no_adversarial_variants(step):
    fields = {"mmel_loss": "hard", "unlabeled_loss": "entropy", "augment": False}
    plain = step([-100] * 6, **fields)
    assert torch.equal(plain.gradient, step([-100] * 6, adversary=AdversarialVariants(), **fields).gradient)


@pytest.mark.parametrize("name", ["regression", "multi_label", "tokens", "answers"])
def test_other_heads_know_no_unlabelled_examples(arguments, tokenizer, name):
    head, gradients = TASK_HEADS[name], []
    for lambda_u in (0.0, 5.0):
        rows, recorder = head.rows(tokenizer)[:4], RecordGradients()
        if name == "tokens":
            rows[1]["labels"] = [-100] * len(rows[1]["labels"])
        args = arguments(lambda_u=lambda_u, max_steps=1, per_device_train_batch_size=4)
        MMELTrainer(
            head.model(tokenizer),
            args,
            data_collator=head.collator(tokenizer),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS),
            callbacks=[recorder],
        ).train()
        gradients.append(recorder.gradients[0])
    assert torch.equal(*gradients) and gradients[0].any()


def test_choices_may_be_unlabelled(arguments, tokenizer):
    head, gradients = TASK_HEADS["choices"], []
    for lambda_u in (0.0, 1.0):
        rows, recorder = [{**row, "label": -100} for row in head.rows(tokenizer)[:4]], RecordGradients()
        options = {"data_collator": head.collator(tokenizer), "processing_class": tokenizer, "callbacks": [recorder]}
        augmenter = LexiconSubstitution(tokenizer, WORDS)
        args = arguments(lambda_u=lambda_u, max_steps=1, per_device_train_batch_size=4)
        trainer = MMELTrainer(head.model(tokenizer), args, train_dataset=rows, augmenter=augmenter, **options)
        trainer.train()
        gradients.append(recorder.gradients[0])
    assert not gradients[0].any() and gradients[1].any()


@pytest.mark.parametrize("schedule", ["linear", "log", "exp"])
@pytest.mark.parametrize("mmel_loss", ["soft", "hard", "none"])
@pytest.mark.parametrize("way", [{}, {"variant_chunk_size": 1}], ids=["whole", "parts"])
def test_annealing_leaves_out_what_the_model_knows(step, monkeypatch, schedule, mmel_loss, way):
    """At the first update the threshold is 1/C, or a little more: half of two classes."""
    if mmel_loss == "none" and way:
        return
    monkeypatch.setattr("hf_mmel.step.strategies.annealed_threshold", lambda *args: 0.5)
    labels = [0, 1, 0, 1, 0, 1]
    fields = {"mmel_loss": mmel_loss, "lambda_t": 0.0, "lambda_u": 0.0, **way}
    found = step(labels, training_signal_annealing=schedule, **fields)
    with torch.no_grad():
        row = {name: x[:, 0] if x.dim() > 2 else x for name, x in found.batch.items()}
        row.pop("variant_mask", None)
        wrong = found.model(**row).logits.argmax(1) != torch.tensor(labels)
    assert 0 < wrong.sum() < 6
    kept = step([y if is_wrong else -100 for y, is_wrong in zip(labels, wrong.tolist(), strict=True)], **fields)
    expected = kept.gradient * wrong.sum() / 6  # of the mean over all labelled examples
    torch.testing.assert_close(found.gradient, expected, rtol=1e-4, atol=1e-7)


def test_the_divergence_of_what_the_model_knows_stays(step):
    def annealed(**fields):
        return step([0, 1] * 3, training_signal_annealing="exp", **fields).gradient

    assert not same_gradient(annealed(lambda_t=1.0), annealed(lambda_t=0.0))


@pytest.mark.parametrize(
    "fields", [{"training_signal_annealing": "log"}, {"unlabeled_loss": "entropy", "mmel_loss": "hard"}]
)
def test_options_for_classes_are_refused_for_other_labels(arguments, tokenizer, fields):
    head = TASK_HEADS["tokens"]
    options = {"data_collator": head.collator(tokenizer), "processing_class": tokenizer}
    options["train_dataset"] = Dataset.from_list(head.rows(tokenizer))
    trainer = MMELTrainer(head.model(tokenizer), arguments(max_steps=1, **fields), **options)
    with pytest.raises(ValueError, match="not one class for each example; expected 'divergence' and 'none'"):
        trainer.train()


@pytest.mark.parametrize("name", ["regression", "multi_label"])
@pytest.mark.parametrize("fields", [{"training_signal_annealing": "log"}, {"unlabeled_loss": "pseudo_label"}])
def test_options_for_classes_are_refused_for_a_model_without_them(arguments, tokenizer, name, fields):
    with pytest.raises(ValueError, match="does not predict one class; expected 'divergence' and 'none'"):
        MMELTrainer(TASK_HEADS[name].model(tokenizer), arguments(**fields), processing_class=tokenizer).train()


def test_logged_figures_of_unlabelled_examples(arguments, tokenizer):
    rows = [{**tokenizer(text), "label": y} for text, y in zip(SENTENCES, LABELS, strict=False)]
    args = arguments(per_device_train_batch_size=2, max_steps=3, logging_steps=3, unlabeled_loss="pseudo_label")
    args.confidence_threshold, args.learning_rate, args.mmel_loss = THRESHOLD, 0.0, "none"
    trainer = MMELTrainer(
        model := sharpened(make_model(tokenizer)), args, train_dataset=rows, processing_class=tokenizer
    )
    trainer.train()
    logs = next(entry for entry in trainer.state.log_history if "loss" in entry)
    batch = tokenizer.pad(
        [{**tokenizer(SENTENCES[i])} for i, y in enumerate(LABELS) if y == -100], return_tensors="pt"
    )
    with torch.no_grad():
        largest = model.eval()(**batch).logits.softmax(1).amax(1)
    counted = largest >= THRESHOLD
    assert 0 < counted.sum() < 3
    assert logs["mmel/confident_unlabeled"] == pytest.approx(counted.float().mean().item())
    expected = F.threshold(counted * -largest.log(), 0, 0).mean().item()
    assert logs["mmel/loss_unlabeled"] == pytest.approx(expected, rel=1e-4)
    assert logs["mmel/loss_original"] > 0
