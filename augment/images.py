"""Variants of images: random crops and flips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .configurable import Configurable
from .core.randomness import GOLDEN, Seed, mix, row_keys, unit


if TYPE_CHECKING:
    from torch import Tensor


class ImageVariants(Configurable):
    """
    Crops images at random places and mirrors them at random: each variant is the image with a border of `crop_padding`
    pixels around it, cut to its size again, and with `horizontal_flip` every second one is mirrored. The variants of
    an image differ in place or side from each other and from it.

    Which variants an image gets is a pure function of the seed: batch, order, process, device and interpreter make no
    difference.

    Args:
        crop_padding (`int`, *optional*, defaults to 4):
            Pixels around the image, 0 for no crop. 4 is usual for images of 32 by 32.
        horizontal_flip (`bool`, *optional*, defaults to `True`):
            Whether to mirror, too.
        fill (`float`, *optional*, defaults to 0.0):
            What the border is made of, in the unit of the pixels: after the usual normalisation 0 is the mean colour.
        transform (`Callable`, *optional*):
            What is done to each variant `(C, H, W)` after that, such as a transform of `torchvision.transforms.v2`:
            any function of a tensor that keeps its shape, and whose random numbers are torch's. It runs with a state
            of its own, from the seed. What has such a transform is not built again from its configuration.

    Attributes:
        main_input_name (`str`): `"pixel_values"`, the column that is varied.

    Raises:
        `ValueError`: if the padding is negative, or nothing is left to vary.

    Example:

    ```python
    >>> augmenter = ImageVariants(crop_padding=4)
    >>> variants, is_new = augmenter.variant_images(torch.rand(8, 3, 32, 32), num_variants=2, seeds=range(8))
    >>> variants.shape, is_new.all()
    (torch.Size([8, 2, 3, 32, 32]), tensor(True))
    ```

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012;
    the border is that of He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2.
    """

    main_input_name = "pixel_values"

    def __init__(
        self,
        *,
        crop_padding: int = 4,
        horizontal_flip: bool = True,
        fill: float = 0.0,
        transform: Callable[[Tensor], Tensor] | None = None,
    ):
        if isinstance(crop_padding, bool) or crop_padding != int(crop_padding) or crop_padding < 0:
            raise ValueError(f"crop_padding is {crop_padding!r}; expected a number of pixels >= 0.")
        if transform is not None and not callable(transform):
            raise ValueError(
                f"transform is {transform!r:.80}; expected a function of an image (C, H, W), such as one of "
                "torchvision.transforms.v2."
            )
        if not crop_padding and not horizontal_flip and transform is None:
            raise ValueError("There is no crop, no flip and no transform; expected one of them, to have variants.")
        self.crop_padding = int(crop_padding)
        self.horizontal_flip = horizontal_flip
        self.fill = fill
        self.transform = transform

    def to_dict(self) -> dict[str, Any]:
        """As in [`Augmenter`], a transform as the text that it shows."""
        shown = None if self.transform is None else repr(self.transform)
        return {**super().to_dict(), "transform": shown}

    def variants(
        self, example: Mapping[str, Any] | Sequence[Mapping[str, Any]], num_variants: int, seed: Seed | Sequence[Seed]
    ) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
        """
        K variants of an example, or of each of a list of examples.

        Args:
            example (`Mapping` or a sequence of them):
                With `pixel_values` of shape `(C, H, W)`, as an image processor makes them, the same in all; any other
                keys are passed on.
            num_variants (`int`): K, at least 1.
            seed (`int`, `tuple[int, ...]`, or a sequence of B of them): Seed of the example, or one per example.

        Returns:
            `list[dict]` of length K, or B such lists, with tensors as `pixel_values`. Where there are not K different
            variants, the rest are copies, which share their tensor with the example.

        Raises:
            `ValueError`: as [`variant_images`], or if an example has no `pixel_values` or images differ in shape.
        """
        import torch

        if isinstance(example, Mapping):
            return self.variants([example], num_variants, [seed])[0]
        name = self.main_input_name
        if missing := next((row for row in example if name not in row), None):
            raise ValueError(f"An example has the keys {sorted(missing)}; expected {name} among them.")
        images = [torch.as_tensor(row[name]) for row in example]
        if len(shapes := {tuple(image.shape) for image in images}) > 1:
            raise ValueError(
                f"The images of a batch have the shapes {', '.join(map(str, sorted(shapes)))}; expected one. Have the "
                "image processor resize them."
            )
        made, is_new = self.variant_images(torch.stack(images), num_variants, seed)
        return [
            [{**row, name: variant if new else image} for variant, new in zip(variants, news, strict=True)]
            for row, image, variants, news in zip(example, images, made, is_new.tolist(), strict=True)
        ]

    def variant_images(self, images: Tensor, num_variants: int, seeds: Sequence[Seed]) -> tuple[Tensor, Tensor]:
        """
        K variants of each image of a batch, on its device.

        Args:
            images (`torch.Tensor` of shape `(B, C, H, W)`): The images, of any dtype.
            num_variants (`int`): K, at least 1.
            seeds (`Sequence` of length B): Seed of each image.

        Returns:
            The variants `(B, K, C, H, W)`, and which of them are no copies of the image, `(B, K)` of dtype `bool`.

        Raises:
            `ValueError`: if the images are of another shape, K is below 1, or the seeds are not as many as the images.
        """
        import torch

        if images.dim() != 4:
            raise ValueError(f"The images have the shape {tuple(images.shape)}; expected (B, C, H, W).")
        if num_variants < 1:
            raise ValueError(f"num_variants is {num_variants}; expected at least 1.")
        if len(seeds) != len(images):
            raise ValueError(f"There are {len(seeds)} seeds for {len(images)} images; expected one for each.")
        keys = row_keys(list(seeds))
        places = self._places(keys, num_variants)
        top, left, mirrored = (torch.from_numpy(part).to(images.device) for part in places)
        variants = cropped(images, top, left, mirrored, self.crop_padding, self.fill)
        is_new = (top != self.crop_padding) | (left != self.crop_padding) | mirrored
        if self.transform is None:
            return variants, is_new
        return self._transformed(variants, keys), torch.ones_like(is_new)

    def _places(self, keys: np.ndarray, num_variants: int) -> tuple[np.ndarray, ...]:
        """Top and left of each crop in the padded image, and which are mirrored: `(B, K)` each."""
        side = 2 * self.crop_padding + 1
        number = side * side * (1 + self.horizontal_flip)  # of different variants, the image itself among them
        itself = self.crop_padding * (side + 1)
        taken = np.full((len(keys), 1), itself)  # in ascending order
        codes = np.full((len(keys), num_variants), itself)
        uniform = unit(mix(keys[:, None] + np.arange(num_variants, dtype=np.uint64) * GOLDEN))
        for k in range(min(num_variants, number - 1)):
            drawn = (uniform[:, k] * (number - taken.shape[1])).astype(np.int64)
            for other in taken.T:  # the drawn-th of those that are left
                drawn += drawn >= other
            codes[:, k] = drawn
            taken = np.sort(np.concatenate([taken, drawn[:, None]], axis=1), axis=1)
        mirrored, place = np.divmod(codes, side * side)
        return place // side, place % side, mirrored.astype(bool)

    def _transformed(self, variants: Tensor, keys: np.ndarray) -> Tensor:
        import torch

        done = []
        with torch.random.fork_rng(devices=[variants.device] if variants.is_cuda else []):
            for group, key in zip(variants, mix(~keys).tolist(), strict=True):
                torch.manual_seed(key >> 1)
                done.append(torch.stack([self.transform(variant) for variant in group]))
        made = torch.stack(done)
        if made.shape != variants.shape:
            raise ValueError(
                f"transform made images of shape {tuple(made.shape[2:])} from {tuple(variants.shape[2:])}; expected "
                "the same shape."
            )
        return made


def cropped(images: Tensor, top: Tensor, left: Tensor, mirrored: Tensor, padding: int, fill: float = 0.0) -> Tensor:
    """
    Crops of padded images, of the size of the images.

    Args:
        images (`torch.Tensor` of shape `(B, C, H, W)`): The images.
        top, left (`torch.Tensor` of shape `(B, K)`): Where the crops begin in the padded images, 0 to 2 * padding.
        mirrored (`torch.Tensor` of shape `(B, K)` and dtype `bool`): Which crops have left and right exchanged.
        padding (`int`): Pixels around the images.
        fill (`float`, *optional*, defaults to 0.0): Their value.

    Returns:
        `torch.Tensor` of shape `(B, K, C, H, W)`.
    """
    import torch
    import torch.nn.functional as F

    size, channels, height, width = images.shape
    padded = F.pad(images, [padding] * 4, value=fill)
    rows = top[..., None] + torch.arange(height, device=images.device)
    across = torch.arange(width, device=images.device)
    columns = left[..., None] + torch.where(mirrored[..., None], across.flip(0), across)
    return padded[
        torch.arange(size, device=images.device)[:, None, None, None, None],
        torch.arange(channels, device=images.device)[:, None, None],
        rows[:, :, None, :, None],
        columns[:, :, None, None, :],
    ]
