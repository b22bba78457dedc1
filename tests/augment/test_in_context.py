"""A masked LM that chooses among the candidates of a source."""

import numpy as np
import pytest
from augmenters import make_masked_lm, masked_lm
from conftest import SENTENCES

from augment import Augmenter, LexiconSubstitution, MaskedLMSubstitution, RandomSwap, WordNetSynonyms
from augment.core.batch import Batch
from examples import examples_of


WORDS = {"movie": ["film", "plot", "story"], "great": ["bad", "awful", "lovely"], "actors": ["motion picture"]}


@pytest.fixture
def source(tokenizer):
    return LexiconSubstitution(tokenizer, WORDS)


def replaced(augmenter, texts=SENTENCES, num_variants=20):
    """The words that variants replace, each with its replacements."""
    found = {}
    for text, group in zip(texts, augmenter.augment_text(texts, num_variants, range(len(texts))), strict=True):
        for variant in group:
            for old, new in zip(text.split(), variant.split(), strict=True):
                if old != new:
                    found.setdefault(old, set()).add(new)
    return found


def test_candidates_are_those_of_the_source(tokenizer, source):
    found = replaced(masked_lm(tokenizer, source=source))
    assert found == {"movie": {"film", "plot", "story"}, "great": {"lovely"}}


@pytest.mark.parametrize("source", [None, "words"])
def test_a_word_never_becomes_its_antonym(tokenizer, source):
    source = source and LexiconSubstitution(tokenizer, WORDS)
    augmenter = masked_lm(tokenizer, source=source, top_m=200, temperature=float("inf"), replace_prob=1.0)
    found = replaced(augmenter, ["great"], 100)["great"]
    assert "lovely" in found and not found & {"bad", "awful"}


def test_a_candidate_of_the_source_keeps_the_inflection_of_its_word(tokenizer):
    pytest.importorskip("lemminflect")
    source = LexiconSubstitution(tokenizer, {"laughed": ["clapped", "run", "players"], "players": ["actors", "clown"]})
    augmenter = masked_lm(tokenizer, source=source, keep_inflection=True)
    assert replaced(augmenter, ["we laughed with great players"]) == {"laughed": {"clapped"}, "players": {"actors"}}


def test_candidates_of_several_pieces_are_left_out(tokenizer):
    source = LexiconSubstitution(tokenizer, {"movie": ["motion picture"], "great": ["lovely", "so lovely"]})
    augmenter = masked_lm(tokenizer, source=source)
    assert set(augmenter.augment_text("the movie was great", 3, 0)) == {"the movie was lovely", "the movie was great"}


def test_words_of_a_phrase_of_the_source_stay(tokenizer):
    source = LexiconSubstitution(
        tokenizer, {"movie": ["film"], "great movie": ["story"], "odd movie": ["lovely plot"]}
    )
    augmenter = masked_lm(tokenizer, source=source)
    assert replaced(augmenter, ["the movie was great", "the great movie", "an odd movie"]) == {"movie": {"film"}}


def test_the_source_limits_the_choice_and_the_model_makes_it(tokenizer):
    texts = ["the movie was awful", "a film with actors"]
    batch = Batch(tokenizer(texts)["input_ids"])
    words = {"movie": ["film", "plot", "story"], "film": ["music", "movie", "thing"]}
    everything = set_of(masked_lm(tokenizer, top_m=500, masking="none"), batch)
    chosen = set_of(masked_lm(tokenizer, source=LexiconSubstitution(tokenizer, words), top_m=1, masking="none"), batch)
    assert len(chosen) == 2
    for place, [best] in chosen.items():
        allowed = words[tokenizer.decode([batch.ids[place]])]
        assert best == next(piece for piece in everything[place] if tokenizer.decode([piece]) in allowed)


def set_of(augmenter, batch):
    """For each word, its candidates, the likeliest first."""
    candidates = augmenter.candidates(batch, augmenter.eligible_words(batch))
    found = {}
    for w, place in enumerate(candidates.words.start.tolist()):
        choices = np.arange(candidates.count[w])
        ids = candidates.pieces[candidates.offsets[candidates.replacements(w, choices)]]
        found[place] = ids[(-candidates.probability(w, choices)).argsort(kind="stable")].tolist()
    return found


def test_a_higher_least_probability_leaves_fewer_candidates(tokenizer):
    counts = [
        sum(map(len, set_of(masked_lm(tokenizer, top_m=50, min_probability=p), batch).values()))
        for batch in [Batch(tokenizer(SENTENCES)["input_ids"])]
        for p in (0.0, 0.01, 0.1, 1.0)
    ]
    assert counts[0] > counts[1] > counts[2] > counts[3] == 0


def test_a_table_gives_the_variants_that_are_made_on_demand(tokenizer, source, tmp_path):
    examples = examples_of(tokenizer, SENTENCES)
    augmenter = masked_lm(tokenizer, source=source, cache_dir=tmp_path)
    expected = augmenter.variants(examples, 3)
    assert augmenter.precompute(examples).variants(examples, 3) == expected
    other = masked_lm(tokenizer, source=LexiconSubstitution(tokenizer, {"movie": ["film"]}), cache_dir=tmp_path)
    other.precompute(examples)
    assert len([*tmp_path.iterdir()]) == 2 and replaced(other) == {"movie": {"film"}}


def test_the_source_is_part_of_plain_data(tokenizer, source, tmp_path):
    make_masked_lm(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = MaskedLMSubstitution(tokenizer, tmp_path, source=source).to_dict()
    assert config["source"]["class"] == "LexiconSubstitution"
    assert Augmenter.from_dict(config, tokenizer).source.words == WORDS


def test_wrong_sources_and_probabilities_are_refused(tokenizer, wordnet, wordnet_cache):
    with pytest.raises(TypeError, match="source"):
        masked_lm(tokenizer, source=RandomSwap(tokenizer))
    with pytest.raises(ValueError, match="min_probability is 2"):
        masked_lm(tokenizer, min_probability=2)
    with pytest.raises(ValueError, match="readings is 'some'"):
        WordNetSynonyms(tokenizer, readings="some", cache_dir=wordnet_cache)
    with pytest.raises(ValueError, match="only English"):
        WordNetSynonyms(tokenizer, readings="all", lang="deu", cache_dir=wordnet_cache)


def test_all_readings_of_a_word_are_one_lexicon_more(tokenizer, wordnet, wordnet_cache):
    main, everything = (
        WordNetSynonyms(tokenizer, readings=readings, cache_dir=wordnet_cache) for readings in ("main", "all")
    )
    rebuilt = Augmenter.from_dict(everything.to_dict(), tokenizer)
    assert rebuilt.readings == "all" and main.readings == "main"
    text = "the movie was good"
    assert rebuilt.augment_text(text, 5, 1) == everything.augment_text(text, 5, 1)
