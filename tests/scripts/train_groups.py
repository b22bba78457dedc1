"""Trains a tiny model on groups of variants and writes its weights; launched on one process or on several."""

import argparse
import sys
from pathlib import Path

import torch


TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "augment"), str(TESTS.parent)]

from augmenters import masked_lm  # noqa: E402
from conftest import SENTENCES, WORDS, make_model, make_tokenizer  # noqa: E402
from datasets import Dataset  # noqa: E402

from augment import LexiconSubstitution, candidate_table  # noqa: E402
from hf_mmel import MMELTrainer, MMELTrainingArguments  # noqa: E402


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


def train(output_dir: str, num_examples: int = 8, augmenter: str = "lexicon", **arguments) -> MMELTrainer:
    """The trainer after its training on the first examples, in their order, without dropout."""
    tokenizer = make_tokenizer("wordpiece")
    texts = (SENTENCES * 2)[:num_examples]
    dataset = Dataset.from_list([{**tokenizer(text), "label": i % 3 % 2} for i, text in enumerate(texts)])
    defaults = {**DEFAULTS, "lambda_p": 0.1, "per_device_train_batch_size": 8, "max_steps": 2}
    if augmenter == "lexicon":
        source = LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5)
    else:
        source = masked_lm(tokenizer, cache_dir=str(Path(output_dir) / "cache"))
    trainer = MMELTrainer(
        make_model(tokenizer),
        MMELTrainingArguments(output_dir, **{**defaults, **arguments}),
        train_dataset=dataset,
        processing_class=tokenizer,
        augmenter=source,
    )
    trainer.train()
    return trainer


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("output_dir")
    parser.add_argument("--num_examples", type=int)
    parser.add_argument("--per_device_train_batch_size", type=int)
    parser.add_argument("--gradient_accumulation_steps", type=int)
    parser.add_argument("--mmel_loss")
    parser.add_argument("--augmenter", default="lexicon")
    options = vars(parser.parse_args())
    candidate_table.PART_ROWS = 3  # so that every process has parts of the table to make
    trained = train(**options)
    if trained.is_world_process_zero():
        state = {"weights": trained.model.state_dict(), "logs": trained.state.log_history}
        torch.save(state, Path(options["output_dir"]) / "state.pt")
    trained.accelerator.end_training()  # gloo threads that outlive the interpreter abort the process
