"""What the examples share: a tokenizer and a model of a few words, and the comparison of the four methods."""

import argparse
import contextlib
import io
import random
import statistics
import string
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, PreTrainedTokenizerFast


sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the examples run without an installation, too

from hf_mmel import MMELTrainingArguments


METHODS = {"none": "no augmentation", "uniform": "uniform augmentation", "hard": "MMEL-H", "soft": "MMEL-S"}


def make_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of BERT's kind that knows all letters and the words of the texts, among them pieces like `##ing`."""
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
    """The configuration of a BERT of two layers and 64 units."""
    defaults = {
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.1,  # BERT's 0.02 suits hundreds of units, and would have these learn slowly
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
    """Training arguments of one run, which saves nothing."""
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


def words_of(synonyms: Mapping[str, Sequence[str]]) -> list[str]:
    """All words of a lexicon."""
    return [*synonyms, *(word for candidates in synonyms.values() for word in candidates)]


def in_other_words(text: str, synonyms: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """The text with a synonym for each word that has any."""
    return " ".join(rng.choice(synonyms.get(word, [word])) for word in text.split())


def compare(
    run: Callable[[str, int, int], dict[str, float]],
    description: str,
    metric: str,
    num_train: int,
    argv: Sequence[str] | None,
) -> dict[str, list[dict[str, float]]]:
    """
    Prints a table of the metric that `run(method, seed, num_train)` gives for each test set, with each of the four
    methods, and returns all figures.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="one training for each")
    parser.add_argument("--num_train", type=int, default=num_train, help="training examples")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)  # more cost models of this size time

    results: dict[str, list[dict[str, float]]] = {}
    for method in METHODS:
        results[method] = []
        for seed in options.seeds:
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):  # `Trainer` prints figures of its own after a training
                scores = run(method, seed, options.num_train)
            results[method].append({**scores, "seconds": time.perf_counter() - start})
    print(f"{metric}, mean ± standard deviation over seeds {options.seeds}:\n\n{table(results)}")
    return results


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """One line per method in markdown: mean ± standard deviation over the seeds."""
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
