"""Shared by the examples: a tiny tokenizer and model, and the comparison of the four methods."""

import argparse
import random
import statistics
import string
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, PreTrainedTokenizerFast, PrinterCallback, set_seed


sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the examples run without an installation, too

from hf_mmel import MMELTrainer, MMELTrainingArguments


Results = dict[str, list[dict[str, float]]]  # scores of each method, seed by seed

METHODS = {"none": "no augmentation", "uniform": "uniform augmentation", "hard": "MMEL-H", "soft": "MMEL-S"}


def make_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer that knows all letters and the words of the texts, among them pieces like `##ing`."""
    words = {word for text in texts for word in text.split()} | set(string.ascii_lowercase)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = [*special, *sorted(words), *(f"##{letter}" for letter in string.ascii_lowercase)]
    backend = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    backend.decoder = decoders.WordPiece()
    names = dict(zip(["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"], special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=64, **names)


def make_config(tokenizer: PreTrainedTokenizerFast, **fields) -> BertConfig:
    """The configuration of a BERT with two layers and 64 units."""
    defaults = {
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.1,  # 0.02, the default, suits hundreds of units; with 64 learning would be slow
    }
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
        **{**defaults, **fields},
    )


def make_arguments(method: str, seed: int, **fields) -> MMELTrainingArguments:
    """The training arguments of a run that saves nothing."""
    return MMELTrainingArguments(
        "outputs/examples",
        mmel_loss=method,
        seed=seed,
        num_variants=2,
        learning_rate=2e-3,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **fields,
    )


def all_words(synonyms: Mapping[str, Sequence[str]]) -> list[str]:
    """All words of a lexicon."""
    return [*synonyms, *(word for candidates in synonyms.values() for word in candidates)]


def replace_words(text: str, synonyms: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """The text with a synonym for each word that has any."""
    return " ".join(rng.choice(synonyms.get(word, [word])) for word in text.split())


def compare(
    make_trainer: Callable[[str, int, Dataset], MMELTrainer],
    make_data: Callable[[int, str, dict[str, list[str]]], Dataset],
    synonyms: dict[str, list[str]],
    argv: Sequence[str] | None = None,
    *,
    metric: str,
    num_train: int,
    description: str,
) -> Results:
    """
    Trains with each of the four methods and each seed, and prints a table of a metric on two test sets: one in the
    words of the training texts, one in their synonyms. `make_trainer` is called with a method, a seed and the training
    data; `make_data` with a size, a name that seeds the random choices, and the words to replace.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="one training run each")
    parser.add_argument("--num_train", type=int, default=num_train, help="training examples")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)  # faster for models of this size
    tests = {"same words": make_data(200, "test", {}), "synonyms": make_data(200, "test", synonyms)}

    def run(method: str, seed: int) -> dict[str, float]:
        set_seed(seed)
        trainer = make_trainer(method, seed, make_data(options.num_train, f"training {seed}", {}))
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return {name: trainer.predict(rows).metrics[f"test_{metric}"] for name, rows in tests.items()}

    results = run_all(run, METHODS, options.seeds)
    print(f"\n{metric.replace('_', ' ')}, mean ± standard deviation over seeds {options.seeds}:\n\n{table(results)}")
    return results


def run_all(run: Callable[[str, int], dict[str, float]], methods: Iterable[str], seeds: Iterable[int]) -> Results:
    """Runs each method with each seed, and prints the scores. Returns the scores and the seconds of each run."""
    results: Results = {method: [] for method in methods}
    for seed in seeds:
        for method, runs in results.items():
            start = time.perf_counter()
            scores = run(method, seed)
            runs.append({**scores, "seconds": time.perf_counter() - start})
            shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            print(f"{METHODS.get(method, method)}, seed {seed}: {shown}", flush=True)
    return results


def table(results: Results) -> str:
    """A markdown table with one row per method: mean ± standard deviation over the seeds."""
    columns = list(next(iter(results.values()))[0])
    rows = [f"| method | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for method, runs in results.items():
        cells = [METHODS.get(method, method)]
        for column in columns:
            values = [run[column] for run in runs]
            spread = f" ± {statistics.stdev(values):.2f}" if len(runs) > 1 and column != "seconds" else ""
            cells.append(f"{statistics.mean(values):.{1 if column == 'seconds' else 2}f}{spread}")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
