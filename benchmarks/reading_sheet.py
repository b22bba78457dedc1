"""
Variants for people to read who do not know where they come from.

```bash
python -m benchmarks.reading_sheet outputs/augment_quality --sources context wordnet "nlpaug SynonymAug"
```

takes variants from the folder of `benchmarks.augment_quality`, as many of each source and population, no two of one
text, and shuffles them. Readers fill in the columns `grammatical` and `same_meaning` of `sheet.csv`. `sheet.key.csv`
says the source of each number. All texts are spelt alike, in lower case, so that spelling does not tell the source.
"""

import argparse
import csv
import json
import random
import re
import sys
from pathlib import Path

from .augment_quality import file_name
from .quality.measures import new_variants
from .quality.sentences import choose_populations


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("results", type=Path, help="Folder of benchmarks.augment_quality.")
    option("--sources", nargs="+", required=True, help="Rows of its tables.")
    option("--populations", nargs="+", default=["long", "short"], choices=["long", "short", "cased"])
    option("--num_variants", type=int, default=100, help="Variants to read, of all sources together.")
    option("--seed", type=int, default=0)
    option("--output", type=Path, default=Path("sheet.csv"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    rows = draw_rows(args)
    write(args.output, ("number", "original", "variant", "grammatical", "same_meaning"), [row[:2] for row in rows])
    write(args.output.with_suffix(".key.csv"), ("number", "source", "population"), [row[2:] for row in rows])
    return 0


def draw_rows(args: argparse.Namespace) -> list[tuple[str, str, str, str]]:
    """Original, variant, source and population of the variants that are drawn, shuffled."""
    settings = json.loads((args.results / "settings.json").read_text())
    populations = choose_populations(settings["data"], settings["num_sentences"])
    kinds = [(source, population) for source in args.sources for population in args.populations]
    rng = random.Random(args.seed)
    rows, used = [], set()
    for i, (source, population) in enumerate(kinds):
        count = (i + 1) * args.num_variants // len(kinds) - i * args.num_variants // len(kinds)
        groups = json.loads((args.results / file_name(population, source)).read_text())["variants"]
        pairs = list(zip(populations[population].texts, groups, strict=False))
        new = {text: variants for text, group in pairs if text not in used and (variants := new_variants(text, group))}
        if len(new) < count:
            raise SystemExit(f"{source} has variants of {len(new)} {population} texts left; expected {count}.")
        for text in rng.sample(list(new), count):
            used.add(text)
            rows.append((spelt_alike(text), spelt_alike(rng.choice(new[text])), source, population))
    rng.shuffle(rows)
    return rows


def spelt_alike(text: str) -> str:
    """In lower case, with the spaces around punctuation marks that are usual, however the text is split into words."""
    text = re.sub(r"(\w)\s+n\s*'\s*t\b", r"\1n't", re.sub(r"\s+", " ", text.lower()))
    text = re.sub(r"\s*'\s*(s|re|ve|ll|d|m)\b", r"'\1", text)
    return re.sub(r"\s+([.,;:!?)])", r"\1", re.sub(r"\(\s+", "(", text)).strip()


def write(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A csv with these columns: the number of the row, its values, and empty ones for readers to fill."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for number, row in enumerate(rows, 1):
            writer.writerow([number, *row, *[""] * (len(columns) - 1 - len(row))])


if __name__ == "__main__":
    sys.exit(main())
