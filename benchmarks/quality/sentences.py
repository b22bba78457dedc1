"""The texts that all sources are given."""

from itertools import chain
from typing import NamedTuple

import numpy as np
from datasets import load_dataset


MAX_SHORT = 8  # words of a short text, punctuation marks among them where SST-2 has spaces around them
CASED = {"rte": "sentence2", "stsb": "sentence1"}  # SST-2 is in lower case; these are written as usual
CASED_WORDS = range(8, 31)


class Population(NamedTuple):
    """
    Attributes:
        texts (`list[str]`): Different texts.
        labels (`list[int]`, *optional*): Their classes, for a judge of SST-2.
    """

    texts: list[str]
    labels: list[int] | None = None


def choose_populations(data: str, num_texts: int) -> dict[str, Population]:
    """
    The same texts whenever the data are the same.

    Args:
        data (`str`): Name or folder of GLUE, with the layout of `nyu-mll/glue`.
        num_texts (`int`): How many texts a population has.

    Returns:
        `dict[str, Population]`: `"long"` and `"short"` ones of SST-2's training split, of more than 8 words and of at
        most 8, and `"cased"` ones of RTE and STS-B.
    """
    train = load_dataset(data, "sst2", split="train")
    # Models that judge learn from the beginning of this order, see `label_flips.parts_of`; texts are those at its end.
    order = np.random.default_rng(0).permutation(len(train))[: len(train) // 2 : -1]
    rows = train.select(order)
    label_of = {text.strip(): label for text, label in zip(rows["sentence"], rows["label"], strict=True)}
    texts = {
        "long": [text for text in label_of if len(text.split()) > MAX_SHORT],
        "short": [text for text in label_of if len(text.split()) <= MAX_SHORT],
        "cased": _cased(data, num_texts),
    }
    for name, found in texts.items():
        if len(found) < num_texts:
            raise SystemExit(f"{data} has {len(found)} {name} texts; expected {num_texts} (--num_sentences).")
    chosen = {name: found[:num_texts] for name, found in texts.items()}
    labels = {name: [label_of[text] for text in chosen[name]] for name in ("long", "short")}
    return {name: Population(found, labels.get(name)) for name, found in chosen.items()}


def _cased(data: str, num_texts: int) -> list[str]:
    """Sentences of the tasks in turn, evenly spread over each."""
    share = -(-num_texts // len(CASED))
    chosen = []
    for task, column in CASED.items():
        texts = dict.fromkeys(text.strip() for text in load_dataset(data, task, split="train")[column])
        fitting = [text for text in texts if len(text.split()) in CASED_WORDS]
        chosen.append([fitting[i * len(fitting) // share] for i in range(share)])
    return list(dict.fromkeys(chain.from_iterable(zip(*chosen, strict=True))))[:num_texts]
