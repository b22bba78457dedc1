"""Edits of tokens in their text."""

import pytest

from augment.core.text import rewrite
from augment.edits import Edit


SPELT = {(1,): "cat", (2,): "category", (3,): "cat,", (4,): "café"}


def recase(word: str, replacement: str) -> str:
    return replacement.capitalize() if word.istitle() else replacement


@pytest.mark.parametrize(
    ("new", "expected"),
    [((2,), "A Category sat"), ((3,), "A Cat, sat"), ((4,), "A Café sat")],
    ids=["a longer word with the same beginning", "a mark after the word", "another word"],
)
def test_a_replacement_has_the_case_of_its_word(new, expected):
    assert rewrite("A Cat sat", [(0, 1), (2, 5), (6, 9)], [Edit(1, (1,), new)], SPELT.__getitem__, recase) == expected
