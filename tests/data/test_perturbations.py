"""Perturbations take memory for their own variants alone, and do what those of all variants would do."""

import numpy as np
import pytest
import torch
from conftest import make_model

from hf_mmel import AdversarialVariants
from hf_mmel.data.groups import PERTURBATION, VARIANT_MASK
from hf_mmel.data.perturbations import perturbation_at, perturbed, perturbed_rows
from hf_mmel.step.forward import VariantForward


PRESENT = {
    "all": np.ones((3, 4), dtype=bool),
    "some": np.array([[1, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0]], dtype=bool),
    "none of the last": np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], dtype=bool),
}


@pytest.mark.parametrize("num_perturbed", [1, 2, 4])
@pytest.mark.parametrize("present", PRESENT.values(), ids=PRESENT)
def test_perturbations_of_the_last_variants_are_those_of_all_with_zeros(present, num_perturbed):
    delta, values = torch.randn(3, num_perturbed, 5, 2), torch.randn(int(present.sum()), 5, 2)
    everywhere = torch.cat([torch.zeros(3, 4 - num_perturbed, 5, 2), delta], dim=1)
    expected = values + everywhere.flatten(0, 1)[np.flatnonzero(present)]
    perturbations, rows = perturbed_rows(delta, present)
    found = values if perturbations is None else perturbed(values, perturbations, rows)
    assert torch.equal(found, expected)
    columns = torch.tensor([[3, 0], [1, 2], [2, 3]])
    chosen = perturbation_at({PERTURBATION: delta, VARIANT_MASK: torch.from_numpy(present)}, columns)
    assert torch.equal(chosen, everywhere[torch.arange(3)[:, None], columns])


@pytest.mark.parametrize("num_others", [0, 3])
def test_the_size_of_a_perturbation_does_not_depend_on_the_number_of_other_variants(num_others, tokenizer, arguments):
    model, rows = (
        make_model(tokenizer),
        tokenizer(["the movie was awful", "a film"], padding=True, return_tensors="pt"),
    )
    inputs = {name: x[:, None].repeat_interleave(1 + num_others, dim=1) for name, x in rows.items()}
    inputs["labels"] = torch.tensor([0, 1])
    inputs[VARIANT_MASK] = torch.ones(2, 1 + num_others, dtype=torch.bool)
    forward = VariantForward(model, arguments(mmel_loss="hard"))
    found = AdversarialVariants(1, 0.3, num_variants=2).add_to(inputs, forward)
    width = model.get_input_embeddings().weight.shape[1]
    assert found[VARIANT_MASK].shape == (2, 3 + num_others)
    assert found[PERTURBATION].shape == (2, 2, rows["input_ids"].shape[1], width) and found[PERTURBATION].any()
