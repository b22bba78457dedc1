"""Insertion of words that a masked language model proposes."""

import math
import re

import numpy as np
import pytest
from augmenters import candidates_of, make_masked_lm, masked_lm, masked_lm_insertion
from conftest import SENTENCES
from tokenizers import models

from augment import Augmenter, Compose, FirstOf, GreedySearch, LexiconSubstitution, MaskedLMInsertion, RandomInsert
from augment.english.insertions import NEVER_INSERTED, can_separate
from augment.english.stopwords import STOP_WORDS
from augment.mlm.fill_mask import FillMask
from examples import TEXTS, examples_of, ids_of, make_cased_tokenizer


def places_of(tokenizer, text) -> list[str]:
    return list(candidates_of(masked_lm_insertion(tokenizer), [text])[0])


def test_what_is_inserted_is_a_whole_word_with_a_meaning_of_its_own(any_tokenizer):
    found = candidates_of(masked_lm_insertion(any_tokenizer), SENTENCES)
    new = [word for places in found for chances in places.values() for word in chances]
    assert sum(map(len, found)) >= 8 and len(new) >= 20
    assert all(word.isalpha() and word.islower() and len(word) > 1 for word in new)
    assert not {*new} & (STOP_WORDS | NEVER_INSERTED)
    assert all(math.isclose(sum(chances.values()), 1) for places in found for chances in places.values())


def test_the_rest_of_a_text_stays(any_tokenizer):
    augmenter = masked_lm_insertion(any_tokenizer, replace_prob=1.0)
    for text, variants in zip(SENTENCES, augmenter.augment_text(SENTENCES, 4, list(range(9))), strict=True):
        parts = [re.findall(r"\w+|[^\w\s]", each) for each in (text, *variants)]
        for part in parts[1:]:
            rest = iter(part)
            assert all(word in rest for word in parts[0])
            assert all(len(part) > len(parts[0]) or variant == text for variant in variants)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("the movie was awful", ["the", "was"]),
        ("the movie, was: awful", ["the"]),  # never beside a punctuation mark
        ("it was awful.", ["was"]),
        ("a 3-film end, it's awful", []),  # nor beside a hyphen, a digit or an apostrophe
        ("the (movie) was not awful", []),
        ("it was never awful and without warmth", []),
        ("superb story slow film", []),  # two words with a meaning of their own may be a compound
        ("of the film of course", ["the"]),
        ("with a film in the story", ["a", "the"]),
        ("", []),
        ("the", []),
    ],
)
def test_a_place_is_between_a_function_word_and_another_word(any_tokenizer, text, places):
    assert places_of(any_tokenizer, text) == places


def test_nothing_separates_expressions_and_negations_from_their_words():
    assert can_separate("was", "awful") and can_separate("a", "film") and can_separate("in", "film")
    for phrase in ("of course", "in fact", "for example", "not awful", "never awful", "no film", "hardly awful"):
        assert not can_separate(*phrase.split())
    assert not can_separate("new", "york") and not can_separate("with", "the")
    assert not NEVER_INSERTED & STOP_WORDS
    negations = "not never no nor neither none nothing but without hardly barely scarcely however instead yet except"
    assert {*negations.split()} <= NEVER_INSERTED | STOP_WORDS


def test_nothing_is_inserted_before_a_capital_letter():
    tokenizer = make_cased_tokenizer()
    assert places_of(tokenizer, "The movie the Movie the films") == ["The", "the"]
    [[edit]] = masked_lm_insertion(tokenizer).edits(tokenizer("The Movie the film The Film"), 1, 0)
    assert tokenizer.decode(list(edit.old)) == "the"


def test_an_article_fits_the_word_after_it(any_tokenizer):
    texts = ["we saw a funny film", "we saw an odd film", "we saw the film"]
    after_a, after_an, after_the = candidates_of(masked_lm_insertion(any_tokenizer, top_m=99), texts)
    assert (after_a["a"].keys() | after_an["an"].keys()) ^ after_the["the"].keys() <= {"film", "funny", "odd"}
    assert all(word[0] not in "aeiou" for word in after_a["a"]) and all(word[0] in "aeiou" for word in after_an["an"])


def test_the_word_after_the_place_is_not_inserted(tokenizer):
    [places] = candidates_of(masked_lm_insertion(tokenizer, top_m=999), ["the film was awful"])
    assert "film" not in places["the"] and "film" in places["was"]


def test_only_adjectives_and_adverbs_are_inserted(tokenizer):
    some = candidates_of(masked_lm_insertion(tokenizer, modifiers_only=True, top_m=99), ["the movie was dull"])[0]
    every = candidates_of(masked_lm_insertion(tokenizer, top_m=99), ["the movie was dull"])[0]
    assert {"slow", "early", "lovely"} - NEVER_INSERTED <= some["the"].keys() < every["the"].keys()
    assert not {"film", "actors", "clapped", "children", "laughed"} & some["the"].keys()


def test_the_model_sees_a_mask_in_the_place(tokenizer, monkeypatch):
    asked, best = [], FillMask.best

    def seen(self, inputs, *arguments):
        sequences = np.split(inputs.ids, inputs.lengths.cumsum()[:-1])
        asked.append([tokenizer.decode(ids) for ids in sequences])
        return best(self, inputs, *arguments)

    monkeypatch.setattr(FillMask, "best", seen)
    masked_lm_insertion(tokenizer, masking="single").augment_text("the movie was awful", 1, 0)
    masked_lm_insertion(tokenizer).augment_text(" and ".join(["the movie was awful"] * 4), 1, 0)
    assert asked[0] == [f"[CLS] {text} [SEP]" for text in ("the [MASK] movie was awful", "the movie was [MASK] awful")]
    assert {text.count("[MASK]") for text in asked[1]} == {2, 3} and len(asked[1]) == 3


def test_a_long_row_with_its_masks_fits_the_model(tokenizer, monkeypatch):
    lengths, best = [], FillMask.best

    def seen(self, inputs, *arguments):
        lengths.extend(inputs.lengths)
        return best(self, inputs, *arguments)

    monkeypatch.setattr(FillMask, "best", seen)
    text = " ".join(["the movie was awful and the film was odd"] * 12)
    [places] = candidates_of(masked_lm_insertion(tokenizer), [text])
    assert len(tokenizer(text)["input_ids"]) > 100 and places.keys() == {"the", "was"} and max(lengths) <= 66


def test_several_words_are_inserted_in_a_variant(tokenizer):
    text = " and ".join(["the movie was awful"] * 5)
    for share, least, most in ((0.1, 1, 4), (1.0, 10, 10)):
        counts = [
            len(edits)
            for i in range(40)
            for edits in masked_lm_insertion(tokenizer, replace_prob=share, max_length=999).edits(
                tokenizer(text), 1, i
            )
        ]
        assert min(counts) >= least and np.mean(counts) <= most
    edits = masked_lm_insertion(tokenizer, replace_prob=1.0, max_replaced=2).edits(tokenizer(text), 9, 0)
    assert {len(variant) for variant in edits} == {2}


def test_constraints_are_those_of_the_word_before(any_tokenizer):
    assert list(candidates_of(masked_lm_insertion(any_tokenizer, keep_words=["was"]), ["the film was odd"])[0]) == [
        "the"
    ]
    example = any_tokenizer("the film was odd", "the film was odd")
    augmenter = masked_lm_insertion(any_tokenizer, segments="second", replace_prob=1.0)
    cut = example["input_ids"].index(any_tokenizer.sep_token_id)
    assert all(edit.start > cut for edits in augmenter.edits(example, 4, 0) for edit in edits)


def test_temperature_is_that_of_the_draw(tokenizer):
    cold, ordinary = (
        candidates_of(masked_lm_insertion(tokenizer, temperature=t), ["the movie was odd"])[0] for t in (1e-300, 1.0)
    )
    assert all(cold[place][max(chances, key=chances.get)] == 1.0 for place, chances in ordinary.items())


def test_draws_from_the_table_equal_those_without(any_tokenizer, tmp_path, monkeypatch):
    examples, seeds = examples_of(any_tokenizer), list(range(len(TEXTS)))
    expected = masked_lm_insertion(any_tokenizer).variants(examples, 4, seeds)
    masked_lm_insertion(any_tokenizer, dtype="float32").precompute(examples[::2], tmp_path)
    augmenter = masked_lm_insertion(any_tokenizer, dtype="float32", keep_words=["movie"]).precompute(
        examples[::2], tmp_path
    )
    assert augmenter.variants(examples, 4, seeds) == expected
    monkeypatch.setattr(FillMask, "best", lambda *arguments: pytest.fail("the table has all rows"))
    assert augmenter.variants(examples[::2], 4, seeds[::2]) == expected[::2]


def test_tables_of_other_augmenters_and_options_are_not_used(tokenizer, tmp_path):
    examples = examples_of(tokenizer)
    masked_lm(tokenizer).precompute(examples, tmp_path)
    with pytest.raises(ValueError, match="made with a different format, options"):
        masked_lm_insertion(tokenizer).precompute(examples, tmp_path)
    folders = {
        augmenter(tokenizer, cache_dir=tmp_path / "all", **options).precompute(examples)._table.folder
        for augmenter in (masked_lm, masked_lm_insertion)
        for options in ({}, {"top_m": 3}, {"masking": "single"})
    }
    assert len(folders) == 6


def test_an_interrupted_table_is_resumed(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("augment.mlm.candidate_table.PART_TOKENS", 22)
    examples, made, best = examples_of(tokenizer, SENTENCES), [], FillMask.best

    def interrupted(self, *arguments):
        made.append(1)
        if len(made) == 3:
            raise KeyboardInterrupt
        return best(self, *arguments)

    monkeypatch.setattr(FillMask, "best", interrupted)
    with pytest.raises(KeyboardInterrupt):
        masked_lm_insertion(tokenizer).precompute(examples, tmp_path / "interrupted")
    masked_lm_insertion(tokenizer).precompute(examples, tmp_path / "interrupted")
    resumed, made[:] = len(made), [1, 1, 1]
    masked_lm_insertion(tokenizer).precompute(examples, tmp_path / "undisturbed")
    assert resumed - 3 == len(made) - 3 - 2 > 0  # of the undisturbed parts, two were there


def test_it_is_a_source_for_others(tokenizer):
    insertion = masked_lm_insertion(tokenizer)
    lexicon = LexiconSubstitution(tokenizer, {"movie": ["film"], "was": ["is"]})
    examples, seeds = examples_of(tokenizer, SENTENCES[:3]), [0, 1, 2]
    for augmenter in (FirstOf([lexicon, insertion]), Compose([lexicon, insertion]), GreedySearch(insertion)):
        for example, group in zip(examples, augmenter.variants(examples, 3, seeds), strict=True):
            assert len({tuple(ids) for ids in [example["input_ids"], *ids_of(group)]}) == 4
    with pytest.raises(ValueError, match="a FirstOf, inserts words itself; expected one that only"):
        RandomInsert(FirstOf([lexicon, insertion]))


def test_plain_data_describes_it(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    make_masked_lm(tokenizer).save_pretrained(tmp_path)
    augmenter = MaskedLMInsertion(tokenizer, tmp_path, top_m=3, modifiers_only=False, replace_prob=0.5)
    again = Augmenter.from_dict(augmenter.to_dict(), tokenizer)
    assert again.to_dict() == augmenter.to_dict() and again.model == str(tmp_path)
    assert again.augment_text(SENTENCES[0], 3, 0) == augmenter.augment_text(SENTENCES[0], 3, 0)


def test_options_out_of_range_are_refused(tokenizer):
    with pytest.raises(ValueError, match="masking is 'none'; expected one of 'grouped', 'single'"):
        masked_lm_insertion(tokenizer, masking="none")
    with pytest.raises(ValueError, match="top_m is 0"):
        masked_lm_insertion(tokenizer, top_m=0)


def test_a_vocabulary_without_fitting_words_inserts_nothing():
    tokenizer = make_cased_tokenizer()
    pieces = [*tokenizer.all_special_tokens, "the", "Film", *"abcdefghijklmnopqrstuvwxyz", *map("##{}".format, "film")]
    tokenizer.backend_tokenizer.model = models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]")
    assert masked_lm_insertion(tokenizer).augment_text("the film", 2, 0) == ["the film", "the film"]
