"""Checks of arguments, model and data that refuse, before training starts, what would fail in the middle of it."""

import inspect
from collections.abc import Mapping
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from torch.utils.data import IterableDataset
from transformers import PretrainedConfig, PreTrainedTokenizerBase, TrainingArguments

from .data.group_collator import check_is_object, how_to_read
from .data.groups import IGNORE_INDEX, LABEL_COLUMNS, POSITIONS, are_of_tokens
from .objective.class_weights import first_row, no_classes
from .step.adversarial import AdversarialVariants
from .step.representations import classifier_of
from .training_args import MMELTrainingArguments


def check_given(augmenter: Any, variant_collator: Any, train_dataset: Any, tokenizer: Any) -> None:
    """
    Raises a `ValueError` if there are two sources of variants, and a `TypeError` if `train_dataset` is a dictionary of
    splits or makes batches itself, or if a `tokenizer` is given, as in earlier versions of transformers.
    """
    if augmenter is not None and variant_collator is not None:
        raise ValueError(
            f"Both an augmenter and a {type(variant_collator).__name__} are given; the collator has an augmenter "
            "already."
        )
    if tokenizer is not None:
        raise TypeError(
            "The argument tokenizer is given, which transformers 5 removed; pass processing_class=tokenizer instead."
        )
    if isinstance(train_dataset, Mapping):
        raise TypeError(
            f"train_dataset is a {type(train_dataset).__name__} with the keys {', '.join(map(str, train_dataset))}; "
            "expected one data set, such as train_dataset=dataset['train']."
        )
    has_rows = train_dataset is None or hasattr(train_dataset, "__getitem__")
    if augmenter is not None and not has_rows and not isinstance(train_dataset, IterableDataset):
        raise TypeError(
            f"train_dataset is a {type(train_dataset).__name__}, which makes its batches itself, without variants. "
            "With Ray Data, pass a VariantCollator as data_collator in place of the augmenter, and call it in the "
            "collate_fn of iter_torch_batches."
        )


def check_objective(
    args: TrainingArguments,
    compute_loss_func: Any,
    adversary: Any,
    is_sharded: bool,
    config: PretrainedConfig | None = None,
) -> None:
    """
    Raises a `TypeError` or a `ValueError` if the arguments do not say how groups are trained on, or do not go together
    with an adversary, a sharded model, or the model's configuration.
    """
    if not isinstance(args, MMELTrainingArguments):
        raise TypeError(
            f"args is a {type(args).__name__}, which has no fields for the objective; to train on variants pass "
            "hf_mmel.MMELTrainingArguments (the same fields and mmel_loss, lambda_p, lambda_t, num_variants)."
        )
    args.check_objective()
    if compute_loss_func is not None and args.class_weights is not None:
        raise ValueError(
            "Both compute_loss_func and class_weights are given; weigh the classes in compute_loss_func, or leave it "
            "out."
        )
    problem_type, num_labels = (getattr(config, name, None) for name in ("problem_type", "num_labels"))
    is_regression = problem_type == "regression" or (problem_type is None and num_labels == 1)
    if args.min_label_probability is not None and is_regression:
        raise ValueError(
            f"min_label_probability is {args.min_label_probability}, but the labels are numbers, which have no "
            "probability; leave it out."
        )
    if is_regression and args.mmel_loss == "soft" and args.soft_label_temperature != 1:
        raise ValueError(
            f"soft_label_temperature is {args.soft_label_temperature}, but the labels are numbers, whose predictions "
            "have no probabilities; leave it out."
        )
    if is_sharded and (args.mmel_loss, args.soft_labels) == ("soft", "ema"):
        raise ValueError(
            "soft_labels is 'ema', the average of whole weights, which FSDP and DeepSpeed shard; take 'self' or "
            "'teacher', or train without them."
        )
    if is_sharded and args.scoring_compile:
        raise ValueError(
            "scoring_compile is set, but FSDP and DeepSpeed gather the weights during each forward pass; leave it out."
        )
    if args.needs_class_probabilities and (is_regression or problem_type == "multi_label_classification"):
        raise ValueError(
            f"unlabeled_loss is {args.unlabeled_loss!r} and training_signal_annealing "
            f"{args.training_signal_annealing!r}, but the model does not predict one class; expected 'divergence' and "
            "'none'."
        )
    for name, stock in (("variant_chunk_size", None), ("score_interval", 1)):
        if is_sharded and args.mmel_loss != "none" and getattr(args, name) != stock:
            raise ValueError(
                f"{name} is {getattr(args, name)}, but under FSDP and DeepSpeed all processes have to make the same "
                "number of forward passes; leave it out. To save memory take smaller batches with gradient "
                "accumulation."
            )
    if adversary is None:
        return
    check_is_object("adversary", adversary)
    if not isinstance(adversary, AdversarialVariants):
        raise TypeError(f"adversary is a {type(adversary).__name__}; expected hf_mmel.AdversarialVariants.")
    if args.score_interval > 1:
        raise ValueError(
            f"score_interval is {args.score_interval}, but adversarial variants are made anew in every step, and have "
            "no earlier scores; expected an interval of 1."
        )
    if is_sharded or args.n_gpu > 1:
        raise ValueError(
            "Adversarial variants need the whole model in every process; train without FSDP and DeepSpeed, and with "
            "a process for each GPU (accelerate launch) instead of DataParallel."
        )
    if args.mmel_loss == "soft" and not adversary.random_start:
        raise ValueError(
            "random_start is False, but with mmel_loss='soft' the divergence has no gradient at the original; "
            "expected a random start."
        )


def check_separation(args: TrainingArguments, dataset: Any, config: Any, model: Any = None) -> None:
    """
    Raises a `ValueError` if `feature_separation` is given, but the labels are not one class for each example, the
    model has no linear layer onto classes, or `DataParallel` would split the batch.
    """
    given = getattr(args, "feature_separation", 0)
    if not given:
        return
    row, found = first_row(dataset), no_classes(dataset, config)
    if "input_ids" in row and any(are_of_tokens(row.get(name), row["input_ids"]) for name in LABEL_COLUMNS):
        found = "the labels are those of tokens"
    if found:
        raise ValueError(
            f"feature_separation is {given}, but {found}; it is for one class for each text or image. Set it to 0."
        )
    if args.n_gpu > 1:
        raise ValueError(
            f"feature_separation is {given}, but DataParallel splits a batch, whose rows are to be compared; train "
            "with a process for each GPU (accelerate launch)."
        )
    if model is not None:
        classifier_of(model)


def no_groups_in(trainer: type, error: Exception) -> TypeError:
    """The error for a subclass whose `compute_loss` failed on a batch of groups by itself."""
    return TypeError(
        f"{trainer.__name__}.compute_loss failed on a batch of groups, whose inputs have a variant axis: "
        f"{error!s:.200} Leave the batch to super().compute_loss(model, inputs, return_outputs, num_items_in_batch), "
        "and change what it returns. To weigh classes, set class_weights; for another loss, pass "
        "compute_loss_func(outputs, labels, num_items_in_batch) to the trainer."
    )


def check_label_names(args: TrainingArguments, model: Any, eval_dataset: Any, data_collator: Any) -> None:
    """
    Raises a `ValueError` if `label_names` has a name that is neither a column of an evaluation dataset nor an input of
    the model: `Trainer` would leave out loss and metrics of the evaluation without a word. Datasets whose columns are
    not stored, and collators of your own, are not looked into.
    """
    if not args.label_names or not getattr(data_collator, "__module__", "").startswith("transformers."):
        return
    # PEFT wraps a model in a forward that names no inputs.
    forward = getattr(model, "get_base_model", lambda: model)().forward
    inputs = inspect.signature(forward).parameters
    for dataset in eval_dataset.values() if isinstance(eval_dataset, dict) else [eval_dataset]:
        columns = set(dataset.column_names) - {"label", "label_ids"} if _is_stored(dataset) else set(args.label_names)
        missing = [name for name in args.label_names if name not in columns and name not in inputs]
        if missing:
            raise ValueError(
                f"label_names is {args.label_names}, but neither eval_dataset nor the model has {missing[0]!r}, so "
                "that an evaluation would have no loss and no metrics. label_names are the inputs that hold labels, "
                "'labels' for most models, not the names of classes; leave it out to take those of the model."
            )


def check_interval(args: TrainingArguments, epochs_per_draw: int | None) -> None:
    """
    Raises a `ValueError` if scores were to be kept longer or shorter than variants, which are drawn anew every
    `epochs_per_draw` epochs; `None` where nothing tells when.
    """
    interval = getattr(args, "score_interval", 1)
    if epochs_per_draw is None and interval > 1 and getattr(args, "mmel_loss", "none") != "none":
        raise ValueError(
            f"score_interval is {interval}, but nothing tells when variants change; expected an augmenter or a "
            "VariantCollator, or an interval of 1."
        )
    if epochs_per_draw not in (None, interval):
        raise ValueError(
            f"score_interval is {interval}, but the epochs_per_draw of the VariantCollator is {epochs_per_draw}; "
            "expected the same: scores hold as long as variants are kept."
        )


def check_vocabulary(model: Any, tokenizer: Any, name: str = "model") -> None:
    """Raises a `ValueError` if the tokenizer has ids for which the model, called by this name, has no embedding."""
    if not isinstance(tokenizer, PreTrainedTokenizerBase) or not hasattr(model, "get_input_embeddings"):
        return  # some models of images have no embeddings to ask for
    num_embeddings = getattr(model.get_input_embeddings(), "num_embeddings", None)
    if num_embeddings is not None and len(tokenizer) > num_embeddings:
        raise ValueError(
            f"The tokenizer has {len(tokenizer)} tokens, the {name} {num_embeddings} embeddings: they do not belong "
            f"together. Load both from the same checkpoint, or call {name}.resize_token_embeddings(len(tokenizer))."
        )


def _is_stored(dataset: Any) -> bool:
    """Whether the columns of a data set are those of its rows: a transform makes others as they are read."""
    return isinstance(dataset, datasets.Dataset) and dataset.format["type"] != "custom"


def check_datasets(
    train_dataset: Any, eval_dataset: Any, main_input_name: str, config: Any, args: MMELTrainingArguments
) -> None:
    """
    Raises a `ValueError` if the training data, or those of an evaluation during training, lack the column to be
    varied, or if their labels do not fit the model, see `check_labels`. `eval_dataset` may be a dictionary.
    """
    named = {"train_dataset": train_dataset}
    if eval_dataset is not None and (args.eval_strategy != "no" or args.eval_on_start):
        if isinstance(eval_dataset, Mapping):
            named |= {f"eval_dataset[{key!r}]": dataset for key, dataset in eval_dataset.items()}
        else:
            named["eval_dataset"] = eval_dataset
    for name, dataset in named.items():
        columns = _columns_of(dataset)
        if columns is not None and main_input_name not in columns:
            raise ValueError(
                f"{name} has the columns {columns}; expected {main_input_name} among them. "
                f"{how_to_read(main_input_name)}"
            )
        # An evaluation without labels has no loss, but may have metrics of its own, as in question answering.
        has_labels = columns is None or not {*LABEL_COLUMNS, *POSITIONS}.isdisjoint(columns)
        if has_labels or dataset is train_dataset:
            check_labels(dataset, config, args.label_smoothing_factor, name)


def _columns_of(dataset: Any) -> list[str] | None:
    """The columns of a data set as far as they are known without reading it, or those of a list's first row."""
    if _is_stored(dataset):
        return dataset.column_names
    return list(dataset[0]) if isinstance(dataset, list) and dataset and isinstance(dataset[0], Mapping) else None


def check_labels(
    dataset: Any, config: PretrainedConfig | None, label_smoothing: float = 0.0, dataset_name: str = "train_dataset"
) -> None:
    """
    Raises a `ValueError` that names the first row of a `datasets.Dataset` whose label is missing, text, not finite, or
    not one of the classes: below `config.num_labels`, or below the number of choices in multiple choice. Answers of
    question answering are to lie in the row. Other kinds of data sets, and rows that a transform makes, are not read
    ahead.
    """
    if not _is_stored(dataset):
        return
    if all(name in dataset.column_names for name in POSITIONS):
        _check_answers(dataset, dataset_name)
        if label_smoothing:
            raise ValueError(
                f"label_smoothing_factor is {label_smoothing}, which the places of answers have no use for; set it "
                "to 0."
            )
        return
    name = next((name for name in LABEL_COLUMNS if name in dataset.column_names), None)
    if name is None:
        raise ValueError(
            f"{dataset_name} has the columns {dataset.column_names}; expected one named {' or '.join(LABEL_COLUMNS)}."
        )
    columns = [column for column in (name, "input_ids") if column in dataset.column_names]
    arrow = dataset.select_columns(columns).with_format("arrow")[:]
    labels, ids = arrow[name], arrow["input_ids"] if "input_ids" in columns else None
    if (row := _first(pc.is_null(labels), True)) is not None:
        raise ValueError(f"Row {row} of {dataset_name} has no {name}; remove the row or give it one.")
    kind = labels.type.value_type if _is_list(labels.type) else labels.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        numbers = f"the number of a class: encode all splits at once, dataset = dataset.class_encode_column({name!r})."
        if kind != labels.type:
            numbers = "numbers: 0 or 1 for each class of a text, or a class for each token."
        raise ValueError(
            f"Row 0 of {dataset_name} has the {name} {labels[0].as_py()!r:.80}, which is text; expected {numbers}"
        )
    if pa.types.is_floating(labels.type) and (row := _first(pc.is_finite(labels), False)) is not None:
        raise ValueError(f"Row {row} of {dataset_name} has the {name} {labels[row]}; expected a finite number.")
    num_labels, classes, rows = getattr(config, "num_labels", 1), "num_labels", None
    if _is_list(labels.type) and pa.types.is_integer(labels.type.value_type):
        if ids is None or getattr(config, "problem_type", None) == "multi_label_classification":
            return
        _check_lengths(labels, ids, name, dataset_name)
        rows, labels = pc.list_parent_indices(labels), pc.list_flatten(labels)
    elif ids is not None and _is_list(ids.type) and _is_list(ids.type.value_type) and len(ids):
        num_labels, classes = len(ids[0]), "choices"
    if pa.types.is_integer(labels.type) and num_labels > 1:
        in_range = pc.and_(pc.greater_equal(labels, 0), pc.less(labels, num_labels))
        place = _first(pc.or_(in_range, pc.equal(labels, IGNORE_INDEX)), False)
        if place is not None:
            row = place if rows is None else rows[place]
            raise ValueError(
                f"Row {row} of {dataset_name} has the {name} {labels[place]}; there are {num_labels} {classes}, "
                f"so expected 0 to {num_labels - 1}. Correct the label, or load the model with more labels."
            )


def _check_lengths(labels: pa.ChunkedArray, ids: pa.ChunkedArray, name: str, dataset_name: str) -> None:
    """Refuses labels of tokens that are not as many as the tokens, or that lack one."""
    num_labels, num_tokens = pc.list_value_length(labels), pc.list_value_length(ids)
    if pc.all(pc.equal(num_labels, 1)).as_py():  # one for each text, though in a list
        return
    if (row := _first(pc.equal(num_labels, num_tokens), False)) is not None:
        raise ValueError(
            f"Row {row} of {dataset_name} has {num_labels[row]} {name} for {num_tokens[row]} tokens; expected one for "
            "each of its input_ids, with -100 for special tokens and for the pieces of a word after its first."
        )
    if (place := _first(pc.is_null(pc.list_flatten(labels)), True)) is not None:
        row = pc.list_parent_indices(labels)[place]
        raise ValueError(f"Row {row} of {dataset_name} has {name} without a value; give each token one, or -100.")


def _check_answers(dataset: datasets.Dataset, dataset_name: str) -> None:
    arrow = dataset.select_columns([*POSITIONS, "input_ids"]).with_format("arrow")[:]
    start, end, length = *(arrow[name] for name in POSITIONS), pc.list_value_length(arrow["input_ids"])
    in_row = pc.and_(pc.less_equal(0, start), pc.and_(pc.less_equal(start, end), pc.less(end, length)))
    if (row := _first(pc.fill_null(in_row, False), False)) is not None:
        raise ValueError(
            f"Row {row} of {dataset_name} has {length[row]} tokens and an answer from {start[row]} to "
            f"{end[row]}; expected start_positions <= end_positions, both places in its input_ids. Where the text "
            "does not hold the answer, have both point to the first token."
        )


def _first(mask: pa.ChunkedArray, value: bool) -> int | None:
    """The first place at which a mask has a value; `None` if it has it nowhere."""
    place = pc.index(mask, value).as_py()
    return None if place < 0 else place


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
