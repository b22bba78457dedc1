"""Texts that say whether films are good, and candidates that turn what they say."""

import numpy as np


GOOD = ["wonderful", "superb", "lovely", "funny", "amusing", "great"]
BAD = ["awful", "terrible", "boring", "slow", "bad", "dreadful"]
NOUNS = ["movie", "film", "story", "picture", "plot", "music"]
MIXED = [word for pair in zip(GOOD, BAD, strict=True) for word in pair]
# Some of these turn what a text says.
LEXICON = {word: [MIXED[(i + step) % len(MIXED)] for step in (1, 2, 5)] for i, word in enumerate(MIXED)}


def made_rows(number=40):
    """Texts of three judgements, with the label that two of them have, and a few wrong labels."""
    rng, rows = np.random.default_rng(0), []
    for i in range(number):
        first, second = rng.permutation(NOUNS)[:2]
        good = rng.integers(0, 2, 3)
        words = [str(rng.choice(GOOD if one else BAD)) for one in good]
        text = f"The {first} was {words[0]} and {words[1]},  the {second} is {words[2]}."
        rows.append({"text": text, "label": ("bad", "good")[int(good.sum() > 1) ^ (i % 10 == 9)]})
    return rows
