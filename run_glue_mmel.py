"""Fine-tune a sequence classifier with MMEL on a GLUE task, a data set of the Hub, or your own files.

    python run_glue_mmel.py --model_name_or_path bert-base-uncased --task_name rte \\
        --do_train --do_eval --mmel_loss soft --num_variants 4 --output_dir outputs/rte

A single .json or .yaml file with the same arguments as keys may stand in their place; `--help` lists them all.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import datasets
import transformers
import yaml
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    HfArgumentParser,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from augment import Augmenter
from hf_mmel import MMELTrainer, MMELTrainingArguments
from hf_mmel.class_weights import class_weights_of
from hf_mmel.command_args import AugmenterArguments, DataArguments, ModelArguments
from hf_mmel.command_metrics import build_metrics, outputs_of, write_predictions
from hf_mmel.distributed import check_seen_by_all, end_training
from hf_mmel.glue_data import encode_splits, find_text_columns
from hf_mmel.hub import HubError, check_tokens, open_repository, push
from hf_mmel.labels import Labels, find_labels
from hf_mmel.private import without_tokens
from hf_mmel.splits import load_splits


logger = logging.getLogger(__name__)


class UsageError(ValueError):
    """Something the user can put right: ends the command with one line instead of a traceback."""


@contextmanager
def usage_errors(*errors: type[Exception]) -> Iterator[None]:
    """What the block refuses of the user's input becomes a `UsageError`."""
    try:
        yield
    except errors as error:
        raise UsageError(str(error)) from error


Arguments = tuple[ModelArguments, DataArguments, AugmenterArguments, MMELTrainingArguments]


def main(argv: list[str] | None = None) -> dict[str, float]:
    """
    Trains, evaluates and predicts as the arguments say.

    Args:
        argv (`list[str]`, *optional*): The arguments, those of the command line by default.

    Returns:
        `dict[str, float]`: the metrics, named as in `all_results.json`.

    Raises:
        `UsageError`: if an argument, the data or the model is not usable.
    """
    options = read_options(sys.argv[1:] if argv is None else argv)
    model_args, data_args, augmenter_args, training_args = parse_arguments(options)
    set_up_logging(training_args)
    checkpoint = find_checkpoint(training_args, model_args.overwrite_output_dir)
    with usage_errors(HubError):  # before hours of training
        check_tokens(token=model_args.token, hub_token=training_args.hub_token)
        open_repository(training_args)

    with usage_errors(ValueError):
        check_seen_by_all(checkpoint)
        wanted = data_args.splits(training_args.do_train, training_args.do_eval, training_args.do_predict)
        splits = load_splits(data_args, wanted, model_args.cache_dir, model_args.token)
        text_columns = find_text_columns(splits, data_args)
        config = load_config(model_args)
        labels = find_labels(splits, data_args, config)
        name_classes(config, labels, model_args)
        tokenizer = load_tokenizer(model_args, config, augmenter_args)
        max_length = longest_input(tokenizer, data_args.max_seq_length)
        with training_args.main_process_first(desc="tokenising"):  # the other processes read its cache
            encoded = encode_splits(splits, data_args, tokenizer, text_columns, max_length, labels)
        compute_metrics = build_metrics(data_args, labels, model_args.cache_dir) if training_args.do_eval else None
        if training_args.do_train:  # refuses what does not fit before anything is computed
            class_weights_of(training_args, encoded["train"], config)
    augmenter = build_augmenter(augmenter_args, training_args, model_args, tokenizer, max_length, encoded.get("train"))

    set_seed(training_args.seed)  # before the new head of the model is drawn
    model = load_model(model_args, config)
    evaluation = [encoded[split] for split in data_args.task.validation_splits if split in encoded]
    padding = "max_length" if data_args.pad_to_max_length else "longest"
    with usage_errors(ValueError, TypeError):
        trainer = MMELTrainer(
            model,
            training_args,
            data_collator=DataCollatorWithPadding(tokenizer, padding=padding, max_length=max_length),
            train_dataset=encoded.get("train"),
            eval_dataset=evaluation[0] if evaluation else None,
            processing_class=tokenizer,
            compute_metrics=compute_metrics,
            augmenter=augmenter,
        )
    # Classification heads return the mean over their batch. Trainer believes that those which accept an item count
    # have divided by it, and so multiplies the loss of evaluation, and of training without variants, by the number of
    # accumulation steps and processes (transformers issue 47688).
    trainer.model_accepts_loss_kwargs = False

    metrics = {}
    if training_args.do_train:
        metrics |= train(trainer, checkpoint)
    if training_args.do_eval:
        metrics |= evaluate_splits(trainer, evaluation)
    if training_args.do_predict:
        tests = [encoded[split] for split in data_args.task.test_splits]
        predict(trainer, tests, data_args.task_name or "custom", labels)
    if training_args.push_to_hub:
        with usage_errors(HubError):
            push(trainer, data_args, metrics, options)
    end_training(trainer)
    return metrics


def read_options(argv: list[str]) -> list[str]:
    """The options as they are, or those of the one .json or .yaml file that stands in their place."""
    if len(argv) == 1 and argv[0].endswith((".json", ".yaml", ".yml")):
        with usage_errors(ValueError, OSError, yaml.YAMLError):
            return options_from_file(Path(argv[0]))
    return argv


def parse_arguments(options: list[str]) -> Arguments:
    """The four groups of arguments."""
    groups = (ModelArguments, DataArguments, AugmenterArguments, MMELTrainingArguments)
    texts = {"description": __doc__.splitlines()[0], "epilog": "Every boolean option has a form --no_NAME as well."}
    parser = HfArgumentParser(groups, **texts, allow_abbrev=False)
    add_negations(parser, groups)
    with usage_errors(ValueError):
        *parsed, rest = parser.parse_args_into_dataclasses(
            options, return_remaining_strings=True, look_for_args_file=False
        )
    if rest:  # without their values, one of which may be a token
        unknown = [name.partition("=")[0] for name in rest if name.startswith("--")]
        what = ", ".join(unknown) or without_tokens(" ".join(rest))
        raise UsageError(f"There is no option {what}; --help lists all of them.")
    training_args = parsed[-1]
    if not (training_args.do_train or training_args.do_eval or training_args.do_predict):
        raise UsageError("There is nothing to do; pass --do_train, --do_eval or --do_predict, or several of them.")
    return tuple(parsed)


def add_negations(parser: HfArgumentParser, groups: tuple[type, ...]) -> None:
    """`--no_x` for every boolean, whose type the parser has resolved; it has one itself for those true by default."""
    for option in (option for group in groups for option in fields(group)):
        if option.init and option.type in (bool, bool | None) and option.default is not True:
            names = f"--no_{option.name}", f"--no-{option.name.replace('_', '-')}"
            parser.add_argument(*names, action="store_false", dest=option.name, help=argparse.SUPPRESS)


def options_from_file(path: Path) -> list[str]:
    """The file's keys and values as options, so that they are converted and checked as on the command line."""
    text = path.read_text(encoding="utf-8")
    arguments = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    if not isinstance(arguments, dict):
        raise ValueError(f"{path} holds a {type(arguments).__name__}; expected arguments as keys with their values.")
    options = []
    for name, value in arguments.items():
        if isinstance(value, list):
            options += [f"--{name}", *map(str, value)]
        elif value is not None:
            options.append(f"--{name}={json.dumps(value) if isinstance(value, dict) else value}")
    return options


def set_up_logging(training_args: MMELTrainingArguments) -> None:
    level = training_args.get_process_log_level()
    logging.basicConfig(format="%(asctime)s - %(levelname)s - %(name)s - %(message)s", stream=sys.stdout)
    logger.setLevel(level)
    datasets.utils.logging.set_verbosity(level)
    transformers.utils.logging.set_verbosity(level)


def find_checkpoint(training_args: MMELTrainingArguments, overwrite: bool) -> str | None:
    """The checkpoint to go on from, if any. A finished model is not overwritten unasked."""
    output_dir, checkpoint = Path(training_args.output_dir), training_args.resume_from_checkpoint
    if not training_args.do_train or overwrite:
        return checkpoint
    if checkpoint is not None and not Path(checkpoint).is_dir():
        raise UsageError(f"resume_from_checkpoint is {checkpoint!r}; expected the folder of a checkpoint.")
    if checkpoint is None and output_dir.is_dir():
        checkpoint = get_last_checkpoint(training_args.output_dir)
        if checkpoint is not None:
            logger.warning("Resuming from %s; to start anew pass --overwrite_output_dir.", checkpoint)
        elif (output_dir / "config.json").exists():
            raise UsageError(
                f"{output_dir} holds a trained model already; choose another --output_dir, or pass "
                "--overwrite_output_dir to train again and replace it."
            )
    return checkpoint


def load_config(model_args: ModelArguments) -> PretrainedConfig:
    with usage_errors(OSError):
        return AutoConfig.from_pretrained(
            model_args.config_name or model_args.model_name_or_path, **model_args.hub_options
        )


def load_tokenizer(
    model_args: ModelArguments, config: PretrainedConfig, augmenter_args: AugmenterArguments
) -> PreTrainedTokenizerBase:
    name = model_args.tokenizer_name or model_args.model_name_or_path
    with usage_errors(OSError):
        tokenizer = AutoTokenizer.from_pretrained(name, **model_args.hub_options)
    if augmenter_args.augmenter != "none" and not tokenizer.is_fast:
        raise UsageError(
            f"{name} has the slow tokenizer {type(tokenizer).__name__}; variants need a fast one. Pass one with "
            "--tokenizer_name, or --augmenter none."
        )
    if tokenizer.pad_token is None:  # decoders; the model has to know as well, to find the end of a padded text
        tokenizer.pad_token = tokenizer.eos_token
        config.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def longest_input(tokenizer: PreTrainedTokenizerBase, max_seq_length: int) -> int:
    """`max_seq_length`, or what the tokenizer says that the model can take, if that is less."""
    if max_seq_length > tokenizer.model_max_length:
        logger.warning(
            "max_seq_length is %d, the model takes %d tokens; using %d.",
            max_seq_length,
            tokenizer.model_max_length,
            tokenizer.model_max_length,
        )
    return min(max_seq_length, tokenizer.model_max_length)


def build_augmenter(
    augmenter_args: AugmenterArguments,
    training_args: MMELTrainingArguments,
    model_args: ModelArguments,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    train_dataset: datasets.Dataset | None,
) -> Augmenter | None:
    """The source of variants, whose configuration goes to `augmenter.json`; `None` where the training needs none."""
    if not training_args.do_train or training_args.mmel_loss == "none":
        return None
    if augmenter_args.augmenter == "none":
        logger.warning(
            "Without an augmenter there are no variants, so mmel_loss=%s is plain fine-tuning.",
            training_args.mmel_loss,
        )
        return None
    with usage_errors(LookupError, ValueError, TypeError, OSError, ImportError):
        config = augmenter_args.config(model_args.model_name_or_path, max_length, model_args.cache_dir)
        with training_args.main_process_first(desc="building the augmenter"):
            augmenter = Augmenter.from_dict(config, tokenizer)
        augmenter.precompute(train_dataset)
    if training_args.should_save:
        path = Path(training_args.output_dir) / "augmenter.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(augmenter.to_dict(), indent=2) + "\n", encoding="utf-8")
    return augmenter


def name_classes(config: PretrainedConfig, labels: Labels, model_args: ModelArguments) -> None:
    """Has the configuration say what the outputs are, and refuses a classifier of another size."""
    is_classifier = any("SequenceClassification" in name for name in config.architectures or [])
    if is_classifier and config.num_labels != labels.num_outputs and not model_args.ignore_mismatched_sizes:
        raise UsageError(
            f"{model_args.model_name_or_path} has a classifier of {config.num_labels} outputs, the data needs "
            f"{labels.num_outputs}; pass --ignore_mismatched_sizes to start from a new classifier."
        )
    config.num_labels, config.problem_type = labels.num_outputs, labels.problem_type
    if labels.names is not None:
        config.id2label = dict(enumerate(labels.names))
        config.label2id = {name: i for i, name in enumerate(labels.names)}


def load_model(model_args: ModelArguments, config: PretrainedConfig) -> PreTrainedModel:
    with usage_errors(OSError, ValueError):
        return AutoModelForSequenceClassification.from_pretrained(
            model_args.model_name_or_path,
            config=config,
            ignore_mismatched_sizes=model_args.ignore_mismatched_sizes,
            **model_args.hub_options,
        )


def train(trainer: MMELTrainer, checkpoint: str | None) -> dict[str, float]:
    metrics = trainer.train(resume_from_checkpoint=checkpoint).metrics
    metrics["train_samples"] = len(trainer.train_dataset)
    trainer.save_model(_internal_call=True)  # pushed at the end with its scores, not here
    trainer.log_metrics("train", metrics)
    trainer.save_metrics("train", metrics)
    trainer.save_state()
    return metrics


def evaluate_splits(trainer: MMELTrainer, evaluation: list[datasets.Dataset]) -> dict[str, float]:
    """Scores each data set; those of MNLI's second one, the mismatched genres, end in `_mm`."""
    metrics = {}
    for dataset, suffix in zip(evaluation, ("", "_mm"), strict=False):
        scores = trainer.evaluate(eval_dataset=dataset)
        scores["eval_samples"] = len(dataset)
        metrics |= {name + suffix: value for name, value in scores.items() if not (suffix and name == "epoch")}
    trainer.log_metrics("eval", metrics)
    trainer.save_metrics("eval", metrics)
    return metrics


def predict(trainer: MMELTrainer, tests: list[datasets.Dataset], task: str, labels: Labels) -> None:
    """Writes the predictions to `predict_results_<task>.txt`, those of MNLI's second test set to that of `mnli-mm`."""
    for dataset, suffix in zip(tests, ("", "-mm"), strict=False):
        outputs = outputs_of(trainer.predict(dataset, metric_key_prefix="predict").predictions, labels)
        if trainer.is_world_process_zero():
            write_predictions(Path(trainer.args.output_dir) / f"predict_results_{task}{suffix}.txt", outputs, labels)


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        sys.exit(f"{Path(__file__).name}: error: {error}")
