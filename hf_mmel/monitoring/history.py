"""The history of a training run: how the weights were spread, and the hardest variants."""

import json
from numbers import Real
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PretrainedConfig, PreTrainedTokenizerBase, TrainerCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState

from augment.core.atomic_file import write_json

from ..data.groups import LABELS, VARIANT_MASK, are_labelled
from ..distributed import gathered
from ..streams import has_own_passes
from .decoding import make_decoder, tokenizer_of
from .hardest import HardestVariants
from .showing import show_variants


NUM_HARDEST = 10  # per epoch
_HISTOGRAM_TYPES = {"step": int, "epoch": Real, "counts": list}
_HARDEST_TYPES = {"epoch": Real, "step": int, "original": str, "variant": str}
_HARDEST_TYPES |= {"weight": Real, "loss": Real, "loss_original": Real}


class VariantHistory(TrainerCallback, ExportableState):
    """
    Keeps what a report of the training run needs in `trainer_state.json`, under `stateful_callbacks`. With
    `show_variants` it also shows the hardest variants at the end of each epoch.

    A resumed run continues the history of its checkpoint. The hardest variants of the interrupted epoch are then those
    since the checkpoint. With `push_to_hub` no texts are kept, since a repository may be public. Every push removes
    the texts of earlier runs from the file. If several processes read their own parts of a stream, the whole training
    run counts as one epoch.

    Attributes:
        weight_histograms (`list[dict]`):
            One row per logged loss: `step`, `epoch`, and `counts`, the `metrics.weight_histogram` since the
            previous row.
        hardest_variants (`list[dict]`):
            The variants of each epoch with the largest losses when they were trained on, at most one per example, the
            hardest first: `epoch`, `step`, the texts `original` and `variant`, `label`, `weight`, `loss`,
            `loss_original`. The label is a name for classes, several names for multi-label tasks, a number for
            regression and multiple choice, and `None` if each token has a label.
    """

    def __init__(self):
        self.weight_histograms: list[dict[str, Any]] = []
        self.hardest_variants: list[dict[str, Any]] = []
        self._reset(NUM_HARDEST)

    def _reset(self, num_hardest: int) -> None:
        self._num_hardest = num_hardest
        # An example may come twice in an epoch, as the first ones do to fill the last batch.
        self._hardest = HardestVariants(2 * num_hardest)
        self._tokenizer: PreTrainedTokenizerBase | None = None

    def state(self) -> dict[str, dict[str, Any]]:
        lists = {"weight_histograms": self.weight_histograms, "hardest_variants": self.hardest_variants}
        return {"args": {}, "attributes": lists}

    def add(
        self,
        inputs: dict[str, Tensor],
        losses: Tensor,
        weights: Tensor,
        variant_mask: Tensor,
        step: int,
        processing_class: Any,
    ) -> None:
        """
        Adds a batch of groups. Its variants are kept only if they can be decoded: if `processing_class` is a
        tokenizer, or has one, whose main input is in the batch. Adversarial variants, which are the last ones of the
        losses, weights and mask and not in the inputs, cannot.
        """
        tokenizer = tokenizer_of(processing_class, inputs)
        if tokenizer is None:
            return
        self._tokenizer = tokenizer
        size = inputs[VARIANT_MASK].shape[1]
        losses, weights, mask = (x[:, :size] for x in (losses, weights, variant_mask))
        labels = inputs.get(LABELS)
        if labels is not None:
            mask = mask & are_labelled(labels)[:, None]
            labels = None if labels.dim() > 2 else labels  # of tokens
        self._hardest.add(inputs[tokenizer.model_input_names[0]], labels, losses, weights, mask, step)

    def add_weights(self, counts: list[int], state: TrainerState) -> None:
        """Adds the weight histogram of a logging window, unless it is empty."""
        if any(counts):
            self.weight_histograms.append({"step": state.global_step, "epoch": state.epoch, "counts": counts})

    def on_train_begin(self, args, state, control, **kwargs):
        self.weight_histograms, self.hardest_variants = history_of(state) if state.global_step else ([], [])
        self._reset(max(NUM_HARDEST, args.show_variants))
        if args.push_to_hub:
            self.hardest_variants = []
        # The same lists, so that a state that is saved outside a checkpoint is up to date.
        state.stateful_callbacks[type(self).__name__] = self.state()

    def on_epoch_end(self, args, state, control, model=None, train_dataloader=None, **kwargs):
        if has_own_passes(train_dataloader) and not control.should_training_stop:
            return  # the other processes are not at the end of a pass
        variants = [variant for part in gathered(self._hardest.pop()) for variant in part]
        if self._tokenizer is None:
            return
        rows = _rows(variants, self._tokenizer, state.epoch, getattr(model, "config", None))[: self._num_hardest]
        if not args.push_to_hub:
            self.hardest_variants += rows
        if args.show_variants and rows and state.is_world_process_zero:
            show_variants(rows[: args.show_variants])

    def on_push_begin(self, args, state, control, **kwargs):
        """Removes the texts that an earlier run without `push_to_hub` left in the state file."""
        file = Path(args.output_dir) / TRAINER_STATE_NAME
        if not state.is_world_process_zero or not file.is_file():
            return
        content = json.loads(file.read_text(encoding="utf-8"))
        history = content.get("stateful_callbacks", {}).get(type(self).__name__, {}).get("attributes", {})
        if history.get("hardest_variants"):
            history["hardest_variants"] = []
            write_json(file, content)


def history_of(state: TrainerState) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    The weight histograms and the hardest variants that `VariantHistory` stored in a state; empty if it has none. A
    `ValueError` says if they do not have the form in which it stores them.
    """
    callbacks: Any = state.stateful_callbacks  # a dictionary; its annotation in transformers says otherwise
    stored = callbacks.get(VariantHistory.__name__, {"attributes": {}})["attributes"]
    histograms, hardest = (list(stored.get(name, [])) for name in ("weight_histograms", "hardest_variants"))
    for rows, types in ((histograms, _HISTOGRAM_TYPES), (hardest, _HARDEST_TYPES)):
        if not all(isinstance(row.get(name), type_) for row in rows for name, type_ in types.items()):
            raise ValueError(f"{VariantHistory.__name__} stored rows that lack some of {', '.join(types)}.")
    if len({len(row["counts"]) for row in histograms}) > 1:
        raise ValueError(f"{VariantHistory.__name__} stored histograms of different sizes.")
    return histograms, hardest


def _rows(
    variants: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, epoch: float, config: PretrainedConfig | None
) -> list[dict[str, Any]]:
    """The variants as text, the hardest first, one per example."""
    decode = make_decoder(tokenizer)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for variant in sorted(variants, key=lambda variant: (-variant["loss"], variant["original"], variant["variant"])):
        texts = {name: decode(variant[name]) for name in ("original", "variant")}
        label = _label_name(variant.get("label"), isinstance(variant["original"][0], list), config)
        rows.setdefault((texts["original"], str(label)), {"epoch": epoch, **variant, **texts, "label": label})
    return list(rows.values())


def _label_name(label: Any, is_choice: bool, config: PretrainedConfig | None) -> Any:
    names = getattr(config, "id2label", {})
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    if is_choice or not names or getattr(config, "problem_type", None) == "regression":
        return label
    if isinstance(label, list) and getattr(config, "problem_type", None) == "single_label_classification":
        label = label.index(max(label))  # of probabilities, the likeliest class
    if isinstance(label, list):
        return ", ".join(names[i] for i, has_label in enumerate(label) if has_label > 0.5)
    return names.get(label, label)
