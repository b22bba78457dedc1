"""Evaluation and prediction of the command: no row is lost, and predictions are in the order of the data."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from ..trainer import MMELTrainer


class CommandTrainer(MMELTrainer):
    """
    An `MMELTrainer` that applies `dataloader_drop_last` to training alone; `Trainer` drops evaluated rows, too. In
    `last_output` it keeps the outputs and labels of its last evaluation or prediction.
    """

    last_output: EvalLoopOutput | None = None

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        self.last_output = super().evaluation_loop(*args, **kwargs)
        return self.last_output

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        with temporarily(self.args, dataloader_drop_last=False):
            return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader:
        with temporarily(self.args, dataloader_drop_last=False):
            return super().get_test_dataloader(test_dataset)


def predict_in_order(trainer: Trainer, dataset: Dataset) -> Any:
    """
    The model's predictions in the order of the data. With "group_by_length" `Trainer` would return the predictions in
    the order of the lengths, in evaluation and prediction as well.
    """
    with temporarily(trainer.args, train_sampling_strategy="sequential"):
        return trainer.predict(dataset, metric_key_prefix="predict").predictions


@contextmanager
def temporarily(args: TrainingArguments, **values: Any) -> Iterator[None]:
    """Sets arguments for the block, such as for a data loader that is made in it."""
    before = {name: getattr(args, name) for name in values}
    try:
        for name, value in values.items():
            setattr(args, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(args, name, value)
