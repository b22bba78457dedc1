"""The rows that stand for a full product of parameters."""

from itertools import combinations, product

import pytest
from pairwise import pairwise, pairwise_rows


@pytest.mark.parametrize("sizes", [(3, 2), (6, 3, 5), (3, 2, 2, 7), (2, 2, 2, 2), (1, 4)])
def test_every_pair_of_values_is_in_a_row_and_rows_are_few(sizes):
    rows = pairwise_rows(product(*map(range, sizes)))
    for a, b in combinations(range(len(sizes)), 2):
        assert {(row[a], row[b]) for row in rows} == set(product(range(sizes[a]), range(sizes[b])))
    most, second = sorted(sizes)[:-3:-1]
    assert most * second <= len(rows) == len(set(rows)) <= 1.5 * most * second


def test_values_that_do_not_go_together_are_in_no_row_and_others_are_together_still():
    mark = pairwise(unless=lambda a, b, c: (a, b) == ("1", "x"), a=[1, 2], b={"x": [0], "y": [1]}, c=[True, False])
    names, rows = mark.args
    assert names == ("a", "b", "c") and [1, [0]] not in [list(row.values[:2]) for row in rows]
    assert {(row.values[0], row.values[2]) for row in rows} == set(product([1, 2], [True, False]))
    assert {row.id for row in rows} >= {"1-y-True"} and len(rows) <= 6
