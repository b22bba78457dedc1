"""The model card: how a model was trained with MMEL, for its readers and for the Hub."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import tokenizers
import torch
import transformers
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import TrainingArguments
from transformers.modelcard import TrainingSummary, make_markdown_table

from ..version import __version__
from .charts import draw
from .redaction import plain_config, without_tokens


if TYPE_CHECKING:
    from ..data.group_collator import GroupCollator
    from ..step.adversarial import AdversarialVariants
    from ..trainer import MMELTrainer
    from ..training_args import MMELTrainingArguments

CARD, PICTURE = "README.md", "mmel_weights.svg"
TAGS = ["mmel", "data-augmentation"]
METRIC_IDS = {"pearson": "pearsonr"}  # where the name of a score is not that of the metric on the Hub
NOT_SCORES = ("runtime", "samples_per_second", "steps_per_second", "samples", "model_preparation_time")

METHODS = {
    "hard": "MMEL-H    w_iv = softmax_v( ℓ_iv / λ_P )    L_i = Σ_v w_iv ℓ_iv",
    "soft": "MMEL-S    w_ik = softmax_k( d_ik / λ_P )    L_i = ℓ_i0 + λ_T Σ_k w_ik d_ik",
    "uniform": "uniform augmentation    L_i = mean_v ℓ_iv",
}
SETTINGS = {
    "mmel_loss": "objective",
    "lambda_p": "λ_P, pull towards uniform weights",
    "lambda_t": "λ_T, factor of the divergence",
    "num_variants": "K, augmented variants of each example",
    "reweight_original": "the original is one of the weighted variants",
    "soft_label_gradient": "gradient through the prediction on the original",
    "variant_backward": "variants that are trained on",
    "variant_backward_count": "how many of each example",
    "score_interval": "epochs for which variants are kept",
    "variant_chunk_size": "variants of each example in memory at once",
    "scoring_dropout": "dropout while variants are scored",
    "scoring_bf16": "bfloat16 while variants are scored",
    "min_label_probability": "least probability of its label with which a variant counts",
    "class_weights": "factors of the classes",
}
CITATION = """\
@inproceedings{yi2021reweighting,
  title     = {Reweighting Augmented Samples by Minimizing the Maximal Expected Loss},
  author    = {Yi, Mingyang and Hou, Lu and Shang, Lifeng and Jiang, Xin and Liu, Qun and Ma, Zhi-Ming},
  booktitle = {International Conference on Learning Representations},
  year      = {2021}
}"""

Scores = dict[str, dict[str, float]]


def write_model_card(
    trainer: MMELTrainer,
    collator: GroupCollator | None,
    *,
    dataset: str | list[str] | None = None,
    dataset_tags: str | list[str] | None = None,
    dataset_args: str | list[str] | None = None,
    tags: str | list[str] | None = None,
    scores: Scores | None = None,
    command: str | None = None,
    **facts,
) -> None:
    """
    Writes the card, and the picture of the weights where there were any, to the trainer's output folder.

    Args:
        trainer ([`MMELTrainer`]): What is told of.
        collator ([`GroupCollator`], *optional*): What makes the variants of its training examples.
        dataset, dataset_tags, dataset_args, tags, scores, command, **facts:
            As in [`MMELTrainer.create_model_card`].
    """
    folder = Path(trainer.args.output_dir)
    earlier = ModelCard.load(folder / CARD).data if (folder / CARD).exists() else ModelCardData()
    is_trained = trainer.state.global_step > 0
    picture = _weights_picture(trainer.state.log_history)
    has_variants = is_trained and (collator is not None or picture is not None)  # groups may come with the data
    all_tags = [*_as_list(tags), *_as_list(trainer.args.hub_tags), *(earlier.tags or [])]
    all_tags += TAGS if has_variants else []
    # What the stock card knows of a trainer; its own guess at the data set takes file readers for one.
    summary = TrainingSummary.from_trainer(
        trainer, tags=list(dict.fromkeys(all_tags)), dataset_tags=[], dataset_args=[], dataset_metadata=[], **facts
    )
    summary.hyperparameters |= _optimizer(trainer.args)
    data = _data_facts(trainer, _as_list(dataset), _as_list(dataset_tags), _as_list(dataset_args))
    scores = _last_scores(trainer, data["split"]) if scores is None else scores
    scores = {split: scores_of(metrics) for split, metrics in scores.items()}
    if picture is not None:
        (folder / PICTURE).write_text(picture, encoding="utf-8")
    num_variants = sum(maker.num_variants for maker in (collator, trainer.adversary) if maker is not None)
    settings = objective_settings(trainer.args, num_variants) if has_variants else {}
    done = "fine-tuned" if is_trained else "evaluated"
    sections = [
        _introduction(summary, data, type(trainer.model).__name__, done, has_variants),
        _results(scores),
        _method(settings) if is_trained else "",
        _augmentation(collator, trainer.adversary) if has_variants else "",
        "" if picture is None else _weights(settings),
        _training(summary) if is_trained else "",
        _command(command),
        _versions(),
        f"## Citation\n\nThe method:\n\n```bibtex\n{CITATION}\n```" if has_variants else "",
    ]
    text = "\n\n".join(section for section in sections if section)
    metadata = _metadata(summary, data, scores)
    card = ModelCard(without_tokens(f"---\n{metadata.to_yaml()}\n---\n\n{text}\n"))
    card.save(folder / CARD)
    if earlier.get("library_name") == "peft":  # adds what PEFT wants a card to say
        trainer.accelerator.unwrap_model(trainer.model).create_or_update_model_card(trainer.args.output_dir)


def _metadata(summary: TrainingSummary, data: Mapping[str, Any], scores: Scores) -> ModelCardData:
    """
    What the Hub reads. Results are there where the data set has a name, since they are of no use without one, and only
    scores of a whole split, beside which those of others stand.
    """
    tasks = _as_list(summary.tasks)
    metrics = {
        split: {METRIC_IDS.get(name, name): (name, value) for name, value in values.items() if name != "loss"}
        for split, values in scores.items()
    }
    results = [
        EvalResult(
            task_type=tasks[0],
            dataset_type=(data["tags"] or ["custom"])[0],
            dataset_name=data["name"],
            dataset_config=data["config"],
            dataset_split=split,
            metric_type=metric,
            metric_name=_title(name),
            metric_value=value,
        )
        for split, values in metrics.items()
        for metric, (name, value) in values.items()
        if data["name"] and tasks and not _is_part(split)
    ]
    return ModelCardData(
        language=summary.language,
        license=summary.license,
        library_name="transformers",
        pipeline_tag=tasks[0] if tasks else None,
        base_model=summary.finetuned_from if _is_repo_id(summary.finetuned_from) else None,
        tags=summary.tags,
        datasets=data["tags"] or None,
        metrics=list(dict.fromkeys(metric for values in metrics.values() for metric in values)) or None,
        model_name=summary.model_name,
        eval_results=results or None,
    )


def _introduction(
    summary: TrainingSummary, data: Mapping[str, Any], model_class: str, done: str, has_variants: bool
) -> str:
    base, name = summary.finetuned_from, data["name"] or "data without a name"
    base = f"[{base}](https://huggingface.co/{base})" if _is_repo_id(base) else f"A `{model_class}`"
    name = f"[{name}](https://huggingface.co/datasets/{data['tags'][0]})" if data["tags"] else name
    config = f" (configuration `{data['config']}`)" if data["config"] else ""
    method = ", on augmented text whose variants MMEL weighs" if has_variants else ""
    return f"# {summary.model_name}\n\n{base}, {done} on {name}{config}{method}. It loads with `transformers` alone."


def _results(scores: Scores) -> str:
    rows = [
        {"Split": split, "Metric": _title(name), "Value": value}
        for split, values in scores.items()
        for name, value in values.items()
    ]
    if not rows:
        return ""
    text = f"## Results\n\n{make_markdown_table(rows).rstrip()}"
    if any(map(_is_part, scores)):
        text += "\n\nA split with a range in brackets was scored on that range of its examples alone."
    return text


def _method(settings: Mapping[str, Any]) -> str:
    if not settings:
        return "## Method\n\nPlain fine-tuning, without variants."
    rows = [
        {"Argument": f"`{name}`", "Value": f"`{value}`", "Meaning": SETTINGS[name]} for name, value in settings.items()
    ]
    return (
        "## Method\n\nMinimising the maximal expected loss over the variants of each example (Yi et al., ICLR 2021, "
        "[arXiv 2103.08933](https://arxiv.org/abs/2103.08933)), with `hf_mmel`:\n\n"
        f"```\n{METHODS[settings['mmel_loss']]}\n```\n\nℓ is the loss under the label, d the divergence of the "
        f"prediction on a variant from that on the original.\n\n{make_markdown_table(rows).rstrip()}"
    )


def _augmentation(collator: GroupCollator | None, adversary: AdversarialVariants | None) -> str:
    texts = []
    if collator is not None and not hasattr(collator.augmenter, "to_dict"):
        texts.append(f"Variants were made by `{type(collator.augmenter).__name__}`.")
    elif collator is not None:
        shown = _as_json(collator.augmenter.to_dict())
        texts.append(f"Variants were made by this augmenter of the package `augment`:\n\n{shown}")
    if adversary is not None:
        shown = _as_json(adversary.to_dict())
        texts.append(f"The model made variants against itself, in the space of its inputs:\n\n{shown}")
    return "## Augmentation\n\n" + ("\n\n".join(texts) or "The variants came with the data.")


def _as_json(config: Mapping[str, Any]) -> str:
    return f"```json\n{json.dumps(plain_config(config), indent=2, ensure_ascii=False)}\n```"


def _weights(settings: Mapping[str, Any]) -> str:
    text = (
        f"## Weights over training\n\n![Largest weight and effective number of variants]({PICTURE})\n\nAverages over "
        "the groups of each logging window. The effective number is the exponential of the entropy of a group's "
        "weights."
    )
    if "num_variants" in settings:
        weighed = settings["num_variants"] + settings["reweight_original"]
        text += f" Uniform weights of {weighed} variants have a largest one of {1 / weighed:.3g}."
    return text


def _weights_picture(log_history: list[dict[str, float]]) -> str | None:
    figures = {"Largest weight": "mmel/max_weight", "Effective number of variants": "mmel/effective_num_variants"}
    panels = {
        title: {title: {logs["step"]: logs[name] for logs in log_history if name in logs}}
        for title, name in figures.items()
    }
    if not all(line for lines in panels.values() for line in lines.values()):
        return None
    return draw(panels, "step", legend=False)


def _training(summary: TrainingSummary) -> str:
    rows = [{"Hyperparameter": name, "Value": value} for name, value in summary.hyperparameters.items()]
    text = f"## Training\n\n{make_markdown_table(rows).rstrip()}"
    if summary.eval_lines:
        text += f"\n\n{make_markdown_table(summary.eval_lines).rstrip()}"
    return text


def _command(command: str | None) -> str:
    if command is None:
        return ""
    return f"## Command\n\nWithout tokens and local folders:\n\n```bash\n{command}\n```"


def _versions() -> str:
    versions = {"hf_mmel": __version__}
    versions |= {module.__name__: module.__version__ for module in (transformers, torch, datasets, tokenizers)}
    return "## Versions\n\n" + "\n".join(f"- {name} {version}" for name, version in versions.items())


def _data_facts(trainer: MMELTrainer, names: list[str], tags: list[str], args: list[str]) -> dict[str, Any]:
    """
    Name, identifiers on the Hub, configuration and split of the data, as given, or as the data set itself knows them.
    One that was read from files or made in memory has no name of its own.
    """
    source = trainer.train_dataset if trainer.eval_dataset is None else trainer.eval_dataset
    info = source.info if isinstance(source, datasets.Dataset) else datasets.DatasetInfo()
    is_named = info.dataset_name is not None and info.dataset_name != info.builder_name
    name = ", ".join(names) or ", ".join(tags) or (info.dataset_name if is_named else None)
    split = str(source.split) if is_named and trainer.eval_dataset is not None else "evaluation"
    config = args[0] if args else info.config_name if is_named and not names and not tags else None
    return {"name": name, "tags": tags, "config": config, "split": split}


def _last_scores(trainer: MMELTrainer, split: str) -> Scores:
    """Those of the latest evaluation."""
    evaluations = [logs for logs in trainer.state.log_history if "eval_loss" in logs]
    return {split: evaluations[-1]} if evaluations else {}


def scores_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The scores among the metrics of an evaluation, by plain names, without times and counts; the loss comes last."""
    named = {name.removeprefix("eval_"): v for name, v in metrics.items() if name.startswith("eval_")}
    scores = {
        name: float(v)
        for name, v in named.items()
        if not name.endswith(NOT_SCORES) and isinstance(v, int | float) and math.isfinite(v)
    }
    return dict(sorted(scores.items(), key=lambda score: score[0] == "loss"))


def objective_settings(args: MMELTrainingArguments, num_variants: int) -> dict[str, Any]:
    """
    The arguments of the objective as they were in force, without those that had no effect; `num_variants` is what
    collator and adversary made of each example together, 0 where variants came with the data.
    """
    settings = {name: getattr(args, name) for name in SETTINGS}
    settings["num_variants"] = num_variants or None
    if args.reweight_original is None:
        settings["reweight_original"] = args.mmel_loss != "soft"
    without_effect = {name for name, value in settings.items() if value is None}
    if args.mmel_loss == "uniform":
        without_effect.add("lambda_p")
    if args.mmel_loss != "soft":
        without_effect |= {"lambda_t", "soft_label_gradient"}
    if args.variant_backward == "full":
        without_effect |= {"variant_backward_count", "score_interval"}
        if args.variant_chunk_size is None:  # else the groups that are cut are scored
            without_effect |= {"scoring_dropout", "scoring_bf16"}
    return {name: value for name, value in settings.items() if name not in without_effect}


def _optimizer(args: TrainingArguments) -> dict[str, Any]:
    """The optimizer by its name, and those of its arguments that are not the usual ones."""
    optimizer = {"optimizer": getattr(args.optim, "value", args.optim)}
    names = ["optim_args", "weight_decay", "max_grad_norm"]
    if "adam" in optimizer["optimizer"]:
        names += ["adam_beta1", "adam_beta2", "adam_epsilon"]
    usual = {field.name: field.default for field in fields(args)}
    return optimizer | {name: getattr(args, name) for name in names if getattr(args, name) != usual[name]}


def _is_part(split: str) -> bool:
    """Whether a split is named with a range, as `datasets` does: `validation[:100]`."""
    return split.endswith("]")


def _is_repo_id(name: str | None) -> bool:
    try:
        validate_repo_id(name or "/")
    except HFValidationError:
        return False
    return not Path(name).exists()


def _title(name: str) -> str:
    return " ".join(part.capitalize() for part in name.split("_"))


def _as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
