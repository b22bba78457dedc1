"""Fine-tune a sequence classifier with MMEL on a GLUE task, a data set of the Hub, or your own files.

    python run_glue_mmel.py --model_name_or_path bert-base-uncased --task_name rte \\
        --do_train --do_eval --mmel_loss soft --num_variants 4 --output_dir outputs/rte

A .json or .yaml file with the same arguments as keys may stand before them or in their place; `--help` lists them all.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import torch
import transformers
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from augment import Augmenter
from hf_mmel import MMELTrainer, MMELTrainingArguments
from hf_mmel.cli.args import AugmenterArguments, DataArguments, ModelArguments
from hf_mmel.cli.arguments import arguments_of, contents_of
from hf_mmel.cli.augmenter import build_augmenter, save_augmenter
from hf_mmel.cli.data import encode_splits, find_text_columns
from hf_mmel.cli.dry_run import dry_run
from hf_mmel.cli.earlier import Earlier, begin, find_earlier, load_state
from hf_mmel.cli.glue_submission import DIAGNOSTICS, add_to_submission, check_submission, load_diagnostics
from hf_mmel.cli.hub import HubError, check_tokens, open_repository, push
from hf_mmel.cli.labels import Labels, find_labels
from hf_mmel.cli.metrics import build_metrics, outputs_of, predict_in_order, write_predictions
from hf_mmel.cli.model import load_config, load_model, load_tokenizer, longest_input, name_classes, shape_of_model
from hf_mmel.cli.options import OptionParser, add_negations, read_options
from hf_mmel.cli.overwriting import check_spared
from hf_mmel.cli.ranges import check_ranges
from hf_mmel.cli.rehearsal import check_best_metric, first_step_errors
from hf_mmel.cli.run_args import RunArguments
from hf_mmel.cli.saving import check_folder_name, file_errors, finished_model_kept, save_metrics
from hf_mmel.cli.seeds import SeedResults
from hf_mmel.cli.splits import load_splits
from hf_mmel.cli.usage import UsageError, run_program, usage_errors
from hf_mmel.distributed import check_seen_by_all, end_processes, release
from hf_mmel.hub.redaction import without_tokens
from hf_mmel.objective.class_weights import class_weights_of


logger = logging.getLogger(__name__)

PROGRAM = "run_glue_mmel.py"  # the name that messages begin with


Arguments = tuple[ModelArguments, DataArguments, AugmenterArguments, RunArguments, MMELTrainingArguments]


class Prepared(NamedTuple):
    """What does not depend on the seed."""

    config: PretrainedConfig
    labels: Labels
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    encoded: dict[str, datasets.Dataset]
    collator: DataCollatorWithPadding
    compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None
    augmenter: Augmenter | None


@file_errors()
def main(argv: list[str] | None = None) -> dict[str, float]:
    """
    Trains, evaluates and predicts as the arguments say.

    Args:
        argv (`list[str]`, *optional*): The arguments, those of the command line by default.

    Returns:
        `dict[str, float]`: the metrics, named as in `all_results.json`.

    Raises:
        `UsageError`: if an argument, the data, the model, or a folder is not usable.
    """
    options = read_options(sys.argv[1:] if argv is None else argv)
    args = parse_arguments(options)
    model_args, *_, run_args, training_args = args
    set_up_logging(training_args)
    seeds = open_seeds(args) if run_args.seeds is not None else None
    earlier = open_training(args) if seeds is None else Earlier()
    with usage_errors(HubError, ValueError):  # before hours of training
        check_tokens(token=model_args.token, hub_token=training_args.hub_token)
        check_seen_by_all(earlier.folder)
        if not run_args.dry_run:
            open_repository(training_args)
    if run_args.dry_run:
        metrics = show_dry_run(args)
    elif seeds is not None:
        metrics = run_seeds(seeds, options, args)
    else:
        metrics = run(args, prepare(args), earlier, options)
    end_processes()
    return metrics


def prepare(args: Arguments) -> Prepared:
    """Loads and tokenises the data and makes the augmenter; all of it is checked before a model is loaded."""
    model_args, data_args, augmenter_args, run_args, training_args = args
    with usage_errors(ValueError):
        wanted = data_args.splits(training_args.do_train, training_args.do_eval, training_args.do_predict)
        splits = load_splits(data_args, wanted, model_args.cache_dir, model_args.token)
        if run_args.glue_submission is not None and data_args.task_name == "mnli":
            splits |= load_diagnostics(data_args, model_args.cache_dir, model_args.token)
        text_columns = find_text_columns(splits, data_args)
        config = load_config(model_args)
        labels = find_labels(splits, data_args, config)
        name_classes(config, labels, model_args)
        if run_args.glue_submission is not None:
            check_submission(run_args.submission_path(training_args.output_dir), data_args.task_name, labels.names)
        tokenizer = load_tokenizer(model_args, config, augmenter_args)
        max_length = longest_input(tokenizer, config, model_args, data_args.max_seq_length)
        with training_args.main_process_first(desc="tokenising"):  # the other processes read its cache
            encoded = encode_splits(splits, data_args, tokenizer, text_columns, max_length, labels)
        compute_metrics = None
        if training_args.do_eval:
            compute_metrics = build_metrics(data_args, labels, model_args.cache_dir)
            scored = encoded[data_args.task.validation_splits[0]]
            check_best_metric(training_args, compute_metrics, scored, labels.num_outputs)
        if training_args.do_train:  # refuses what does not fit before anything is computed
            class_weights_of(training_args, encoded["train"], config)
    padding = "max_length" if data_args.pad_to_max_length else "longest"
    collator = DataCollatorWithPadding(tokenizer, padding=padding, max_length=max_length)
    train_dataset = None if run_args.dry_run else encoded.get("train")  # which a masked LM sees as a whole
    augmenter = build_augmenter(augmenter_args, training_args, model_args, tokenizer, max_length, train_dataset)
    return Prepared(config, labels, tokenizer, max_length, encoded, collator, compute_metrics, augmenter)


def run(args: Arguments, prepared: Prepared, earlier: Earlier, options: list[str]) -> dict[str, float]:
    """Trains, evaluates, predicts and pushes with one seed; `options` are those that the run can be repeated from."""
    model_args, data_args, _, run_args, training_args = args
    config, labels, _, _, encoded, *_, augmenter = prepared
    is_trained = earlier.metrics is not None
    if training_args.do_train and training_args.should_save and not is_trained:
        overwrites = model_args.overwrite_output_dir and earlier.folder is None
        begin(Path(training_args.output_dir), options, contents_of(args), overwrites)
        if augmenter is not None:
            save_augmenter(augmenter, training_args.output_dir)

    set_seed(training_args.seed)  # before the new head of the model is drawn
    trainer = build_trainer(args, prepared, load_model(model_args, config, earlier.folder if is_trained else None))
    evaluation = validation_sets(args, prepared)
    metrics = {}
    if training_args.do_train:
        metrics |= train(trainer, earlier)
    if training_args.do_eval:
        metrics |= evaluate_splits(trainer, evaluation)
    if training_args.do_predict:
        tests = [encoded[split] for split in (*data_args.task.test_splits, DIAGNOSTICS) if split in encoded]
        outputs = predict(trainer, tests, data_args.task_name or "custom", labels)
        if run_args.glue_submission is not None and trainer.is_world_process_zero():
            submit(run_args.submission_path(training_args.output_dir), data_args.task_name, outputs, labels)
    if training_args.push_to_hub:
        with usage_errors(HubError):
            push(trainer, data_args, metrics, options)
    release(trainer)
    return metrics


def build_trainer(args: Arguments, prepared: Prepared, model: PreTrainedModel) -> MMELTrainer:
    """The trainer of a run, which `hf_mmel.report` asks as well."""
    evaluation = validation_sets(args, prepared)
    with usage_errors(ValueError, TypeError, ImportError, RuntimeError):  # loggers and kernels that are not installed
        trainer = MMELTrainer(
            model,
            args[-1],
            data_collator=prepared.collator,
            train_dataset=prepared.encoded.get("train"),
            eval_dataset=evaluation[0] if evaluation else None,
            processing_class=prepared.tokenizer,
            compute_metrics=prepared.compute_metrics,
            augmenter=prepared.augmenter,
            adversary=args[2].adversary(),
        )
    # Classification heads return the mean over their batch. Trainer believes that those which accept an item count
    # have divided by it, and so multiplies the loss of evaluation, and of training without variants, by the number of
    # accumulation steps and processes (transformers issue 47688).
    trainer.model_accepts_loss_kwargs = False
    return trainer


def validation_sets(args: Arguments, prepared: Prepared) -> list[datasets.Dataset]:
    """The data that are evaluated; of MNLI both."""
    return [prepared.encoded[split] for split in args[1].task.validation_splits if split in prepared.encoded]


def open_training(args: Arguments) -> Earlier:
    """Where a training with one seed goes on."""

    def facts(args: Arguments) -> dict[str, Any]:
        return {"seed": args[-1].seed, **arguments_of(args)}

    def facts_of(options: list[str]) -> dict[str, Any]:
        return facts(parse_arguments(options))

    overwrite, training_args = args[0].overwrite_output_dir, args[-1]
    if overwrite and training_args.do_train and training_args.resume_from_checkpoint is None:
        check_spared(args, Path(training_args.output_dir), has_seeds=False)
    contents = contents_of(args) if training_args.do_train else {}
    return find_earlier(training_args, overwrite, facts(args) | contents, facts_of)


def open_seeds(args: Arguments) -> SeedResults:
    """What is known of the seeds to be run."""
    model_args, *_, run_args, training_args = args
    if model_args.overwrite_output_dir:
        check_spared(args, Path(training_args.output_dir), has_seeds=True)
    arguments = arguments_of(args) | contents_of(args)
    with usage_errors(ValueError):
        return SeedResults(training_args, run_args.seeds, arguments, model_args.overwrite_output_dir)


def run_seeds(seeds: SeedResults, options: list[str], args: Arguments) -> dict[str, float]:
    """Runs the seeds that are not finished, each in its own folder; the means and standard deviations of all."""
    prepared = prepare(args) if seeds.unfinished else None

    def run_one(seed: int) -> dict[str, float]:
        of_seed = [*options, "--seed", str(seed), "--output_dir", str(seeds.folder(seed))]
        with usage_errors(ValueError):
            check_seen_by_all((earlier := seeds.earlier(seed)).folder)
        return run(parse_arguments(of_seed), prepared, earlier, of_seed)

    seeds.run(run_one)
    if args[-1].process_index == 0:
        print("\n".join(seeds.table()))
    return seeds.summary()


def show_dry_run(args: Arguments) -> dict[str, float]:
    """Says what a training would see and how long it would be. There are no metrics."""
    prepared = prepare(args)
    model_args, _, augmenter_args, _, training_args = args
    config, labels, tokenizer, _, encoded, collator, _, augmenter = prepared
    adversary = augmenter_args.adversary() if training_args.mmel_loss != "none" else None
    num_adversarial = 0 if adversary is None else adversary.num_variants
    with usage_errors(ValueError):
        model = shape_of_model(model_args, config)
        for line in dry_run(training_args, model, tokenizer, encoded, labels, augmenter, collator, num_adversarial):
            if training_args.process_index == 0:
                print(line)
    return {}


def parse_arguments(options: list[str]) -> Arguments:
    """The groups of arguments."""
    groups = (ModelArguments, DataArguments, AugmenterArguments, RunArguments, MMELTrainingArguments)
    texts = {"description": __doc__.splitlines()[0], "epilog": "Every boolean option has a form --no_NAME as well."}
    parser = OptionParser(groups, **texts, allow_abbrev=False)
    add_negations(parser, groups)
    if parser.parse_known_args(options)[0].dry_run and not torch.cuda.is_available():
        options = [*options, "--use_cpu", "--tf32", "false"]  # what the training needs of a device need not be here
    with usage_errors(Exception):  # TrainingArguments fail in many ways on values that they do not expect
        *parsed, rest = parser.parse_args_into_dataclasses(
            options, return_remaining_strings=True, look_for_args_file=False
        )
    if rest:  # without their values, one of which may be a token
        unknown = [name.partition("=")[0] for name in rest if name.startswith("--")]
        what = ", ".join(unknown) or without_tokens(" ".join(rest))
        raise UsageError(f"There is no option {what}; --help lists all of them.")
    _, data_args, _, run_args, training_args = parsed
    if not (training_args.do_train or training_args.do_eval or training_args.do_predict):
        raise UsageError("There is nothing to do; pass --do_train, --do_eval or --do_predict, or several of them.")
    with usage_errors(ValueError):
        check_ranges(training_args)
        check_folder_name(training_args.output_dir)
        run_args.check(data_args, training_args)
    return tuple(parsed)


def set_up_logging(training_args: MMELTrainingArguments) -> None:
    level = training_args.get_process_log_level()
    logging.basicConfig(format="%(asctime)s - %(levelname)s - %(name)s - %(message)s", stream=sys.stdout)
    logger.setLevel(level)
    logging.getLogger("hf_mmel").setLevel(min(level, logging.WARNING))  # where what ended a run is told at length
    datasets.utils.logging.set_verbosity(level)
    transformers.utils.logging.set_verbosity(level)


def train(trainer: MMELTrainer, earlier: Earlier) -> dict[str, float]:
    """Trains, or takes up what a finished training has left."""
    if earlier.metrics is not None:
        trainer.state = load_state(Path(earlier.folder))
        return earlier.metrics
    begins_at = 0 if earlier.folder is None else load_state(Path(earlier.folder)).global_step
    with finished_model_kept(trainer), first_step_errors(trainer, begins_at):
        metrics = trainer.train(resume_from_checkpoint=earlier.folder).metrics
        metrics["train_samples"] = len(trainer.train_dataset)
        trainer.save_model(_internal_call=True)  # pushed at the end with its scores, not here
        trainer.save_state()
        trainer.log_metrics("train", metrics)
        if trainer.is_world_process_zero():  # last, for it is by this that a training is known to be finished
            save_metrics(Path(trainer.args.output_dir), "train", metrics)
    return metrics


def evaluate_splits(trainer: MMELTrainer, evaluation: list[datasets.Dataset]) -> dict[str, float]:
    """Scores each data set; those of MNLI's second one, the mismatched genres, end in `_mm`."""
    metrics = {}
    for dataset, suffix in zip(evaluation, ("", "_mm"), strict=False):
        scores = trainer.evaluate(eval_dataset=dataset)
        scores["eval_samples"] = len(dataset)
        metrics |= {name + suffix: value for name, value in scores.items() if not (suffix and name == "epoch")}
    trainer.log_metrics("eval", metrics)
    if trainer.is_world_process_zero():
        save_metrics(Path(trainer.args.output_dir), "eval", metrics)
    return metrics


def predict(trainer: MMELTrainer, tests: list[datasets.Dataset], task: str, labels: Labels) -> list[np.ndarray]:
    """
    Writes the predictions to `predict_results_<task>.txt`, those of MNLI's second test set to that of `mnli-mm` and of
    the diagnostics to that of `mnli-ax`. The predictions on each.
    """
    outputs = []
    for dataset, suffix in zip(tests, ("", "-mm", "-ax"), strict=False):
        outputs.append(outputs_of(predict_in_order(trainer, dataset), labels))
        if trainer.is_world_process_zero():
            file = Path(trainer.args.output_dir) / f"predict_results_{task}{suffix}.txt"
            write_predictions(file, outputs[-1], labels)
    return outputs


def submit(path: Path, task: str, outputs: list[np.ndarray], labels: Labels) -> None:
    """Puts the predictions into the zip for the leaderboard, and says what that still lacks."""
    missing = add_to_submission(path, task, outputs, labels.names)
    print(f"{path}: " + (f"not there yet: {', '.join(missing)}" if missing else "all files are there"))


if __name__ == "__main__":
    run_program(main, PROGRAM)
