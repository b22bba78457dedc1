"""The part of the trainer's data loader that adds unlabelled examples to each batch."""

from collections.abc import Collection, Mapping
from typing import Any

import datasets
from torch.utils.data import ConcatDataset, DataLoader, Sampler
from transformers import Trainer, TrainerCallback

from augment.greedy import GreedySearch

from .data.group_collator import plain
from .data.groups import LABEL_COLUMNS, POSITIONS
from .data.unlabeled import INDEX, IndexedExamples, UnlabeledCollator
from .objective.class_weights import is_stream
from .training_args import MMELTrainingArguments


class UnlabeledCallback(TrainerCallback):
    """Tells the collator of unlabelled examples which epoch begins."""

    newest_collator: UnlabeledCollator | None = None  # of the newest data loader, which a callback may ask for as well

    def on_train_begin(self, args, state, control, **kwargs):
        self.collator = self.newest_collator
        self.next_epoch = int(state.epoch or 0)  # a resumed run begins in the middle of this epoch

    def on_epoch_begin(self, args, state, control, **kwargs):
        if self.collator is not None:
            self.collator.set_epoch(self.next_epoch)
        self.next_epoch += 1


class UnlabeledDataTrainer(Trainer):
    """A `Trainer` whose labelled training examples bring unlabelled ones along, see `UnlabeledCollator`."""

    args: MMELTrainingArguments
    unlabeled_dataset: Any = None

    @property
    def _unlabelled(self) -> Any:
        """The unlabelled examples, if they are used."""
        if self.unlabeled_dataset is None or not (self.args.unlabeled_ratio and self.args.lambda_u):
            return None
        return self.unlabeled_dataset

    @property
    def _all_examples(self) -> Any:
        """The training examples and the unlabelled ones."""
        train_dataset: Any = self.train_dataset
        return train_dataset if self._unlabelled is None else ConcatDataset([train_dataset, self._unlabelled])

    def get_train_dataloader(self) -> DataLoader:
        """The stock data loader, with unlabelled examples in each batch if there are any."""
        given = self.train_dataset, self.data_collator, self._signature_columns
        unlabelled: Any = self._unlabelled
        collator = None
        if unlabelled is not None:
            self._set_signature_columns_if_needed()
            columns: Any = self._signature_columns or ()
            used = columns if self.args.remove_unused_columns else None
            check_columns(self.train_dataset, unlabelled, used, self.args.weight_column)
            unlabelled = self._with_used_columns(unlabelled)
            self.train_dataset = IndexedExamples(self._with_used_columns(self.train_dataset))
            seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
            options = len(self.train_dataset), self.args.unlabeled_ratio, seed, self.args.weight_column
            collator = UnlabeledCollator(self.data_collator, unlabelled, *options)
            changed: Any = collator, [*columns, INDEX]
            self.data_collator, self._signature_columns = changed
        self._set_newest(collator)
        try:
            return super().get_train_dataloader()
        finally:
            self.train_dataset, self.data_collator, self._signature_columns = given

    def _with_used_columns(self, dataset: Any) -> Any:
        return self._remove_unused_columns(dataset) if isinstance(dataset, datasets.Dataset) else dataset

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler | None:
        """The stock sampler; it may read the lengths of examples in a column."""
        is_indexed = isinstance(train_dataset, IndexedExamples)
        return super()._get_train_sampler(train_dataset.examples if is_indexed else train_dataset)

    def _set_newest(self, collator: UnlabeledCollator | None) -> None:
        """Has the callback tell a collator the epochs, and adds the callback when it is first needed."""
        callbacks = self.callback_handler.callbacks
        if collator is not None and not any(isinstance(callback, UnlabeledCallback) for callback in callbacks):
            self.add_callback(UnlabeledCallback())
        for callback in callbacks:
            if isinstance(callback, UnlabeledCallback):
                callback.newest_collator = collator


def check_unlabeled(
    unlabeled_dataset: Any, train_dataset: Any, args: MMELTrainingArguments, augmenter: Any, has_variants: bool
) -> None:
    """
    Raises a `TypeError` or a `ValueError` if unlabelled examples cannot be used with these arguments, this augmenter
    or these labelled examples. `has_variants` says whether anything makes variants.
    """
    for name, dataset in (("unlabeled_dataset", unlabeled_dataset), ("train_dataset", train_dataset)):
        if isinstance(dataset, Mapping):
            raise TypeError(f"{name} is a {type(dataset).__name__}; expected one data set.")
        if is_stream(dataset) or not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"{name} is a {type(dataset).__name__}, a stream; to train with unlabelled examples, expected a data "
                "set with a length and an index. Load the whole data set."
            )
    if not len(unlabeled_dataset):
        raise ValueError("unlabeled_dataset has no rows; expected at least one, or None.")
    check_unlabeled_loss(args, has_variants)
    if isinstance(augmenter, GreedySearch):
        raise ValueError(
            "unlabeled_dataset is given, but a GreedySearch searches variants of the labelled examples alone; "
            "expected another augmenter, such as the candidates of the GreedySearch."
        )


def check_unlabeled_loss(args: MMELTrainingArguments, has_variants: bool) -> None:
    """Raises a `ValueError` if these arguments do not say how unlabelled examples count."""
    if args.unlabeled_loss == "divergence" and args.mmel_loss != "soft":
        raise ValueError(
            f"Unlabelled examples are given, but mmel_loss={args.mmel_loss!r} has no divergence; expected "
            "mmel_loss='soft', or unlabeled_loss='pseudo_label' or 'entropy'."
        )
    if args.unlabeled_loss == "divergence" and not has_variants:
        raise ValueError(
            "Unlabelled examples are given, but nothing makes the variants whose predictions are compared; expected "
            "an augmenter or an adversary, or unlabeled_loss='pseudo_label' or 'entropy'."
        )


def check_columns(
    train_dataset: Any, unlabeled_dataset: Any, used: Collection[str] | None, weight_column: str | None = None
) -> None:
    """
    Raises a `ValueError` if labels are not one class for each example, or if unlabelled examples lack a column of the
    labelled ones other than their weights. `used` are the columns that are read; all if it is `None`.
    """
    first, other = (
        {name: plain(x) for name, x in dataset[0].items()} for dataset in (train_dataset, unlabeled_dataset)
    )
    label = next((first[name] for name in LABEL_COLUMNS if name in first), None)
    classes = label if isinstance(label, list) else [label]
    if POSITIONS[0] in first or len(classes) != 1 or not isinstance(classes[0], int):
        raise ValueError(
            f"unlabeled_dataset is given, but the first row of train_dataset has the label {label!r:.80}; expected "
            "one class for each example."
        )
    needed = first.keys() - {*LABEL_COLUMNS, weight_column}
    columns = [name for name in first if name in needed and (used is None or name in used)]
    missing = [name for name in columns if name not in other]
    if missing:
        raise ValueError(
            f"unlabeled_dataset has the columns {sorted(other)}, but train_dataset also has {', '.join(missing)}; "
            "expected the same columns, except for the label. Make both in the same way."
        )
