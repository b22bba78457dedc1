"""Whether every way to train gives on the device what it gives on the CPU in float32."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback

from hf_mmel import AdversarialVariants, MMELTrainer, MMELTrainingArguments, VariantHistory

from .report import FAILED, OK, Place, Row, attempt
from .tiny import NUM_EXAMPLES, make_collator, make_dataset, make_model


STEPS, LEARNING_RATE, SCALE = 3, 0.002, 1024.0
# Largest differences, relative to the largest loss, the norm of the gradient and that of the update; of weights of
# variants absolute. Rounding moves them by less than half of this, and in float32 by a hundredth.
TOLERANCES = {"float32": 1e-3, "bf16": 0.1, "fp16": 0.02}


class SameStart(AdversarialVariants):
    """Adversarial variants that start from the same random perturbation on every device."""

    def start(self, free: Tensor) -> Tensor:
        noise = torch.randn(free.shape, generator=torch.Generator().manual_seed(0)).to(free.device) * free
        return self.within(noise)


TOP = {"variant_backward": "top", "mmel_loss": "hard"}
# At lambda_p = 0 all of the weight is on one variant, so that a draw is the same with other random numbers.
SAMPLE = {"variant_backward": "sample", "lambda_p": 0.0, "variant_backward_count": 2}
MODES: dict[str, dict[str, Any]] = {
    "hard full": {"mmel_loss": "hard"},
    "soft full": {"mmel_loss": "soft"},
    "hard top": TOP,
    "soft top": {**TOP, "mmel_loss": "soft"},
    "hard sample": {**SAMPLE, "mmel_loss": "hard"},
    "soft sample": {**SAMPLE, "mmel_loss": "soft"},
    "hard, chunks of 2": {"mmel_loss": "hard", "variant_chunk_size": 2},
    "soft, parts of groups": {"mmel_loss": "soft", "variant_chunk_size": 1, "batch_size": 2},
    "hard top, scored every 3 epochs": {**TOP, "score_interval": 3},
    "hard, effective number of 2": {"mmel_loss": "hard", "effective_num_variants": 2.0},
    "hard, adversary": {"mmel_loss": "hard", "adversary": SameStart(step_size=1.0)},
    "soft, adversary": {"mmel_loss": "soft", "adversary": SameStart(step_size=1.0)},
    "soft, unlabelled rows": {"mmel_loss": "soft", "unlabelled": 3},
    "hard, pseudo-labels": {"mmel_loss": "hard", "unlabelled": 3, "unlabeled_loss": "pseudo_label"},
    "hard, feature separation": {"mmel_loss": "hard", "feature_separation": 1.0},
}


class Recorder(VariantHistory):
    """Keeps the losses and weights of all steps, and the gradients that the optimizer gets."""

    def __init__(self):
        super().__init__()
        self.losses: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def add(self, inputs, losses, weights, variant_mask, *rest):
        self.losses.append(losses.float().cpu() * variant_mask.cpu())
        self.weights.append(weights.float().cpu())

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradients.append(torch.cat([p.grad.float().cpu().flatten() for p in model.parameters()]))


@dataclass
class Trained:
    """Losses and weights of variants `(S, B, V)`, gradients `(S, P)` and the change of all weights `(P,)`."""

    losses: Tensor
    weights: Tensor
    gradients: Tensor
    update: Tensor


def make_trainer(
    place: Place, device: str, precision: str, callbacks: list[TrainerCallback], **fields: Any
) -> MMELTrainer:
    """
    A trainer of the tiny model with plain SGD, in a precision of `TOLERANCES`. Besides those of the arguments, the
    fields are `batch_size`, `unlabelled`, a number of rows, and `adversary`.
    """
    size, unlabelled = fields.pop("batch_size", NUM_EXAMPLES), fields.pop("unlabelled", 0)
    adversary = fields.pop("adversary", None)
    options: dict[str, Any] = {
        "output_dir": str(place.folder / "trainer"),
        "use_cpu": device == "cpu",
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "max_steps": STEPS,
        "per_device_train_batch_size": size,
        "optim": "sgd",
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,  # clipping would hide a wrong scale
        "bf16": precision == "bf16",
        "fp16": precision == "fp16",
        "scoring_bf16": None if precision == "bf16" else False,
    }
    if "effective_num_variants" not in fields:
        options["lambda_p"] = 0.5
    args = MMELTrainingArguments(**{**options, **fields})
    collator, dataset = make_collator(args.score_interval), make_dataset(unlabelled)
    trainer = MMELTrainer(make_model(), args, collator, dataset, callbacks=callbacks, adversary=adversary)
    if precision == "fp16":
        accelerator = trainer.accelerator
        if device == "cpu":  # where accelerate neither casts nor scales
            accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu")
        # With the first scale of torch, 65,536, the first steps may overflow.
        accelerator.scaler.load_state_dict({**accelerator.scaler.state_dict(), "scale": SCALE})
    trainer.remove_callback(PrinterCallback)  # it would print between the rows of the table
    return trainer


def weights_of(model: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().float().cpu().flatten() for p in model.parameters()])


def train(place: Place, device: str, precision: str, **fields: Any) -> Trained:
    recorder = Recorder()
    trainer = make_trainer(place, device, precision, [recorder], **fields)
    before = weights_of(trainer.model)
    trainer.train()
    parts = (torch.stack(x) for x in (recorder.losses, recorder.weights, recorder.gradients))
    return Trained(*parts, weights_of(trainer.model) - before)


def differences(found: Trained, expected: Trained) -> dict[str, float]:
    """The largest differences, on the scales of `TOLERANCES`."""
    gradients = (found.gradients - expected.gradients).norm(dim=1) / expected.gradients.norm(dim=1)
    return {
        "losses": ((found.losses - expected.losses).abs().max() / expected.losses.abs().max()).item(),
        "weights": (found.weights - expected.weights).abs().max().item(),
        "gradients": gradients.max().item(),
        "update": ((found.update - expected.update).norm() / expected.update.norm()).item(),
    }


def compared(name: str, found: Trained, expected: Trained, precision: str) -> Row:
    """A row that fails if a difference is above its tolerance, or not a number."""
    figures, tolerance = differences(found, expected), TOLERANCES[precision]
    is_same = all(figure <= tolerance for figure in figures.values())
    shown = ", ".join(f"{kind} {figure:.1e}" for kind, figure in figures.items())
    return Row(f"{name}, {precision}", shown, f"<= {tolerance:g}", OK if is_same else FAILED, figures)


def precisions_of(place: Place) -> list[str]:
    """Those that the device has, and on a CPU those that differ from what they are compared with."""
    if not place.is_gpu:
        return ["bf16", "fp16"]
    return ["float32", *(["bf16"] if torch.cuda.is_bf16_supported() else []), "fp16"]


def rows(place: Place) -> Iterator[Row]:
    """The modes in all precisions, each against float32 on the CPU."""
    torch.set_float32_matmul_precision("highest")  # no TF32
    for name in MODES:
        for precision in precisions_of(place):
            yield attempt(f"{name}, {precision}", mode_row, place, name, precision)


def mode_row(place: Place, name: str, precision: str) -> Row:
    return compared(name, train(place, place.device, precision, **MODES[name]), reference(place, name), precision)


@lru_cache(maxsize=1)
def reference(place: Place, name: str) -> Trained:
    return train(place, "cpu", "float32", **MODES[name])
