import pytest

from augment import Edit, apply_edits


IDS = [1, 10, 11, 12, 13, 2]


def test_no_edit_gives_a_copy():
    ids = apply_edits(IDS, [])
    assert ids == IDS and ids is not IDS


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([Edit(1, (10,), (20,))], [1, 20, 11, 12, 13, 2]),
        ([Edit(1, (10, 11), (20,))], [1, 20, 12, 13, 2]),
        ([Edit(1, (10,), (20, 21, 22))], [1, 20, 21, 22, 11, 12, 13, 2]),
        ([Edit(1, (10,), (20, 21)), Edit(2, (11, 12), (22,))], [1, 20, 21, 22, 13, 2]),
        ([Edit(3, (12,), (20, 21)), Edit(0, (1,), (22,))], [22, 10, 11, 20, 21, 13, 2]),
        ([Edit(5, (2,), ())], [1, 10, 11, 12, 13]),
    ],
)
def test_old_pieces_give_way_to_new_ones(edits, expected):
    assert apply_edits(IDS, edits) == expected
    assert apply_edits(tuple(IDS), edits) == expected
    assert IDS == [1, 10, 11, 12, 13, 2]


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([Edit(1, (11,), (20,))], "where the example has"),
        ([Edit(5, (2, 3), (20,))], "where the example has"),
        ([Edit(9, (2,), (20,))], "where the example has"),
        ([Edit(-2, (13,), (20,))], "where the example has"),
        ([Edit(2, (), (20,))], "where the example has"),
        ([Edit(1, (10, 11), (10, 11)), Edit(2, (11,), (21,))], "overlaps"),
        ([Edit(1, (10,), (10,)), Edit(1, (10,), (10,))], "overlaps"),
    ],
)
def test_edits_that_do_not_fit_are_refused(edits, message):
    with pytest.raises(ValueError, match=message):
        apply_edits(IDS, edits)
