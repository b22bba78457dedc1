"""The representations of rows that a classifier reads: the input of its last linear layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def classifier_of(model: Any) -> nn.Linear:
    """
    The last linear layer onto the classes of a model.

    Raises:
        `ValueError`: if there is none.
    """
    num_labels = getattr(getattr(model, "config", None), "num_labels", None)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    layers = [layer for layer in layers if num_labels in (None, layer.out_features)]
    if not layers:
        raise ValueError(
            f"feature_separation compares the inputs of the last linear layer onto the classes, but a "
            f"{type(model).__name__} has no torch.nn.Linear"
            + ("" if num_labels is None else f" with {num_labels} outputs")
            + "; set it to 0."
        )
    return layers[-1]


@contextmanager
def recorded(classifier: nn.Linear | None) -> Iterator[list[Tensor]]:
    """A list that gets the input of a layer in each forward pass of the block; it stays empty without a layer."""
    inputs: list[Tensor] = []
    if classifier is None:
        yield inputs
        return
    hook = classifier.register_forward_pre_hook(lambda layer, args: inputs.append(args[0]))
    try:
        yield inputs
    finally:
        hook.remove()


def representation(inputs: list[Tensor], num_rows: int, model_name: str) -> Tensor:
    """
    The representations `(N, E)` of N rows, from the inputs of the last linear layer in one forward pass.

    Raises:
        `ValueError`: if the layer has not read exactly one vector for each row, as in models that classify each token
            and choose one afterwards.
    """
    if len(inputs) != 1 or inputs[0].dim() != 2 or len(inputs[0]) != num_rows:
        shapes = " and ".join(str(tuple(x.shape)) for x in inputs) or "no inputs"
        raise ValueError(
            f"feature_separation compares the inputs of the last linear layer onto the classes of a {model_name}, "
            f"which read {shapes} for {num_rows} rows; expected one input of shape ({num_rows}, E). Set it to 0."
        )
    return inputs[0]
