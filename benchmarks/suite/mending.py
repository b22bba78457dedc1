"""A λ_P that changes in the course of a training."""

from __future__ import annotations

from transformers import TrainerCallback


class LambdaSchedule(TrainerCallback):
    """
    Has λ_P go from one value to another in the course of a training, by the same factor in each step: from a large one
    down is a schedule from uniform weights to hard ones, from a small one up the reverse.

    Args:
        start, end (`float`): λ_P of the first and of the last step, above 0.
    """

    def __init__(self, start: float, end: float):
        self.start, self.end = start, end

    def on_step_begin(self, args, state, control, **kwargs):
        done = state.global_step / max(1, state.max_steps - 1)
        args.lambda_p = self.start * (self.end / self.start) ** done
