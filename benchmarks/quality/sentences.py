"""The sentences that all augmenters are given."""

from itertools import chain

from datasets import load_dataset


# sst2 is in lower case and split into words; the others are written as usual.
COLUMNS = {"sst2": "sentence", "rte": "sentence2", "stsb": "sentence1"}
MIN_WORDS, MAX_WORDS = 8, 30


def choose_sentences(data: str, num_sentences: int) -> list[str]:
    """
    Sentences of GLUE's training data, as many of each task, the tasks in turn.

    Args:
        data (`str`): Name or folder of GLUE, with the layout of `nyu-mll/glue`.
        num_sentences (`int`): How many, in all.

    Returns:
        `list[str]`: Different sentences of 8 to 30 words; the same for the same data, evenly spread over it.
    """
    share = -(-num_sentences // len(COLUMNS))
    chosen = []
    for task, column in COLUMNS.items():
        texts = [text.strip() for text in load_dataset(data, task, split="train")[column]]
        texts = [text for text in dict.fromkeys(texts) if MIN_WORDS <= len(text.split()) <= MAX_WORDS]
        chosen.append([texts[i * len(texts) // share] for i in range(share)])
    return list(chain.from_iterable(zip(*chosen, strict=True)))[:num_sentences]
