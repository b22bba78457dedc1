"""What became of the weights and of the hardest variants in the course of a training."""

import json
import sys
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm
from transformers import PretrainedConfig, PreTrainedTokenizerBase, TrainerCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState

from augment.core.atomic_file import write_json
from augment.core.marking import COLOURS, PLAIN, marked

from ..data.groups import IGNORE_INDEX, LABELS, VARIANT_MASK
from ..distributed import gathered
from .decoding import reader, tokenizer_of
from .hardest import HardestVariants, HardVariant


NUM_HARDEST = 10  # of each epoch
_HISTOGRAM = {"step": int, "epoch": Real, "counts": list}
_HARDEST = {"epoch": Real, "step": int, "original": str, "variant": str}
_HARDEST |= {"weight": Real, "loss": Real, "loss_original": Real}


class VariantHistory(TrainerCallback, ExportableState):
    """
    Keeps in `trainer_state.json`, under `stateful_callbacks`, what a report of the training needs, and shows the
    hardest variants at the end of each epoch where `show_variants` says so.

    A resumed training goes on from what its checkpoint has. The hardest variants of the epoch that was interrupted are
    then those since the checkpoint. With `push_to_hub` no texts are kept, for a repository may be public, and any push
    takes those of earlier trainings out of the file.

    Attributes:
        weight_histograms (`list[dict]`):
            With each logged loss: `step`, `epoch`, and `counts`, as in [`~figures.weight_counts`], since the last one.
        hardest_variants (`list[dict]`):
            Of each epoch those that had the largest losses when they were trained on, at most one per example, the
            hardest first: `epoch`, `step`, the texts `original` and `variant`, `label`, `weight`, `loss`,
            `loss_original`. The label is a name for classes, names for several labels, a number where it is one (of a
            choice, too), and `None` where tokens have it.
    """

    def __init__(self):
        self.weight_histograms: list[dict[str, Any]] = []
        self.hardest_variants: list[dict[str, Any]] = []
        self._begin(NUM_HARDEST)

    def _begin(self, num_hardest: int) -> None:
        self._num_hardest = num_hardest
        # More than are wanted, for an example may come again, as the first ones do to fill up a last batch.
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
        step: int,
        processing_class: Any,
    ) -> None:
        """
        Adds a batch of groups. Its variants are kept where they can be read: where `processing_class` is a tokenizer,
        or has one, whose first input is in the batch.
        """
        tokenizer = tokenizer_of(processing_class, inputs)
        if tokenizer is None:
            return
        self._tokenizer = tokenizer
        ids, labels = inputs[tokenizer.model_input_names[0]], inputs.get(LABELS)
        if labels is not None and labels.dim() > 2:  # of tokens
            labels = None
        mask = inputs[VARIANT_MASK]
        if labels is not None and not labels.is_floating_point():
            # Without a label nothing is lost.
            mask = mask & labels.ne(IGNORE_INDEX).view(len(mask), -1).any(dim=1, keepdim=True)
        self._hardest.add(ids, labels, losses, weights, mask, step)

    def add_weights(self, counts: list[int], state: TrainerState) -> None:
        """Adds the weights of a logging window, if there were any."""
        if any(counts):
            self.weight_histograms.append({"step": state.global_step, "epoch": state.epoch, "counts": counts})

    def on_train_begin(self, args, state, control, **kwargs):
        name = type(self).__name__
        self.weight_histograms, self.hardest_variants = history_of(state) if state.global_step else ([], [])
        self._begin(max(NUM_HARDEST, args.show_variants))
        if args.push_to_hub:
            self.hardest_variants = []
        # The same lists, so that a state that is saved without a checkpoint has them as they are by then.
        state.stateful_callbacks[name] = self.state()

    def on_epoch_end(self, args, state, control, model=None, **kwargs):
        found = [variant for part in gathered(self._hardest.taken()) for variant in part]
        if self._tokenizer is None:
            return
        hardest = self._read(found, state.epoch, getattr(model, "config", None))[: self._num_hardest]
        if not args.push_to_hub:
            self.hardest_variants += hardest
        if args.show_variants and hardest and state.is_world_process_zero:
            marks = COLOURS if sys.stdout.isatty() else PLAIN
            tqdm.write("\n".join(shown(hardest[: args.show_variants], marks)))  # above the bars

    def on_push_begin(self, args, state, control, **kwargs):
        """Takes the texts of a training that was not to be pushed out of the folder that now is."""
        file = Path(args.output_dir) / TRAINER_STATE_NAME
        if not state.is_world_process_zero or not file.is_file():
            return
        content = json.loads(file.read_text(encoding="utf-8"))
        kept = content.get("stateful_callbacks", {}).get(type(self).__name__, {"attributes": {}})["attributes"]
        if kept.get("hardest_variants"):
            kept["hardest_variants"] = []
            write_json(file, content)

    def _read(self, found: list[HardVariant], epoch: float, config: PretrainedConfig | None) -> list[dict[str, Any]]:
        """The variants as text, the hardest first, one of each example."""
        read, entries = reader(self._tokenizer), {}
        for one in sorted(found, key=lambda one: (-one.loss, one.original, one.variant)):
            original, label = read(one.original), label_of(one, config)
            entry = {"epoch": epoch, "step": one.step, "original": original, "variant": read(one.variant)}
            figures = {"weight": one.weight, "loss": one.loss, "loss_original": one.loss_original}
            entries.setdefault((original, str(label)), {**entry, "label": label, **figures})
        return list(entries.values())


def history_of(state: TrainerState) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    The weight histograms and the hardest variants that [`VariantHistory`] has left in a state; none without it.

    Raises:
        `ValueError`: if they are not as it leaves them.
    """
    left = state.stateful_callbacks.get(VariantHistory.__name__, {"attributes": {}})["attributes"]
    histograms, hardest = (list(left.get(name, [])) for name in ("weight_histograms", "hardest_variants"))
    for rows, types in ((histograms, _HISTOGRAM), (hardest, _HARDEST)):
        if not all(isinstance(row.get(name), kind) for row in rows for name, kind in types.items()):
            raise ValueError(f"{VariantHistory.__name__} has left rows without {', '.join(types)}.")
    if len({len(row["counts"]) for row in histograms}) > 1:
        raise ValueError(f"{VariantHistory.__name__} has left histograms of several sizes.")
    return histograms, hardest


def label_of(variant: HardVariant, config: PretrainedConfig | None) -> Any:
    """The label as people name it."""
    label, names = variant.label, getattr(config, "id2label", {})
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    is_choice = isinstance(variant.original[0], list)
    if is_choice or not names or getattr(config, "problem_type", None) == "regression":
        return label
    if isinstance(label, list):
        return ", ".join(names[i] for i, has_it in enumerate(label) if has_it > 0.5)
    return names.get(label, label)


def shown(hardest: list[dict[str, Any]], marks: tuple[tuple[str, str], tuple[str, str]]) -> Iterable[str]:
    """Entries of an epoch as lines, the words that were replaced marked."""
    yield f"Hardest variants of epoch {hardest[0]['epoch']:g}:"
    for entry in hardest:
        label = "" if entry["label"] is None else f"label {entry['label']}, "
        yield (
            f"  {label}weight {entry['weight']:.3g}, loss {entry['loss']:.3g}, of the original "
            f"{entry['loss_original']:.3g}"
        )
        yield "    " + marked(_on_one_line(entry["original"]), _on_one_line(entry["variant"]), marks)


def _on_one_line(text: str) -> str:
    """Without what would break lines, or tell a terminal what to do."""
    return "".join(character if character.isprintable() else " " for character in text)
