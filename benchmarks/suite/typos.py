"""Typing errors, which no method trains on."""

from __future__ import annotations

import re

import numpy as np


LEAST_LETTERS = 4
_WORD = re.compile(rf"[^\W\d_]{{{LEAST_LETTERS},}}")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {letter: row[max(0, i - 1) : i] + row[i + 1 : i + 2] for row in _ROWS for i, letter in enumerate(row)}


def with_typos(text: str, seed: tuple[int, ...], rate: float = 0.2) -> str:
    """
    The text with a typing error in each word of four letters or more with probability `rate`, and in one at least:
    two letters exchanged, one left out, doubled, or hit on a neighbouring key. Shorter words stay.

    Args:
        text (`str`): The text.
        seed (`tuple[int, ...]`): Decides on all of it.
        rate (`float`, *optional*, defaults to 0.2): Share of the words.
    """
    words = list(_WORD.finditer(text))
    if not words:
        return text
    random = np.random.default_rng(seed)
    wrong = random.random(len(words)) < rate
    wrong[random.integers(len(words))] = True
    parts, end = [], 0
    for word, is_wrong in zip(words, wrong, strict=True):
        parts += [text[end : word.start()], _mistyped(word[0], random) if is_wrong else word[0]]
        end = word.end()
    return "".join([*parts, text[end:]])


def _mistyped(word: str, random: np.random.Generator) -> str:
    how, i = random.integers(4), random.integers(len(word) - 1)
    if how == 0 and word[i] != word[i + 1]:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if how == 1:
        return word[:i] + word[i + 1 :]
    if how == 2 and (keys := _NEIGHBOURS.get(word[i].lower())):
        key = keys[random.integers(len(keys))]
        return word[:i] + (key.upper() if word[i].isupper() else key) + word[i + 1 :]
    return word[: i + 1] + word[i:]
