"""Where the examples come from, and who collates them, changes neither variants nor weights."""

from itertools import chain

import pytest
import torch
from conftest import SENTENCES
from datasets import Dataset
from pairwise import in_turn, pairwise
from trainer_runs import LOSSES, Stream, run, weights_of
from transformers import DataCollatorWithPadding

from hf_mmel import MMELTrainer


FIELDS = {"per_device_train_batch_size": 2, "learning_rate": 1e-2, "train_sampling_strategy": "sequential"}


class RecordBatches(MMELTrainer):
    """Keeps the batches that are trained on."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        self.batches = [*getattr(self, "batches", []), dict(inputs)]
        return super().compute_loss(model, inputs, *args, **kwargs)


def same_batches(one, other):
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(one, other, strict=True)
    )


def variants_of(batches):
    return [batch["input_ids"][batch["variant_mask"]].tolist() for batch in batches]


@pairwise(
    mmel_loss=["hard", "soft"], stream_of={"datasets": Dataset.to_iterable_dataset, "torch": Stream}, workers=[0, 1]
)
def test_a_stream_has_the_variants_and_weights_of_rows_read_in_order(
    arguments, tokenizer, dataset, augmenter, mmel_loss, stream_of, workers
):
    """Two readings of the data, and so two epochs of variants."""
    args = arguments(**FIELDS, mmel_loss=mmel_loss, max_steps=10, dataloader_num_workers=workers)
    rows, _ = run(RecordBatches, args, tokenizer, dataset, dropout=0.0, augmenter=augmenter)
    stream, _ = run(RecordBatches, args, tokenizer, stream_of(dataset), dropout=0.0, augmenter=augmenter)
    assert same_batches(rows.batches, stream.batches)
    assert variants_of(rows.batches[:5]) != variants_of(rows.batches[5:])
    assert torch.equal(weights_of(rows), weights_of(stream))


@pytest.mark.integration
@LOSSES
@pytest.mark.parametrize(
    "options",
    [
        {"dataloader_num_workers": 4},
        {"dataloader_num_workers": 4, "dataloader_persistent_workers": True},
        {"dataloader_num_workers": 2, "dataloader_persistent_workers": True, "dataloader_prefetch_factor": 4},
        pytest.param(  # a new interpreter for each epoch takes seconds
            {"dataloader_num_workers": 1, "dataloader_multiprocessing_context": "spawn"}, marks=pytest.mark.slow
        ),
    ],
    ids=["workers", "persistent", "prefetching", "spawned"],
)
def test_workers_that_collate_ahead_give_every_epoch_its_variants(
    arguments, tokenizer, dataset, augmenter, mmel_loss, options
):
    """Without dropout: a data loader takes another number of its random numbers where its workers persist."""
    fields = {**FIELDS, "train_sampling_strategy": "random", "mmel_loss": mmel_loss, "num_train_epochs": 2}
    given = {"augmenter": augmenter, "dropout": 0.0}
    alone, _ = run(RecordBatches, arguments(**fields), tokenizer, dataset, **given)
    helped, _ = run(RecordBatches, arguments(**fields, **options), tokenizer, dataset, **given)
    assert same_batches(alone.batches, helped.batches)
    assert torch.equal(weights_of(alone), weights_of(helped))
    by_epoch = [{str(row) for row in chain(*variants_of(helped.batches[i : i + 5]))} for i in (0, 5)]
    assert by_epoch[0] != by_epoch[1]


class PadModelInputs(DataCollatorWithPadding):
    """Pads, and leaves out columns that are no numbers, as it has to be where the trainer removes none."""

    def __call__(self, features):
        return super().__call__([{k: v for k, v in row.items() if not isinstance(v, str)} for row in features])


@in_turn(kind=["rows", "list", "stream"], mmel_loss=["hard", "soft"])
def test_columns_of_text_change_nothing_removed_or_not(arguments, tokenizer, dataset, augmenter, mmel_loss, kind):
    as_kind = {"rows": lambda data: data, "list": list, "stream": Dataset.to_iterable_dataset}[kind]
    with_text = dataset.add_column("text", [f"text {i}" for i in range(9)]).add_column("source", ["film"] * 9)
    fields = {**FIELDS, "mmel_loss": mmel_loss, "max_steps": 10}
    plain, _ = run(RecordBatches, arguments(**fields), tokenizer, as_kind(dataset), augmenter=augmenter)
    for remove_unused_columns in (True, False):
        trainer, _ = run(
            RecordBatches,
            arguments(**fields, remove_unused_columns=remove_unused_columns),
            tokenizer,
            as_kind(with_text),
            augmenter=augmenter,
            data_collator=PadModelInputs(tokenizer) if not remove_unused_columns else None,
        )
        assert same_batches(plain.batches, trainer.batches)
        assert torch.equal(weights_of(plain), weights_of(trainer))


def test_rows_tokenised_by_a_transform_equal_tokenised_rows(arguments, tokenizer, dataset, augmenter):
    """Its columns are not those of the rows, so that nothing of it is checked ahead."""
    raw = Dataset.from_dict({"text": SENTENCES, "stars": [i % 2 + 4 for i in range(len(SENTENCES))]})

    def tokenised(batch):
        return {**tokenizer(batch["text"]), "label": [stars - 4 for stars in batch["stars"]]}

    fields = {**FIELDS, "max_steps": 10, "remove_unused_columns": False}
    stored = dataset.remove_columns(set(dataset.column_names) - {*tokenised(raw[:1])})
    plain, _ = run(RecordBatches, arguments(**fields), tokenizer, stored, augmenter=augmenter)
    read, _ = run(RecordBatches, arguments(**fields), tokenizer, raw.with_transform(tokenised), augmenter=augmenter)
    assert same_batches(plain.batches, read.batches)
    assert torch.equal(weights_of(plain), weights_of(read))
