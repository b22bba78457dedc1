"""Ways in which people run `Trainer`, with groups: samplers, memory, precision, checkpointed and compiled models."""

import numpy as np
import pytest
import torch
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from pairwise import pairwise
from trainer_runs import LOSSES, WAYS, run, same_weights, training_logs, weights_of
from transformers import Trainer, TrainingArguments

from augment import LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer
from hf_mmel.step.group_step import GroupStep


# What transformers calls it: "gradient" before 5.21.
CHECKPOINTING = "activation" if "activation_checkpointing" in TrainingArguments.__dataclass_fields__ else "gradient"
SGD = {"optim": "sgd", "learning_rate": 1e-2, "lr_scheduler_type": "constant", "max_grad_norm": 0.0, "lambda_p": 0.1}


@pytest.fixture
def texts(tokenizer):
    """Texts of 6 to 38 tokens, in an order that has nothing to do with their length."""
    rows = [tokenizer("the " * (5 * i % 24) + SENTENCES[i % 8]) for i in range(24)]
    return Dataset.from_list([{**row, "label": i % 2} for i, row in enumerate(rows)])


def numbers_of(batches, dataset):
    """For each batch the numbers of its examples in the data set, a group being known by its original."""
    rows = [row["input_ids"] for row in dataset]
    numbers = []
    for batch in batches:
        original = {name: batch[name][:, 0] if batch[name].dim() == 3 else batch[name] for name in batch}
        pairs = zip(original["input_ids"], original["attention_mask"], strict=True)
        ids = [row[mask.bool()].tolist() for row, mask in pairs]
        numbers.append(sorted(rows.index(row) for row in ids))
    return numbers


# Samplers


@pytest.mark.parametrize("length_column", [False, True])
@pytest.mark.parametrize("strategy", ["group_by_length", "batch_rebalance", "sequential", "random"])
def test_batches_hold_the_examples_that_the_stock_sampler_puts_together(
    arguments, tokenizer, texts, augmenter, strategy, length_column
):
    lengths = [len(row["input_ids"]) for row in texts]
    if length_column:  # says nothing of the ids, and has to be believed; `Trainer` reads it where it removes no column
        lengths = [i * 7 % 24 for i in range(24)]
        texts = texts.add_column("length", lengths)
    fields = {"train_sampling_strategy": strategy, "remove_unused_columns": not length_column}
    fields = {**fields, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 3}
    stock = Trainer(make_model(tokenizer), arguments(TrainingArguments, **fields), None, texts, None, tokenizer)
    ours = MMELTrainer(make_model(tokenizer), arguments(**fields), None, texts, None, tokenizer, augmenter=augmenter)
    batches = []
    for trainer in (stock, ours):
        torch.manual_seed(1)
        batches.append(list(trainer.get_train_dataloader()))
    assert batches[1][0]["input_ids"].shape[:2] == batches[1][0]["variant_mask"].shape
    numbers = numbers_of(batches[1], texts)
    assert numbers == numbers_of(batches[0], texts)
    assert sorted(i for batch in numbers for i in batch) == list(range(24))
    spread = np.mean([np.ptp([lengths[i] for i in batch]) for batch in numbers])
    assert (spread < 4) == (strategy in ("group_by_length", "batch_rebalance"))


@LOSSES
def test_rebalanced_micro_batches_of_unequal_size_give_the_updates_of_whole_batches(
    arguments, tokenizer, texts, augmenter, mmel_loss
):
    fields = {**SGD, "mmel_loss": mmel_loss, "train_sampling_strategy": "batch_rebalance", "logging_steps": 1}
    whole, _ = run(
        MMELTrainer,
        arguments(**fields, per_device_train_batch_size=8),
        tokenizer,
        texts,
        dropout=0.0,
        augmenter=augmenter,
    )
    args = arguments(**fields, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    cut, gradients = run(MMELTrainer, args, tokenizer, texts, dropout=0.0, augmenter=augmenter)
    sizes = {len(batch["labels"]) for batch in cut.get_train_dataloader()}
    assert len(sizes) > 1 and gradients.norm() > 1e-2
    assert same_weights(weights_of(whole), weights_of(cut))
    for a, b in zip(training_logs(whole), training_logs(cut), strict=True):
        assert all(a[name] == pytest.approx(b[name], abs=1e-5) for name in a if name.startswith(("loss", "mmel/")))


# Memory


class ShortOfMemory(MMELTrainer):
    """Has memory for four groups at a time."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        if model.training and len(inputs["variant_mask"]) > 4:
            super().compute_loss(model, inputs, *args, **kwargs)  # as far as a real one comes
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().compute_loss(model, inputs, *args, **kwargs)


@LOSSES
def test_a_batch_size_that_was_found_trains_as_one_that_was_given(arguments, tokenizer, texts, augmenter, mmel_loss):
    fields = {**SGD, "mmel_loss": mmel_loss, "logging_steps": 1, "num_train_epochs": 2}
    args = arguments(**fields, per_device_train_batch_size=8, auto_find_batch_size=True)
    found, _ = run(ShortOfMemory, args, tokenizer, texts, dropout=0.0, augmenter=augmenter)
    assert found._train_batch_size == 4 < args.per_device_train_batch_size
    given, gradients = run(
        MMELTrainer,
        arguments(**fields, per_device_train_batch_size=4),
        tokenizer,
        texts,
        dropout=0.0,
        augmenter=augmenter,
    )
    assert gradients.norm() > 1e-2 and torch.equal(weights_of(found), weights_of(given))
    assert len(training_logs(found)) > 2 and training_logs(found) == training_logs(given)


@LOSSES
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_checkpointed_activations_change_no_gradient(arguments, tokenizer, texts, augmenter, mmel_loss, dropout):
    runs, recomputed = [], []
    for checkpointing in (False, True):
        args = arguments(mmel_loss=mmel_loss, max_steps=4, **{f"{CHECKPOINTING}_checkpointing": checkpointing})
        trainer, gradients = run(MMELTrainer, args, tokenizer, texts, dropout=dropout, augmenter=augmenter)
        recomputed.append(getattr(trainer.model, f"is_{CHECKPOINTING}_checkpointing"))
        runs.append((gradients, weights_of(trainer)))
    assert recomputed == [False, True] and runs[0][0].norm() > 1e-2
    assert torch.equal(runs[0][0], runs[1][0]) and torch.equal(runs[0][1], runs[1][1])


# Precision


@LOSSES
def test_bfloat16_keeps_losses_and_weights_in_float32_near_those_of_float32(
    arguments, tokenizer, texts, augmenter, mmel_loss, monkeypatch
):
    runs, dtypes, step = {}, set(), GroupStep.__call__

    def recorded(self, *args, **options):
        result = step(self, *args, **options)
        objectives.append((result.losses, result.weights, result.loss))
        return result

    monkeypatch.setattr(GroupStep, "__call__", recorded)
    for bf16 in (False, True):
        args = arguments(**{**SGD, "lambda_p": 0.01}, mmel_loss=mmel_loss, max_steps=12, bf16=bf16, num_variants=3)
        model = make_model(tokenizer)
        trainer = MMELTrainer(model, args, None, texts, None, tokenizer, augmenter=augmenter)
        trainer.objectives = objectives = []
        if bf16:
            model.bert.pooler.dense.register_forward_hook(lambda module, inputs, output: dtypes.add(output.dtype))
        trainer.train()
        runs[bf16] = trainer
        assert {tensor.dtype for objective in trainer.objectives for tensor in objective} == {torch.float32}
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert dtypes == {torch.bfloat16}  # the model did compute in half precision
    for exact, near in zip(runs[False].objectives, runs[True].objectives, strict=True):
        for a, b, tolerance in zip(exact, near, (0.02, 0.3, 0.02), strict=True):
            assert torch.allclose(a, b, atol=tolerance, rtol=0)
        sums = near[1].sum(dim=1)
        assert torch.allclose(sums[sums > 0], torch.ones(()), atol=1e-6, rtol=0)
    difference = (weights_of(runs[False]) - weights_of(runs[True])).abs().max()
    assert 0 < difference < 5e-3


# Compiled


@pytest.fixture
def graphs(arguments, tokenizer, texts, augmenter, monkeypatch):
    """
    The number of graphs that a run compiles with this option, over batches of ever other shapes:
    `graphs(option, **fields)`. Asserts that its weights are those of a run without it.
    """
    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, **options: compile(model, backend="eager"))

    def run_twice(option, adversary=None, **fields):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        fields = {**SGD, "max_steps": 8, "per_device_train_batch_size": 4, **fields}
        given, trainers, shapes = {"dropout": 0.0, "augmenter": augmenter, "adversary": adversary}, [], set()
        for compiled in (False, True):
            trainer, _ = run(MMELTrainer, arguments(**fields, **{option: compiled}), tokenizer, texts, **given)
            trainers.append(trainer)
            assert compiled or not torch._dynamo.utils.counters["stats"]
        for batch in trainers[0].get_train_dataloader():
            shapes.add((int(batch["variant_mask"].sum()), batch["input_ids"].shape[2]))
        assert len(shapes) > 4 and same_weights(weights_of(trainers[0]), weights_of(trainers[1]))
        return torch._dynamo.utils.counters["stats"]["unique_graphs"]

    return run_twice


# For the first shape, for other numbers of rows, for other lengths, and for a single row.
MOST_GRAPHS = 4


@pytest.mark.integration
@pytest.mark.parametrize(
    ("mmel_loss", "way", "on_device"),
    [
        ("soft", "full", False),
        ("hard", "top", True),
        ("soft", "top", False),
        ("hard", "in passes of groups", False),
    ],
)
def test_a_compiled_model_trains_alike_and_is_not_compiled_for_each_shape(
    graphs, mmel_loss, way, on_device, monkeypatch
):
    """Groups have ever other numbers of present variants and lengths: the second shape makes both dynamic."""
    if on_device:
        monkeypatch.setattr("hf_mmel.step.strategies.is_on_host", lambda tensor: False)
    assert 0 < graphs("torch_compile", mmel_loss=mmel_loss, **WAYS[way]) <= MOST_GRAPHS


@pytest.mark.integration
@pytest.mark.parametrize(
    ("mmel_loss", "way", "bf16"),
    [("hard", "top", True), ("soft", "known scores", False), ("soft", "in passes of parts", False)],
)
def test_so_it_is_where_the_scoring_alone_is_compiled(graphs, mmel_loss, way, bf16):
    assert 0 < graphs("scoring_compile", mmel_loss=mmel_loss, scoring_bf16=bf16, **WAYS[way]) <= MOST_GRAPHS


@pytest.mark.integration
@pytest.mark.parametrize("compiled", ["torch_compile", "scoring_compile"])
def test_a_perturbation_is_not_compiled(graphs, compiled):
    """It is added by a hook, which would make a graph of its own for each step."""
    fields = {"variant_backward": "top", "mmel_loss": "hard", "adversary": AdversarialVariants()}
    assert graphs(compiled, **fields) == 0


# Several devices in one process


class TwoReplicas(torch.nn.DataParallel):
    """What `DataParallel` does on two devices, on the CPU: inputs are cut along dimension 0, outputs joined there."""

    num_calls = 0

    def forward(self, **inputs):
        TwoReplicas.num_calls += 1
        halves = zip(*(tensor.chunk(2) for tensor in inputs.values()), strict=True)
        outputs = [self.module(**dict(zip(inputs, half, strict=True))) for half in halves]
        joined = {name: [output[name] for output in outputs] for name in outputs[0]}
        return type(outputs[0])({name: torch.cat([torch.atleast_1d(x) for x in xs]) for name, xs in joined.items()})


@pairwise(
    mmel_loss=["hard", "soft"], accumulation=[1, 2], words={"variants": WORDS, "no variants": {"zebra": ["film"]}}
)
def test_data_parallel_devices_give_the_updates_of_one_device(
    arguments, tokenizer, texts, mmel_loss, accumulation, words, monkeypatch
):
    """Present variants are rows before the model and groups after it, so that any cut of the rows will do."""
    monkeypatch.setattr(torch.nn, "DataParallel", TwoReplicas)
    monkeypatch.setattr(TwoReplicas, "num_calls", 0)
    given = {"dropout": 0.0, "augmenter": LexiconSubstitution(tokenizer, words)}
    texts = texts.select(range(23))  # the last batch cannot be halved
    fields = {**SGD, "mmel_loss": mmel_loss, "logging_steps": 1, "gradient_accumulation_steps": accumulation}
    fields["variant_chunk_size"] = 5  # one pass, so that calls can be counted
    one_args = arguments(**fields, per_device_train_batch_size=6)
    one, gradients = run(MMELTrainer, one_args, tokenizer, texts, **given)
    assert TwoReplicas.num_calls == 0 and gradients.norm() > 1e-2
    args = arguments(**fields, per_device_train_batch_size=3)
    args._n_gpu = 2
    two, _ = run(MMELTrainer, args, tokenizer, texts, **given)
    assert TwoReplicas.num_calls == 12
    assert same_weights(weights_of(one), weights_of(two))
    for a, b in zip(training_logs(one), training_logs(two), strict=True):
        assert all(a[name] == pytest.approx(b[name], abs=1e-5) for name in a if name.startswith(("loss", "mmel/")))
