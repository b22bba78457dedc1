"""Sampling with random numbers of each row's own."""

import numpy as np
import pytest
import torch

from augment.core.randomness import row_keys
from augment.generation.row_sampling import RowSampling


PROBS = torch.tensor([0.1, 0.0, 0.5, 0.4, 0.0])


def drawn(keys: np.ndarray, num_draws: int = 5, probs: torch.Tensor = PROBS) -> np.ndarray:
    with RowSampling(keys):
        draws = [torch.multinomial(probs.expand(len(keys), -1), num_samples=1) for _ in range(num_draws)]
    return torch.cat(draws, dim=1).numpy()


def test_tokens_are_drawn_by_their_probability():
    tokens = drawn(row_keys(range(4000)))
    assert np.bincount(tokens.ravel(), minlength=5) / tokens.size == pytest.approx(PROBS.numpy(), abs=0.015)


def test_draws_of_a_row_and_of_rows_are_independent():
    tokens = drawn(row_keys(range(4000)), num_draws=2) == 2
    both = [(tokens[:, 0] & tokens[:, 1]).mean(), (tokens[1:, 0] & tokens[:-1, 0]).mean()]
    assert both == pytest.approx([0.25, 0.25], abs=0.03)


def test_a_row_is_drawn_the_same_in_any_batch():
    keys = row_keys(range(7))
    together = drawn(keys)
    assert np.array_equal(together, np.concatenate([drawn(keys[i : i + 1]) for i in range(7)]))
    assert np.array_equal(together[::-1], drawn(keys[::-1]))


def test_global_random_numbers_are_neither_used_nor_changed():
    before = torch.get_rng_state()
    assert np.array_equal(drawn(row_keys(range(7))), drawn(row_keys(range(7))))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("probs", [[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1e-30]])
def test_a_token_of_probability_0_is_never_drawn(probs):
    assert (drawn(row_keys(range(500)), probs=torch.tensor(probs)) == int(np.argmax(probs))).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_probabilities_that_are_not_finite_are_refused(value):
    with RowSampling(row_keys([0, 1])), pytest.raises(ValueError, match=r"not finite\. Load it in float32"):
        torch.multinomial(torch.tensor([[0.5, 0.5], [0.5, value]]), 1)


def test_several_draws_at_once_are_refused():
    with RowSampling(row_keys([0])), pytest.raises(ValueError, match="2 draws of 1 rows"):
        torch.multinomial(PROBS[None], 2)
