"""Fine-tunes one small model with no augmentation, uniform augmentation, MMEL-H and MMEL-S, and compares them.

    python examples/demo.py [--seeds 1 2 3] [--output_dir outputs/demo]

Data and model are made here, so nothing is downloaded. The data is synthetic: film reviews in which each of three
aspects is praised or blamed. The label is the majority. The validation reviews praise and blame in words that the
training reviews do not have (`TRAINING_WORDS` and `HELD_OUT_WORDS`), as a user's words differ from those in a small
training set; three in four of them are WordNet synonyms of training words. The model, a BERT of two layers with random
weights, can only learn them from augmentation. This shows the mechanism at work; only real data can show what
augmentation does for a pretrained model on real text.
"""

import argparse
import csv
import json
import random
import statistics
import time
from pathlib import Path

from _tiny import METHODS, make_config, make_tokenizer
from transformers import BertForSequenceClassification, PreTrainedTokenizerFast, set_seed

from augment import WordNetSynonyms
from hf_mmel.cli import run as cli


ROOT = Path(__file__).resolve().parents[1]
NUM_TRAIN, NUM_VALIDATION = 200, 1000
ASPECTS = ["plot", "music", "ending", "cast", "humor", "pace", "dialogue", "photography"]
OPENINGS = ["", "i think", "honestly ,", "to me", "as expected ,", "this time"]
TRAINING_WORDS = {
    "positive": ["wonderful", "fascinating", "amazing", "faultless", "superb", "clever", "honest", "delightful"],
    "negative": ["awful", "tedious", "lousy", "faulty", "cruel", "ridiculous", "pathetic", "repulsive"],
}
HELD_OUT_WORDS = {
    "positive": [
        "marvelous",
        "terrific",
        "gripping",
        "absorbing",
        "astonishing",
        "impeccable",
        "excellent",
        "charming",
    ],
    "negative": ["terrible", "dreadful", "boring", "tiresome", "rotten", "defective", "bad", "dull"],
}


def review(words: dict[str, list[str]], rng: random.Random) -> tuple[str, str]:
    """A review of three aspects, and its label: the opinion on most of them."""
    opinions = [rng.choice(["positive", "negative"]) for _ in range(3)]
    clauses = [
        f"the {aspect} is {rng.choice(words[opinion])}"
        for aspect, opinion in zip(rng.sample(ASPECTS, 3), opinions, strict=True)
    ]
    text = f"{rng.choice(OPENINGS)} {clauses[0]} , {clauses[1]} and {clauses[2]} ."
    return text.strip(), statistics.mode(opinions)


def write_data(folder: Path) -> None:
    """`train.csv` and `validation.csv` with the columns `text` and `label`."""
    for name, size, words in (("train", NUM_TRAIN, TRAINING_WORDS), ("validation", NUM_VALIDATION, HELD_OUT_WORDS)):
        rng = random.Random(name)
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *(review(words, rng) for _ in range(size))])


def write_model(folder: Path) -> PreTrainedTokenizerFast:
    """A BERT of two layers with random weights, and a tokenizer with all letters and the words of both lists."""
    words = [word for words in (TRAINING_WORDS, HELD_OUT_WORDS) for group in words.values() for word in group]
    tokenizer = make_tokenizer([*words, *ASPECTS, *OPENINGS, "the is and . ,"])
    tokenizer.save_pretrained(folder)
    usual = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02}
    config = make_config(tokenizer, **usual)
    set_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
    return tokenizer


def run(method: str, seed: int, folder: Path) -> dict[str, float]:
    """The accuracy on the held-out reviews and the seconds of one training run, by the command of the README."""
    arguments = json.loads((ROOT / "examples" / "demo.json").read_text(encoding="utf-8"))
    for name in ("model_name_or_path", "train_file", "validation_file"):
        arguments[name] = str(folder / Path(arguments[name]).name)
    output_dir = folder / f"{method}-seed{seed}"
    output_dir.mkdir(exist_ok=True)
    arguments |= {"mmel_loss": method, "seed": seed, "output_dir": str(output_dir), "overwrite_output_dir": True}
    config = folder / f"{output_dir.name}.json"
    config.write_text(json.dumps(arguments, indent=2), encoding="utf-8")
    print(f"\n=== {METHODS[method]}, seed {seed}: python run_glue_mmel.py {config}")
    start = time.perf_counter()
    accuracy = cli.main([str(config)])["eval_accuracy"]
    return {"accuracy": accuracy, "seconds": time.perf_counter() - start}


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """A markdown table with one row per method."""
    rows = ["| method | held-out accuracy | seconds per run |", "|---|---|---|"]
    for method, runs in results.items():
        accuracies = [100 * run["accuracy"] for run in runs]
        spread = f" ± {statistics.stdev(accuracies):.1f}" if len(runs) > 1 else ""
        seconds = statistics.mean(run["seconds"] for run in runs)
        rows.append(f"| {METHODS[method]} | {statistics.mean(accuracies):.1f}{spread} % | {seconds:.0f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/demo"))
    options = parser.parse_args()
    folder = options.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    write_data(folder)
    WordNetSynonyms(write_model(folder / "model"))  # builds and caches the lexicon, which the runs then share
    results: dict[str, list[dict[str, float]]] = {}
    for method in METHODS:
        results[method] = [run(method, seed, folder) for seed in options.seeds]
    (folder / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    summary = (
        f"{NUM_VALIDATION} held-out reviews, whose words of praise and blame are not in the {NUM_TRAIN} training "
        f"reviews (synthetic data; mean ± standard deviation over {len(options.seeds)} seeds):\n\n{table(results)}\n"
    )
    (folder / "results.md").write_text(summary, encoding="utf-8")
    print(f"\n{summary}\nModels, logs and these results are in {folder.resolve()}")


if __name__ == "__main__":
    main()
