"""The data of a task: what is trained on, what is evaluated, and perturbed forms of that."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, load_from_disk

from augment import Augmenter, Typos
from augment.registry import augmenter_config, limited
from hf_mmel.cli import run as cli
from hf_mmel.cli.data import encode_splits, find_text_columns, load_splits

from .plan import ALL


NUM_FORMS = 8  # perturbed forms of each example
PERTURBATIONS = ("wordnet", "mlm", "typo")
REPLACE_PROB = 0.3  # of the evaluation, whatever a run trains with
TYPO_PROB = 0.2
HELD_OUT, SHARE_HELD_OUT = 4000, 0.25  # examples of the training set that settings are chosen on, at most
# Training draws variants with triples (seed, epoch, fingerprint), so a pair with this seed is never one of them.
_SEED = 20_210_308


class TaskData(NamedTuple):
    """
    A task as the runs take it.

    Attributes:
        prepared (`cli.Prepared`): What does not depend on the seed, with the whole training set.
        train (`Dataset`): What slices are drawn from.
        evaluated (`Dataset`): The validation set, or in the stage "tune" the part of the training set held out.
        forms (`dict[str, list[Dataset]]`): For each perturbation, NUM_FORMS forms of the first rows of `evaluated`.
    """

    prepared: cli.Prepared
    train: Dataset
    evaluated: Dataset
    forms: dict[str, list[Dataset]]

    def slice(self, size: str, seed: int) -> Dataset:
        """Training examples drawn by the seed; those of a smaller size are among those of a larger one."""
        if size == ALL:
            return self.train
        return self.train.select(np.random.default_rng(seed).permutation(len(self.train))[: int(size)])


def hold_out(train: Dataset) -> tuple[Dataset, Dataset]:
    """What is left of a training set, and the part, always the same, that settings are chosen on."""
    order = np.random.default_rng(_SEED).permutation(len(train))
    count = min(HELD_OUT, int(SHARE_HELD_OUT * len(train)))
    return train.select(np.sort(order[count:])), train.select(np.sort(order[:count]))


def load_task(
    options: list[str], stage: str, perturbations: tuple[str, ...], max_perturbed: int | None, kept: Path
) -> TaskData:
    """
    Loads a task. In the stage "tune" no validation data is read.

    Args:
        options (`list[str]`): Those of a training, `--mmel_loss none`.
        stage (`str`): "tune" or "report".
        perturbations (`tuple[str, ...]`): Of `PERTURBATIONS`.
        max_perturbed (`int`, *optional*): Examples that have perturbed forms, at most; `None` for all.
        kept (`Path`): Folder where perturbed forms are kept.
    """
    args = cli.parse_arguments(options)
    prepared = cli.prepare(args)
    whole = prepared.encoded["train"]
    if stage == "tune":
        return TaskData(prepared, *hold_out(whole), {})
    model_args, data_args, *_ = args
    split = data_args.task.validation_splits[0]
    raw = load_splits(data_args, [split], model_args.cache_dir, model_args.token)
    columns = find_text_columns(raw, data_args)

    def encode(raw: dict[str, Dataset]) -> Dataset:
        how = data_args, prepared.tokenizer, columns, prepared.max_length, prepared.labels
        return next(iter(encode_splits(raw, *how).values()))

    evaluated = encode(raw)
    perturbed = evaluated.select(range(min(len(evaluated), max_perturbed or len(evaluated))))
    forms = {}
    for name in perturbations:
        if name == "typo":
            texts = raw[split].select(range(len(perturbed)))
            forms[name] = [encode({"test": form}) for form in mistyped(texts, columns, prepared.tokenizer)]
        else:
            model = model_args.model_name_or_path if name == "mlm" else None
            forms[name] = _variants(name, model, perturbed, prepared, model_args.cache_dir, kept)
    return TaskData(prepared, whole, evaluated, forms)


def both(model: str, replace_prob: float | None, cache_dir: str | None) -> dict[str, Any]:
    """The configuration of the augmenter "both": each variant is of synonyms, or of a masked LM's words."""
    options = {"replace_prob": replace_prob, "cache_dir": cache_dir}
    parts = [augmenter_config("wordnet", **options), augmenter_config("mlm", model, **options)]
    return {"class": "OneOf", "augmenters": parts}


def mistyped(texts: Dataset, columns: Sequence[str], tokenizer: Any) -> list[Dataset]:
    """NUM_FORMS forms of texts, with typing errors in one of five words of four letters or more, at least one."""
    typos = Typos(tokenizer, keep_first=False, replace_prob=TYPO_PROB)
    forms = {
        column: zip(
            *typos.augment_text(texts[column], NUM_FORMS, [(_SEED, c, i) for i in range(len(texts))]), strict=True
        )
        for c, column in enumerate(columns)
    }
    return [Dataset.from_dict({column: list(next(form)) for column, form in forms.items()}) for _ in range(NUM_FORMS)]


def _variants(
    name: str,
    model: str | None,
    evaluated: Dataset,
    prepared: cli.Prepared,
    cache_dir: str | None,
    kept: Path,
) -> list[Dataset]:
    """The variants of an augmenter, read if they are there; they depend on no model that is evaluated."""
    config = augmenter_config(name, model, replace_prob=REPLACE_PROB, cache_dir=cache_dir)
    config = limited(config, prepared.max_length)
    plain = evaluated.remove_columns("label")
    known = blake2b(repr([config, NUM_FORMS, plain["input_ids"][:]]).encode(), digest_size=8).hexdigest()
    paths = [kept / f"{name}-{known}" / str(k) for k in range(NUM_FORMS)]
    if not all((path / "state.json").is_file() for path in paths):
        rows = plain.to_list()
        augmenter = Augmenter.from_dict(config, prepared.tokenizer).precompute(plain)
        seeds = [(_SEED, i) for i in range(len(rows))]
        for k, forms in enumerate(zip(*augmenter.variants(rows, NUM_FORMS, seeds), strict=True)):
            Dataset.from_list(
                [{column: form[column] for column in plain.column_names} for form in forms]
            ).save_to_disk(paths[k])
    return [load_from_disk(str(path)) for path in paths]
