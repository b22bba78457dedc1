"""Trains tiny models on groups of variants, one after the other; launched on one process or on several."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch


TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "augment"), str(TESTS.parent)]

from augmenters import masked_lm  # noqa: E402
from conftest import SENTENCES, WORDS, make_model, make_tokenizer  # noqa: E402
from datasets import Dataset  # noqa: E402
from scripts.shard_on_cpu import shard_on_cpu  # noqa: E402

from augment import GreedySearch, LexiconSubstitution  # noqa: E402
from augment.mlm import candidate_table  # noqa: E402
from hf_mmel import AdversarialVariants, MMELTrainer, MMELTrainingArguments  # noqa: E402
from hf_mmel.distributed import end_training  # noqa: E402
from hf_mmel.step import micro_batches  # noqa: E402


# Steps that show in the weights what they were made of: plain descent, in the order of the examples, and quiet.
DEFAULTS = {
    "mmel_loss": "hard",
    "num_variants": 3,
    "learning_rate": 1e-2,
    "optim": "sgd",
    "lr_scheduler_type": "constant",
    "max_grad_norm": 0.0,
    "logging_steps": 1,
    "train_sampling_strategy": "sequential",
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "use_cpu": True,
}


class FailsInOneProcess(LexiconSubstitution):
    """Makes no variants in the second process."""

    def variants(self, *args, **kwargs):
        if os.environ["RANK"] == "1":
            raise RuntimeError("The variants of this process are out of reach.")
        return super().variants(*args, **kwargs)


def make_augmenter(kind: str, tokenizer, output_dir: str):
    if kind == "masked_lm":
        return masked_lm(tokenizer, cache_dir=str(Path(output_dir) / "cache"))
    cls = FailsInOneProcess if kind == "failing" else LexiconSubstitution
    lexicon = cls(tokenizer, WORDS, replace_prob=0.5)
    return GreedySearch(lexicon) if kind == "greedy" else lexicon


def train(
    output_dir: str,
    num_examples: int = 8,
    augmenter: str = "lexicon",
    rows: Sequence[int] | None = None,
    labels: Sequence[int] = (0, 1, 0),
    weights: Sequence[float] | None = None,
    stream: bool = False,
    dropout: float = 0.0,
    resume_from_checkpoint: str | None = None,
    adversary: dict | None = None,
    poison: str | None = None,
    unlabelled: Sequence[int] | None = None,
    tokens_of_a_pass: int = micro_batches._TOKENS_PER_PASS["cpu"],
    head_factor: float = 1.0,
    **arguments,
) -> MMELTrainer:
    """
    The trainer after its training on the first examples, or on those with the numbers `rows`, in their order, and on
    the texts with the numbers `unlabelled`, without labels. The word `poison` is read as NaN. With few
    `tokens_of_a_pass` texts of different lengths have passes of their own. A large `head_factor` of the weights of the
    head makes predictions on variants differ.
    """
    tokenizer = make_tokenizer("wordpiece")
    rows = range(num_examples) if rows is None else rows
    texts = SENTENCES * 2
    dataset = Dataset.from_list([{**tokenizer(texts[i]), "label": labels[i % len(labels)]} for i in rows])
    if weights is not None:
        dataset = dataset.add_column("trust", [float(weights[i % len(weights)]) for i in rows])
        arguments["weight_column"] = "trust"
    defaults = {**DEFAULTS, "lambda_p": 0.1, "per_device_train_batch_size": 8, "max_steps": 2}
    model = make_model(tokenizer, dropout)
    model.classifier.weight.data.mul_(head_factor)
    trainer = MMELTrainer(
        model,
        MMELTrainingArguments(output_dir, **{**defaults, **arguments}),
        train_dataset=dataset.to_iterable_dataset() if stream else dataset,
        eval_dataset=dataset,
        processing_class=tokenizer,
        augmenter=make_augmenter(augmenter, tokenizer, output_dir),
        unlabeled_dataset=unlabelled and Dataset.from_list([{**tokenizer(texts[i])} for i in unlabelled]),
        adversary=None if adversary is None else AdversarialVariants(**adversary),
    )
    micro_batches._TOKENS_PER_PASS = {**micro_batches._TOKENS_PER_PASS, "cpu": tokens_of_a_pass}
    if poison is not None:
        spoilt = tokenizer.convert_tokens_to_ids(poison)
        trainer.model.get_input_embeddings().register_forward_hook(
            lambda module, args, embedded: embedded.masked_fill((args[0] == spoilt)[..., None], torch.nan)
        )
    trainer.train(resume_from_checkpoint=resume_from_checkpoint)
    return trainer


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("cases", type=json.loads, help="name -> arguments of train")
    options = parser.parse_args()
    shard_on_cpu()
    candidate_table.PART_TOKENS = 24  # so that every process has parts of the table to make
    results = {}
    for name, case in options.cases.items():
        trained = train(str(options.output_dir / name), **case)
        results[name] = {
            "weights": trained.accelerator.get_state_dict(trained.model_wrapped),
            "logs": trained.state.log_history,
            "history": trained.state.stateful_callbacks["VariantHistory"]["attributes"],
            "num_local_weights": sum(getattr(p, "_local_tensor", p).numel() for p in trained.model.parameters()),
        }
    torch.save(results, options.output_dir / f"results{trained.args.process_index}.pt")
    end_training(trained)
