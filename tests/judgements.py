"""Texts that say whether films are good, candidates that turn what they say, and models that know it."""

import numpy as np
import torch
from conftest import make_model
from transformers import DataCollatorWithPadding


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


def learned(tokenizer, examples, **config):
    """A model that knows the labels of tokenised examples."""
    model, batch = make_model(tokenizer, **config), DataCollatorWithPadding(tokenizer)(examples)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(500):  # some 60 will do
        loss = model(**batch).loss
        if loss < 0.1:
            return model.eval()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    raise AssertionError(f"the model has not learned: its loss is {loss}")
