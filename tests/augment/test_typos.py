"""Typing errors."""

import re
from collections import Counter

import numpy as np
import pytest
from conftest import SENTENCES, make_tokenizer

from augment import Augmenter, GreedySearch, Typos
from augment.core.batch import Batch
from augment.typos import NEIGHBOURS, typing_errors
from examples import examples_of, ids_of


def test_keys_that_touch_are_neighbours():
    assert (
        set(NEIGHBOURS["s"]) == set("awedzx")
        and set(NEIGHBOURS["q"]) == set("wa")
        and set(NEIGHBOURS["m"]) == {*"njk"}
    )
    assert all(key in NEIGHBOURS[other] for key, others in NEIGHBOURS.items() for other in others)


def test_an_error_is_a_swap_or_a_letter_dropped_doubled_or_missed():
    found = typing_errors("movie", keep_first=True)
    swapped, dropped = {"mvoie", "moive", "movei"}, {"mvie", "moie", "move", "movi"}
    doubled = {"moovie", "movvie", "moviie", "moviee"}
    assert {*found} > swapped | dropped | doubled
    missed = {*found} - swapped - dropped - doubled
    assert all(len(text) == 5 and sum(a != b for a, b in zip(text, "movie", strict=True)) == 1 for text in missed)
    assert {"mpvie", "mocie", "movue"} < missed and all(text[0] == "m" for text in found)
    for kind in (swapped, dropped, doubled, missed):
        assert sum(found[text] for text in kind) == pytest.approx(1 / 4)
    assert {"omvie", "ovie", "mmovie", "novie"} < {*typing_errors("movie", keep_first=False)}


def test_no_error_is_the_word_or_nothing():
    assert "good" not in typing_errors("good", keep_first=False)  # whose middle letters may be swapped
    assert typing_errors("a", keep_first=False).keys() == {"aa", *NEIGHBOURS["a"]}
    assert typing_errors("I", keep_first=True) == {}
    assert typing_errors("ärger", keep_first=False).keys() > {"rger", "räger"}  # a letter that has no key


def test_a_key_has_the_case_of_its_letter():
    assert {"MPVIE", "MOVI"} < typing_errors("MOVIE", keep_first=True).keys()
    assert all(text.isupper() for text in typing_errors("MOVIE", keep_first=True))
    augmenter = Typos(make_tokenizer("bpe"), replace_prob=1.0)  # which keeps case
    for text in augmenter.augment_text("Movie MOVIE", 9, 0):
        first, second = text.split()
        assert first.istitle() and first != "Movie" and second.isupper() and second != "MOVIE"


def test_texts_are_mistyped_and_short_words_stay(any_tokenizer):
    augmenter = Typos(any_tokenizer, replace_prob=0.9)
    for text, variants in zip(SENTENCES, augmenter.augment_text(SENTENCES, 6, list(range(9))), strict=True):
        assert len({text, *variants}) == 7
        for variant in variants:
            before, after = (re.findall(r"\W+|\w+", each) for each in (text, variant))
            for old, new in zip(before, after, strict=True):
                assert old == new or new in typing_errors(old, keep_first=True)
                assert len(old) >= 4 or old == new


def test_ids_are_those_of_the_mistyped_text(any_tokenizer):
    augmenter = Typos(any_tokenizer, max_length=999)
    for seed, text in enumerate(SENTENCES):
        variants = ids_of(augmenter.variants(any_tokenizer(text), 4, seed))
        assert any_tokenizer(augmenter.augment_text(text, 4, seed))["input_ids"] == variants


@pytest.mark.parametrize(("option", "word"), [({"min_letters": 3}, "odd"), ({"keep_first": False}, "movie")])
def test_more_may_be_allowed(tokenizer, option, word):
    changed = set(Typos(tokenizer, replace_prob=1.0, **option).augment_text(word, 60, 0))
    assert changed - {word} and (word == "odd" or any(text[0] != "m" for text in changed))
    assert Typos(tokenizer).augment_text("odd", 1, 0) == ["odd"]


def test_kinds_of_errors_are_equally_likely(tokenizer):
    texts = [text for [text] in Typos(tokenizer, replace_prob=1.0).augment_text(["actors"] * 2000, 1, range(2000))]
    lengths = Counter(map(len, texts))
    assert abs(lengths[5] / 2000 - 0.25) < 0.05 and abs(lengths[7] / 2000 - 0.25) < 0.05
    assert abs(sum(sorted(text) == sorted("actors") for text in texts) / 2000 - 0.25) < 0.05


def test_words_met_before_change_no_candidate(any_tokenizer):
    fresh, used = Typos(any_tokenizer), Typos(any_tokenizer)
    used.augment_text(SENTENCES, 1, list(range(9)))
    example = examples_of(any_tokenizer, [SENTENCES[4]])[0]
    assert fresh.variants(example, 5, 0) == used.variants(example, 5, 0)
    batch = Batch([])
    assert len(fresh.candidates(batch, fresh.eligible_words(batch)).words) == 0


def test_errors_are_searched(tokenizer):
    source = Typos(tokenizer, max_replaced=1)
    augmenter, examples = GreedySearch(source, num_positions=1), examples_of(tokenizer, SENTENCES[:1])
    table = augmenter.search(examples, lambda rows, of: np.array([len(row["input_ids"]) for row in rows]), 2, [0])
    assert len(table.lookup(Batch.of(examples))[0]) == 2


def test_plain_data_describes_it(tokenizer):
    augmenter = Typos(tokenizer, min_letters=5, keep_first=False, replace_prob=0.2)
    again = Augmenter.from_dict(augmenter.to_dict(), tokenizer)
    assert again.to_dict() == augmenter.to_dict()
    assert again.augment_text(SENTENCES, 2, list(range(9))) == augmenter.augment_text(SENTENCES, 2, list(range(9)))
    with pytest.raises(ValueError, match="min_letters is 0; expected a whole number >= 1"):
        Typos(tokenizer, min_letters=0)


def test_errors_of_words_met_long_ago_are_made_again(tokenizer, monkeypatch):
    monkeypatch.setattr("augment.typos._MAX_KNOWN", 2)
    typos, texts = Typos(tokenizer), SENTENCES * 2
    one_by_one = [typos.augment_text(text, 3, seed=(0, i)) for i, text in enumerate(texts)]
    assert len(typos._known) <= 2 + max(len(text.split()) for text in texts)
    assert one_by_one == Typos(tokenizer).augment_text(texts, 3, seed=[(0, i) for i in range(len(texts))])
