"""
Fine-tune a sequence classifier with MMEL on a GLUE task, a dataset of the Hub, or your own files.

    python run_glue_mmel.py --model_name_or_path bert-base-uncased --task_name rte \\
        --do_train --do_eval --mmel_loss soft --num_variants 4 --output_dir outputs/rte

A .json or .yaml file with the same arguments as keys may precede or replace them; `--help` lists them all.
"""

import logging
import sys
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from torch.utils.data import ConcatDataset
from transformers import DataCollatorWithPadding, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase, set_seed

from augment.base import Augmenter
from augment.core.atomic_file import write_json
from augment.from_column import VariantsFromColumn

from ..distributed import check_seen_by_all, end_processes, release
from ..objective.class_weights import class_weights_of
from ..trainer import MMELTrainer
from ..validation import check_separation
from .arguments import Arguments
from .data import encode_splits, find_text_columns, load_splits, split_names
from .data_arguments import UNLABELED
from .dry_run import dry_run
from .errors import UsageError, file_errors, usage_errors
from .evaluation import CommandTrainer, predict_in_order, temporarily
from .fingerprint import arguments_of, contents_of
from .hub import HubError, check_tokens, open_repository, push
from .labels import Labels, find_labels
from .log_levels import set_up_logging
from .metrics import ComputeMetrics, build_metrics, outputs_of
from .model import (
    load_config,
    load_model,
    load_teacher,
    load_tokenizer,
    longest_input,
    model_without_weights,
    name_classes,
)
from .parser import parse_arguments, read_options
from .preflight import check_best_metric, check_full_batch, check_weights, first_step_errors
from .resuming import ResumePoint, check_overwriting, find_resume_point, load_state, record_run
from .saving import finished_model_kept, save_metrics, save_outputs, write_predictions
from .seeds import SeedResults
from .submission import DIAGNOSTICS, add_to_submission, check_submission, load_diagnostics
from .variants_column import with_variants


logger = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """What does not depend on the seed."""

    config: PretrainedConfig
    labels: Labels
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    encoded: dict[str, datasets.Dataset]
    collator: DataCollatorWithPadding
    compute_metrics: ComputeMetrics | None
    augmenter: Augmenter | VariantsFromColumn | None


@file_errors()
def main(argv: list[str] | None = None) -> dict[str, float]:
    """
    Trains, evaluates and predicts as the arguments ask; by default they are those of the command line. Returns the
    metrics, named as in `all_results.json`. Raises a `UsageError` if what it is given is not usable.
    """
    options = read_options(sys.argv[1:] if argv is None else argv)
    args = parse_arguments(options)
    set_up_logging(logger, args.training)
    seeds = None if args.run.seeds is None else _open_seeds(args, args.run.seeds)
    resume_point = find_resume_point(args) if seeds is None else ResumePoint()
    with usage_errors(HubError, ValueError):  # before hours of training
        check_tokens(token=args.model.token, hub_token=args.training.hub_token)
        check_seen_by_all(resume_point.folder)
        if not args.run.dry_run:
            open_repository(args.training)
    metrics: dict[str, float] = {}
    if args.run.dry_run:
        _show_dry_run(args, prepare(args))
    elif seeds is not None:
        metrics = _run_seeds(seeds, options, args)
    else:
        metrics = run(args, prepare(args), resume_point, options)
    end_processes()
    return metrics


def _open_seeds(args: Arguments, seeds: list[Any]) -> SeedResults:
    if args.model.overwrite_output_dir:
        check_overwriting(args)
    with usage_errors(ValueError):
        arguments = arguments_of(args) | contents_of(args)
        return SeedResults(args.training, seeds, arguments, args.model.overwrite_output_dir)


def prepare(args: Arguments) -> Prepared:
    """Loads and tokenises the data and builds the augmenter. Checks all of it before a model is loaded."""
    model_args, data_args, augmenter_args, run_args, training_args = args
    submission = run_args.submission_path(training_args.output_dir)
    named = data_args.task_name or data_args.dataset_name
    if named and (ignored := data_args.given_files()):
        options = ", ".join(f"{split}_file" for split in ignored)
        logger.warning("The data is that of %s; ignoring %s, as run_glue.py does.", named, options)
    with usage_errors(ValueError):
        splits = load_splits(data_args, split_names(data_args, training_args), model_args.cache_dir, model_args.token)
        if submission is not None and data_args.task_name == "mnli":
            splits |= load_diagnostics(data_args, model_args.cache_dir, model_args.token)
        column = augmenter_args.column_of_variants() if training_args.do_train else None
        weight_column = training_args.weight_column if training_args.do_train else None
        text_columns = find_text_columns(splits, data_args, column, weight_column)
        if column is not None:
            for split in splits.keys() & {"train", UNLABELED}:
                read = data_args.label_column_name, data_args.where(split), data_args.num_read(split)
                splits[split] = with_variants(splits[split], column, text_columns, *read)
        config = load_config(model_args)
        labels = find_labels(splits, data_args, config)
        name_classes(config, labels, model_args)
        if submission is not None and data_args.task_name is not None:
            check_submission(submission, data_args.task_name, labels.names)
        tokenizer = load_tokenizer(model_args, config, augmenter_args)
        max_length = longest_input(tokenizer, config, model_args, data_args.max_seq_length)
        with training_args.main_process_first(desc="tokenising"):  # the other processes read its cache
            kept = () if column is None or training_args.mmel_loss == "none" else (column, *text_columns)
            inputs = tokenizer, text_columns, max_length
            encoded = encode_splits(splits, data_args, *inputs, labels, kept, weight_column)
        compute_metrics = None
        if training_args.do_eval:
            compute_metrics = build_metrics(data_args, labels, model_args.cache_dir)
            scored = encoded[data_args.task.validation_splits[0]]
            check_best_metric(training_args, compute_metrics, scored, labels.num_outputs)
        if training_args.do_train:
            check_full_batch(training_args, len(encoded["train"]))
            check_separation(training_args, encoded["train"], config)
            # Checks the weights.
            class_weights_of(training_args, encoded["train"], config)
    padding = "max_length" if data_args.pad_to_max_length else "longest"
    collator = DataCollatorWithPadding(tokenizer, padding=padding, max_length=max_length)
    train_dataset: Any = None if run_args.dry_run else encoded.get("train")
    if train_dataset is not None and UNLABELED in encoded:
        train_dataset = ConcatDataset([train_dataset, encoded[UNLABELED]])
    augmenter = build_augmenter(args, config, tokenizer, max_length, train_dataset, text_columns)
    return Prepared(config, labels, tokenizer, max_length, encoded, collator, compute_metrics, augmenter)


def build_augmenter(
    args: Arguments,
    config: PretrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    train_dataset: Any,
    text_columns: tuple[str, ...] = (),
) -> Augmenter | VariantsFromColumn | None:
    """The source of variants, which computes in advance what it needs of `train_dataset`; `None` without variants."""
    loss = args.training.mmel_loss
    if not args.training.do_train or loss == "none":
        return None
    if args.augmenter.augmenter == "none" and args.augmenter.variants_column is None:
        if args.augmenter.adversary() is None:
            logger.warning("Without an augmenter there are no variants, so mmel_loss=%s is plain fine-tuning.", loss)
        return None
    with usage_errors(LookupError, ValueError, TypeError, OSError, ImportError):
        args.augmenter.choose(config)
        columns, name = (text_columns, args.data.delimiter(text_columns)), args.model.model_name_or_path
        augmenter_config = args.augmenter.config(name, max_length, args.model.cache_dir, *columns)
        with args.training.main_process_first(desc="building the augmenter"):
            augmenter = Augmenter.from_dict(augmenter_config, tokenizer)
        if train_dataset is not None:
            augmenter.precompute(train_dataset)
    return augmenter


def build_trainer(
    args: Arguments, prepared: Prepared, model: PreTrainedModel, teacher: PreTrainedModel | None = None
) -> CommandTrainer:
    """The trainer of a run."""
    with usage_errors(ValueError, TypeError, ImportError, RuntimeError):  # loggers and kernels that are not installed
        trainer = CommandTrainer(
            model,
            args.training,
            data_collator=prepared.collator,
            train_dataset=prepared.encoded.get("train"),
            eval_dataset=next(iter(_validation_sets(args, prepared)), None),
            processing_class=prepared.tokenizer,
            compute_metrics=prepared.compute_metrics,
            augmenter=prepared.augmenter,
            adversary=args.augmenter.adversary(),
            teacher=teacher,
            unlabeled_dataset=prepared.encoded.get(UNLABELED),
        )
    # Classification heads return the mean over their batch. `Trainer` assumes that a model that accepts an item count
    # has divided by it, and so multiplies the loss of evaluation, and of training without variants, by the number of
    # accumulation steps and processes (transformers issue 47688).
    trainer.model_accepts_loss_kwargs = False
    return trainer


def _validation_sets(args: Arguments, prepared: Prepared) -> list[datasets.Dataset]:
    """The datasets to evaluate; two for MNLI."""
    return [prepared.encoded[split] for split in args.data.task.validation_splits if split in prepared.encoded]


def run(args: Arguments, prepared: Prepared, resume_point: ResumePoint, options: list[str]) -> dict[str, float]:
    """Trains, evaluates, predicts and pushes with one seed. Records `options`, so that the run can be repeated."""
    training_args, augmenter = args.training, prepared.augmenter
    is_trained = resume_point.metrics is not None
    if training_args.do_train and training_args.should_save and not is_trained:
        record_run(args, options, args.model.overwrite_output_dir and resume_point.folder is None)
        if augmenter is not None:
            write_json(Path(training_args.output_dir) / "augmenter.json", augmenter.to_dict())

    set_seed(training_args.seed)  # before the weights of a new head are drawn
    default_dtype = "float32" if training_args.do_train else "auto"
    model = load_model(args.model, prepared.config, resume_point.folder if is_trained else None, default_dtype)
    if training_args.do_train:
        with usage_errors(ValueError):
            check_weights(training_args, model.dtype)
    trainer = build_trainer(args, prepared, model, None if is_trained else load_teacher(args))
    metrics: dict[str, float] = {}
    if training_args.do_train:
        metrics |= train(args, prepared, trainer, resume_point)
    if training_args.do_eval:
        metrics |= evaluate(args, prepared, trainer)
    if training_args.do_predict:
        predict(args, prepared, trainer)
    if training_args.push_to_hub:
        with usage_errors(HubError):
            push(trainer, args.data, metrics, options)
    release(trainer)
    return metrics


def train(args: Arguments, prepared: Prepared, trainer: MMELTrainer, resume_point: ResumePoint) -> dict[str, float]:
    """Trains, or takes the state and metrics of a finished training run."""
    folder = resume_point.folder
    state = None if folder is None else load_state(Path(folder))
    if state is not None and resume_point.metrics is not None:
        trainer.state = state
        return resume_point.metrics
    with finished_model_kept(trainer), first_step_errors(trainer, 0 if state is None else state.global_step):
        metrics = trainer.train(resume_from_checkpoint=folder).metrics
        metrics["train_samples"] = len(prepared.encoded["train"])
        trainer.save_model(_internal_call=True)  # pushed at the end with its scores, not here
        trainer.save_state()
        trainer.log_metrics("train", metrics)
        if trainer.is_world_process_zero():  # last, as this file marks a training run as finished
            save_metrics(Path(args.training.output_dir), "train", metrics)
    return metrics


def evaluate(args: Arguments, prepared: Prepared, trainer: CommandTrainer) -> dict[str, float]:
    """Scores the validation sets. Names of scores on the second one of MNLI, the mismatched genres, end in `_mm`."""
    metrics: dict[str, float] = {}
    order = {"train_sampling_strategy": "sequential"} if args.run.save_eval_predictions else {}  # not by length
    for dataset, suffix in zip(_validation_sets(args, prepared), ("", "_mm"), strict=False):
        with temporarily(args.training, **order):
            scores = trainer.evaluate(eval_dataset=dataset)
        output = trainer.last_output if args.run.save_eval_predictions and trainer.is_world_process_zero() else None
        if output is not None and output.predictions is not None:
            file = Path(args.training.output_dir) / f"eval_predictions{suffix}.npz"
            save_outputs(file, output.predictions, output.label_ids)
        scores["eval_samples"] = len(dataset)
        metrics |= {name + suffix: value for name, value in scores.items() if not (suffix and name == "epoch")}
    trainer.log_metrics("eval", metrics)
    if trainer.is_world_process_zero():
        save_metrics(Path(args.training.output_dir), "eval", metrics)
    return metrics


def predict(args: Arguments, prepared: Prepared, trainer: MMELTrainer) -> None:
    """
    Predicts the test sets, and writes the predictions to `predict_results_<task>.txt`, with the suffixes `-mm` for the
    second test set of MNLI and `-ax` for its diagnostics, and to the submission, if there is one.
    """
    output_dir, task = args.training.output_dir, args.data.task_name
    outputs = []
    splits = [split for split in (*args.data.task.test_splits, DIAGNOSTICS) if split in prepared.encoded]
    for split, suffix in zip(splits, ("", "-mm", "-ax"), strict=False):
        outputs.append(outputs_of(predict_in_order(trainer, prepared.encoded[split]), prepared.labels))
        if trainer.is_world_process_zero():
            file = Path(output_dir) / f"predict_results_{task or 'custom'}{suffix}.txt"
            write_predictions(file, outputs[-1], prepared.labels)
    submission = args.run.submission_path(output_dir)
    if submission is not None and task is not None and trainer.is_world_process_zero():
        missing = add_to_submission(submission, task, outputs, prepared.labels.names)
        print(f"{submission}: " + (f"not there yet: {', '.join(missing)}" if missing else "all files are there"))


def _run_seeds(seeds: SeedResults, options: list[str], args: Arguments) -> dict[str, float]:
    """Runs the unfinished seeds, each in its own folder. Returns the means and standard deviations over all."""
    prepared = prepare(args) if seeds.unfinished else None

    def run_one(seed: int) -> dict[str, float]:
        assert prepared is not None
        seed_options = [*options, "--seed", str(seed), "--output_dir", str(seeds.folder(seed))]
        with usage_errors(ValueError):
            check_seen_by_all((resume_point := seeds.resume_point(seed)).folder)
        return run(parse_arguments(seed_options), prepared, resume_point, seed_options)

    seeds.run(run_one)
    if args.training.process_index == 0:
        print(*seeds.table(), sep="\n")
    return seeds.summary()


def _show_dry_run(args: Arguments, prepared: Prepared) -> None:
    """Prints what a training run would see and how long it would take."""
    adversary = args.augmenter.adversary() if args.training.mmel_loss != "none" else None
    num_adversarial = 0 if adversary is None else adversary.num_variants
    config, labels, tokenizer, _, encoded, collator, _, augmenter = prepared

    def make_trainer(dataset: datasets.Dataset, augmenter: Any) -> MMELTrainer:
        options = {} if args.model.dtype == "auto" else {"dtype": args.model.dtype or "float32"}
        model = model_without_weights(args.model, config, args.training.device, **options)
        data = {name: rows for name, rows in encoded.items() if name == UNLABELED} | {"train": dataset}
        timed = prepared._replace(encoded=data, augmenter=augmenter)
        return build_trainer(args, timed, model, load_teacher(args))

    with usage_errors(ValueError):
        model = model_without_weights(args.model, config)
        described = args.training, model, tokenizer, encoded, labels, augmenter, collator
        for line in dry_run(*described, make_trainer, num_adversarial):
            if args.training.process_index == 0:
                print(line)


__all__ = ["UsageError", "build_trainer", "main", "parse_arguments", "prepare"]
