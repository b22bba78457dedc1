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

_POSITIONS = ("position_embeddings", "embed_positions", "wpe")  # what models call the table of them
_MAX_LENGTH = 2**31 - 1  # of tokenizers


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


def longest_input(
    tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, model_args: ModelArguments, max_seq_length: int
) -> int:
    """`max_seq_length`, or what the tokenizer says that the model can take, or what it has positions for."""
    limit = min(tokenizer.model_max_length, _MAX_LENGTH)
    named = getattr(config, "max_position_embeddings", None)
    if isinstance(named, int) and min(max_seq_length, limit) > named - 1 - (config.pad_token_id or 0):
        limit = min(limit, num_positions(model_args, config) or limit)
    if max_seq_length > limit:
        logger.warning("max_seq_length is %d, the model takes %d tokens; using %d.", max_seq_length, limit, limit)
    return min(max_seq_length, limit)


def num_positions(model_args: ModelArguments, config: PretrainedConfig) -> int | None:
    """
    The tokens that a model has positions for, in a table of its own. `None` for one whose positions are relative or
    are computed, whatever its configuration says.
    """
    try:
        modules = shape_of_model(model_args, config).named_modules()
    except Exception:  # of a model's own code, which may need weights that are there
        return None
    tables = [table for name, table in modules if name.rpartition(".")[2] in _POSITIONS]
    tables = [table for table in tables if isinstance(table, torch.nn.Embedding)]
    # RoBERTa counts from the place after that of padding; others leave places at the beginning, too.
    sizes = [table.num_embeddings - (-1 if table.padding_idx is None else table.padding_idx) - 1 for table in tables]
    named = [config.max_position_embeddings] if config.max_position_embeddings > 0 else []
    return min([*sizes, *named]) if sizes else None


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
