from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest

from augment.core.candidates import Candidates
from augment.core.randomness import row_keys
from augment.core.sampling import KEEP, draw
from augment.core.words import Words


NO_LIMIT = 1 << 30


def make_candidates(rows: list[list[list[int]]]) -> Candidates:
    """Rows of words of one piece; a word is the list of the lengths of its candidates."""
    words = [word for row in rows for word in row]
    row_of_word = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    count = np.array([len(word) for word in words], dtype=np.int64)
    lengths = np.array([length for word in words for length in word], dtype=np.int64)
    flags = np.zeros(len(words), dtype=bool)
    return Candidates(
        Words(row_of_word, np.arange(len(words)), np.ones(len(words), dtype=np.int64), flags, flags, flags),
        np.cumsum(count) - count,
        count,
        np.arange(len(lengths)),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.arange(lengths.sum()),
        int(lengths.max(initial=0)),
    )


def draw_rows(rows, num_variants, room=NO_LIMIT, replace_prob=0.3, seeds=None) -> list[list[tuple[int, ...]]]:
    """For each row the K choices."""
    seeds = range(len(rows)) if seeds is None else seeds
    room = np.broadcast_to(np.asarray(room), len(rows))
    candidates = make_candidates(rows)
    choice = draw(candidates, room, row_keys(list(seeds)), num_variants, replace_prob)
    assert choice.shape == (num_variants, len(candidates.words))
    bounds = np.cumsum([0, *map(len, rows)])
    return [[tuple(variant[a:b].tolist()) for variant in choice] for a, b in pairwise(bounds)]


def possible_variants(row, room=NO_LIMIT) -> set[tuple[int, ...]]:
    """All variants but the original, by brute force."""
    every = set(product(*(range(KEEP, len(word)) for word in row))) - {(KEEP,) * len(row)}
    return {v for v in every if sum(w[c] - 1 for w, c in zip(row, v, strict=True) if c != KEEP) <= room}


def random_rows(count: int) -> list[list[list[int]]]:
    rng = np.random.default_rng(0)
    return [
        [rng.integers(1, 4, size=rng.integers(1, 4)).tolist() for _ in range(rng.integers(0, 6))] for _ in range(count)
    ]


@pytest.mark.parametrize("replace_prob", [1e-9, 0.3, 1.0])
@pytest.mark.parametrize("num_variants", [1, 4, 20])
def test_as_many_variants_differ_as_there_can_be(num_variants, replace_prob):
    rows = random_rows(200)
    for row, variants in zip(rows, draw_rows(rows, num_variants, replace_prob=replace_prob), strict=True):
        possible = possible_variants(row)
        changed = [variant for variant in variants if any(c != KEEP for c in variant)]
        assert len(changed) == len(set(changed)) == min(num_variants, len(possible))
        assert set(changed) <= possible


@pytest.mark.parametrize("num_variants", [2, 20])
def test_no_variant_outgrows_its_room(num_variants):
    rows = random_rows(200)
    room = np.arange(200) % 3
    for row, space, variants in zip(rows, room, draw_rows(rows, num_variants, room), strict=True):
        possible = possible_variants(row, space)
        changed = [variant for variant in variants if any(c != KEEP for c in variant)]
        assert set(changed) <= possible
        assert len(changed) == len(set(changed)) == min(num_variants, len(possible))


def test_long_row_without_room_has_variants_that_fit():
    row = [[2, 1], [3], [1, 2]] * 10
    for variants in draw_rows([row] * 20, 8, room=0):
        assert len(set(variants)) == 8
        for variant in variants:
            assert any(c != KEEP for c in variant)
            assert sum(w[c] - 1 for w, c in zip(row, variant, strict=True) if c != KEEP) <= 0


@pytest.mark.parametrize("replace_prob", [1e-9, 1.0])
def test_long_row_has_variants_where_draws_are_all_alike(replace_prob):
    (variants,) = draw_rows([[[1]] * 20], 40, replace_prob=replace_prob)
    assert len(set(variants)) == 40 and (KEEP,) * 20 not in variants


@pytest.mark.parametrize("replace_prob", [0.1, 0.3, 0.8])
@pytest.mark.parametrize("row", [[[1], [1, 1]], [[1], [1, 1], [1], [1, 1]]], ids=["enumerated", "drawn"])
def test_words_are_replaced_with_the_probability_asked_for(row, replace_prob):
    num_draws = 20_000
    drawn = Counter(variant for (variant,) in draw_rows([row] * num_draws, 1, replace_prob=replace_prob))

    def probability(variant):
        return np.prod(
            [1 - replace_prob if c == KEEP else replace_prob / len(w) for w, c in zip(row, variant, strict=True)]
        )

    total = sum(map(probability, possible_variants(row)))  # on condition that a word is replaced
    for variant in possible_variants(row):
        expected = probability(variant) / total
        error = (expected * (1 - expected) / num_draws) ** 0.5
        assert abs(drawn[variant] / num_draws - expected) < 5 * error


def test_one_replaces_all():
    for variants in draw_rows([[[1, 1]] * n for n in (1, 2, 9, 40)] * 50, 1, replace_prob=1.0):
        assert KEEP not in variants[0]


@pytest.mark.parametrize("room", [0, 2, NO_LIMIT])
def test_row_alone_is_drawn_as_in_a_batch(room):
    rows = random_rows(60)
    together = draw_rows(rows, 4, room)
    for seed, row in enumerate(rows):
        assert draw_rows([row], 4, room, seeds=[seed]) == [together[seed]]


def test_no_rows_and_no_words():
    assert draw_rows([], 3) == []
    assert draw_rows([[], []], 3) == [[(), (), ()], [(), (), ()]]


# --- seeds -----------------------------------------------------------------------------------------------------------


def test_int_and_tuple_of_it_are_one_seed():
    assert row_keys([5]) == row_keys([(5,)]) == row_keys([np.int64(5)])


def test_key_of_a_seed_does_not_depend_on_the_others():
    seeds = [3, (1, 2), (1, 2, 0), (), -1, 2**70, (0, 2**64 - 1)]
    assert row_keys(seeds).tolist() == [int(row_keys([seed])[0]) for seed in seeds]


def test_different_seeds_have_different_keys():
    seeds = [(), 0, (0, 0), (0, 0, 0), 1, (1, 0), (0, 1), -1, *((i, j) for i in range(2, 60) for j in range(60))]
    assert len(set(row_keys(seeds).tolist())) == len(seeds)


@pytest.mark.parametrize("seed", [1.0, "1", None, (1, 2.0), [1, 2]])
def test_other_seeds_are_refused(seed):
    with pytest.raises(TypeError, match="int or a tuple of ints"):
        row_keys([1, seed])
