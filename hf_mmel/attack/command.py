"""`python -m hf_mmel attack`: from the options to the table."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from hashlib import blake2b

from tqdm.auto import tqdm

from ..cli.errors import usage_errors
from .attacks import ATTACKS, Attempt, Target
from .results import RESULTS, Blocks, Row, row_of, shown_examples, summarize, table
from .setup import ERRORS, Setup, read_setup
from .texts import Originals


BLOCK = 256  # examples that are attacked together, and that an interrupted command repeats


def attack(args: argparse.Namespace) -> Iterator[str]:
    """
    Attacks the blocks of examples that are not finished, and writes the results. Yields the table and a few examples.
    A `UsageError` says what is not usable.
    """
    setup = read_setup(args)
    settings = {name: getattr(args, name) for name in ("budget", "max_replaced", "seed")}
    examples = json.dumps([setup.texts, setup.labels, setup.names]).encode(errors="replace")
    settings |= {"examples": blake2b(examples, digest_size=8).hexdigest(), "attacks": setup.attacks, **setup.settings}
    blocks = Blocks(setup.folder, settings)
    starts = range(0, len(setup.texts), BLOCK)
    found = [blocks.read(number) for number in range(len(starts))]
    if None in found and setup.augmenter.precomputes:
        with usage_errors(*ERRORS):
            setup.augmenter.precompute(Originals(setup.classifier, setup.texts).rows)
    rows: list[Row] = []
    with tqdm(total=len(setup.texts), unit=" examples", disable=None) as bar:
        for number, start in enumerate(starts):
            block = found[number]
            if block is None:
                with usage_errors(*ERRORS):
                    block = attack_block(setup, start, args.budget, args.seed)
                blocks.write(number, block)
            rows += block
            bar.update(len(block))
    summary = summarize(rows, setup.attacks)
    blocks.finish(rows, {"model": args.model, "data": setup.data, **settings, **summary})
    by = " and ".join(type(part).__name__ for part in setup.augmenter.parts) or type(setup.augmenter).__name__
    yield f"{args.model} on {len(rows)} examples of {setup.data}, variants by {by}, budget {args.budget}"
    if "greedy" not in setup.attacks and args.attacks is None:
        yield f"There is no greedy attack, since {setup.config['class']} has no candidates of words."
    yield ""
    yield from table(summary, setup.attacks)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    yield from shown_examples(rows, setup.attacks, args.num_shown, colour)
    yield ""
    yield str(setup.folder / RESULTS)


def attack_block(setup: Setup, start: int, budget: int, seed: int) -> list[Row]:
    """The results of the examples from `start` on, of which the ones that are predicted correctly are attacked."""
    texts, labels = setup.texts[start : start + BLOCK], setup.labels[start : start + BLOCK]
    predictions, losses = setup.classifier.predict(texts, labels)
    attempts: list[dict[str, Attempt]] = [{} for _ in texts]
    correct = [i for i, prediction in enumerate(predictions) if prediction == labels[i]]
    for name in setup.attacks if correct else ():
        originals = Originals(setup.classifier, [texts[i] for i in correct])
        own = [Attempt(labels[i], {texts[i]: losses[i]}) for i in correct]
        ATTACKS[name](
            Target(setup.classifier, originals, own, budget),
            setup.augmenter if name == "random" else setup.source,
            seed,
        )
        for i, attempt in zip(correct, own, strict=True):
            attempts[i][name] = attempt
    names = setup.names
    return [
        row_of(start + i, texts[i], names[labels[i]], names[predictions[i]], attempts[i], names)
        for i in range(len(texts))
    ]
