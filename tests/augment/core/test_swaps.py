"""Swaps of tokens, and two stages of them joined as one."""

from hypothesis import given
from hypothesis import strategies as st

from augment.core.batch import Batch, Swaps


FRESH = 1000  # tokens from here on are put in by swaps


@st.composite
def swaps_of(draw, row: list[int]) -> list[tuple[int, int, list[int]]]:
    """Swaps of a row from left to right: deletions among them, some side by side."""
    swaps, start = [], 0
    while (start := start + draw(st.integers(0, 3))) < len(row):
        stop = draw(st.integers(start + 1, min(start + 3, len(row))))
        swaps.append((start, stop, draw(st.lists(st.integers(FRESH, FRESH + 3), max_size=3))))
        start = stop
    return swaps


@st.composite
def stages(draw, max_rows: int = 3):
    """A batch, swaps of one variant of each of its rows, and swaps of one variant of each of those."""
    rows = [list(range(draw(st.integers(0, 8)))) for _ in range(draw(st.integers(1, max_rows)))]
    batch = Batch(rows)
    earlier = Swaps.of_variants([draw(swaps_of(row)) for row in rows])
    later = Swaps.of_variants([draw(swaps_of(row)) for row in earlier.applied(batch).rows])
    return batch, earlier, later


@given(stages())
def test_joined_swaps_do_what_the_two_stages_do(case):
    batch, earlier, later = case
    joined = earlier.then(batch, later)
    assert joined.applied(batch).rows == later.applied(earlier.applied(batch)).rows


@given(stages())
def test_joined_swaps_are_in_order_and_apart(case):
    batch, earlier, later = case
    joined = earlier.then(batch, later)
    assert len(joined) == len(batch)
    for i, row in enumerate(batch.rows):
        assert len(joined.of_variant(i)) <= len(earlier.of_variant(i)) + len(later.of_variant(i))
        end = 0
        for start, stop, _ in joined.of_variant(i):
            assert end <= start < stop <= len(row)
            end = stop


@given(stages())
def test_joined_swaps_touch_nothing_that_both_stages_leave(case):
    batch, earlier, later = case
    joined = earlier.then(batch, later)
    for i, middle in enumerate(earlier.applied(batch).rows):
        touched = {j for start, stop, _ in later.of_variant(i) for j in range(start, stop)}
        left = {token for j, token in enumerate(middle) if j not in touched and token < FRESH}
        assert left.isdisjoint(j for start, stop, _ in joined.of_variant(i) for j in range(start, stop))


def test_swaps_side_by_side_stay_two():
    batch = Batch([[5, 6, 7]])
    earlier, later = Swaps.of_variants([[(0, 1, [8])]]), Swaps.of_variants([[(1, 2, [9])]])
    assert earlier.then(batch, later).of_variant(0) == [(0, 1, [8]), (1, 2, [9])]


def test_swaps_that_undo_each_other_are_none():
    batch = Batch([[5, 6, 7]])
    there, back = Swaps.of_variants([[(1, 2, [8, 9])]]), Swaps.of_variants([[(1, 3, [6])]])
    assert there.then(batch, back).of_variant(0) == []


@given(stages(max_rows=1), st.data())
def test_spans_move_with_their_tokens(case, data):
    batch, earlier, _ = case
    (row,) = batch.rows
    touched = {j for start, stop, _ in earlier.of_variant(0) for j in range(start, stop)}
    spans = [(j, j + 1) for j in range(len(row)) if j not in touched]
    variant = earlier.applied(Batch([row], [spans]))
    assert [variant.rows[0][start:stop] for start, stop in variant.spans[0]] == [[j] for j, _ in spans]
