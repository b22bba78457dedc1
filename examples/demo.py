"""Fine-tunes one small model with no augmentation, uniform augmentation, MMEL-H and MMEL-S, and compares them.

    python examples/demo.py [--seeds 1 2 3] [--output_dir outputs/demo]

Data and model are made here, so nothing but WordNet is downloaded. The data is synthetic: film reviews with a verdict
and three aspects, each praised or blamed. The label is the opinion on most aspects. The verdict agrees with it, so a
model can classify the reviews as they are written by the verdict alone.

The variants replace words by WordNet synonyms of all senses, and some synonyms of verdicts are ambiguous: "terrific"
replaces both "terrifying" and "wonderful". Where it does, only the aspects tell the label. But "terrific" is the only
synonym of "terrifying" and one of five of "wonderful", so most variants that have it blame the film, and a model that
takes it for blame has a small mean loss. Variants of "wonderful" that have it are rare, and their loss is large. MMEL
gives them more weight, so it learns them in fewer steps than uniform augmentation.

This shows the mechanism at work, on data made for it. Only real data can show what augmentation does for a pretrained
model on real text.
"""

import argparse
import csv
import json
import random
import shutil
import statistics
import time
from pathlib import Path

import torch
from _tiny import METHODS, make_config, make_tokenizer
from transformers import BertForSequenceClassification, set_seed

from augment import WordNetSynonyms
from augment.english.wordnet_data import load_wordnet
from hf_mmel.__main__ import main as hf_mmel
from hf_mmel.cli import run as cli
from hf_mmel.compare.examples import read_attacked


ROOT = Path(__file__).resolve().parents[1]
NUM_TRAIN, NUM_VALIDATION = 200, 300
BUDGET = 50  # variants of each validation review that each attack tries
ASPECTS = ["plot", "music", "cast", "pace", "dialogue", "lighting", "acting", "screenplay"]
# The verdicts, each with a synonym that it shares with a verdict of the other class.
VERDICTS = {
    "positive": {"wonderful": "terrific", "amazing": "awful", "remarkable": "singular", "ingenious": "cunning"},
    "negative": {"terrifying": "terrific", "nasty": "awful", "odd": "singular", "sly": "cunning"},
}
OPINIONS = {
    "positive": ["fascinating", "faultless", "superb", "clever", "honest", "delightful"],
    "negative": ["tedious", "faulty", "lousy", "ridiculous", "cruel", "repulsive"],
}


def review(rng: random.Random) -> tuple[str, str]:
    """A review with a verdict and three aspects, and its label: the opinion on most of the aspects."""
    opinions = [rng.choice(["positive", "negative"]) for _ in range(3)]
    label = statistics.mode(opinions)
    clauses = [
        f"the {aspect} is {rng.choice(OPINIONS[opinion])}"
        for aspect, opinion in zip(rng.sample(ASPECTS, 3), opinions, strict=True)
    ]
    verdict = rng.choice(list(VERDICTS[label]))
    return f"this film is {verdict} : {clauses[0]} , {clauses[1]} and {clauses[2]} .", label


def write_data(folder: Path) -> None:
    """`train.csv` and `validation.csv` with the columns `text` and `label`."""
    for name, size in (("train", NUM_TRAIN), ("validation", NUM_VALIDATION)):
        rng = random.Random(name)
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *(review(rng) for _ in range(size))])


def write_model(folder: Path) -> WordNetSynonyms:
    """
    A BERT of two layers with random weights, and a tokenizer with the words of the reviews and their synonyms. Returns
    the augmenter of all runs.
    """
    words = ["film", *ASPECTS, *(word for of in (VERDICTS, OPINIONS) for group in of.values() for word in group)]
    wordnet = load_wordnet()
    synonyms = [name for word in words for synset in wordnet.synsets(word) for name in synset.lemma_names()]
    tokenizer = make_tokenizer([*words, *sorted(filter(str.isalpha, synonyms)), "this is the and : , ."])
    tokenizer.save_pretrained(folder)
    usual = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02}
    set_seed(0)
    BertForSequenceClassification(make_config(tokenizer, **usual)).save_pretrained(folder)
    return WordNetSynonyms(tokenizer, min_sense_share=0, multiword=False)


def run(method: str, seed: int, folder: Path) -> dict[str, float]:
    """The accuracies of a training run under the attack of `python -m hf_mmel attack`, and the seconds of both."""
    arguments = json.loads((ROOT / "examples" / "demo.json").read_text(encoding="utf-8"))
    for name in ("model_name_or_path", "train_file", "validation_file", "augmenter"):
        arguments[name] = str(folder / Path(arguments[name]).name)
    output_dir = folder / f"{method}-seed{seed}"
    output_dir.mkdir(exist_ok=True)
    shutil.rmtree(output_dir / "attack", ignore_errors=True)  # that of an earlier demo
    arguments |= {"mmel_loss": method, "seed": seed, "output_dir": str(output_dir), "overwrite_output_dir": True}
    config = folder / f"{output_dir.name}.json"
    config.write_text(json.dumps(arguments, indent=2), encoding="utf-8")
    print(f"\n=== {METHODS[method]}, seed {seed}: python run_glue_mmel.py {config}")
    start = time.perf_counter()
    cli.main([str(config)])
    attack = ["attack", str(output_dir), "--augmenter", arguments["augmenter"], "--budget", str(BUDGET), "--use_cpu"]
    print(f"\n=== {METHODS[method]}, seed {seed}: python -m hf_mmel {' '.join(attack)}")
    attacked = None if hf_mmel(attack) else read_attacked(output_dir)
    if attacked is None:
        raise SystemExit(f"The attack on {output_dir} has failed; see above.")
    return {**attacked.scores, "seconds": time.perf_counter() - start}


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """A markdown table with one row per method."""
    rows = ["| method | accuracy | accuracy in the worst case | seconds per run |", "|---|---|---|---|"]
    for method, runs in results.items():
        cells = []
        for name in ("accuracy", "worst_case_accuracy"):
            accuracies = [100 * run[name] for run in runs]
            spread = f" ± {statistics.stdev(accuracies):.1f}" if len(runs) > 1 else ""
            cells.append(f"{statistics.mean(accuracies):.1f}{spread} %")
        seconds = statistics.mean(run["seconds"] for run in runs)
        rows.append(f"| {METHODS[method]} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/demo"))
    options = parser.parse_args()
    torch.set_num_threads(1)  # faster for a model of this size
    folder = options.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    write_data(folder)
    augmenter = write_model(folder / "model")
    (folder / "augmenter.json").write_text(json.dumps(augmenter.to_dict(), indent=2), encoding="utf-8")
    results: dict[str, list[dict[str, float]]] = {}
    for method in METHODS:
        results[method] = [run(method, seed, folder) for seed in options.seeds]
    (folder / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    summary = (
        f"{NUM_VALIDATION} new reviews, as written and in the worst case over up to {2 * BUDGET} variants of each "
        f"(synthetic data; mean ± standard deviation over {len(options.seeds)} seeds):\n\n{table(results)}\n"
    )
    (folder / "results.md").write_text(summary, encoding="utf-8")
    print(f"\n{summary}\nModels, logs and these results are in {folder.resolve()}")


if __name__ == "__main__":
    main()
