"""What the runners of the speed benchmark share: arguments, clock and the one line of JSON that they print."""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


Groups = Sequence[Sequence[Any]]

FIRST = 4  # sentences whose variants end the start, since a sentence may have none


def parse_arguments(*options: str) -> argparse.Namespace:
    """
    The arguments that every runner takes, and named `options` with a text each. The input file has `texts` and
    `stop_words`, which are put in the place of its name.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path, help="JSON file with texts and stop_words.")
    parser.add_argument("--num_variants", type=int, default=4, help="K.")
    parser.add_argument("--num_sentences", type=int, help="How many of the texts to use; all by default.")
    parser.add_argument("--repeats", type=int, default=3, help="Timed passes, after one that is not timed.")
    parser.add_argument("--variants", type=Path, help="JSON file to write the variants to as well.")
    for option in options:
        parser.add_argument(f"--{option}")
    args = parser.parse_args()
    data = json.loads(args.input.read_text())
    args.texts, args.stop_words = data["texts"][: args.num_sentences], data["stop_words"]
    return args


def seed_everything(seed: int) -> None:
    """Seeds the generators of the whole process, from which the peers draw."""
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)


def report(
    make: Callable[[list[Any]], Groups],
    examples: list[Any],
    repeats: int,
    warm_up: int | None = None,
    variants: Path | None = None,
) -> None:
    """
    Times `make`, which gives the K variants of each of a list of examples, and prints what it took.

    All seconds are those of the processor, in all threads of this process. `startup_seconds` is what it had used, from
    the start of the interpreter on, when it had the first variants.

    Args:
        warm_up (`int`, *optional*): On how many examples to run untimed; all by default. They fill caches.
        variants (`Path`, *optional*): JSON file to write the variants of the last pass to, which is seeded.
    """
    make(examples[:FIRST])
    startup_seconds = time.process_time()
    make(examples[:warm_up])
    seconds, groups = [], []
    for _ in range(repeats):
        if variants is not None:
            seed_everything(0)
        begin = time.process_time()
        groups = make(examples)
        seconds.append(time.process_time() - begin)
    distinct = sum(_count_distinct(example, group) for example, group in zip(examples, groups, strict=True))
    result = {
        "num_sentences": len(examples),
        "num_variants": sum(map(len, groups)),
        "distinct": distinct,
        "seconds": statistics.median(seconds),
        "distinct_per_second": distinct / statistics.median(seconds),
        "startup_seconds": startup_seconds,
        "imported": [name for name in ("nltk", "torch", "transformers") if name in sys.modules],
    }
    print(json.dumps(result))
    if variants is not None:
        variants.write_text(json.dumps(groups))


def _count_distinct(example: Any, group: Sequence[Any]) -> int:
    """
    How many variants differ from each other and from the example. That of texts that differ in spaces and case alone
    is due to how a library splits text into words, and does not count.
    """

    def key(variant: Any) -> str:
        return "".join(variant.lower().split()) if isinstance(variant, str) else json.dumps(variant)

    return len({key(variant) for variant in group} - {key(example)})
