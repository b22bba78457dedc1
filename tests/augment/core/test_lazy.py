"""Attributes and results that are computed when they are needed, and not pickled."""

import pickle

from augment.core.lazy import MAX_WORDS, Lazy, cached_method, word_cache


class Squares(Lazy):
    def __init__(self):
        self.computed = []

    @cached_method
    def square(self, number: int) -> int:
        self.computed.append(number)
        return number**2


def test_a_cached_method_computes_each_result_once_for_each_object():
    first, second = Squares(), Squares()
    assert [squares.square(n) for squares in (first, second) for n in (2, 3, 2)] == [4, 9, 4] * 2
    assert first.computed == second.computed == [2, 3]


def test_results_are_left_out_of_pickles():
    squares = Squares()
    squares.square(2)
    copy = pickle.loads(pickle.dumps(squares))
    assert vars(copy) == {"computed": [2]} and copy.square(2) == 4 and copy.computed == [2, 2]


def test_new_words_without_end_take_no_memory_without_end():
    squares = Squares()
    spell = word_cache(str)
    for number in range(MAX_WORDS + 10):
        squares.square(number)
        spell(number)
    assert squares.square.cache_info().currsize == spell.cache_info().currsize == MAX_WORDS
    assert squares.square(MAX_WORDS) == MAX_WORDS**2 and len(squares.computed) == MAX_WORDS + 10
