"""The programs under examples/."""

import random
import sys
from pathlib import Path

import pytest


sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import demo


def opinion_words(words: dict[str, list[str]]) -> set[str]:
    return {word for group in words.values() for word in group}


def test_the_demo_praises_and_blames_in_words_that_training_lacks(tmp_path):
    demo.write_data(tmp_path)
    train, validation = ((tmp_path / f"{name}.csv").read_text() for name in ("train", "validation"))
    held_out = opinion_words(demo.HELD_OUT_WORDS)
    assert not held_out & set(train.replace(",", " ").split())
    assert held_out <= set(validation.replace(",", " ").split())


def test_a_review_of_the_demo_is_labelled_by_its_majority():
    rng = random.Random(0)
    for _ in range(200):
        text, label = demo.review(demo.TRAINING_WORDS, rng)
        praise = sum(word in demo.TRAINING_WORDS["positive"] for word in text.split())
        assert label == ("positive" if praise >= 2 else "negative")


@pytest.mark.slow
def test_three_in_four_held_out_words_are_wordnet_synonyms_of_training_words():
    from augment.english.synonyms import build_synonyms
    from augment.english.wordnet_data import load_wordnet

    table = build_synonyms(load_wordnet())
    for kind, words in demo.HELD_OUT_WORDS.items():
        reached = {synonym for word in demo.TRAINING_WORDS[kind] for synonym in table.get(word, [])}
        assert len(set(words) & reached) == 0.75 * len(words)
        other = "negative" if kind == "positive" else "positive"
        assert not {synonym for word in demo.TRAINING_WORDS[other] for synonym in table.get(word, [])} & set(words)
