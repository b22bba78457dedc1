"""
What the augmenters of `augment` write, measured, next to nlpaug and TextAttack on the same texts.

```bash
python -m benchmarks.augment_quality --data PATH_TO_GLUE --mlm PATH_TO_MASKED_LM --output_dir outputs/augment_quality
```

The texts are 1,000 of more than 8 words and 1,000 shorter ones of SST-2's training split, and 1,000 of RTE and STS-B
with capitals. With `--num_judge 10000` the judge of `benchmarks.label_flips` says which variants are of another class;
it is trained the first time. The other libraries and the tagger run in environments of their own, which are made if
they are missing. One that cannot be made is left out.

The folder keeps a JSON file for each source and population. A later call measures what is missing. The tables of the
latest call are in `tables.md`. Delete the files of an augmenter that has changed. `benchmarks.reading_sheet` takes
variants from the folder for people to read.
"""

import argparse
import json
import re
import sys
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from augment.registry import WITH_WORDS

from . import label_flips
from .quality.measures import compare_words, count_variants, new_variants, perplexity_ratio
from .quality.ours import run_augmenter
from .quality.peers import PEERS, Unavailable, run_peer, tag_words
from .quality.perplexity import PseudoLogProbs
from .quality.sentences import choose_populations
from .quality.tables import forms_table, quality_table, speed_table


POPULATIONS = {
    "long": "SST-2, more than 8 words",
    "short": "SST-2, at most 8 words",
    "cased": "RTE and STS-B, 8 to 30 words",
}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("--data", default="nyu-mll/glue", help="Name or folder of GLUE.")
    option("--mlm", default="google-bert/bert-base-uncased", help="Name or folder of a masked LM.")
    option("--output_dir", type=Path, default=Path("outputs/augment_quality"), help="Folder for results.")
    option("--augmenters", nargs="*", default=list(WITH_WORDS), help=f"Among {', '.join(WITH_WORDS)}, or JSON files.")
    option("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), metavar="NAME", help=", ".join(PEERS))
    option("--populations", nargs="+", default=list(POPULATIONS), choices=list(POPULATIONS))
    option("--num_sentences", type=int, default=1000, help="Texts of each population.")
    option(
        "--num_slow", type=int, default=200, help="Of these, the first ones for perplexity and peers with a masked LM."
    )
    option("--num_variants", type=int, default=4, help="K.")
    option("--num_judge", type=int, default=0, help="Examples to train a judge on; 0 for no judge.")
    option("--speed_dir", type=Path, default=Path("outputs/augment_speed"), help="Where environments are kept.")
    args = parser.parse_args(argv)
    args.output_dir, args.speed_dir = args.output_dir.absolute(), args.speed_dir.absolute()
    if Path(args.mlm).is_dir():
        args.mlm = str(Path(args.mlm).absolute())
    return args


def file_name(population: str, source: str) -> str:
    return f"{population}-{re.sub('[^a-z0-9_]+', '-', Path(source).stem.lower())}.json"


class Benchmark:
    """
    The figures of sources on populations, each measured once and kept in a file.

    Args:
        args (`argparse.Namespace`): What `parse_arguments` returns.
    """

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.populations = choose_populations(args.data, args.num_sentences)
        self.log_probs = PseudoLogProbs(args.mlm)
        self.original_scores = cache(lambda name: self.log_probs(self.populations[name].texts[: args.num_slow]))

    @cached_property
    def judges(self) -> label_flips.Judges:
        options = [
            "--model",
            self.args.mlm,
            "--data",
            self.args.data,
            "--work_dir",
            str(self.args.output_dir / "judge"),
        ]
        options += ["--num_judge", str(self.args.num_judge), "--num_examples", "0"]
        return label_flips.train_judges(label_flips.parse_arguments(options))

    def measure(self, name: str, source: str) -> dict[str, Any] | None:
        """The figures of a source on a population; `None` if the source is not available."""
        path = self.args.output_dir / file_name(name, source)
        result = json.loads(path.read_text()) if path.exists() else {}
        flips = f"flips by {self.args.num_judge}"
        steps = {"counts": self._counts, "words": self._words, "perplexity": self._perplexity}
        if self.args.num_judge and self.populations[name].labels is not None:
            steps[flips] = self._flips
        for step in ("variants", *steps):
            if step in result:
                continue
            print(f"{name}, {source}: {step}", flush=True)
            try:
                if step == "variants":
                    run = run_peer if source in PEERS else run_augmenter
                    result = run(source, self.populations[name].texts, self.args)
                else:
                    result[step] = steps[step](name, result["variants"])
            except Unavailable as error:
                print(f"{source} is left without {step}: {error}", flush=True)
                if step == "variants":
                    return None
                continue
            unfinished = path.with_suffix(".tmp")
            unfinished.write_text(json.dumps(result))
            unfinished.replace(path)
        return {**result, "flips": result.get(flips)}

    def _texts_and_new(self, name: str, groups: list[list[str]]) -> tuple[list[str], list[list[str]]]:
        texts = self.populations[name].texts[: len(groups)]
        return texts, [new_variants(text, group) for text, group in zip(texts, groups, strict=True)]

    def _counts(self, name: str, groups: list[list[str]]) -> dict[str, Any]:
        return count_variants(self.populations[name].texts[: len(groups)], groups, self.args.num_variants)

    def _words(self, name: str, groups: list[list[str]]) -> dict[str, dict[str, float]]:
        return compare_words(*self._texts_and_new(name, groups), partial(tag_words, self.args))

    def _perplexity(self, name: str, groups: list[list[str]]) -> float | None:
        new = self._texts_and_new(name, groups)[1][: self.args.num_slow]
        return perplexity_ratio(new, self.original_scores(name)[: len(new)], self.log_probs)

    def _flips(self, name: str, groups: list[list[str]]) -> dict[str, float]:
        def tokenised(texts: list[str]) -> list[dict[str, Any]]:
            return [dict(self.judges.prepared.tokenizer(text, truncation=True, max_length=128)) for text in texts]

        texts, labels = (column[: len(groups)] for column in self.populations[name])
        rows, variants = tokenised(texts), [tokenised(group) for group in groups]
        return label_flips.flips(rows, variants, labels, self.args.num_variants, self.judges)._asdict()


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    check_settings(args)
    benchmark = Benchmark(args)
    tables = []
    for name in args.populations:
        found = {source: benchmark.measure(name, source) for source in (*args.augmenters, *args.peers)}
        results = {Path(source).stem: result for source, result in found.items() if result is not None}
        right = [result["flips"]["judge_right"] for result in results.values() if result["flips"]]
        title = POPULATIONS[name] + (f"; the judge is right on {100 * right[0]:.1f} % of the texts" if right else "")
        tables += [f"{title}:\n\n{table(results)}" for table in (quality_table, forms_table, speed_table)]
    (args.output_dir / "tables.md").write_text("\n".join(tables))
    print("\n".join(tables))
    return 0


def check_settings(args: argparse.Namespace) -> None:
    """Refuses a folder whose results have other settings."""
    path = args.output_dir / "settings.json"
    settings = {name: getattr(args, name) for name in ("data", "mlm", "num_sentences", "num_slow", "num_variants")}
    args.output_dir.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else settings
    if known != settings:
        raise SystemExit(f"{args.output_dir} has results of {known}; expected {settings}. Name another --output_dir.")
    path.write_text(json.dumps(settings))


if __name__ == "__main__":
    sys.exit(main())
