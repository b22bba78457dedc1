"""The loss of 0 in place of a batch of which nothing is left: whatever the batch holds, it has a gradient of 0."""

import pytest
import torch
from torch import nn

from hf_mmel.data.groups import EXTRA_ROWS, EXTRAS, PERTURBATION, VARIANT_MASK
from hf_mmel.objective.heads import zero_of
from hf_mmel.step.forward import VariantForward


class OfPixels(nn.Module):
    main_input_name = "pixel_values"

    def __init__(self, dtype, bias=0.0):
        super().__init__()
        self.classifier = nn.Linear(4, 3, dtype=dtype)
        nn.init.constant_(self.classifier.bias, bias)

    def forward(self, pixel_values, notes=None):
        return {"logits": self.classifier(pixel_values)}


def zero_and_gradients(arguments, model, **more):
    """The loss of a batch without one finite number, and the gradients of the model's parameters."""
    pixels = torch.full((2, 3, 4), torch.nan, dtype=model.classifier.weight.dtype)
    mask = torch.ones(2, 3, dtype=torch.bool)
    inputs = {"pixel_values": pixels, "labels": torch.tensor([0, -100]), VARIANT_MASK: mask, **more}
    loss, outputs = VariantForward(model, arguments(mmel_loss="hard")).zero_loss(model, inputs)
    loss.backward()
    assert outputs["logits"].shape == (2, 3)  # of the originals
    return loss, torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bias", [0.0, 6e4])  # of which float16 has no sum
def test_floats_that_are_not_finite_do_not_reach_the_gradient(arguments, dtype, bias):
    loss, gradient = zero_and_gradients(arguments, OfPixels(dtype, bias))
    assert loss == 0 and not gradient.any()


def test_what_is_no_tensor_and_a_perturbation_do_no_harm(arguments):
    extras = {"num_rows": 6, "values": {"notes": list("abcdef")}}
    more = {EXTRAS: extras, EXTRA_ROWS: torch.arange(6).view(2, 3), PERTURBATION: torch.full((2, 3, 4), torch.inf)}
    loss, gradient = zero_and_gradients(arguments, OfPixels(torch.float32), **more)
    assert loss == 0 and not gradient.any()


def test_a_zero_of_predictions_is_one_in_half_precision_and_of_several_types():
    half = torch.full((2, 3), 6e4, dtype=torch.float16, requires_grad=True)
    single = torch.ones(2, 4, requires_grad=True)
    zero = zero_of({"logits": half, "hidden_states": single})
    zero.backward()
    assert zero == 0 and not half.grad.any() and not single.grad.any()
