"""Which of the texts that a model wrote are kept."""

import numpy as np
import pytest

from augment.generation import filtering
from augment.generation.filtering import TextFilter


def keep(generated: dict, num_variants: int = 9, scorer=None, min_score=None, min_ratio=0.5, max_ratio=2.0):
    return TextFilter(min_ratio, max_ratio, scorer, min_score).keep(generated, num_variants)


def test_copies_are_left_out_whatever_their_case_and_space():
    texts = ["The film", "the  FILM", "a film", " A Film\n", "a movie"]
    kept, left_out = keep({"the film": texts, "a film": texts})
    assert kept == {"the film": ["a film", "a movie"], "a film": ["The film", "a movie"]}
    assert left_out["copies"] == 6


def test_texts_without_an_end_and_prompts_without_texts_are_left_out():
    kept, left_out = keep({"the film": [None, "a film"], "a story": []})
    assert kept == {"the film": ["a film"], "a story": []}
    assert (left_out["unfinished"], left_out["too long"]) == (1, 1)


@pytest.mark.parametrize(
    ("min_ratio", "max_ratio", "lengths"),
    [(0.5, 2.0, [5, 10, 20]), (0.51, 1.99, [10]), (0, float("inf"), [1, 4, 5, 10, 20, 21])],
)
def test_lengths_are_in_range_of_the_original(min_ratio, max_ratio, lengths):
    texts = ["a" * length for length in (0, 1, 4, 5, 10, 20, 21)]
    kept, left_out = keep({"b" * 10: texts}, min_ratio=min_ratio, max_ratio=max_ratio)
    assert [len(text) for text in kept["b" * 10]] == lengths
    assert left_out["length"] == 7 - len(lengths)


def test_the_first_good_ones_are_kept():
    assert keep({"film": ["movie", "films", "story", "plot"]}, num_variants=2)[0] == {"film": ["movie", "films"]}
    texts = {"film": ["movie", "films", "story", "plot"]}
    kept = keep(texts, num_variants=2, scorer=lambda originals, texts: [t != "movie" for t in texts], min_score=1)[0]
    assert kept == {"film": ["films", "story"]}


def test_the_scorer_gets_the_pairs_that_are_left_and_its_scores_decide(monkeypatch):
    monkeypatch.setattr(filtering, "SCORED_TEXTS", 2)
    calls = []

    def scorer(originals, texts):
        calls.append(list(zip(originals, texts, strict=True)))
        return np.array([{"x": np.nan, "y": 0.5, "z": 0.49}.get(text, 1.0) for text in texts])

    kept, left_out = keep({"a": ["A", "x", "y", None], "b": ["z", "v"]}, scorer=scorer, min_score=0.5)
    assert calls == [[("a", "x"), ("a", "y")], [("b", "z"), ("b", "v")]]
    assert kept == {"a": ["y"], "b": ["v"]} and left_out["score"] == 2


@pytest.mark.parametrize("scores", [np.ones((2, 2)), [1.0], 1.0, ["a", "b"], None])
def test_a_scorer_that_gives_no_number_for_each_pair_is_refused(scores):
    with pytest.raises(ValueError, match=r"The scorer returned an array of .* for 2 pairs; expected .*\(2,\)"):
        keep({"film": ["movie", "story"]}, scorer=lambda originals, texts: scores, min_score=0)


def test_a_scorer_without_pairs_is_not_called():
    assert keep({"film": [None]}, scorer=lambda *pairs: 1 / 0, min_score=0)[0] == {"film": []}


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"min_ratio is 2 and max_ratio is 1; expected 0 <= min <= max"):
        keep({}, min_ratio=2, max_ratio=1)
    with pytest.raises(ValueError, match=r"scorer is None and min_score is 0.5; expected both or neither"):
        keep({}, min_score=0.5)
