"""The rival: R-Drop, which is no part of MMEL and has no augmenter."""

from __future__ import annotations

import torch
from transformers import Trainer

from hf_mmel.functional import divergence, per_variant_loss


class RDropTrainer(Trainer):
    """
    Reads each example twice, with dropout of its own, and adds to the mean of the two losses the mean of the two
    divergences between the predictions, times `alpha`. For regression the divergence is the squared difference.

    Source: Liang et al., "R-Drop: Regularized dropout for neural networks", NeurIPS 2021, arXiv 2106.14448.
    """

    def __init__(self, *args, alpha: float, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha
        self.model_accepts_loss_kwargs = False  # the loss is a mean over the batch

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        if not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs["labels"]
        rows = {name: torch.cat([value, value]) for name, value in inputs.items() if name != "labels"}
        outputs = model(**rows)
        one, two = outputs.logits.chunk(2)
        kind = model.config.problem_type
        losses = per_variant_loss(outputs.logits, torch.cat([labels, labels]), kind)
        apart = (divergence(one, two, kind) + divergence(two, one, kind)) / 2
        loss = losses.mean() + self.alpha * apart.mean()
        return (loss, outputs) if return_outputs else loss
