"""How long a training run takes on this machine, estimated from a few of its steps."""

import time
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from accelerate.utils import get_max_memory
from transformers import IntervalStrategy, PrinterCallback, TrainerCallback
from transformers.trainer_utils import SaveStrategy

from augment.base import Augmenter
from augment.from_column import VariantsFromColumn

from ..monitoring.variant_count import VariantCountCallback
from ..trainer import MMELTrainer
from ..training_args import MMELTrainingArguments
from .evaluation import temporarily


MAX_STEPS = 10  # that are timed, after one that warms up
MAX_SECONDS = 10.0  # after which no further step is begun
BYTES_PER_WEIGHT = 16  # in training with Adam: the weight, its gradient and two moments, in float32
# Arguments of training that evaluates, saves and logs nothing.
_WITHOUT_OUTPUT = {
    "max_steps": MAX_STEPS + 1,
    "gradient_accumulation_steps": 1,
    "logging_strategy": IntervalStrategy.NO,
    "eval_strategy": IntervalStrategy.NO,
    "save_strategy": SaveStrategy.NO,
    "eval_on_start": False,
    "load_best_model_at_end": False,
    "push_to_hub": False,
    "report_to": [],
    "disable_tqdm": True,
    "show_variants": 0,
    "dataloader_num_workers": 0,
    "dataloader_prefetch_factor": None,
    "dataloader_persistent_workers": False,
}


class StepTimes(NamedTuple):
    """Seconds that a batch takes, as means over some steps of a batch each, without gradient accumulation."""

    num_steps: int
    in_step: float  # forward and backward passes, optimizer
    in_data: float  # its variants, and its collation


class OnDemand:
    """An augmenter that computes nothing in advance, so that a few batches do not cost a pass over the dataset."""

    def __init__(self, augmenter: Augmenter | VariantsFromColumn):
        self.tokenizer, self.columns, self.variants = augmenter.tokenizer, augmenter.columns, augmenter.variants
        self.keeps_copies = augmenter.keeps_copies


class _StepTimer(TrainerCallback):
    """Times steps and the preparation of their batches, which `Trainer` makes before each step."""

    def on_train_begin(self, args, state, control, **kwargs):
        self.in_step: list[float] = []
        self.in_data: list[float] = []
        self.began = self.since = time.perf_counter()

    def on_step_begin(self, args, state, control, **kwargs):
        self.in_data.append(self._lap(args.device))

    def on_step_end(self, args, state, control, **kwargs):
        self.in_step.append(self._lap(args.device))
        if self.since - self.began > MAX_SECONDS:
            control.should_training_stop = True

    def _lap(self, device: torch.device) -> float:
        if device.type != "cpu":
            torch.accelerator.synchronize()
        before, self.since = self.since, time.perf_counter()
        return self.since - before


def time_steps(
    args: MMELTrainingArguments, num_parameters: int, make_trainer: Callable[[], MMELTrainer]
) -> StepTimes | str:
    """
    Trains a few steps, which leave nothing behind, and times them. Returns why instead, if they cannot be timed here.
    `make_trainer` makes the trainer of the run, with a model of its own; other values replace some `args` meanwhile.
    """
    available = get_max_memory()["cpu" if args.device.type == "cpu" else args.device.index or 0]
    needed = num_parameters * BYTES_PER_WEIGHT
    if args.deepspeed is not None or args.fsdp:
        return "steps under FSDP and DeepSpeed are not timed"
    if needed > available:
        return f"training needs more than {needed / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are free here"
    with TemporaryDirectory() as folder, temporarily(args, output_dir=folder, **_WITHOUT_OUTPUT):
        try:
            trainer, timer = make_trainer(), _StepTimer()
            trainer.add_callback(timer)
            for callback in (PrinterCallback, VariantCountCallback):
                trainer.remove_callback(callback)
            trainer.train()
        except Exception as error:  # this machine may lack what the one of the training run has
            return f"a step failed here with {type(error).__name__}: {' '.join(str(error).split()):.200}"
    first = min(1, len(timer.in_step) - 1)  # the first step warms up
    count = len(timer.in_step) - first
    return StepTimes(count, sum(timer.in_step[first:]) / count, sum(timer.in_data[first : first + count]) / count)


def duration(seconds: float) -> str:
    """A time in words, without more digits than an estimate has."""
    for unit, size, most in (("second", 1, 90), ("minute", 60, 90 * 60), ("hour", 3600, 48 * 3600)):
        if seconds < most:
            number = f"{seconds / size:.1f}" if unit == "hour" else f"{max(1, round(seconds / size))}"
            return f"{number} {unit}{'' if number == '1' else 's'}"
    return f"{seconds / 86400:.1f} days"
