"""Configuration, tokenizer and model of the command line."""

from __future__ import annotations

import logging

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from .args import AugmenterArguments, ModelArguments
from .hub_errors import errors_of_loading
from .labels import Labels
from .usage import UsageError, usage_errors


logger = logging.getLogger(__name__)


def load_config(model_args: ModelArguments) -> PretrainedConfig:
    name = model_args.config_name or model_args.model_name_or_path
    with errors_of_loading("configuration", name, model_args):
        return AutoConfig.from_pretrained(name, **model_args.hub_options)


def load_tokenizer(
    model_args: ModelArguments, config: PretrainedConfig, augmenter_args: AugmenterArguments
) -> PreTrainedTokenizerBase:
    name = model_args.tokenizer_name or model_args.model_name_or_path
    with errors_of_loading("tokenizer", name, model_args):
        tokenizer = AutoTokenizer.from_pretrained(name, **model_args.hub_options)
    if set(tokenizer.get_vocab().values()) <= set(tokenizer.all_special_ids):  # made without its files
        raise UsageError(f"{name} has no tokenizer; name one that goes with the model with --tokenizer_name.")
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


def load_model(model_args: ModelArguments, config: PretrainedConfig, trained: str | None = None) -> PreTrainedModel:
    """The classifier, with the weights of the folder `trained`, where that is given."""
    options = model_args.hub_options if trained is None else {}
    with errors_of_loading("model", trained or model_args.model_name_or_path, model_args):
        model = AutoModelForSequenceClassification.from_pretrained(
            trained or model_args.model_name_or_path,
            config=config,
            ignore_mismatched_sizes=model_args.ignore_mismatched_sizes,
            **options,
        )
    model.config.name_or_path = model_args.model_name_or_path  # what it was made of, which the model card tells
    return model


def shape_of_model(model_args: ModelArguments, config: PretrainedConfig) -> PreTrainedModel:
    """The classifier without weights, on the meta device, where it takes no memory."""
    with usage_errors(ValueError), torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config, trust_remote_code=model_args.trust_remote_code)
