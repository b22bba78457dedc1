"""One run: a model is trained, and measured."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PrinterCallback, set_seed

from augment import Augmenter, GreedySearch
from augment.registry import NAMES, augmenter_config, limited
from hf_mmel import AdversarialVariants, GreedySearchCallback, MMELTrainer, MMELTrainingArguments

from .data import TEXT_COLUMNS, Examples, examples_of, texts_of
from .measures import Measures, measure
from .methods import AUGMENTERS, Settings


MAX_LENGTH = 64
BATCH_SIZE, NUM_VARIANTS = 8, 4
NUM_SEARCHES = 5  # for hard variants, in a run


class Bench(NamedTuple):
    """What all runs share: name or folder of the encoder, folders of the data, and "cpu" or "cuda"."""

    model: str
    data: tuple[Path, ...]
    device: str


class Result(NamedTuple):
    """What a run has measured, and the seconds of its training: of the processor on a CPU."""

    measures: Measures
    train_seconds: float


def execute(
    bench: Bench, task: str, size: str, seed: int, settings: Settings, teacher: Settings | None, has_attacks: bool
) -> Result:
    """
    Trains and measures one model. `teacher` has the settings of the model that predicts the soft labels, which is
    trained before, with the same seed.
    """
    torch.set_num_threads(1)
    examples, tokenizer = examples_of(bench.data, task, size, seed), AutoTokenizer.from_pretrained(bench.model)
    teacher_model = None if teacher is None else _train(bench, examples, seed, teacher, tokenizer)[0]
    model, seconds = _train(bench, examples, seed, settings, tokenizer, teacher_model)
    return Result(measure(model, tokenizer, examples.evaluated, MAX_LENGTH, has_attacks), round(seconds, 2))


def _train(
    bench: Bench, examples: Examples, seed: int, settings: Settings, tokenizer: Any, teacher: Any = None
) -> tuple[PreTrainedModel, float]:
    """The trained model, and the seconds of its training."""
    settings = dict(settings)
    name, step_size = settings.pop("augmenter", None), settings.pop("step_size", None)
    num_searched = settings.pop("num_searched", None)
    labelled, unlabelled = (
        part.map(
            tokenized,
            batched=True,
            remove_columns=[name for name in TEXT_COLUMNS if name in part.column_names],
            fn_kwargs={"tokenizer": tokenizer},
        )
        for part in (examples.labelled, examples.unlabelled)
    )
    set_seed(seed)  # before the new head of the model is drawn
    model = AutoModelForSequenceClassification.from_pretrained(bench.model, num_labels=examples.num_labels)
    options: Settings = {"per_device_train_batch_size": BATCH_SIZE, "bf16": True, **settings}
    augmenter = None if name is None else augmenter_of(name, bench.model, tokenizer)
    callbacks = None
    if num_searched is not None:
        augmenter = GreedySearch(augmenter, num_positions=num_searched)
        num_epochs = options["max_steps"] * options["per_device_train_batch_size"] / len(labelled)
        callbacks = [GreedySearchCallback(refresh_epochs=max(1, round(num_epochs / NUM_SEARCHES)))]
    seconds = fit(
        bench,
        model,
        labelled,
        {"seed": seed, **options},
        processing_class=tokenizer,
        augmenter=augmenter,
        callbacks=callbacks,
        adversary=None if step_size is None else AdversarialVariants(step_size=step_size),
        unlabeled_dataset=unlabelled if "unlabeled_ratio" in settings else None,
        teacher=teacher,
    )
    return model, seconds


def fit(bench: Bench, model: PreTrainedModel, train_dataset: Any, options: Settings, **components: Any) -> float:
    """Trains a model; the seconds that it takes, of the processor on a CPU."""
    clock = time.process_time if bench.device == "cpu" else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        shared: dict[str, Any] = {
            "warmup_steps": 0.1,
            "num_variants": NUM_VARIANTS,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": bench.device == "cpu",
        }
        args = MMELTrainingArguments(folder, **shared | options)
        trainer = MMELTrainer(model, args, train_dataset=train_dataset, **components)
        trainer.remove_callback(PrinterCallback)
        begun = clock()
        trainer.train()
        return clock() - begun


def augmenter_of(name: str, model: str, tokenizer: Any) -> Augmenter:
    """An augmenter of the protocol, or of the command line, by its name."""
    options = dict(AUGMENTERS.get(name, {"name": name}))
    base = model if options.pop("has_model", False) else None
    assert options["name"] in NAMES
    return Augmenter.from_dict(limited(augmenter_config(options.pop("name"), base, **options), MAX_LENGTH), tokenizer)


def tokenized(rows: dict[str, Any], tokenizer: Any) -> Any:
    return tokenizer(*texts_of(rows), truncation=True, max_length=MAX_LENGTH)
