"""Greedy search, against searches written down anew, with scores that are made up."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from conftest import SENTENCES, WORDS

from augment import Augmenter, GreedySearch, LexiconSubstitution
from augment.core.batch import Batch
from augment.core.variant_table import VariantTable
from examples import examples_of, ids_of


@pytest.fixture
def source(tokenizer):
    return LexiconSubstitution(tokenizer, WORDS)


def value(ids) -> float:
    """A number that the tokens decide, and that says nothing of the next best tokens."""
    return np.random.default_rng(list(ids)).random()


def by_value(rows, of):
    return np.array([value(row["input_ids"]) for row in rows])


def by_length(rows, of):
    return np.array([len(row["input_ids"]) for row in rows])


def found_by(augmenter, example, num_variants, seed=0, score=by_value) -> list[tuple[int, ...]]:
    """Ids of the variants that a search finds, without the draws that make up for what it lacks."""
    table = augmenter.search([example], score, num_variants, [seed])
    (variants,) = table.lookup(Batch.of([example]))
    augmenter.keep(table)
    return [tuple(ids) for ids in ids_of(augmenter.variants(example, len(variants), 0))]


def all_variants(source, example) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Of each variant that there is, its ids and the places of the words that it replaces."""
    variants = source.variants(example, 300, 0)
    edits = source.edits(example, 300, 0)
    assert not edits[-1]  # there are no more
    return {
        tuple(variant["input_ids"]): tuple(edit.start for edit in edit_list)
        for variant, edit_list in zip(variants, edits, strict=True)
        if edit_list
    }


def beam_by_hand(example, places, order, width) -> list[tuple[int, ...]]:
    """The beam search over the positions in this order, over a list of all variants."""
    original = tuple(example["input_ids"])
    words = {original: (), **places}
    best: list[tuple[int, ...]] = []
    for start in order:
        parents = sorted([original, *best], key=value, reverse=True)[:width]
        children = [
            ids
            for ids, starts in words.items()
            for parent in parents
            if start in starts
            and tuple(sorted((*words[parent], start))) == starts
            and all(ids[i] == parent[i] for i in range(len(ids)) if i != start)
        ]
        best = sorted({*best, *children}, key=value, reverse=True)[:width]
    return best


def searches_by_hand(source, example, num_positions, width):
    """The results of all orders of all choices of positions."""
    places = all_variants(source, example)
    starts = sorted({start for starts in places.values() for start in starts})
    for order in itertools.permutations(starts, num_positions):
        yield beam_by_hand(example, places, order, width)


@pytest.fixture
def one_piece(tokenizer):
    """Words and candidates of one piece each, so that places do not move."""
    return LexiconSubstitution(
        tokenizer,
        {"movie": ["film", "picture"], "awful": ["terrible", "bad", "dull"], "actors": ["players", "performers"]},
    )


TEXT = "the movie was awful and the actors ran away"


@pytest.mark.parametrize("width", [1, 2, 3])
def test_one_position_gives_the_best_of_its_candidates(tokenizer, one_piece, width):
    (example,) = examples_of(tokenizer, [TEXT])
    places = all_variants(one_piece, example)
    tried = set()
    for seed in range(10):
        found = found_by(GreedySearch(one_piece, num_positions=1), example, width, seed)
        (start,) = places[found[0]]
        tried.add(start)
        single = sorted((ids for ids, starts in places.items() if starts == (start,)), key=value, reverse=True)
        assert found == single[:width]
    assert len(tried) == 3


@pytest.mark.parametrize("width", [1, 2, 4])
def test_two_positions_give_the_beams_of_one_of_their_orders(tokenizer, one_piece, width):
    (example,) = examples_of(tokenizer, [TEXT])
    by_hand = list(searches_by_hand(one_piece, example, 2, width))
    found = [found_by(GreedySearch(one_piece, num_positions=2), example, width, seed) for seed in range(20)]
    assert all(beams in by_hand for beams in found)
    assert len({str(beams) for beams in found}) > 2


def test_orders_are_searches_for_the_one_best_in_several_orders(tokenizer, one_piece):
    (example,) = examples_of(tokenizer, [TEXT])
    by_hand = {best for (best,) in searches_by_hand(one_piece, example, 2, 1)}
    augmenter = GreedySearch(one_piece, num_positions=2, strategy="orders")
    found = [found_by(augmenter, example, 3, seed) for seed in range(20)]
    assert all(set(variants) <= by_hand for variants in found)
    assert {best for variants in found for best in variants} == by_hand
    assert max(len(variants) for variants in found) == 3


def test_a_beam_that_holds_everything_finds_all_in_the_order_of_their_scores(tokenizer, one_piece):
    (example,) = examples_of(tokenizer, [TEXT])
    places = all_variants(one_piece, example)
    assert len(places) == 35
    assert found_by(GreedySearch(one_piece), example, 40) == sorted(places, key=value, reverse=True)


@pytest.mark.parametrize("strategy", ["beam", "orders"])
@pytest.mark.parametrize(("raises", "num_replaced"), [(1.0, 3), (-1.0, 1), (0.0, 1), (float("nan"), 1)])
def test_a_replacement_is_taken_only_if_it_raises_the_score(tokenizer, one_piece, strategy, raises, num_replaced):
    (example,) = examples_of(tokenizer, [TEXT])
    places = all_variants(one_piece, example) | {tuple(example["input_ids"]): ()}

    def score(rows, of):
        numbers = [len(places[tuple(row["input_ids"])]) for row in rows]
        return np.array([raises * number if number else 0.0 for number in numbers])

    (found,) = found_by(GreedySearch(one_piece, strategy=strategy), example, 1, score=score)
    assert len(places[found]) == num_replaced


def test_nan_is_the_least_of_scores(tokenizer, one_piece):
    (example,) = examples_of(tokenizer, [TEXT])

    def with_(least):
        return lambda rows, of: np.array([v if v > 0.3 else least for v in by_value(rows, of)])

    for seed in range(10):
        nan, least = (found_by(GreedySearch(one_piece), example, 40, seed, with_(x)) for x in (np.nan, -np.inf))
        assert nan == least and len(nan) == 35


# Variants of the table and others


def test_variants_differ_and_what_the_table_lacks_is_drawn(tokenizer, source):
    examples = examples_of(tokenizer, SENTENCES)
    for strategy in ("beam", "orders"):
        augmenter = GreedySearch(source, num_positions=1, strategy=strategy)
        found = [found_by(augmenter, example, 6, i) for i, example in enumerate(examples) if i < 3]
        augmenter.keep(augmenter.search(examples, by_value, 6, list(range(len(examples)))))
        drawn = set()
        for seed in range(5):
            groups = augmenter.variants(examples, 6, [seed] * len(examples))
            for example, group, draws in zip(examples, groups, source.variants(examples, 6, [seed] * 9), strict=True):
                ids = [tuple(row) for row in ids_of(group) if row != example["input_ids"]]
                assert len(ids) == len(set(ids)) == sum(row != example["input_ids"] for row in ids_of(draws))
            for variants, group in zip(found, groups, strict=False):
                ids = [tuple(row) for row in ids_of(group)]
                assert ids[: len(variants)] == variants and len(variants) < 6
                drawn.add(str(ids))
        assert len(drawn) > 5


@pytest.mark.parametrize("strategy", ["beam", "orders"])
def test_fewer_variants_are_the_best_of_the_table(tokenizer, source, strategy):
    augmenter = GreedySearch(source, strategy=strategy, num_positions=2)
    (example,) = examples_of(tokenizer, [TEXT])
    lengths = []
    for seed in range(5):
        found = found_by(augmenter, example, 5, seed)
        assert sorted(found, key=value, reverse=True) == found
        assert [tuple(ids) for ids in ids_of(augmenter.variants(example, 1, 7))] == found[:1]
        lengths.append(len(found))
    assert max(lengths) > 3


def test_an_example_that_was_not_searched_has_draws_of_its_source(tokenizer, source):
    searched, *others = examples = examples_of(tokenizer, SENTENCES)
    augmenter = GreedySearch(source)
    augmenter.keep(augmenter.search([searched], by_value, 4, [0]))
    seeds = list(range(len(examples)))
    assert augmenter.variants(others, 4, seeds[1:]) == source.variants(others, 4, seeds[1:])
    assert augmenter.variants(examples, 4, seeds)[1:] == source.variants(others, 4, seeds[1:])
    assert augmenter.variants(examples, 4, seeds)[0] == augmenter.variants(searched, 4, 99)
    assert augmenter.variants(searched, 4, 0) != source.variants(searched, 4, 0)
    turned = {**searched, "input_ids": searched["input_ids"][::-1]}
    assert augmenter.variants(turned, 4, 0) == source.variants(turned, 4, 0)


# What is searched


def test_rows_to_score_are_variants_of_their_examples_and_nothing_else_changes(tokenizer, source):
    examples = examples_of(tokenizer)
    scored = []

    def score(rows, of):
        for row, example in zip(rows, of.tolist(), strict=True):
            assert row.keys() == examples[example].keys() and row["label"] == example
            assert len(row["input_ids"]) == len(row["attention_mask"]) == len(row["token_type_ids"])
            scored.append((example, tuple(row["input_ids"])))
        return by_value(rows, of)

    augmenter = GreedySearch(source)
    augmenter.keep(augmenter.search(examples, score, 4, list(range(len(examples)))))
    assert len(scored) == len(set(scored)) > 50  # nothing is scored twice
    for i, example in enumerate(examples):
        every_variant = {tuple(example["input_ids"]), *map(tuple, ids_of(source.variants(example, 3000, 0)))}
        assert {ids for number, ids in scored if number == i} <= every_variant


@pytest.mark.parametrize(("strategy", "most"), [("beam", 2 + 2 * 3 * 2), ("orders", 3 * 3 * 2)])
def test_the_number_of_rows_scored_has_the_stated_bound(tokenizer, source, strategy, most):
    (example,) = examples_of(tokenizer, [TEXT])
    sizes = []

    def score(rows, of):
        sizes.append(len(rows))
        return by_value(rows, of)

    augmenter = GreedySearch(source, strategy=strategy, max_candidates=2, num_positions=3)
    augmenter.search([example], score, 3, [0])
    assert sizes[0] == 1 and len(sizes) == 4 and sum(sizes[1:]) <= most


def test_candidates_to_try_are_drawn_with_their_probabilities(tokenizer):
    class Weighted(LexiconSubstitution):
        def candidates(self, batch, words):
            candidates = super().candidates(batch, words).compact()
            return replace(candidates, cumulative=np.array([0.02, 0.98, 1.0]))

    source = Weighted(tokenizer, {"movie": ["film", "picture", "story"]})
    (example,) = examples_of(tokenizer, ["the movie"])
    augmenter = GreedySearch(source, max_candidates=1)
    tried = [augmenter.search([example], by_value, 1, [seed]) for seed in range(100)]
    texts = [str(table.texts) for table in tried]
    assert 90 <= max(texts.count(text) for text in texts) < 100


def test_constraints_of_the_source_hold(tokenizer):
    (example,) = examples_of(tokenizer, [TEXT])
    length = len(example["input_ids"])
    words = {"movie": ["motion picture"], "awful": ["dreadful", "bad"], "actors": ["players"], "ran": ["went off"]}
    plain = GreedySearch(LexiconSubstitution(tokenizer, words), num_positions=4)
    assert max(map(len, found_by(plain, example, 8, score=by_length))) > length + 1
    bound = GreedySearch(LexiconSubstitution(tokenizer, words, max_length=length + 1), num_positions=4)
    assert max(map(len, found_by(bound, example, 8, score=by_length))) == length + 1
    one = GreedySearch(LexiconSubstitution(tokenizer, words, max_replaced=1))
    found = found_by(one, example, 4)
    assert [len(edits) for edits in one.edits(example, len(found), 0)] == [1] * len(found)


def test_kept_spans_stay_and_are_part_of_what_an_example_is(tokenizer, source):
    (example,) = examples_of(tokenizer, [TEXT])
    kept = {**example, "keep_spans": [(0, 4)]}
    augmenter = GreedySearch(source)

    def score(rows, of):
        assert all(row.keys() == example.keys() for row in rows)  # no model knows of spans
        return by_value(rows, of)

    found = found_by(augmenter, kept, 4, score=score)
    assert all(ids[:4] == tuple(example["input_ids"][:4]) for ids in found)
    assert augmenter.variants(kept, 2, 0) == augmenter.variants(kept, 2, 1)
    assert augmenter.variants(example, 4, 0) == source.variants(example, 4, 0)


def test_nothing_to_replace_gives_copies(tokenizer, source):
    examples = examples_of(tokenizer, ["", "12 + 3 = 15", "the"])

    def score(rows, of):
        raise AssertionError("there is nothing to score")

    augmenter = GreedySearch(source)
    augmenter.keep(augmenter.search(examples, score, 2, [0, 1, 2]))
    assert augmenter.variants(examples, 2, [0, 1, 2]) == [[example, example] for example in examples]
    augmenter.keep(augmenter.search([], score, 2, []))
    assert augmenter.variants(examples, 2, [0, 1, 2]) == [[example, example] for example in examples]


@pytest.mark.parametrize("strategy", ["beam", "orders"])
def test_a_search_is_a_function_of_example_and_seed(any_tokenizer, strategy):
    augmenter = GreedySearch(LexiconSubstitution(any_tokenizer, WORDS), strategy=strategy)
    examples, seeds = examples_of(any_tokenizer), [(3, i) for i in range(len(examples_of(any_tokenizer)))]
    together = augmenter.search(examples, by_value, 4, seeds)
    alone = [augmenter.search([row], by_value, 4, [seed]) for row, seed in zip(examples, seeds, strict=True)]
    batch = Batch.of(examples)
    assert together.lookup(batch) == VariantTable.joined(alone[::-1]).lookup(batch)
    assert together.lookup(batch) != augmenter.search(examples, by_value, 4, seeds[::-1]).lookup(batch)


# Arguments


def test_configuration_round_trips(tokenizer, source):
    augmenter = GreedySearch(source, objective="divergence", num_positions=2, strategy="orders", max_candidates=5)
    copy = Augmenter.from_dict(augmenter.to_dict(), tokenizer)
    assert copy.to_dict() == augmenter.to_dict() and repr(copy) == repr(augmenter)
    assert copy._shared._folder != augmenter._shared._folder
    (example,) = examples_of(tokenizer, [TEXT])
    assert found_by(copy, example, 4) == found_by(augmenter, example, 4)


def test_what_cannot_be_searched_is_refused(tokenizer, source):
    for error, message, arguments in [
        (TypeError, "expected a Substitution", {"candidates": "wordnet"}),
        (TypeError, "of type GreedySearch; expected", {"candidates": GreedySearch(source)}),
        (ValueError, "expected one of 'loss', 'divergence'", {"objective": "accuracy"}),
        (ValueError, "expected one of 'beam', 'orders'", {"strategy": "genetic"}),
        (ValueError, "num_positions is 0", {"num_positions": 0}),
        (ValueError, "max_candidates is 0", {"max_candidates": 0}),
    ]:
        with pytest.raises(error, match=message):
            GreedySearch(**{"candidates": source, **arguments})
    augmenter, examples = GreedySearch(source), examples_of(tokenizer, [TEXT])
    with pytest.raises(ValueError, match="2 seeds for 1 examples"):
        augmenter.search(examples, by_value, 2, [0, 1])
    with pytest.raises(ValueError, match="num_variants 0"):
        augmenter.search(examples, by_value, 0, [0])
    with pytest.raises(ValueError, match=r"shape \(1, 2\) for 1 rows"):
        augmenter.search(examples, lambda rows, of: np.zeros((len(rows), 2)), 2, [0])
