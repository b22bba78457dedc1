"""Attributes and results that are computed when they are needed, and not pickled."""

import pickle

from augment.core.lazy import Lazy, cached_method


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
