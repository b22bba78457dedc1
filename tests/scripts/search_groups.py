"""Trains a tiny model on variants of a greedy search; launched on one process or on several."""

import argparse
import sys
from pathlib import Path

import torch


TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from conftest import SENTENCES, WORDS, make_model, make_tokenizer  # noqa: E402
from datasets import Dataset  # noqa: E402
from scripts.train_groups import DEFAULTS  # noqa: E402

from augment import GreedySearch, LexiconSubstitution  # noqa: E402
from hf_mmel import GreedySearchCallback, MMELTrainer, MMELTrainingArguments  # noqa: E402
from hf_mmel.distributed import end_training  # noqa: E402


def train(output_dir: str, num_processes: int = 1, callbacks: tuple = (), **arguments) -> MMELTrainer:
    """The trainer after two epochs over seven examples and a copy of one under another label, without dropout."""
    tokenizer = make_tokenizer("wordpiece")
    texts = [*SENTENCES[:7], SENTENCES[0]]
    dataset = Dataset.from_list([{**tokenizer(text), "label": i % 3 % 2} for i, text in enumerate(texts)])
    defaults = {**DEFAULTS, "per_device_train_batch_size": 8 // num_processes, "num_train_epochs": 2}
    trainer = MMELTrainer(
        make_model(tokenizer, initializer_range=0.3),  # which tells variants apart by more than rounding
        MMELTrainingArguments(output_dir, **{**defaults, **arguments}),
        train_dataset=dataset,
        processing_class=tokenizer,
        augmenter=GreedySearch(LexiconSubstitution(tokenizer, WORDS), num_positions=2),
        callbacks=list(callbacks) or [GreedySearchCallback(batch_size=2)],
    )
    trainer.train()
    return trainer


def variants_of(trainer: MMELTrainer) -> list:
    """The variants of the last epoch."""
    rows = [{"input_ids": ids} for ids in trainer.train_dataset["input_ids"]]
    return trainer.augmenter.variants(rows, 3, [0] * len(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("output_dir")
    output_dir = parser.parse_args().output_dir
    trained = train(output_dir, num_processes=2)
    state = {"weights": trained.model.state_dict(), "variants": variants_of(trained)}
    torch.save(state, Path(output_dir) / f"state{trained.args.process_index}.pt")
    end_training(trained)
