"""Scoring: losses and divergences of variants without a gradient, and a cache that keeps them for later steps."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augment.core.devices import fast_dtype

from ..data.groups import GROUP_KEY, SOFT_LABELS, VARIANT_MASK, layout_of, take
from ..data.layout import on_device
from ..distributed import gathered
from ..objective.weighting import VariantLosses
from .forward import VariantForward, evaluating
from .micro_batches import fastest_micro_batches


class ScoreCache:
    """The last known scores of groups: the row of `values` `(N, ...)` that belongs to the key of a group."""

    def __init__(self, device: torch.device | str = "cpu"):
        self.device = device
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self.values = torch.empty(0, device=self.device)
        self._rows: dict[int, int] = {}
        self._changed: set[int] = set()

    def __contains__(self, key: int) -> bool:
        return key in self._rows

    def put(self, keys: Sequence[int], values: Tensor) -> None:
        """Adds groups with their scores `(n, ...)`, or replaces the scores of known groups."""
        for key in keys:
            self._rows.setdefault(key, len(self._rows))
        if len(self._rows) > len(self.values):  # doubled, so that little is copied
            grown = values.new_empty(2 * len(self._rows), *values.shape[1:])
            if len(self.values):
                grown[: len(self.values)] = self.values
            self.values = grown
        self.values[self.rows(keys)] = values

    def rows(self, keys: Sequence[int]) -> Tensor:
        """The rows of groups in `values`, `(n,)`, which may be written to; `share` sends them to other processes."""
        self._changed.update(keys)
        rows = np.array([self._rows[key] for key in keys], dtype=np.int64)
        return on_device(rows, self.values.device)

    def share(self) -> None:
        """Gives every process the scores that any process has changed. All processes have to call this."""
        keys = list(self._changed)
        for other_keys, other_values in gathered((keys, self.values[self.rows(keys)].cpu())):
            if other_keys:
                self.put(other_keys, other_values.to(self.device))
        self._changed.clear()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes, as plain data and tensors of the CPU."""
        keys = list(self._rows)
        return {"keys": keys, "values": self.values[: len(keys)].cpu(), "changed": sorted(self._changed)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replaces all scores by those of an earlier cache of this process."""
        self.clear()
        if state["keys"]:
            self.put(state["keys"], state["values"].to(self.device))
        self._changed = set(state["changed"])


class Scores(NamedTuple):
    """Scores of a batch of groups."""

    values: VariantLosses  # of all variants, (B, V)
    soft_labels: Tensor | None = None  # logits of the originals, (B, 1, ..., C), for MMEL-S without a cache
    rows: Tensor | None = None  # where the groups are in the cache, (B,)


class Scorer:
    """
    Scores variants, as `scoring_dropout`, `scoring_bf16` and `scoring_compile` say, and caches the scores with
    `score_interval`.
    """

    def __init__(self, forward: VariantForward, cache: ScoreCache, is_sharded: bool = False):
        self.forward, self.args, self.cache, self.is_sharded = forward, forward.args, cache, is_sharded
        self._compiled: Any = None  # the model, with `scoring_compile`

    def __call__(self, model: nn.Module, inputs: Mapping[str, Tensor], max_rows: int | None = None) -> Scores:
        """
        Scores all present variants of a batch of groups, or looks up those that are known. Forward passes have at most
        `max_rows` rows, unless a group has more.
        """
        if self.args.score_interval == 1:
            return self._scored(model, inputs, max_rows)
        if GROUP_KEY not in inputs:
            raise ValueError(
                f"score_interval is {self.args.score_interval}, but a batch has no {GROUP_KEY}, by which groups are "
                "known again; expected one of shape (B,), such as VariantCollator makes with epochs_per_draw."
            )
        group_keys: Any = layout_of(inputs).group_keys
        keys = group_keys.tolist()
        unknown = [i for i, key in enumerate(keys) if key not in self.cache]
        if unknown:
            part = take(inputs, np.array(unknown))
            self.cache.put([keys[i] for i in unknown], self._scored(model, part, max_rows).values.packed())
        rows = self.cache.rows(keys)
        return Scores(VariantLosses.unpacked(self.cache.values[rows]), rows=rows)

    def _scored(self, model: nn.Module, inputs: Mapping[str, Tensor], max_rows: int | None) -> Scores:
        args, mask = self.args, inputs[VARIANT_MASK]
        in_bf16 = args.scoring_bf16
        if in_bf16 is None:
            in_bf16 = fast_dtype(str(mask.device)) == "bfloat16"
        layout = layout_of(inputs)
        parts = [layout.present]
        if not self.is_sharded:
            lengths = layout.longest(layout.present)
            parts = fastest_micro_batches(layout.present, lengths, mask.device.type, max_rows)
        if args.scoring_compile:
            if self._compiled is None:
                backend, mode = args.torch_compile_backend or "inductor", args.torch_compile_mode
                self._compiled = torch.compile(model, backend=backend, mode=mode)
            model = self._compiled
        packed, soft_labels = [], []
        with (
            # Not `inference_mode`, whose tensors no gradient may need: models keep some, such as positions, for the
            # pass that is trained on.
            torch.no_grad(),
            # Training continues from the random state with which scoring began.
            torch.random.fork_rng(enabled=args.scoring_dropout, devices=[mask.device] if mask.is_cuda else []),
            nullcontext() if args.scoring_dropout else evaluating(model),
            torch.autocast(mask.device.type, torch.bfloat16, enabled=in_bf16),
        ):
            for part in parts:
                result = self.forward(model, inputs, part)
                packed.append(result.values.packed())
                if args.mmel_loss == "soft" and SOFT_LABELS not in inputs:
                    logits = result.logits[:, :1]
                    if logits.dim() == 4:  # of tokens, whose padding was trimmed
                        logits = F.pad(logits, (0, 0, 0, inputs["input_ids"].shape[-1] - logits.shape[2]))
                    soft_labels.append(logits.clone())  # the next pass of a compiled model may write over them
        order = np.concatenate([np.flatnonzero(part.any(axis=1)) for part in parts]).argsort()
        in_order = [torch.cat(x)[on_device(order, mask.device)] for x in (packed, soft_labels) if x]
        return Scores(VariantLosses.unpacked(in_order[0]), in_order[1] if soft_labels else None)
