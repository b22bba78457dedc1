"""Candidates of a real masked LM for real sentences, where both are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from augmenters import candidates_of
from datasets import load_dataset
from transformers import AutoTokenizer

from augment import MaskedLMInsertion, MaskedLMSubstitution, WordNetSynonyms
from augment.core.vocabulary import MODIFIER_TAGS, TAGS, word_tags
from augment.english.antonyms import installed_antonyms


SHARED = Path(__file__).parents[3] / "shared"
GLUE = Path(os.environ.get("HF_MMEL_GLUE", SHARED / "data" / "glue"))
MODEL = Path(os.environ.get("HF_MMEL_MASKED_LM", SHARED / "models" / "minilm-mlm"))
ENDINGS = {"s": ("NNS",), "ed": ("VBD", "VBN"), "ing": ("VBG",)}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GLUE.is_dir(), reason=f"no mirror of GLUE at {GLUE}; name one in HF_MMEL_GLUE"),
    pytest.mark.skipif(not MODEL.is_dir(), reason=f"no masked LM at {MODEL}; name one in HF_MMEL_MASKED_LM"),
]


MASKED = {"top_m": 15, "min_probability": 0.0, "masking": "grouped", "multi_piece": "refill"}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def texts():
    return load_dataset(str(GLUE), "sst2", split="validation")["sentence"][:300]


@pytest.fixture(scope="module")
def grouped(tokenizer, texts):
    return candidates_of(MaskedLMSubstitution(tokenizer, MODEL, **MASKED), texts)


def best_of(found, size=5):
    return {
        (i, word): sorted(chances, key=chances.get)[-size:]
        for i, words in enumerate(found)
        for word, chances in words.items()
    }


def test_inflected_forms_stay_inflected_and_keep_their_endings(grouped):
    for ending, tags in ENDINGS.items():
        wanted = sum(1 << TAGS.index(tag) for tag in tags)
        kept, chance = [], []
        for words in grouped:
            for word, chances in words.items():
                if word.endswith(ending) and word_tags(word) & wanted:
                    kept += [new.endswith(ending) and word_tags(new) & word_tags(word) > 0 for new in chances]
                    chance += chances.values()
        assert len(kept) > 500
        assert np.average(kept, weights=chance) > 0.95


def test_most_words_with_meaning_have_candidates(grouped, texts):
    assert sum(map(len, grouped)) / sum(len(text.split()) for text in texts) > 0.3


@pytest.mark.parametrize("masking, least", [("grouped", 0.5), ("none", 0.2)])
def test_fewer_passes_propose_much_of_what_a_pass_for_each_word_does(tokenizer, texts, masking, least):
    single, other = (
        best_of(candidates_of(MaskedLMSubstitution(tokenizer, MODEL, **MASKED | {"masking": name}), texts[:60]))
        for name in ("single", masking)
    )
    common = single.keys() & other.keys()  # after an article, one may have no candidate that fits where the other has
    assert 200 < len(single) < 1.02 * len(common) and len(other) < 1.02 * len(common)
    shares = [len({*single[key]} & {*other[key]}) / len(single[key]) for key in common]
    assert np.mean(shares) > least


def test_bfloat16_proposes_the_same_words(tokenizer, texts, grouped):
    half = best_of(candidates_of(MaskedLMSubstitution(tokenizer, MODEL, dtype="bfloat16", **MASKED), texts[:60]))
    full = best_of(grouped[:60])
    assert np.mean([len({*words} & {*half[key]}) / len(words) for key, words in full.items()]) > 0.9


def test_candidates_fit_their_context(tokenizer):
    augmenter = MaskedLMSubstitution(tokenizer, MODEL, **MASKED)
    [words] = candidates_of(augmenter, ["the actors in this funny movie are wonderful ."])
    assert {"film", "story"} & {*sorted(words["movie"], key=words["movie"].get)[-5:]}
    assert {"characters", "performances"} & {*words["actors"]}


def test_words_that_the_model_sees_become_near_ones_and_never_antonyms(tokenizer, texts):
    antonyms = installed_antonyms()
    [words] = candidates_of(MaskedLMSubstitution(tokenizer, MODEL), ["the actors in this funny movie are wonderful ."])
    assert max(words["movie"], key=words["movie"].get) == "film"
    source = WordNetSynonyms(tokenizer, readings="all")
    for augmenter in (MaskedLMSubstitution(tokenizer, MODEL), MaskedLMSubstitution(tokenizer, MODEL, source=source)):
        for chances in candidates_of(augmenter, texts[:60]):
            for word, others in chances.items():
                assert not any(antonyms.are_opposites(word, other) for other in others)


def test_words_are_inserted_into_most_sentences_and_fit_their_context(tokenizer, texts):
    augmenter = MaskedLMInsertion(tokenizer, MODEL)
    found = candidates_of(augmenter, ["the movie was awful .", "they lived in a village .", *texts[:100]])
    assert {"really", "truly", "absolutely", "completely"} & {*best_of(found[:1])[0, "was"]}
    assert {"small", "little", "remote"} & {*best_of(found[1:2])[0, "a"]}
    assert np.mean([len(places) > 0 for places in found[2:]]) > 0.85
    assert np.mean([len(places) for places in found[2:]]) > 2
    new = {word for places in found for chances in places.values() for word in chances}
    assert len(new) > 200 and all(word_tags(word) & MODIFIER_TAGS for word in new)
