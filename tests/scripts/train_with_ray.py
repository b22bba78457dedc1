"""What each worker of Ray Train runs in tests: training on a dataset that it loads, and on its shard of Ray Data."""

from pathlib import Path
from typing import Any

import ray.train
import torch
from conftest import make_model, make_tokenizer
from datasets import load_dataset
from ray.train.huggingface.transformers import RayTrainReportCallback, prepare_trainer
from scripts.train_groups import DEFAULTS
from scripts.train_stream import Recorder, tokenised

from augment import VariantsFromColumn
from hf_mmel import MMELTrainingArguments, VariantCollator


def train(config: dict[str, Any]) -> None:
    """Trains as the docs do, and then in both ways; each worker writes what it found."""
    config["documented"]()
    tokenizer = make_tokenizer("wordpiece")
    augmenter = VariantsFromColumn(tokenizer, "variants")
    dataset = load_dataset("parquet", data_files=config["files"], split="train", cache_dir=config["cache_dir"])
    collator = VariantCollator(tokenizer, augmenter, num_variants=2)

    def collate(batch):
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        return collator([{**tokenizer(row["text"]), **row} for row in rows])

    shard = ray.train.get_dataset_shard("train")
    ways = {
        "dataset": {"train_dataset": tokenised(dataset, tokenizer), "augmenter": augmenter},
        "shard": {
            "train_dataset": shard.iter_torch_batches(batch_size=4, collate_fn=collate),
            "data_collator": collator,
        },
    }
    results = {}
    for name, way in ways.items():
        fields = {**DEFAULTS, "num_variants": 2, "lambda_p": 0.1, "per_device_train_batch_size": 4, "max_steps": 6}
        fields |= {"save_strategy": "steps", "save_steps": 6, "save_only_model": True}
        args = MMELTrainingArguments(str(Path(config["output_dir"]) / name), **fields)
        trainer = Recorder(make_model(tokenizer, initializer_range=0.3), args, processing_class=tokenizer, **way)
        trainer.add_callback(RayTrainReportCallback())
        trainer = prepare_trainer(trainer)
        trainer.train()
        results[name] = {
            "weights": trainer.model.state_dict(),
            "logs": trainer.state.log_history,
            "batches": trainer.batches,
            "num_variants": trainer.num_variants,
            "num_threads": torch.get_num_threads(),
        }
    torch.save(results, Path(config["output_dir"]) / f"results{trainer.args.process_index}.pt")
