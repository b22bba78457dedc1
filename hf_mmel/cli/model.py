"""Configuration, tokenizer and model of the command line."""

import logging
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ..hub.redaction import without_tokens
from .arguments import Arguments, AugmenterArguments, ModelArguments
from .errors import UsageError, hub_error_reason, reason_of, usage_errors
from .labels import Labels


logger = logging.getLogger(__name__)

_POSITIONS = ("position_embeddings", "embed_positions", "wpe")  # names of the table of position embeddings
_MAX_LENGTH = 2**31 - 1  # of tokenizers


def _load(kind: str, auto_class: Any, name: str, model_args: ModelArguments, **options: Any) -> Any:
    """Calls `from_pretrained`. Its errors become a `UsageError` of one line that names what is loaded."""
    try:
        return auto_class.from_pretrained(name, **options)
    except Exception as error:  # damaged files raise all kinds of errors
        reason = hub_error_reason(error, model_args.token, model_args.model_revision)
        reason = reason or without_tokens(reason_of(error))
        raise UsageError(f"The {kind} of {name!r} cannot be loaded: {reason}") from error


def load_config(model_args: ModelArguments) -> PretrainedConfig:
    name = model_args.config_name or model_args.model_name_or_path
    return _load("configuration", AutoConfig, name, model_args, **model_args.hub_options)


def load_tokenizer(
    model_args: ModelArguments, config: PretrainedConfig, augmenter_args: AugmenterArguments
) -> PreTrainedTokenizerBase:
    name = model_args.tokenizer_name or model_args.model_name_or_path
    tokenizer = _load("tokenizer", AutoTokenizer, name, model_args, **model_args.hub_options)
    if set(tokenizer.get_vocab().values()) <= set(tokenizer.all_special_ids):  # created without its files
        raise UsageError(f"{name} has no tokenizer; name one that goes with the model with --tokenizer_name.")
    if augmenter_args.augmenter != "none" and not tokenizer.is_fast:
        raise UsageError(
            f"{name} has the slow tokenizer {type(tokenizer).__name__}; variants need a fast one. Pass one with "
            "--tokenizer_name, or --augmenter none."
        )
    if tokenizer.pad_token is None:  # decoders; the model needs the id as well, to find the end of a padded text
        tokenizer.pad_token = tokenizer.eos_token
        config.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def longest_input(
    tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, model_args: ModelArguments, max_seq_length: int
) -> int:
    """The least of `max_seq_length`, the tokenizer's maximum, and the positions that the model has."""
    limit = min(tokenizer.model_max_length, _MAX_LENGTH)
    named = getattr(config, "max_position_embeddings", None)
    if isinstance(named, int) and min(max_seq_length, limit) > named - 1 - (config.pad_token_id or 0):
        limit = min(limit, _num_positions(model_args, config) or limit)
    if max_seq_length > limit:
        logger.warning("max_seq_length is %d, the model takes %d tokens; using %d.", max_seq_length, limit, limit)
    return min(max_seq_length, limit)


def _num_positions(model_args: ModelArguments, config: PretrainedConfig) -> int | None:
    """The tokens that a model has positions for; `None` if it has no table of them, whatever its config says."""
    try:
        modules = model_without_weights(model_args, config).named_modules()
    except Exception:  # of a model's own code, which may need its weights
        return None
    tables = [table for name, table in modules if name.rpartition(".")[2] in _POSITIONS]
    tables = [table for table in tables if isinstance(table, torch.nn.Embedding)]
    # RoBERTa counts positions from the one after that of padding.
    sizes = [table.num_embeddings - (-1 if table.padding_idx is None else table.padding_idx) - 1 for table in tables]
    named = [config.max_position_embeddings] if config.max_position_embeddings > 0 else []
    return min([*sizes, *named]) if sizes else None


def name_classes(config: PretrainedConfig, labels: Labels, model_args: ModelArguments) -> None:
    """Writes the outputs to the configuration. Refuses a classifier of another size."""
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


def load_model(
    model_args: ModelArguments, config: PretrainedConfig, trained: str | None = None, default_dtype: str = "float32"
) -> PreTrainedModel:
    """
    The classifier, with the weights of the folder `trained` if it is given. They have the type that the arguments ask
    for, else `default_dtype`; "auto" is the type that they are stored in.
    """
    name = trained or model_args.model_name_or_path
    options = {"config": config, "ignore_mismatched_sizes": model_args.ignore_mismatched_sizes}
    options |= {} if trained else model_args.hub_options
    dtype, stored = model_args.dtype or default_dtype, str(config.dtype).removeprefix("torch.")
    if trained is None and model_args.dtype is None and dtype == "float32" and stored in ("float16", "bfloat16"):
        logger.warning("%s is stored in %s; training float32 weights. Pass --dtype for another type.", name, stored)
    model = _load("model", AutoModelForSequenceClassification, name, model_args, dtype=dtype, **options)
    model.config.name_or_path = model_args.model_name_or_path  # the base model of the model card
    return model


def load_teacher(args: Arguments) -> PreTrainedModel | None:
    """
    The trained classifier that predicts the soft labels, in the type that it is stored in; `None` if training
    does not need it. Raises a `UsageError` if it cannot be loaded, or if its classifier is not trained.
    """
    name = args.model.teacher_model_name_or_path
    if name is None or not args.training.do_train or args.training.mmel_loss != "soft":
        return None
    options = {**args.model.hub_options, "revision": "main"}  # model_revision is that of the model
    options |= {"dtype": "auto", "output_loading_info": True}
    teacher, info = _load("teacher", AutoModelForSequenceClassification, name, args.model, **options)
    if missing := sorted(info["missing_keys"]):
        raise UsageError(
            f"The teacher {name!r} has no weights named {missing[0]}, which would be random; expected a trained "
            "classifier, such as the output_dir of a training run."
        )
    return teacher


def model_without_weights(
    model_args: ModelArguments, config: PretrainedConfig, device: torch.device | str = "meta", **options: Any
) -> PreTrainedModel:
    """The classifier with random weights, or, on the meta device, without any: there it takes no memory."""
    options["trust_remote_code"] = model_args.trust_remote_code
    with usage_errors(ValueError), torch.device(device):
        return AutoModelForSequenceClassification.from_config(config, **options)
