"""Training minimises the loss that the model or the user computes, or says that it does not."""

import pytest
import torch
import torch.nn.functional as F
from conftest import WORDS, make_model
from datasets import Dataset
from head_batches import batch_of
from task_heads import TASK_HEADS
from torch import nn
from trainer_runs import run
from transformers import BertForSequenceClassification, Trainer, TrainingArguments

from augment import LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer
from hf_mmel.data.groups import Groups
from hf_mmel.objective.custom_loss import custom_losses


ONE_STEP = {"max_steps": 1, "per_device_train_batch_size": 8, "logging_steps": 1, "optim": "sgd", "learning_rate": 0.1}
METHODS = pytest.mark.parametrize("mmel_loss", ["hard", "soft", "uniform"])


class ScaledLoss(BertForSequenceClassification):
    """With a loss of its own."""

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None):
        outputs = super().forward(input_ids, attention_mask, token_type_ids, labels=labels)
        if labels is not None:
            outputs.loss = 10 * outputs.loss
        return outputs


class LossInTraining(BertForSequenceClassification):
    """With a term of the loss that evaluation lacks."""

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None):
        outputs = super().forward(input_ids, attention_mask, token_type_ids, labels=labels)
        if labels is not None and self.training:
            outputs.loss = outputs.loss + 0.1 * self.classifier.weight.abs().sum()
        return outputs


class Normalised(BertForSequenceClassification):
    """With running means."""

    def __init__(self, config):
        super().__init__(config)
        self.norm = nn.BatchNorm1d(config.num_labels)

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None):
        logits = self.norm(super().forward(input_ids, attention_mask, token_type_ids).logits)
        return {"loss": None if labels is None else F.cross_entropy(logits, labels), "logits": logits}


class TwoHeads(nn.Module):
    """With two label columns."""

    def __init__(self, model):
        super().__init__()
        self.model, self.second = model, nn.Linear(32, 3)

    def forward(self, input_ids, attention_mask=None, labels=None, labels_b=None):
        outputs = self.model(input_ids, attention_mask, labels=labels, output_hidden_states=True)
        second = self.second(outputs.hidden_states[-1][:, 0])
        loss = None if labels is None or labels_b is None else outputs.loss + F.cross_entropy(second, labels_b)
        return {"loss": loss, "logits": outputs.logits}


def trainer_of(model, args, tokenizer, dataset, words=WORDS, **options):
    augmenter = LexiconSubstitution(tokenizer, words)
    return MMELTrainer(model, args, train_dataset=dataset, processing_class=tokenizer, augmenter=augmenter, **options)


def first_loss(trainer):
    trainer.train()
    return next(entry for entry in trainer.state.log_history if "loss" in entry)


# A loss of the model's own


@METHODS
@pytest.mark.parametrize("words", [WORDS, {"unheard": ["unseen"]}], ids=["variants", "originals alone"])
@pytest.mark.parametrize("kind", [ScaledLoss, LossInTraining])
def test_another_loss_of_the_model_stops_training_before_the_first_update(
    arguments, tokenizer, dataset, mmel_loss, words, kind
):
    model = kind(make_model(tokenizer).config)
    before = [parameter.clone() for parameter in model.parameters()]
    trainer = trainer_of(model, arguments(mmel_loss=mmel_loss, **ONE_STEP), tokenizer, dataset, words)
    with pytest.raises(ValueError, match=rf"{kind.__name__} computes the loss .* is 0\..*compute_loss_func"):
        trainer.train()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_second_label_column_is_not_left_out_in_silence(arguments, tokenizer, dataset):
    rows = dataset.map(lambda row, i: {"labels_b": i % 3}, with_indices=True)
    trainer = trainer_of(TwoHeads(make_model(tokenizer)), arguments(**ONE_STEP), tokenizer, rows)
    with pytest.raises(ValueError, match="TwoHeads computes the loss"):
        trainer.train()


def test_without_the_check_no_batch_has_the_models_own_loss(arguments, tokenizer, dataset):
    """Also not one of originals alone, so that all batches have one scale."""
    args = arguments(mmel_loss="hard", loss_check=False, **ONE_STEP)
    losses = []
    for kind in (BertForSequenceClassification, ScaledLoss):
        torch.manual_seed(0)
        trainer = trainer_of(kind(make_model(tokenizer).config), args, tokenizer, dataset, {"unheard": ["unseen"]})
        losses.append(first_loss(trainer)["loss"])
    assert losses[0] == losses[1]


@METHODS
def test_the_check_leaves_no_trace(arguments, tokenizer, dataset, mmel_loss):
    """The random numbers of dropout are those of a run without it."""
    args = [arguments(mmel_loss=mmel_loss, loss_check=check, num_variants=2, **ONE_STEP) for check in (True, False)]
    augmenter = LexiconSubstitution(tokenizer, WORDS)
    (_, checked), (_, unchecked) = (run(MMELTrainer, a, tokenizer, dataset, augmenter=augmenter) for a in args)
    assert torch.equal(checked, unchecked)


def test_the_check_leaves_running_means_alone(arguments, tokenizer, dataset):
    means = []
    for check in (True, False):
        torch.manual_seed(0)
        args = arguments(mmel_loss="hard", loss_check=check, **ONE_STEP)
        trainer = trainer_of(Normalised(make_model(tokenizer).config), args, tokenizer, dataset)
        trainer.train()
        means.append(trainer.model.norm.running_mean)
    assert means[0].any() and torch.equal(*means)


def test_the_configuration_of_the_model_is_never_written(arguments, tokenizer, dataset):
    model = TwoHeads(make_model(tokenizer)).model  # whose forward is given no labels by the step
    trainer = trainer_of(model, arguments(loss_check=False, **ONE_STEP), tokenizer, dataset)
    trainer.train()
    assert model.config.problem_type is None


# A loss function of the user's own


def focal(outputs, labels, num_items_in_batch=None):
    """Focal loss, the mean over the labelled rows."""
    logits = outputs["logits"].flatten(0, -2)
    losses = F.cross_entropy(logits, labels.flatten(), reduction="none")
    return ((1 - (-losses).exp()) ** 2 * losses).sum() / num_items_in_batch


def smooth_targets(outputs, labels, num_items_in_batch=None):
    return F.cross_entropy(outputs.logits, labels, label_smoothing=0.3)  # ignores the number of items


@pytest.mark.parametrize("loss_func", [focal, smooth_targets])
@pytest.mark.parametrize("mmel_loss", ["hard", "uniform"])
def test_a_loss_function_is_taken_for_each_row(arguments, tokenizer, dataset, mmel_loss, loss_func):
    args = arguments(mmel_loss=mmel_loss, lambda_p=0.05, num_variants=3)
    trainer = trainer_of(make_model(tokenizer), args, tokenizer, dataset, compute_loss_func=loss_func)
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    loss, outputs = trainer.compute_loss(trainer.model, batch, return_outputs=True)
    mask, logits = batch["variant_mask"], iter(outputs.logits)
    groups = []
    for row, label in zip(mask, batch["labels"], strict=True):
        with torch.no_grad():
            losses = torch.stack(
                [
                    loss_func(type(outputs)(logits=next(logits)[None]), label[None], torch.tensor(1))
                    for _ in range(int(row.sum()))
                ]
            )
        weights = (losses / 0.05).softmax(0) if mmel_loss == "hard" else torch.full_like(losses, 1 / len(losses))
        groups.append((weights * losses).sum())
    torch.testing.assert_close(loss.detach(), torch.stack(groups).mean())


def test_a_loss_function_of_words_trains_like_the_same_loss_of_the_model(arguments, tokenizer):
    def cross_entropy(outputs, labels, num_items_in_batch):
        return F.cross_entropy(outputs.logits.flatten(0, -2), labels.flatten(), reduction="sum") / num_items_in_batch

    head, losses = TASK_HEADS["tokens"], []
    rows = Dataset.from_list(head.rows(tokenizer))
    args = arguments(mmel_loss="hard", num_variants=2, train_sampling_strategy="sequential")
    for loss_func in (None, cross_entropy):
        options = {"data_collator": head.collator(tokenizer), "compute_loss_func": loss_func}
        trainer = trainer_of(head.model(tokenizer), args, tokenizer, rows, **options)
        batch = next(iter(trainer.get_train_dataloader()))
        losses.append(trainer.compute_loss(trainer.model.train(), batch))
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-4)


def test_a_row_without_a_label_has_no_part_in_a_loss_function(arguments, tokenizer, dataset):
    args = arguments(mmel_loss="hard", num_variants=2)
    trainer = trainer_of(make_model(tokenizer), args, tokenizer, dataset, compute_loss_func=focal)
    batch = next(iter(trainer.get_train_dataloader()))
    batch["labels"][3] = -100
    labelled = {name: x[batch["labels"] != -100] for name, x in batch.items()}
    losses = [trainer.compute_loss(trainer.model.train(), dict(part)).item() for part in (batch, labelled)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


class WithoutNumItems(MMELTrainer):
    """Of a model whose forward takes no `num_items_in_batch`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False


@pytest.mark.parametrize("cls", [MMELTrainer, WithoutNumItems])
@pytest.mark.parametrize(("batch_size", "accumulation"), [(4, 2), (2, 4), (3, 3)])
def test_a_loss_function_has_the_same_gradient_for_any_cut_into_micro_batches(
    arguments, tokenizer, dataset, batch_size, accumulation, cls
):
    rows, gradients = dataset.select(range(batch_size * accumulation)), []
    options = {"augmenter": LexiconSubstitution(tokenizer, WORDS), "compute_loss_func": focal, "dropout": 0.0}
    for size, steps, chunk in ((len(rows), 1, None), (batch_size, accumulation, 1)):
        fields = {"per_device_train_batch_size": size, "gradient_accumulation_steps": steps}
        args = arguments(max_steps=1, mmel_loss="hard", variant_chunk_size=chunk, **fields)
        gradients.append(run(cls, args, tokenizer, rows, **options)[1])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-3)


def test_several_labels_as_whole_numbers_are_one_item_of_a_loss_function(arguments, tokenizer, dataset):
    def several(outputs, labels, num_items_in_batch=None):
        return F.binary_cross_entropy_with_logits(outputs.logits, labels.float())

    rows = dataset.map(lambda row, i: {"labels": [i % 2, 1, 0]}, with_indices=True).remove_columns("label")
    args = arguments(mmel_loss="uniform", **ONE_STEP)
    model = make_model(tokenizer, num_labels=3, problem_type="multi_label_classification")
    trainer = trainer_of(model, args, tokenizer, rows, {"unheard": ["unseen"]}, compute_loss_func=several)
    batch = next(iter(trainer.get_train_dataloader()))
    loss, outputs = trainer.compute_loss(model.train(), batch, return_outputs=True)
    torch.testing.assert_close(loss, several(outputs, batch["labels"]))


def test_a_loss_function_for_answers_is_refused():
    _, batch = batch_of("answers")
    with pytest.raises(ValueError, match=r"start_positions and end_positions .* Leave out compute_loss_func"):
        custom_losses(focal, None, Groups.of(batch))


def test_without_variants_a_loss_function_trains_as_under_the_stock_trainer(arguments, tokenizer, dataset):
    options = {"compute_loss_func": focal, "dropout": 0.0}
    _, stock = run(Trainer, arguments(TrainingArguments, **ONE_STEP), tokenizer, dataset, **options)
    options["augmenter"] = LexiconSubstitution(tokenizer, {"unheard": ["unseen"]})
    _, ours = run(MMELTrainer, arguments(mmel_loss="hard", **ONE_STEP), tokenizer, dataset, **options)
    torch.testing.assert_close(ours, stock, atol=1e-6, rtol=1e-4)


def test_a_loss_that_is_no_mean_over_rows_is_refused(arguments, tokenizer, dataset):
    def weighted(outputs, labels, num_items_in_batch=None):
        return F.cross_entropy(outputs.logits, labels, weight=torch.tensor([1.0, 9.0]))  # divides by the weights

    trainer = trainer_of(make_model(tokenizer), arguments(**ONE_STEP), tokenizer, dataset, compute_loss_func=weighted)
    with pytest.raises(ValueError, match=r"compute_loss_func gives .* mean of what it gives for each of them alone"):
        trainer.train()


def test_a_loss_function_goes_together_with_an_adversary(arguments, tokenizer, dataset):
    args = arguments(mmel_loss="hard", **ONE_STEP)
    options = {"compute_loss_func": focal, "adversary": AdversarialVariants()}
    trainer = trainer_of(make_model(tokenizer), args, tokenizer, dataset, **options)
    assert first_loss(trainer)["mmel/effective_num_variants"] > 1


# A compute_loss of the user's own


class Overridden(MMELTrainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = F.cross_entropy(outputs.logits.view(-1, 2), labels.view(-1))
        return (loss, outputs) if return_outputs else loss


class WithPenalty(MMELTrainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        loss = loss + 1e-3 * sum((parameter**2).sum() for parameter in model.parameters())
        return (loss, outputs) if return_outputs else loss


class Broken(MMELTrainer):
    def compute_loss(self, *args, **kwargs):
        super().compute_loss(*args, **kwargs)
        raise RuntimeError("after the groups")


def test_an_override_that_does_not_know_groups_is_told_what_to_do(arguments, tokenizer, dataset, augmenter):
    options = {"train_dataset": dataset, "processing_class": tokenizer}
    trainer = Overridden(make_model(tokenizer), arguments(**ONE_STEP), augmenter=augmenter, **options)
    with pytest.raises(TypeError, match=r"Overridden.compute_loss failed .* super\(\).*class_weights.*_func"):
        trainer.train()
    Overridden(make_model(tokenizer), arguments(**ONE_STEP), **options).train()  # without groups it is fine


def test_an_override_that_adds_to_the_loss_trains(arguments, tokenizer, dataset, augmenter):
    options = {"train_dataset": dataset, "processing_class": tokenizer, "augmenter": augmenter}
    losses = [
        first_loss(cls(make_model(tokenizer), arguments(**ONE_STEP), **options))["loss"]
        for cls in (MMELTrainer, WithPenalty)
    ]
    assert losses[1] > losses[0] + 0.1


def test_other_errors_of_an_override_are_its_own(arguments, tokenizer, dataset, augmenter):
    options = {"train_dataset": dataset, "processing_class": tokenizer, "augmenter": augmenter}
    with pytest.raises(RuntimeError, match="after the groups"):
        Broken(make_model(tokenizer), arguments(**ONE_STEP), **options).train()
