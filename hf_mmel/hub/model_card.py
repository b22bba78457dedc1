"""The model card: how a model was trained with MMEL, for its readers and for the Hub."""

import io
import json
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import Trainer, TrainingArguments
from transformers.modelcard import TrainingSummary, make_markdown_table

from ..data.group_collator import GroupCollator
from ..step.adversarial import AdversarialVariants
from ..training_args import MMELTrainingArguments
from ..version import __version__
from .redaction import plain_config, without_tokens


logger = logging.getLogger(__name__)

CARD, PICTURE = "README.md", "mmel_weights.svg"
TAGS = ["mmel", "data-augmentation"]
METRIC_IDS = {"pearson": "pearsonr"}  # scores whose metric has another name on the Hub
PACKAGES = ("transformers", "torch", "datasets", "tokenizers")
NOT_SCORES = ("runtime", "samples_per_second", "steps_per_second", "samples", "model_preparation_time")
CURVES = {"Largest weight": "mmel/max_weight", "Effective number of variants": "mmel/effective_num_variants"}
MAX_MARKERS = 40  # a curve with more points is drawn without markers

METHODS = {
    "hard": "MMEL-H    w_iv = softmax_v( ℓ_iv / λ_P )    L_i = Σ_v w_iv ℓ_iv",
    "soft": "MMEL-S    w_ik = softmax_k( d_ik / λ_P )    L_i = ℓ_i0 + λ_T Σ_k w_ik d_ik",
    "uniform": "uniform augmentation    L_i = mean_v ℓ_iv",
}
SETTINGS = {
    "mmel_loss": "objective",
    "lambda_p": "λ_P, regularisation strength; larger is closer to uniform weights",
    "effective_num_variants": "perplexity of the weights of each example, for which λ_P is solved",
    "reweighting_warmup": "share of training with uniform weights, after which those of the objective grow in",
    "lambda_t": "λ_T, weight of the divergence term",
    "lambda_t_warmup": "share of training over which λ_T grows from 0",
    "num_variants": "K, augmented variants per example",
    "reweight_original": "whether the original is one of the weighted variants",
    "soft_label_gradient": "whether the prediction on the original gets a gradient",
    "soft_labels": "which model predicts on the original",
    "ema_decay": "decay of the average of the weights",
    "soft_label_temperature": "temperature of the predictions on the originals",
    "variant_backward": "variants that are trained on",
    "variant_backward_count": "number of these variants per example",
    "score_interval": "epochs for which variants and their scores are reused",
    "variant_chunk_size": "variants per example in memory at once",
    "scoring_dropout": "dropout while variants are scored",
    "scoring_bf16": "bfloat16 while variants are scored",
    "min_label_probability": "minimum probability of the label for a variant to be used",
    "class_weights": "class weights",
    "weight_column": "column of the training set with the weights of the examples",
    "feature_separation": "factor of the term that separates classes in the representations",
    "unlabeled_loss": "loss of the unlabelled examples",
    "unlabeled_ratio": "unlabelled examples per labelled one",
    "lambda_u": "λ_U, weight of the unlabelled examples",
    "confidence_threshold": "least class probability of an unlabelled example that counts",
    "training_signal_annealing": "schedule by which examples with probable labels are left out",
}
_UNLABELED = ("unlabeled_loss", "unlabeled_ratio", "lambda_u", "confidence_threshold")
Scores = dict[str, dict[str, float]]  # by split


class Data(NamedTuple):
    """The data, as a card names them."""

    name: str | None  # for readers
    tags: list[str]  # addresses on the Hub
    config: str | None
    split: str  # of the latest evaluation


def write_model_card(
    trainer: Trainer,
    collator: GroupCollator | None,
    adversary: AdversarialVariants | None,
    *,
    dataset: str | list[str] | None = None,
    dataset_tags: str | list[str] | None = None,
    dataset_args: str | list[str] | None = None,
    tags: str | list[str] | None = None,
    scores: Scores | None = None,
    command: str | None = None,
    **stock_options,
) -> None:
    """
    Writes the card to the trainer's output folder, and with matplotlib a picture of the weights, if any were logged.
    `collator` and `adversary` make the variants; the options are those of `MMELTrainer.create_model_card`.
    """
    args: Any = trainer.args
    folder = Path(args.output_dir)
    previous = ModelCard.load(folder / CARD).data if (folder / CARD).exists() else ModelCardData()
    is_trained = trainer.state.global_step > 0
    log = trainer.state.log_history
    curves = {title: {logs["step"]: logs[name] for logs in log if name in logs} for title, name in CURVES.items()}
    curves = curves if all(curves.values()) else {}
    has_variants = is_trained and (collator is not None or bool(curves))  # groups may come with the data
    all_tags = [*_as_list(tags), *_as_list(args.hub_tags), *(previous.tags or []), *TAGS * has_variants]
    stock_options |= {"tags": list(dict.fromkeys(all_tags))}
    # The stock summary would use the file format of a dataset as its name, so it does not get the dataset.
    stock_options |= {"dataset_tags": [], "dataset_args": [], "dataset_metadata": []}
    summary = TrainingSummary.from_trainer(trainer, **stock_options)
    data = _describe_data(trainer, _as_list(dataset), _as_list(dataset_tags), _as_list(dataset_args))
    if scores is None:
        evaluations = [logs for logs in log if "eval_loss" in logs]
        scores = {data.split: evaluations[-1]} if evaluations else {}
    scores = {split: scores_of(metrics) for split, metrics in scores.items()}
    num_variants = sum(source.num_variants for source in (collator, adversary) if source is not None)
    settings = objective_settings(args, num_variants, log) if has_variants else {}
    hyperparameters = {**(summary.hyperparameters or {}), **_optimizer(args)}
    has_picture = bool(curves) and save_picture(folder / PICTURE, curves)
    metadata = _metadata(summary, data, scores)
    card = ModelCard.from_template(
        metadata,
        template_str=Path(__file__).with_name("model_card.md.jinja").read_text(encoding="utf-8"),
        table=lambda rows: make_markdown_table(rows).rstrip(),
        name=summary.model_name,
        base=metadata.base_model,
        model_class=type(trainer.model).__name__,
        data=data,
        is_trained=is_trained,
        has_variants=has_variants,
        results=[
            {"Split": split, "Metric": _title(name), "Value": value}
            for split, values in scores.items()
            for name, value in values.items()
        ],
        has_parts=any(map(_is_part, scores)),
        formula=METHODS.get(args.mmel_loss),
        settings=[{"Argument": f"`{k}`", "Value": f"`{v}`", "Meaning": SETTINGS[k]} for k, v in settings.items()],
        augmenter=_describe(collator and collator.augmenter),
        adversary=_describe(adversary),
        picture=PICTURE if has_picture else None,
        num_weighted=settings["num_variants"] + settings["reweight_original"] if "num_variants" in settings else None,
        hyperparameters=[{"Hyperparameter": name, "Value": value} for name, value in hyperparameters.items()],
        evaluations=summary.eval_lines,
        command=command,
        versions={"hf_mmel": __version__, **{package: version(package) for package in PACKAGES}},
    )
    ModelCard(f"{without_tokens(card.content)}\n").save(folder / CARD)
    if previous.get("library_name") == "peft":  # PEFT adds to the card what it wants there
        trainer.accelerator.unwrap_model(trainer.model).create_or_update_model_card(args.output_dir)


def scores_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """
    The scores among the metrics of an evaluation, without the prefix `eval_`. Times, counts, and what is not finite
    are left out. The loss comes last.
    """
    values = {name.removeprefix("eval_"): value for name, value in metrics.items() if name.startswith("eval_")}
    scores = {
        name: float(value)
        for name, value in values.items()
        if not name.endswith(NOT_SCORES) and isinstance(value, int | float) and math.isfinite(value)
    }
    return dict(sorted(scores.items(), key=lambda score: score[0] == "loss"))


def objective_settings(
    args: MMELTrainingArguments, num_variants: int, log: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """
    The arguments of the objective, without those that had no effect. `num_variants` is the number per example from
    collator and adversary; 0 if they came with the data. The log tells whether there were unlabelled examples.
    """
    is_soft, reweights, is_partial = (
        args.mmel_loss == "soft",
        args.mmel_loss != "uniform",
        args.variant_backward != "full",
    )
    has_scoring = is_partial or args.variant_chunk_size is not None  # groups that exceed a chunk are scored
    has_effect = {
        "lambda_p": reweights and args.effective_num_variants is None,
        "effective_num_variants": reweights,
        "reweighting_warmup": reweights and args.reweighting_warmup > 0,
        **dict.fromkeys(("lambda_t", "soft_label_gradient"), is_soft),
        "lambda_t_warmup": is_soft and args.lambda_t_warmup > 0,
        "soft_labels": is_soft and args.soft_labels != "self",
        "ema_decay": is_soft and args.soft_labels == "ema",
        "soft_label_temperature": is_soft and args.soft_label_temperature != 1,
        **dict.fromkeys(("variant_backward_count", "score_interval"), is_partial),
        **dict.fromkeys(("scoring_dropout", "scoring_bf16"), has_scoring),
        "feature_separation": args.feature_separation > 0,
        **dict.fromkeys(_UNLABELED, any("mmel/loss_unlabeled" in logs for logs in log)),
        "training_signal_annealing": args.training_signal_annealing != "none",
    }
    settings = {name: getattr(args, name) for name in SETTINGS}
    settings |= {"num_variants": num_variants or None, "reweight_original": args.weighs_original}
    return {name: value for name, value in settings.items() if value is not None and has_effect.get(name, True)}


def _metadata(summary: TrainingSummary, data: Data, scores: Scores) -> ModelCardData:
    """
    What the Hub reads. It shows results only for a dataset that has a name, and only scores of whole splits belong
    next to those of other models.
    """
    task = next(iter(_as_list(summary.tasks)), None)
    model, base = summary.finetuned_from or "/", None
    with suppress(HFValidationError):  # it may be a folder, or unknown
        validate_repo_id(model)
        base = None if Path(model).exists() else model
    results = [
        EvalResult(
            task_type=task or "",
            dataset_type=(data.tags or ["custom"])[0],
            dataset_name=data.name or "",
            dataset_config=data.config,
            dataset_split=split,
            metric_type=METRIC_IDS.get(name, name),
            metric_name=_title(name),
            metric_value=value,
        )
        for split, values in scores.items()
        for name, value in values.items()
        if name != "loss"
    ]
    is_named, parts = bool(data.name and task), [split for split in scores if _is_part(split)]
    return ModelCardData(
        language=summary.language,
        license=summary.license,
        library_name="transformers",
        pipeline_tag=task,
        base_model=base,
        tags=_as_list(summary.tags),
        datasets=data.tags or None,
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        model_name=summary.model_name,
        eval_results=[result for result in results if is_named and result.dataset_split not in parts] or None,
    )


def save_picture(path: Path, curves: Mapping[str, Mapping[float, float]]) -> bool:
    """Draws the curves next to each other as an SVG. Returns whether matplotlib is there to do so."""
    try:
        import matplotlib
        from matplotlib.figure import Figure  # without pyplot, which would look for a display
    except ImportError as error:
        logger.warning(f'The model card has no picture of the weights ({error}). Run pip install "hf_mmel[report]".')
        return False
    picture = io.StringIO()
    # The same curves give the same file, with its text as text.
    with matplotlib.rc_context({"svg.hashsalt": PICTURE, "svg.fonttype": "none"}):
        figure = Figure((9.6, 3.8), layout="constrained")
        for axes, (title, curve) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
            marker = "o" if len(curve) <= MAX_MARKERS else None
            axes.plot(list(curve), list(curve.values()), color="#0b6bcb", marker=marker, markersize=5)
            axes.set(title=title, xlabel="step", ylim=(0, None))
            axes.grid(color="#e5e7eb")
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(picture.getvalue(), encoding="utf-8")
    return True


def _describe(source: Any) -> str | None:
    """The configuration of an augmenter or adversary as JSON; the name of the class if it has no configuration."""
    if not hasattr(source, "to_dict"):
        return None if source is None else type(source).__name__
    return json.dumps(plain_config(source.to_dict()), indent=2, ensure_ascii=False)


def _optimizer(args: TrainingArguments) -> dict[str, Any]:
    """The name of the optimizer, and those of its arguments that differ from the defaults."""
    name = getattr(args.optim, "value", args.optim)
    names = ["optim_args", "weight_decay", "max_grad_norm"]
    names += ["adam_beta1", "adam_beta2", "adam_epsilon"] if "adam" in name else []
    defaults = {field.name: field.default for field in fields(args)}
    return {"optimizer": name} | {name: getattr(args, name) for name in names if getattr(args, name) != defaults[name]}


def _describe_data(trainer: Trainer, names: list[str], tags: list[str], args: list[str]) -> Data:
    """The data as given by the caller, or as the dataset names itself. One from files or memory has no name."""
    source: Any = trainer.train_dataset if trainer.eval_dataset is None else trainer.eval_dataset
    info = source.info if isinstance(source, datasets.Dataset) else datasets.DatasetInfo()
    is_named = info.dataset_name is not None and info.dataset_name != info.builder_name
    return Data(
        name=", ".join(names) or ", ".join(tags) or (info.dataset_name if is_named else None),
        tags=tags,
        config=args[0] if args else info.config_name if is_named and not names and not tags else None,
        split=str(source.split) if is_named and trainer.eval_dataset is not None else "evaluation",
    )


def _is_part(split: str) -> bool:
    """Whether the name of a split has a range, as in `datasets`: `validation[:100]`."""
    return split.endswith("]")


def _title(name: str) -> str:
    return " ".join(part.capitalize() for part in name.split("_"))


def _as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
