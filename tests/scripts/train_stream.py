"""Trains tiny models on streams of parts, one after the other; launched on one process or on several."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch


TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "augment"), str(TESTS.parent)]

from conftest import SENTENCES, make_model, make_tokenizer  # noqa: E402
from datasets import Dataset, IterableDataset, load_dataset  # noqa: E402
from scripts.train_groups import DEFAULTS  # noqa: E402
from trainer_runs import SPEED, same_weights  # noqa: E402

from augment import VariantsFromColumn  # noqa: E402
from hf_mmel import MMELTrainer, MMELTrainingArguments  # noqa: E402
from hf_mmel.distributed import end_training  # noqa: E402


TEXTS = [f"{text} {ending}" for ending in ("", "!", "again") for text in SENTENCES]  # all different


def rows_of(num_rows: int, is_pair: bool = False) -> list[dict[str, Any]]:
    """Rows with up to three variants of a text, or of a pair of texts."""
    rows = []
    for i, text in enumerate(TEXTS[:num_rows]):
        variants = [f"{word} {text}" for word in ("we", "the", "a")[: i % 4]]
        row: dict[str, Any] = {"text": text, "variants": variants, "label": i % 2}
        if is_pair:
            row |= {"second": "a good film", "variants": [[variant, "the film was good"] for variant in variants]}
        rows.append(row)
    return rows


def write_parts(folder: Path, sizes: Sequence[int], is_pair: bool = False) -> str:
    """Files of so many rows each; the pattern of their names."""
    rows, start = rows_of(sum(sizes), is_pair), 0
    for number, size in enumerate(sizes):
        name = f"part-{number:05}-of-{len(sizes):05}.parquet"
        Dataset.from_list(rows[start : start + size]).to_parquet(str(folder / name))
        start += size
    return str(folder / "*.parquet")


class Passes(torch.utils.data.IterableDataset):
    """Rows of a stream in the order of each pass."""

    def __init__(self, passes: Sequence[Sequence[Any]]):
        self.passes, self.epoch = passes, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self):
        return iter(self.passes[self.epoch])


class Recorder(MMELTrainer):
    """Keeps the tokens of the originals in the batches of this process, and how many variants they have."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        if model.training:
            tokens = zip(inputs["input_ids"][:, 0], inputs["attention_mask"][:, 0].bool(), strict=True)
            self.batches = [*getattr(self, "batches", []), [tuple(ids[seen].tolist()) for ids, seen in tokens]]
            self.num_variants = getattr(self, "num_variants", 0) + int(inputs["variant_mask"][:, 1:].sum())
        return super().compute_loss(model, inputs, *args, **kwargs)


def tokenised(data: Any, tokenizer: Any) -> Any:
    """A row, or a dataset or stream of rows, with `input_ids`."""
    if not isinstance(data, Mapping):
        return data.map(lambda row: tokenised(row, tokenizer))
    return {**data, **tokenizer(*(data[name] for name in ("text", "second") if name in data), truncation=True)}


def train(
    output_dir: str,
    files: str | None = None,
    dataset: Any = None,
    is_pair: bool = False,
    buffer_size: int | None = None,
    passes: int | None = 1,
    resume_from_checkpoint: str | None = None,
    **arguments: Any,
) -> Recorder:
    """The trainer after its training on the files, or on a dataset; `passes` is `None` for an endless stream."""
    tokenizer = make_tokenizer("wordpiece")
    if files is not None:
        stream: IterableDataset = load_dataset("parquet", data_files=files, split="train", streaming=True)
        if buffer_size is not None:
            stream = stream.shuffle(seed=3, buffer_size=buffer_size)
        dataset = tokenised(stream if passes == 1 else stream.repeat(passes), tokenizer)
    trainer = Recorder(
        make_model(tokenizer, initializer_range=0.3),
        MMELTrainingArguments(output_dir, **{**DEFAULTS, "num_variants": 2, "lambda_p": 0.1, **arguments}),
        train_dataset=dataset,
        processing_class=tokenizer,
        augmenter=VariantsFromColumn(tokenizer, "variants", ["text", "second"] if is_pair else "text"),
    )
    trainer.train(resume_from_checkpoint=resume_from_checkpoint)
    return trainer


def numbers_of(batches: Sequence[Sequence[tuple[int, ...]]], is_pair: bool = False) -> list[int]:
    """The numbers of the rows in the batches."""
    tokenizer = make_tokenizer("wordpiece")
    rows = [tokenised(row, tokenizer)["input_ids"] for row in rows_of(len(TEXTS), is_pair)]
    numbers = {tuple(ids): i for i, ids in enumerate(rows)}
    assert len(numbers) == len(TEXTS)
    return [numbers[ids] for batch in batches for ids in batch]


def train_on(
    output_dir: str,
    read: Sequence[Sequence[int]],
    per_pass: int | None,
    max_steps: int,
    is_pair: bool = False,
    **fields,
) -> Recorder:
    """
    The trainer after the training of one process that sees, in each update, the rows that several processes have read
    for it; `per_pass` rows make a pass, or all of them.
    """
    size = len(read[0]) // max_steps  # rows of a process in an update
    order = [i for start in range(0, len(read[0]), size) for part in read for i in part[start : start + size]]
    per_pass = per_pass or len(order)
    tokenizer = make_tokenizer("wordpiece")
    rows = [tokenised(row, tokenizer) for row in rows_of(len(TEXTS), is_pair)]
    passes = Passes([[rows[i] for i in order[start : start + per_pass]] for start in range(0, len(order), per_pass)])
    batch_size = size * len(read)
    return train(
        output_dir, None, passes, is_pair, per_device_train_batch_size=batch_size, max_steps=max_steps, **fields
    )


def assert_same_training(reference: Recorder, result: dict[str, Any]) -> None:
    """The weights and logs of a process are those of the reference, which has moved from its start."""
    start = make_model(make_tokenizer("wordpiece"), initializer_range=0.3).state_dict()
    weights = reference.model.state_dict()
    assert max((weight - start[key]).abs().max() for key, weight in weights.items()) > 1e-3
    for key, weight in weights.items():
        assert same_weights(result["weights"][key], weight), key
    for ours, theirs in zip(reference.state.log_history, result["logs"], strict=True):
        names = [key for key in ours if ("loss" in key or key.startswith("mmel/")) and key != SPEED]
        assert [theirs[key] for key in names] == pytest.approx([ours[key] for key in names], abs=1e-5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("cases", type=json.loads, help="name -> arguments of train")
    options = parser.parse_args()
    results = {}
    for name, case in options.cases.items():
        trained = train(str(options.output_dir / name), **case)
        results[name] = {
            "weights": trained.model.state_dict(),
            "logs": trained.state.log_history,
            "batches": trained.batches,
            "num_variants": trained.num_variants,
        }
    torch.save(results, options.output_dir / f"results{trained.args.process_index}.pt")
    end_training(trained)
