"""The models that predict soft labels in place of the trained one: a teacher that is checked, and a moving average."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from augment.core.atomic_file import atomic_write

from .callbacks import CollatorCallback, GreedySearchCallback
from .step.soft_labels import WeightAverage
from .training_args import MMELTrainingArguments
from .validation import check_vocabulary


WEIGHT_AVERAGE = "weight_average.pth"  # in a checkpoint


class WeightAverageCallback(CollatorCallback):
    """
    Averages the weights for `soft_labels="ema"` after each update of the optimizer. Checkpoints hold the average.
    """

    average: WeightAverage | None = None

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.average = None
        if _are_of(args, "ema"):
            self.average = WeightAverage(model)
            if file := self.found(WEIGHT_AVERAGE, needed=True):
                self.average.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        self.checkpoint = None

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if self.average is not None:
            self.average.update(model, args.ema_decay)

    def save(self, folder: Path, args: TrainingArguments) -> None:
        if self.average is not None and args.should_save:
            with atomic_write(folder / WEIGHT_AVERAGE) as file:
                torch.save(self.average.state_dict(), file)


class SoftLabelTrainer(Trainer):
    """A `Trainer` with a model that predicts soft labels."""

    args: MMELTrainingArguments
    teacher: nn.Module | None = None

    @property
    def soft_label_model(self) -> nn.Module | None:
        """
        The model that predicts the soft labels: the teacher or, during and after training with `soft_labels="ema"`, a
        copy of the model with the average of its weights. `None` if the trained model predicts them.
        """
        if _are_of(self.args, "teacher"):
            return self._teacher_on_device()
        if not _are_of(self.args, "ema"):
            return None
        callbacks = self.callback_handler.callbacks
        (callback,) = (callback for callback in callbacks if isinstance(callback, WeightAverageCallback))
        if callback.average is None:  # outside training
            model: Any = self.model
            callback.average = WeightAverage(model)
        return callback.average.model

    def _teacher_on_device(self) -> nn.Module:
        if self.teacher is None:
            raise ValueError(
                "soft_labels is 'teacher', but there is no teacher; pass the model as MMELTrainer(teacher=...), in "
                "the command as --teacher_model_name_or_path, or take soft_labels='self' or 'ema'."
            )
        is_placed = hasattr(self.teacher, "hf_device_map")
        return self.teacher if is_placed else self.teacher.to(self.args.device)

    def get_train_dataloader(self) -> DataLoader:
        """The data loader of the next class; it needs a teacher if the arguments ask for one."""
        if _are_of(self.args, "teacher"):
            self._teacher_on_device()
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, GreedySearchCallback):
                callback.soft_label_model = lambda: self.soft_label_model
        return super().get_train_dataloader()


def _are_of(args: TrainingArguments, kind: str) -> bool:
    """Whether soft labels are used and of this kind."""
    return isinstance(args, MMELTrainingArguments) and (args.mmel_loss, args.soft_labels) == ("soft", kind)


def compares_originals(args: MMELTrainingArguments) -> bool:
    """Whether the loss has a divergence of the prediction on the original from its own soft label that is not 0."""
    differs = args.soft_labels != "self" or args.soft_label_temperature != 1
    return args.mmel_loss == "soft" and args.weighs_original and differs


def check_teacher(teacher: Any, model: Any, tokenizer: Any, args: MMELTrainingArguments) -> None:
    """
    Raises a `TypeError` or a `ValueError` if a teacher cannot predict soft labels for a model: it has another problem
    type, other labels or another order of them, too few embeddings for the tokenizer, weights that are not finite, or
    is sharded. What a configuration does not say is not checked.
    """
    if args.soft_labels != "teacher":
        raise ValueError(
            f"A teacher is given, but soft_labels is {args.soft_labels!r}; set soft_labels='teacher', or leave the "
            "teacher out."
        )
    if not isinstance(teacher, nn.Module):
        raise TypeError(f"teacher is a {type(teacher).__name__}; expected a model, such as one of from_pretrained.")
    for name, weight in teacher.named_parameters():
        # A shard of FSDP is a DTensor, one of ZeRO-3 has an id.
        if hasattr(weight, "device_mesh") or hasattr(weight, "ds_id") or weight.is_meta:
            raise ValueError(
                f"This process has not the whole {name} of the teacher, which FSDP and DeepSpeed ZeRO-3 shard and the "
                "meta device leaves out; expected a teacher that is whole in each process. Load it before the "
                "training arguments are made."
            )
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ValueError(f"The teacher's {name} is not finite; expected finite weights. Load it anew.")
    check_vocabulary(teacher, tokenizer, "teacher")
    ours, theirs = (getattr(of, "config", None) for of in (model, teacher))
    for what, value_of in (("number of labels", _num_labels), ("problem type", _problem_type)):
        asked, given = value_of(ours), value_of(theirs)
        if None not in (asked, given) and asked != given:
            raise ValueError(
                f"The teacher has the {what} {given!r}, the model {asked!r}; expected the same. Load a teacher for "
                "the same task and labels."
            )
    expected, found = _label_names(ours), _label_names(theirs)
    if None not in (expected, found) and expected != found:
        raise ValueError(
            f"The teacher has the labels {_shown(found)}, the model {_shown(expected)}; expected the same in the same "
            "order. Load a teacher with these labels or, if only the names differ, correct the id2label of its config."
        )


def _problem_type(config: Any) -> Any:
    problem_type = getattr(config, "problem_type", None)
    return "regression" if problem_type is None and _num_labels(config) == 1 else problem_type


def _num_labels(config: Any) -> Any:
    return getattr(config, "num_labels", None)


def _label_names(config: Any) -> list[str] | None:
    """The names of the labels in their order; `None` if there are none but those that transformers makes up."""
    names = dict(getattr(config, "id2label", None) or {})
    made_up = {i: f"LABEL_{i}" for i in names}
    return None if names == made_up else [str(names[i]).casefold() for i in sorted(names)]


def _shown(names: Any) -> str:
    shown = ", ".join(names[:5])
    return f"{shown}, ..." if len(names) > 5 else shown
