"""Models whose outputs are no dict with logits train where it is clear what the logits are."""

import pytest
import torch
import torch.nn.functional as F
from conftest import WORDS, make_model
from torch import nn

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer


class Classifier(nn.Module):
    """A classifier whose outputs a subclass gives."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def loss_and_logits(self, input_ids, attention_mask, labels):
        logits = self.model(input_ids, attention_mask).logits
        return None if labels is None else F.cross_entropy(logits, labels), logits

    def forward(self, input_ids=None, attention_mask=None, labels=None):
        return self.outputs(*self.loss_and_logits(input_ids, attention_mask, labels))


class AlwaysAPair(Classifier):
    def outputs(self, loss, logits):
        return loss, logits


class LogitsAloneWithoutLabels(Classifier):
    def outputs(self, loss, logits):
        return logits if loss is None else (loss, logits)


class ATupleWithoutLabels(Classifier):
    def outputs(self, loss, logits):
        return (logits,) if loss is None else (loss, logits)


class AnotherName(Classifier):
    def outputs(self, loss, logits):
        return {"loss": loss, "prediction": logits}


class MoreThanLogits(Classifier):
    def outputs(self, loss, logits):
        return {"loss": loss, "embedding": torch.cat([logits, logits], dim=1), "logits": logits}


class NeedsLabels(Classifier):
    def forward(self, input_ids, attention_mask, labels):
        return self.loss_and_logits(input_ids, attention_mask, labels)


class TwoUnnamed(Classifier):
    def outputs(self, loss, logits):
        return {"loss": loss, "left": logits, "right": logits}


class NoLogits(Classifier):
    def outputs(self, loss, logits):
        return {"loss": loss}


CLEAR = [AlwaysAPair, LogitsAloneWithoutLabels, ATupleWithoutLabels, AnotherName, MoreThanLogits, NeedsLabels]


def trained(kind, arguments, tokenizer, dataset, **fields):
    args = arguments(max_steps=2, per_device_train_batch_size=4, num_variants=2, **fields)
    options = {"train_dataset": dataset, "eval_dataset": dataset, "processing_class": tokenizer}
    augmenter = LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5)
    model = make_model(tokenizer) if kind is None else kind(make_model(tokenizer))
    trainer = MMELTrainer(model, args, augmenter=augmenter, **options)
    trainer.train()
    return trainer


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("kind", CLEAR)
def test_clear_outputs_train_like_a_dict_with_logits(arguments, tokenizer, dataset, kind, mmel_loss):
    trainers = [trained(model, arguments, tokenizer, dataset, mmel_loss=mmel_loss) for model in (None, kind)]
    weights = [torch.cat([p.detach().flatten() for p in trainer.model.parameters()]) for trainer in trainers]
    torch.testing.assert_close(*weights, atol=1e-5, rtol=1e-4)
    losses = [trainer.evaluate()["eval_loss"] for trainer in trainers]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "names"), [(TwoUnnamed, "TwoUnnamed gave loss, left, right"), (NoLogits, "NoLogits gave loss")]
)
def test_outputs_that_are_not_clear_are_named(arguments, tokenizer, dataset, kind, names):
    with pytest.raises(ValueError, match=f"{names}; expected a dict with logits, or a tuple"):
        trained(kind, arguments, tokenizer, dataset)
