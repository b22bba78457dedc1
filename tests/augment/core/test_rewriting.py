"""Edits of tokens in their text."""

from types import SimpleNamespace

import pytest

from augment.core.text import Rewriter
from augment.edits import Edit


SPELT = {(1,): "cat", (2,): "category", (3,): "cat,", (4,): "café"}


@pytest.mark.parametrize(
    ("new", "expected"),
    [((2,), "A Category sat"), ((3,), "A Cat, sat"), ((4,), "A Café sat")],
    ids=["a longer word with the same beginning", "a mark after the word", "another word"],
)
def test_a_replacement_has_the_case_of_its_word(new, expected):
    backend = SimpleNamespace(normalizer=SimpleNamespace(normalize_str=str.lower))
    rewrite = Rewriter(SimpleNamespace(backend_tokenizer=backend, decode=SPELT.__getitem__))
    assert rewrite("A Cat sat", [(0, 1), (2, 5), (6, 9)], [Edit(1, (1,), new)]) == expected
