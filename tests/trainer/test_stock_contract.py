"""Whoever puts `MMELTrainer` where `Trainer` stood finds nothing changed: each test asks both classes the same."""

import inspect

import pytest
import torch
from conftest import make_model, perturb_weights
from torch import nn
from trainer_runs import Stream, run, weights_of
from transformers import DefaultDataCollator, Trainer, TrainerCallback, TrainingArguments

from hf_mmel import MMELTrainer


OURS = MMELTrainer.__mro__[: MMELTrainer.__mro__.index(Trainer)]  # the class and its bases up to the stock one
OVERRIDDEN = sorted(
    {name for cls in OURS for name, value in vars(cls).items() if callable(value) and hasattr(Trainer, name)}
)
TIMES = ("_time", "_runtime", "_per_second")


class PlainModel(nn.Module):
    """No config, no `**kwargs`, a dictionary of outputs."""

    def __init__(self):
        super().__init__()
        self.scores = perturb_weights(nn.Embedding(200, 2))

    def forward(self, input_ids, labels=None):
        logits = self.scores(input_ids).mean(dim=1)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def sum_over_the_update(outputs, labels, num_items_in_batch=None):
    return nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch


def parameters_of(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def outcome(trainer):
    """What a training leaves: the weights and the log without its times."""
    log = [{name: v for name, v in entry.items() if not name.endswith(TIMES)} for entry in trainer.state.log_history]
    return weights_of(trainer), log


def same_outcome(stock, ours):
    (weights, log), (our_weights, our_log) = outcome(stock), outcome(ours)
    return torch.equal(weights, our_weights) and log == our_log


# Signatures and construction


def test_the_constructor_takes_what_stock_takes_and_sources_of_variants_by_keyword():
    stock = parameters_of(Trainer.__init__)
    parameters = parameters_of(MMELTrainer.__init__)
    assert parameters[: len(stock)] == stock
    own = ["augmenter", "adversary", "unlabeled_dataset", "tokenizer"]  # the last to refuse it
    assert parameters[len(stock) :] == [(name, inspect.Parameter.KEYWORD_ONLY, None) for name in own]


def test_overridden_methods_are_found_in_whichever_class_they_stand():
    of_training = {"compute_loss", "training_step", "get_train_dataloader", "log"}
    assert of_training | {"__init__", "create_model_card"} <= set(OVERRIDDEN)
    assert all(getattr(MMELTrainer, name) is not getattr(Trainer, name) for name in OVERRIDDEN)


@pytest.mark.parametrize("name", [name for name in OVERRIDDEN if name != "__init__"])
def test_a_method_has_the_stock_signature(name):
    stock, ours = (parameters_of(getattr(cls, name)) for cls in (Trainer, MMELTrainer))
    own = ours[len(stock) :]
    assert ours[: len(stock)] == stock
    assert [name for name, *_ in own] == (["scores", "command"] if name == "create_model_card" else [])
    assert all(kind == inspect.Parameter.KEYWORD_ONLY and default is None for _, kind, default in own)


def test_positional_arguments_land_where_stock_puts_them(arguments, tokenizer, dataset):
    model, metrics, logits = make_model(tokenizer), lambda prediction: {}, lambda logits, labels: logits
    given = [model, arguments(TrainingArguments), DefaultDataCollator(), dataset, dataset.select([0]), tokenizer, None]
    given += [sum_over_the_update, metrics, [TrainerCallback()], (None, None), (torch.optim.SGD, {"lr": 1.0}), logits]
    stock, ours = (vars(cls(*given)) for cls in (Trainer, MMELTrainer))
    kept = [name for name, value in stock.items() if any(value is one for one in given if one is not None)]
    assert len(kept) >= 10
    assert all(ours[name] is stock[name] for name in kept)


@pytest.mark.parametrize("disable_tqdm", [True, False])
def test_a_new_trainer_has_stocks_attributes_and_callbacks(arguments, dataset, disable_tqdm):
    args = arguments(TrainingArguments, disable_tqdm=disable_tqdm)
    stock, ours = (cls(PlainModel(), args, train_dataset=dataset) for cls in (Trainer, MMELTrainer))
    types = {name: type(value) for name, value in vars(stock).items()}
    assert types == {name: type(vars(ours)[name]) for name in types}
    callbacks, our_callbacks = ([type(c) for c in t.callback_handler.callbacks] for t in (stock, ours))
    assert callbacks == our_callbacks


# Training


SETUPS = {
    "plain": {},
    "compute_loss_func": {"compute_loss_func": sum_over_the_update},
    "label_smoothing": {"fields": {"label_smoothing_factor": 0.2}},
    "label_names": {"fields": {"label_names": ["labels", "token_type_ids"], "eval_strategy": "steps"}},
    "no_removal_of_columns": {"fields": {"remove_unused_columns": False}},
    "metrics": {
        "compute_metrics": lambda p: {"mean": float(p.predictions.mean())},
        "fields": {"eval_strategy": "epoch"},
    },
}


@pytest.mark.parametrize("setup", SETUPS)
def test_training_leaves_stocks_weights_and_log(arguments, tokenizer, dataset, setup):
    setup = dict(SETUPS[setup])
    fields = {"max_steps": 4, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2, "logging_steps": 1}
    args = arguments(TrainingArguments, **fields, **setup.pop("fields", {}))
    stock, ours = (
        run(cls, args, tokenizer, dataset, eval_dataset=dataset, **setup)[0] for cls in (Trainer, MMELTrainer)
    )
    assert same_outcome(stock, ours)


@pytest.mark.parametrize("source", ["model", "model_init", "stream"])
def test_a_bare_model_trains_as_with_stock(arguments, dataset, source):
    """Without config, without `**kwargs` in forward, from a function, on a stream."""
    trainers = []
    for cls in (Trainer, MMELTrainer):
        torch.manual_seed(0)
        rows = [{"input_ids": row["input_ids"][:6], "labels": row["label"]} for row in dataset]
        trainer = cls(
            None if source == "model_init" else PlainModel(),
            arguments(TrainingArguments, max_steps=3, per_device_train_batch_size=2, logging_steps=1),
            train_dataset=Stream(rows) if source == "stream" else rows,
            eval_dataset=rows,
            model_init=PlainModel if source == "model_init" else None,
        )
        trainer.train()
        trainer.evaluate()
        trainers.append(trainer)
    assert same_outcome(*trainers)


@pytest.mark.parametrize("place", ["class", "instance"])
@pytest.mark.parametrize("flag", [None, True, False])
def test_loss_is_scaled_for_ga_is_heeded_wherever_it_is_set(arguments, tokenizer, dataset, flag, place):
    """A loss that is a mean, whatever the count of items: the flag makes a factor of two."""
    args = arguments(TrainingArguments, max_steps=1, gradient_accumulation_steps=2, per_device_train_batch_size=2)
    gradients = []
    for cls in (Trainer, MMELTrainer):
        body = {"loss_is_scaled_for_ga": flag} if place == "class" else {}
        trainer = type("Chosen", (cls,), body)(
            make_model(tokenizer), args, train_dataset=dataset, processing_class=tokenizer
        )
        if place == "instance":
            trainer.loss_is_scaled_for_ga = flag
        inputs = next(iter(trainer.get_train_dataloader()))
        trainer.current_gradient_accumulation_steps = 2
        trainer.training_step(trainer.model, inputs, num_items_in_batch=4)
        gradients.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters()]))
        assert trainer.loss_is_scaled_for_ga is flag
    assert gradients[0].norm() > 0 and torch.equal(*gradients)


@pytest.mark.parametrize("flag", [None, True, False])
def test_groups_leave_loss_is_scaled_for_ga_as_it_was(arguments, tokenizer, dataset, augmenter, flag):
    fields = {"max_steps": 2, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2, "num_variants": 3}
    gradients = []
    for value in (None, flag):
        trainer = MMELTrainer(
            make_model(tokenizer),
            arguments(**fields),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=augmenter,
        )
        trainer.loss_is_scaled_for_ga = value
        trainer.train()
        assert trainer.loss_is_scaled_for_ga is value
        gradients.append(weights_of(trainer))
    assert torch.equal(*gradients)  # groups know how their own loss is scaled


# Subclasses


class WithKwargs(Trainer):
    """Overrides as they stand in many projects, with `**kwargs` for what later releases added."""

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        self.counts = [*getattr(self, "counts", []), kwargs.get("num_items_in_batch")]
        return super().compute_loss(model, inputs, return_outputs=return_outputs, **kwargs)

    def training_step(self, model, inputs, *args):
        return 2 * super().training_step(model, inputs, *args)

    def log(self, logs, *args):
        super().log({**logs, "steps": self.state.global_step}, *args)

    def get_train_dataloader(self):
        self.loaders = getattr(self, "loaders", 0) + 1
        return super().get_train_dataloader()


@pytest.mark.parametrize("bases", [(WithKwargs, MMELTrainer), (MMELTrainer, WithKwargs)], ids=["front", "behind"])
def test_overrides_with_kwargs_go_together_with_ours(arguments, tokenizer, dataset, bases):
    args = arguments(TrainingArguments, max_steps=2, per_device_train_batch_size=4, logging_steps=1)
    stock, ours = (run(cls, args, tokenizer, dataset)[0] for cls in (WithKwargs, type("Mixed", bases, {})))
    assert same_outcome(stock, ours)
    assert len(stock.counts) == 2 and stock.counts == ours.counts
    assert stock.loaders == ours.loaders > 0


# What is written


def test_a_checkpoint_has_stocks_files_arguments_and_model_card(arguments, tokenizer, dataset, tmp_path):
    written = []
    for cls in (Trainer, MMELTrainer):
        fields = {"output_dir": str(tmp_path / cls.__name__ / "run"), "save_strategy": "steps", "save_steps": 2}
        args = TrainingArguments(**fields, max_steps=4, logging_steps=2, report_to="none", use_cpu=True)
        trainer, _ = run(cls, args, tokenizer, dataset)
        trainer.save_model()
        trainer.create_model_card(tags="tiny", dataset="rows")
        root = tmp_path / cls.__name__ / "run"
        saved = torch.load(root / "checkpoint-4" / "training_args.bin", weights_only=False)
        assert type(saved) is TrainingArguments
        assert saved.to_dict() == args.to_dict()
        written.append(
            (sorted(str(path.relative_to(root)) for path in root.rglob("*")), (root / "README.md").read_text())
        )
    assert "checkpoint-4/trainer_state.json" in written[0][0]
    assert written[0] == written[1]
