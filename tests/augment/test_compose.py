"""Augmenters made of others."""

from collections import Counter

import numpy as np
import pytest
from conftest import SENTENCES, WORDS, make_tokenizer

from augment import Compose, Edit, FirstOf, InTurn, LexiconSubstitution, OneOf, RandomDelete, RandomSwap, Sometimes
from augment.core.batch import Batch
from augment.core.edits import Edits
from augment.core.randomness import row_keys
from augment.core.rejection import different_variants
from examples import TEXTS, examples_of, ids_of


ONE = {"movie": ["film"], "story": ["tale"]}
OTHER = {"film": ["picture"], "actors": ["players"]}


def lexicon(tokenizer, words=ONE, **options):
    return LexiconSubstitution(tokenizer, words, **{"replace_prob": 1.0, **options})


def test_each_part_works_on_what_the_one_before_made(any_tokenizer):
    text = "the movie and the actors and the film"
    one, other = lexicon(any_tokenizer, ONE), lexicon(any_tokenizer, OTHER)
    assert Compose([one, other]).augment_text(text, 1, 0) == ["the picture and the players and the picture"]
    assert Compose([other, one]).augment_text(text, 1, 0) == ["the film and the players and the picture"]


def test_composition_has_every_variant_that_its_parts_allow(any_tokenizer):
    augmenter = Compose([Sometimes(lexicon(any_tokenizer)), Sometimes(lexicon(any_tokenizer, OTHER))])
    counts = Counter(augmenter.augment_text("the movie and actors", 9, 0))
    # The second part replaces all words that it knows, film as well as actors.
    changed = {"the film and actors": 1, "the movie and players": 1, "the picture and players": 1}
    assert counts == {**changed, "the movie and actors": 6}


def test_composition_that_comes_back_to_the_original_is_no_variant(any_tokenizer):
    there = lexicon(any_tokenizer, {"movie": ["film"]})
    back = lexicon(any_tokenizer, {"film": ["movie"]})
    example = examples_of(any_tokenizer, ["the movie"])[0]
    assert Compose([there, back]).edits(example, 3, 0) == [[], [], []]


def test_nested_compositions_do_not_depend_on_the_batch(any_tokenizer):
    inner = OneOf([lexicon(any_tokenizer, WORDS, replace_prob=0.3), RandomSwap(any_tokenizer)], p=[0.7, 0.3])
    augmenter = Compose([inner, Compose([Sometimes(RandomDelete(any_tokenizer)), Sometimes(inner, p=0.2)])])
    examples, seeds = examples_of(any_tokenizer), list(range(len(TEXTS)))
    together = augmenter.variants(examples, 3, seeds)
    assert together[::-1] == augmenter.variants(examples[::-1], 3, seeds[::-1])
    assert together == [augmenter.variants(example, 3, seed) for example, seed in zip(examples, seeds, strict=True)]
    assert sum(ids_of(group)[0] != row["input_ids"] for row, group in zip(examples, together, strict=True)) >= 9


@pytest.mark.parametrize(("p", "share"), [(None, 0.5), ([0.8, 0.2], 0.8), ([0, 1], 0)])
def test_one_of_takes_each_part_with_its_probability(tokenizer, p, share):
    augmenter = OneOf([lexicon(tokenizer, ONE), lexicon(tokenizer, OTHER)], p=p)
    count = 1000
    variants = augmenter.augment_text(["the movie and actors"] * count, 1, list(range(count)))
    counts = Counter(text for (text,) in variants)
    assert counts.keys() <= {"the film and actors", "the movie and players"}
    assert abs(counts["the film and actors"] / count - share) < 4 * np.sqrt(share * (1 - share) / count) + 1e-9


def test_one_of_turns_to_a_part_that_can_change_the_example(tokenizer):
    augmenter = OneOf([lexicon(tokenizer, {}), lexicon(tokenizer)])
    assert augmenter.augment_text(["the movie"] * 50, 1, list(range(50))) == [["the film"]] * 50


@pytest.mark.parametrize("p", [0, 0.3, 1])
def test_sometimes_changes_its_share_of_the_variants(tokenizer, p):
    words, count = {"movie": [f"{letter}b" for letter in "acdefghij"]}, 500
    augmenter = Sometimes(lexicon(tokenizer, words), p=p)
    groups = augmenter.augment_text(["the movie"] * count, 4, list(range(count)))
    changed = np.array([[text != "the movie" for text in group] for group in groups])
    assert np.all(np.abs(changed.mean(axis=0) - p) <= 4.5 * np.sqrt(p * (1 - p) / count))
    if p == 0.3:  # variants are left alone independently of each other
        assert abs((changed[:, 0] & changed[:, 1]).mean() - p * p) < 4.5 * np.sqrt(p * p / count)


def test_first_of_equals_one_lexicon_in_which_the_first_source_has_precedence(any_tokenizer):
    one = {"movie": ["story"], "funny": ["odd"], "film": ["tale", "picture", "story"]}
    augmenter = FirstOf([LexiconSubstitution(any_tokenizer, one), LexiconSubstitution(any_tokenizer, WORDS)])
    whole = LexiconSubstitution(any_tokenizer, WORDS | one)
    examples, seeds = examples_of(any_tokenizer), list(range(len(TEXTS)))
    assert augmenter.variants(examples, 5, seeds) == whole.variants(examples, 5, seeds)


def test_a_source_serves_only_words_that_its_constraints_let_it_change(any_tokenizer):
    sources = [
        lexicon(any_tokenizer, {"movie": ["story"], "film": ["story"]}, keep_words=["movie"]),
        lexicon(any_tokenizer, {"movie": ["picture"], "film": ["picture"], "odd": ["strange"]}, keep_pattern="o.*"),
    ]
    text = "the movie and the film is odd"
    augmenter = FirstOf(sources, replace_prob=1.0)
    assert augmenter.augment_text(text, 1, 0) == ["the picture and the story is odd"]
    assert FirstOf(sources, replace_prob=1.0, keep_words=["film"]).augment_text(text, 1, 0) == [
        "the picture and the film is odd"
    ]
    assert FirstOf([augmenter, lexicon(any_tokenizer, {"odd": ["strange"]})], replace_prob=1.0).augment_text(
        text, 1, 0
    ) == ["the picture and the story is strange"]


def test_the_lowest_limit_of_all_sources_holds(any_tokenizer):
    def first_of(**options):
        sources = [lexicon(any_tokenizer, ONE, **options), lexicon(any_tokenizer, {"actors": ["motion picture"]})]
        return FirstOf(sources, replace_prob=1.0)

    example = examples_of(any_tokenizer, ["the movie and the actors and the story"])[0]
    assert {len(edits) for edits in first_of().edits(example, 3, 0)} >= {3}
    assert {len(edits) for edits in first_of(max_replaced=2).edits(example, 3, 0)} <= {1, 2}
    limited = [lexicon(any_tokenizer, ONE, max_replaced=most) for most in (1, 2)]
    for sources in (limited, limited[::-1]):
        variants = FirstOf(sources, replace_prob=1.0, max_replaced=3).edits(example, 2, 0)
        assert {len(edits) for edits in variants} == {1}
    length = len(example["input_ids"])
    assert any(len(ids) > length for ids in ids_of(first_of().variants(example, 3, 0)))
    assert all(len(ids) <= length for ids in ids_of(first_of(max_length=length).variants(example, 3, 0)))


def test_draws_give_every_variant_that_there_is_and_then_copies():
    def draw_one(batch, keys):
        return Edits.of([[Edit(0, (row[0],), (int(key % 5),))] for row, key in zip(batch.rows, keys, strict=True)])

    rows = [[0, 9], [7, 9]]
    edits = different_variants(Batch(rows), 6, row_keys([1, 2]), draw_one)
    for i, (row, possible) in enumerate(zip(rows, ([1, 2, 3, 4], [0, 1, 2, 3, 4]), strict=True)):
        variants = edits.apply(Batch(rows)).rows[i::2]
        assert sorted(variants[: len(possible)]) == [[new, 9] for new in possible]
        assert variants[len(possible) :] == [row] * (6 - len(possible))


@pytest.mark.parametrize("kind", [Compose, OneOf, FirstOf])
def test_parts_that_cannot_work_together_are_refused(tokenizer, kind):
    with pytest.raises(ValueError, match="empty list"):
        kind([])
    with pytest.raises(TypeError, match="expected a"):
        kind([lexicon(tokenizer), "wordnet"])
    with pytest.raises(TypeError, match="expected a"):
        kind(None)
    with pytest.raises(ValueError, match="different vocabularies"):
        kind([lexicon(tokenizer), lexicon(make_tokenizer("bpe"))])
    assert kind([lexicon(tokenizer), lexicon(make_tokenizer("wordpiece"))]).augment_text("the movie", 1, 0)


def test_first_of_takes_substitutions_only(tokenizer):
    with pytest.raises(TypeError, match="expected a Substitution"):
        FirstOf([lexicon(tokenizer), RandomDelete(tokenizer)])


@pytest.mark.parametrize("p", [[1.0], [0.5, 0.6], [-0.5, 1.5], [float("nan"), 1], [0.2, 0.3, 0.5]])
def test_probabilities_of_one_of_are_one_per_part_and_sum_to_one(tokenizer, p):
    with pytest.raises(ValueError, match="one probability for each"):
        OneOf([lexicon(tokenizer), lexicon(tokenizer)], p=p)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_probability_of_sometimes_is_one(tokenizer, p):
    with pytest.raises(ValueError, match="expected a probability"):
        Sometimes(lexicon(tokenizer), p=p)


def test_composition_of_every_kind_keeps_texts_clean(any_tokenizer):
    augmenter = Compose([lexicon(any_tokenizer, WORDS), RandomSwap(any_tokenizer), RandomDelete(any_tokenizer)])
    for group in augmenter.augment_text(SENTENCES, 4, list(range(len(SENTENCES)))):
        assert all(text == " ".join(text.split()) for text in group)


def test_in_turn_gives_the_variants_of_the_first_augmenter_where_it_makes_enough(any_tokenizer):
    one, other = lexicon(any_tokenizer, WORDS, replace_prob=0.4), RandomSwap(any_tokenizer)
    together, alone = (
        augmenter.augment_text(TEXTS, 2, range(len(TEXTS))) for augmenter in (InTurn([one, other]), one)
    )
    enough = [len({text, *group}) == 3 for text, group in zip(TEXTS, alone, strict=True)]
    assert 3 < sum(enough) < len(TEXTS)
    for text, whole, group in zip(TEXTS, together, alone, strict=True):
        kept = [variant for i, variant in enumerate(group) if variant not in (text, *group[:i])]
        assert whole[: len(kept)] == kept


def test_in_turn_fills_up_with_the_next_augmenters_and_says_so_by_copies_at_last(tokenizer):
    one, other = lexicon(tokenizer, {"movie": ["film"]}), lexicon(tokenizer, {"movie": ["film", "story"]})
    augmenter = InTurn([one, other])
    assert augmenter.augment_text("the movie", 3, 0) == ["the film", "the story", "the movie"]
    assert InTurn([one]).augment_text("the actors", 2, 0) == ["the actors", "the actors"]


def test_in_turn_asks_the_next_augmenter_only_for_what_is_missing(tokenizer, monkeypatch):
    one, other = lexicon(tokenizer, {"movie": ["film"]}), lexicon(tokenizer, {"actors": ["players"]})
    asked = []
    draw = type(other).draw_edits
    monkeypatch.setattr(
        type(other),
        "draw_edits",
        lambda self, batch, *args: asked.append((self, len(batch))) or draw(self, batch, *args),
    )
    texts = ["the movie", "the actors", "a movie"]
    assert InTurn([one, other]).augment_text(texts, 1, [0, 1, 2]) == [["the film"], ["the players"], ["a film"]]
    assert asked == [(one, 3), (other, 1)]
