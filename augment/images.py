"""Variants of images: random crops and flips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .configurable import Configurable
from .core.given import as_list, seeds_of_rows
from .core.randomness import GOLDEN, Seed, mix, row_keys, unit


if TYPE_CHECKING:
    from torch import Tensor


class ImageVariants(Configurable):
    """
    Random crops and flips of images. Each variant is the image with a border of `crop_padding` pixels, cropped to its
    original size; with `horizontal_flip`, every second one on average is mirrored. The variants of an image differ
    from each other and from the image in position or side.

    The variants are a pure function of the image and its seed, whatever the batch, process or device.

    Args:
        crop_padding (`int`, *optional*, defaults to 4):
            Pixels around the image, 0 for no crop. 4 is usual for images of 32 by 32.
        horizontal_flip (`bool`, *optional*, defaults to `True`):
            Whether to mirror, too.
        fill (`float`, *optional*, defaults to 0.0):
            Value of the border pixels. After the usual normalisation, 0 is the mean colour.
        transform (`Callable`, *optional*):
            Applied to each variant `(C, H, W)` at the end, such as a transform of `torchvision.transforms.v2`: any
            function of a tensor that keeps its shape and takes its random numbers from torch, whose random state is
            derived from the seed. An augmenter with a transform cannot be rebuilt from its configuration.

    Attributes:
        main_input_name (`str`): `"pixel_values"`, the column that is varied.

    Raises:
        `ValueError`: if the padding is negative, or there is no crop, flip or transform.

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
            raise ValueError("There is no crop, no flip and no transform; expected at least one of them.")
        self.crop_padding = int(crop_padding)
        self.horizontal_flip = horizontal_flip
        self.fill = fill
        self.transform = transform

    def to_dict(self) -> dict[str, Any]:
        """As in `Augmenter`, with the `repr` of a transform."""
        return {**super().to_dict(), "transform": None if self.transform is None else repr(self.transform)}

    @overload
    def variants(self, example: Mapping[str, Any], num_variants: int = 4, seed: Seed = 42) -> list[dict[str, Any]]: ...

    @overload
    def variants(
        self, example: Iterable[Mapping[str, Any]], num_variants: int = 4, seed: int | Sequence[Seed] = 42
    ) -> list[list[dict[str, Any]]]: ...

    def variants(self, example, num_variants=4, seed=42):
        """
        K variants of an example, or of each of a list of examples.

        Args:
            example (`Mapping`, or a list, array, pandas Series or `datasets.Dataset` of them):
                With `pixel_values` of shape `(C, H, W)` from an image processor, the same shape in all examples. Other
                keys are passed on.
            num_variants: As in `Augmenter.variants`.
            seed: As in `Augmenter.variants`.

        Returns:
            `list[dict]` of length K, or B such lists, with tensors as `pixel_values`. If there are fewer than K
            different variants, the rest are copies that share the tensor of the example.

        Raises:
            `ValueError`: as `variant_images`, or if an example has no `pixel_values` or images differ in shape.
        """
        import torch

        if isinstance(example, Mapping):
            return self.variants([example], num_variants, [seed])[0]
        example, name = as_list(example), self.main_input_name
        if incomplete := next((row for row in example if name not in row), None):
            raise ValueError(f"An example has the keys {sorted(incomplete)}; expected {name} among them.")
        images = [torch.as_tensor(row[name]) for row in example]
        if len(shapes := {tuple(image.shape) for image in images}) > 1:
            raise ValueError(
                f"The images of a batch have the shapes {', '.join(map(str, sorted(shapes)))}; expected one. Have the "
                "image processor resize them."
            )
        batch, is_new = self.variant_images(torch.stack(images), num_variants, seeds_of_rows(seed, len(images)))
        return [
            [{**row, name: variant if new else image} for variant, new in zip(variants, news, strict=True)]
            for row, image, variants, news in zip(example, images, batch, is_new.tolist(), strict=True)
        ]

    def variant_images(self, images: Tensor, num_variants: int, seeds: Sequence[Seed]) -> tuple[Tensor, Tensor]:
        """
        K variants of each image of a batch, on its device.

        Args:
            images (`torch.Tensor` of shape `(B, C, H, W)`): The images, of any dtype.
            num_variants (`int`): K, at least 1.
            seeds (`Sequence` of length B): Seed of each image.

        Returns:
            The variants `(B, K, C, H, W)`, and which of them are not copies of the image, `(B, K)` of dtype `bool`.

        Raises:
            `ValueError`: if the images have another shape, K is below 1, or the number of seeds is not B.
        """
        import torch

        if images.dim() != 4:
            raise ValueError(f"The images have the shape {tuple(images.shape)}; expected (B, C, H, W).")
        if num_variants < 1:
            raise ValueError(f"num_variants is {num_variants}; expected at least 1.")
        if len(seeds) != len(images):
            raise ValueError(f"There are {len(seeds)} seeds for {len(images)} images; expected one for each.")
        keys = row_keys(list(seeds))
        crops = self._draw_crops(keys, num_variants)
        top, left, mirrored = (torch.from_numpy(part).to(images.device) for part in crops)
        variants = cropped(images, top, left, mirrored, self.crop_padding, self.fill)
        is_new = (top != self.crop_padding) | (left != self.crop_padding) | mirrored
        if self.transform is None:
            return variants, is_new
        return _transformed(variants, keys, self.transform), torch.ones_like(is_new)

    def _draw_crops(self, keys: np.ndarray, num_variants: int) -> tuple[np.ndarray, ...]:
        """Top and left of each crop in the padded image, and whether it is mirrored, `(B, K)` each."""
        side = 2 * self.crop_padding + 1
        total = side * side * (1 + self.horizontal_flip)  # all crops and mirrored crops, the image itself included
        original = self.crop_padding * (side + 1)
        taken = np.full((len(keys), 1), original)  # in ascending order
        crops = np.full((len(keys), num_variants), original)
        uniform = unit(mix(keys[:, None] + np.arange(num_variants, dtype=np.uint64) * GOLDEN))
        for k in range(min(num_variants, total - 1)):
            drawn = (uniform[:, k] * (total - taken.shape[1])).astype(np.int64)
            for other in taken.T:  # `drawn` counts the crops that are not taken yet
                drawn += drawn >= other
            crops[:, k] = drawn
            taken = np.sort(np.concatenate([taken, drawn[:, None]], axis=1), axis=1)
        mirrored, position = np.divmod(crops, side * side)
        return position // side, position % side, mirrored.astype(bool)


def cropped(images: Tensor, top: Tensor, left: Tensor, mirrored: Tensor, padding: int, fill: float = 0.0) -> Tensor:
    """
    K crops `(B, K, C, H, W)` of each image of a batch `(B, C, H, W)`, padded by `padding` pixels of value `fill`. The
    corners of the crops in the padded images are `top` and `left`, and `mirrored` ones are flipped, `(B, K)` each.
    """
    import torch

    padded = torch.nn.functional.pad(images, [padding] * 4, value=fill)
    windows = padded.unfold(2, images.shape[2], 1).unfold(3, images.shape[3], 1)  # a view: (B, C, top, left, H, W)
    crops = windows[torch.arange(len(images), device=images.device)[:, None], :, top, left]
    return torch.where(mirrored[..., None, None, None], crops.flip(-1), crops)


def _transformed(variants: Tensor, keys: np.ndarray, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """Each variant `(B, K, C, H, W)` transformed, with a random state derived from the key of its image."""
    import torch

    groups = []
    with torch.random.fork_rng(devices=[variants.device] if variants.is_cuda else []):
        for group, key in zip(variants, mix(~keys).tolist(), strict=True):
            torch.manual_seed(key >> 1)
            groups.append(torch.stack([transform(variant) for variant in group]))
    transformed = torch.stack(groups)
    if transformed.shape != variants.shape:
        raise ValueError(
            f"transform made images of shape {tuple(transformed.shape[2:])} from {tuple(variants.shape[2:])}; "
            "expected the same shape."
        )
    return transformed
