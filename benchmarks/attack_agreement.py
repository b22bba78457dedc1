"""Whether `python -m hf_mmel attack` finds what TextAttack's greedy word swap finds with the same candidates.

    python -m benchmarks.attack_agreement outputs/sst2 --max_eval_samples 100

Both get the WordNet synonyms that each word of the data has alone, visit the words in a random order, and may read as
many variants as there are. The model is the classifier of a run of `run_glue_mmel.py` on single texts.
"""

import argparse
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from augment import WordNetSynonyms
from augment.core.batch import Batch
from augment.english.stopwords import STOP_WORDS
from hf_mmel.__main__ import main as hf_mmel

from .augment_speed import ONE_THREAD, ROOT, python_of


MOST = 8  # candidates of a word, all of which `GreedySearch` tries
BUDGET = 10_000


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="The output_dir of run_glue_mmel.py.")
    parser.add_argument("--max_eval_samples", type=int, default=100, help="Validation examples to attack.")
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/attack_agreement"))
    args = parser.parse_args()
    args.run, args.work_dir = args.run.absolute(), args.work_dir.absolute()
    return args


def synonyms(texts: list[str], tokenizer: Any) -> dict[str, list[str]]:
    """The WordNet synonyms of the words of texts, of letters only, without those that are phrases."""
    words = sorted({word for text in texts for word in re.findall(r"[a-z]+", text)})
    source = WordNetSynonyms(tokenizer)
    batch = Batch([tokenizer(word)["input_ids"] for word in words])
    candidates = source.candidates(batch, source.eligible_words(batch))
    lexicon = {}
    for k, row in enumerate(candidates.words.row.tolist()):
        numbers = candidates.replacements(k, np.arange(candidates.count[k]))
        bounds = zip(candidates.offsets[numbers], candidates.offsets[numbers + 1], strict=True)
        found = [tokenizer.decode(candidates.pieces[begin:end].tolist()) for begin, end in bounds]
        lexicon[words[row]] = [word for word in found if word.isalpha()][:MOST]
    return {word: found for word, found in lexicon.items() if found}


def ours(args: argparse.Namespace, name: str, augmenter: str, attack: str, budget: int) -> list[dict[str, Any]]:
    """The rows of `attack.jsonl`."""
    folder = args.work_dir / name
    options = ["--augmenter", augmenter, "--attacks", attack, "--budget", str(budget), "--num_shown", "0"]
    options += ["--max_eval_samples", str(args.max_eval_samples), "--output_dir", str(folder), "--use_cpu"]
    if hf_mmel(["attack", str(args.run), *options]):
        raise SystemExit(1)
    return [json.loads(line) for line in (folder / "attack.jsonl").read_text().splitlines()]


def main() -> None:
    from transformers import AutoTokenizer

    args = parse_arguments()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    texts = [row["text"] for row in ours(args, "texts", "typos", "random", 0)]
    lexicon, data = args.work_dir / "lexicon.json", args.work_dir / "input.json"
    words = synonyms(texts, AutoTokenizer.from_pretrained(args.run))
    lexicon.write_text(json.dumps({"class": "LexiconSubstitution", "words": words}))
    rows = ours(args, "ours", str(lexicon), "greedy", BUDGET)
    examples = [[row["text"], row["label"]] for row in rows]
    data.write_text(json.dumps({"examples": examples, "words": words, "stop_words": sorted(STOP_WORDS)}))
    found = {row["id"] for row in rows if row.get("greedy", {}).get("success")}

    peer = ROOT / "benchmarks" / "peers" / "textattack_greedy.py"
    command = [python_of("textattack", args.work_dir), str(peer), str(data), str(args.run)]
    environment = {**os.environ, **ONE_THREAD, "TA_CACHE_DIR": str(args.work_dir / "textattack")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    theirs = set(json.loads(done.stdout.splitlines()[-1]))
    print("| successes of | both | hf_mmel alone | TextAttack alone | correct examples |\n|---|---|---|---|---|")
    num_correct = sum("greedy" in row for row in rows)
    counts = len(found & theirs), len(found - theirs), len(theirs - found), num_correct
    print("| greedy word swap |", *(f"{count} |" for count in counts))


if __name__ == "__main__":
    main()
