"""How often the host waits for the GPU in a step, without the waits of `Trainer` and of the model."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_mmel import AdversarialVariants

from .correctness import MODES, make_trainer
from .report import NOTE, Place, Row, at_most, attempt


sys.path.append(str(Path(__file__).parents[2] / "tests"))  # whose counter it is

from device_waits import CudaWaits, Waits


FEW, SEVERAL = 2, 4  # of a step in one pass, and of one that makes several


def aim_of(fields: dict[str, Any]) -> int:
    in_passes = fields.keys() & {"variant_chunk_size", "adversary", "feature_separation"}
    return SEVERAL if in_passes else FEW


def waits_of(place: Place, fields: dict[str, Any]) -> Any:
    """The waits of a step after one that warms up, on a batch as the data loader makes it."""
    if "adversary" in fields:  # as it is used, with a start that is drawn on the device
        fields = {**fields, "adversary": AdversarialVariants()}
    trainer = make_trainer(place, place.device, "float32", [], loss_check=False, **fields)
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    for counts in (False, True):
        batch = next(iter(trainer.get_train_dataloader()))
        found = CudaWaits() if place.is_gpu else Waits()
        if not counts:
            trainer.training_step(trainer.model, batch)
            trainer.model.zero_grad()
            continue
        with found:
            (batch,), num_items = trainer.get_batch_samples(iter([batch]), 1, trainer.args.device)
            trainer.training_step(trainer.model, batch, num_items)
    return found


def rows(place: Place) -> Iterator[Row]:
    for name in MODES:
        yield attempt(name, waits_row, place, name)


def waits_row(place: Place, name: str) -> Row:
    found, aim = waits_of(place, MODES[name]), aim_of(MODES[name])
    figures = {
        "waits": len(found.own),
        "of the model": len(found.found) - len(found.own),
        "of Trainer": len(found.elsewhere),
        "places": sorted(f"{wait.place}: {wait.operation}" for wait in found.own),
    }
    shown = f"{figures['waits']}, the model {figures['of the model']}, Trainer {figures['of Trainer']}"
    # On a CPU a step reads what it would not read from a GPU.
    verdict = at_most(figures["waits"], aim) if place.is_gpu else NOTE
    return Row(name, shown, f"<= {aim}", verdict, figures)
