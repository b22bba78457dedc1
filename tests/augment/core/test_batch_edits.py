"""Edits of a batch, and two stages of them merged into one."""

from hypothesis import given
from hypothesis import strategies as st

from augment import Edit, apply_edits
from augment.core.batch import Batch
from augment.core.edits import Edits, moved_spans


FRESH = 1000  # tokens from here on are inserted by edits


@st.composite
def edits_of(draw, row: list[int]) -> list[Edit]:
    """Edits of a row in any order: deletions among them, some side by side."""
    edits, start = [], 0
    while (start := start + draw(st.integers(0, 3))) < len(row):
        stop = draw(st.integers(start + 1, min(start + 3, len(row))))
        new = draw(st.lists(st.integers(FRESH, FRESH + 3), max_size=3))
        edits.append(Edit(start, tuple(row[start:stop]), tuple(new)))
        start = stop
    return draw(st.permutations(edits))


@st.composite
def stages(draw, max_rows: int = 3):
    """A batch, edits of one variant of each of its rows, and edits of one variant of each of those."""
    rows = [list(range(draw(st.integers(0, 8)))) for _ in range(draw(st.integers(1, max_rows)))]
    batch = Batch(rows)
    earlier = Edits.of([draw(edits_of(row)) for row in rows])
    later = Edits.of([draw(edits_of(row)) for row in earlier.apply(batch).rows])
    return batch, earlier, later


def touched_by(edits: list[Edit]) -> set[int]:
    """Positions of the tokens that edits replace."""
    return {j for start, old, _ in edits for j in range(start, start + len(old))}


@given(stages())
def test_merged_edits_do_what_the_two_stages_do(case):
    batch, earlier, later = case
    merged = earlier.then(batch, later)
    assert merged.apply(batch).rows == later.apply(earlier.apply(batch)).rows


@given(stages())
def test_merged_edits_are_in_order_and_apart(case):
    batch, earlier, later = case
    merged = earlier.then(batch, later)
    assert len(merged) == len(batch)
    for i, row in enumerate(batch.rows):
        edits = merged.of_variant(i, batch)
        assert len(edits) <= earlier.counts[i] + later.counts[i]
        end = 0
        for start, old, _ in edits:
            assert end <= start and old and list(old) == row[start : start + len(old)]
            end = start + len(old)
        assert apply_edits(row, edits) == merged.apply(batch).rows[i]


@given(stages())
def test_merged_edits_touch_nothing_that_both_stages_leave(case):
    batch, earlier, later = case
    merged = earlier.then(batch, later)
    middle = earlier.apply(batch)
    for i, row in enumerate(middle.rows):
        touched = touched_by(later.of_variant(i, middle))
        left = {token for j, token in enumerate(row) if j not in touched and token < FRESH}
        assert left.isdisjoint(touched_by(merged.of_variant(i, batch)))


def test_edits_side_by_side_stay_two():
    batch = Batch([[5, 6, 7]])
    earlier, later = Edits.of([[Edit(0, (5,), (8,))]]), Edits.of([[Edit(1, (6,), (9,))]])
    assert earlier.then(batch, later).of_variant(0, batch) == [Edit(0, (5,), (8,)), Edit(1, (6,), (9,))]


def test_edits_that_undo_each_other_are_none():
    batch = Batch([[5, 6, 7]])
    there, back = Edits.of([[Edit(1, (6,), (8, 9))]]), Edits.of([[Edit(1, (8, 9), (6,))]])
    assert there.then(batch, back).of_variant(0, batch) == []


@given(stages(max_rows=1), st.data())
def test_spans_move_with_their_tokens(case, data):
    batch, earlier, _ = case
    (row,) = batch.rows
    touched = touched_by(earlier.of_variant(0, batch))
    spans = [(j, j + 1) for j in range(len(row)) if j not in touched]
    variant = earlier.apply(Batch([row], [spans]))
    moved = moved_spans(spans, earlier.of_variant(0, batch))
    assert [variant.rows[0][start:stop] for start, stop in moved] == [[j] for j, _ in spans]
    assert [j for start, stop in moved for j in range(start, stop)] == variant.kept.nonzero()[0].tolist()
