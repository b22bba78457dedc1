"""Variants of images: what they are, and of what alone they depend."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from augment import ImageVariants
from augment.configurable import Configurable
from augment.images import cropped


IMAGES = torch.arange(4 * 3 * 6 * 5.0).view(4, 3, 6, 5) + 1  # all pixels differ, and none is 0
SEEDS = [(3, i) for i in range(4)]
ROOT = Path(__file__).parents[2]


def padded_by_hand(image, padding):
    channels, height, width = image.shape
    out = np.zeros((channels, height + 2 * padding, width + 2 * padding), dtype=np.float32)
    out[:, padding : padding + height, padding : padding + width] = image.numpy()
    return out


def test_a_crop_is_a_window_of_the_padded_image():
    top, left = torch.tensor([[0, 3]]), torch.tensor([[4, 1]])
    found = cropped(IMAGES[:1], top, left, torch.tensor([[False, True]]), padding=2)[0]
    padded = padded_by_hand(IMAGES[0], 2)
    assert np.array_equal(found[0], padded[:, 0:6, 4:9])
    assert np.array_equal(found[1], padded[:, 3:9, 1:6][:, :, ::-1])


@pytest.mark.parametrize(("padding", "flip"), [(1, True), (1, False), (0, True), (2, True)])
def test_every_variant_is_a_crop_or_its_mirror_image_and_all_differ(padding, flip):
    side = 2 * padding + 1
    number = side * side * (1 + flip) - 1  # the image itself is none
    variants, is_new = ImageVariants(crop_padding=padding, horizontal_flip=flip).variant_images(
        IMAGES, number + 2, SEEDS
    )
    assert is_new.sum(dim=1).tolist() == [number] * 4 and is_new[:, :number].all()
    for image, group in zip(IMAGES, variants, strict=True):
        padded = padded_by_hand(image, padding)
        windows = [padded[:, i : i + 6, j : j + 5] for i in range(side) for j in range(side)]
        windows += [window[:, :, ::-1] for window in windows] if flip else []
        expected = {window.tobytes() for window in windows} - {image.numpy().tobytes()}
        assert {variant.numpy().tobytes() for variant in group[:number]} == expected
        assert all(torch.equal(copy, image) for copy in group[number:])


def test_all_places_are_as_likely():
    seeds = range(20_000)
    images = torch.arange(1, 10.0).view(1, 1, 3, 3).expand(len(seeds), 1, 3, 3)
    variants, _ = ImageVariants(crop_padding=1).variant_images(images, 3, seeds)
    _, counts = variants.flatten(2).reshape(-1, 9).unique(dim=0, return_counts=True)
    expected = 60_000 / 17
    assert len(counts) == 17 and ((counts - expected).abs() < 5 * expected**0.5).all()


def test_a_variant_depends_on_its_image_and_seed_alone():
    augmenter = ImageVariants(crop_padding=2, transform=lambda image: image + torch.rand(()))
    whole, _ = augmenter.variant_images(IMAGES, 4, SEEDS)
    torch.manual_seed(99)
    for i in (2, 0):
        alone, _ = augmenter.variant_images(IMAGES[i : i + 1], 4, SEEDS[i : i + 1])
        assert torch.equal(alone[0], whole[i])
    others, _ = augmenter.variant_images(IMAGES, 4, [(4, i) for i in range(4)])
    assert not torch.equal(others, whole)
    fewer, _ = ImageVariants(crop_padding=2).variant_images(IMAGES, 2, SEEDS)
    assert torch.equal(fewer, ImageVariants(crop_padding=2).variant_images(IMAGES, 4, SEEDS)[0][:, :2])


def test_transforms_of_torchvision_are_a_function_of_the_seed_too():
    v2 = pytest.importorskip("torchvision.transforms.v2", reason="torchvision is not installed")
    transform = v2.Compose(
        [v2.RandomResizedCrop((6, 5), scale=(0.5, 1.0)), v2.ColorJitter(0.5), v2.RandomErasing(0.5)]
    )
    augmenter = ImageVariants(crop_padding=0, transform=transform)
    images = IMAGES / IMAGES.max()
    whole, is_new = augmenter.variant_images(images, 3, SEEDS)
    assert is_new.all() and len(whole.flatten(2).flatten(0, 1).unique(dim=0)) == 12
    torch.manual_seed(99)
    alone, _ = augmenter.variant_images(images[2:3], 3, SEEDS[2:3])
    assert torch.equal(alone[0], whole[2])
    assert "RandomErasing" in augmenter.to_dict()["transform"]


@pytest.mark.integration
def test_a_fresh_interpreter_makes_the_same_variants():
    code = (
        "import torch; from augment import ImageVariants\n"
        "x = torch.arange(75.0).view(1, 3, 5, 5)\n"
        "print(ImageVariants().variant_images(x, 3, [(7, 8)])[0].flatten().tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    here = ImageVariants().variant_images(torch.arange(75.0).view(1, 3, 5, 5), 3, [(7, 8)])[0]
    assert json.loads(done.stdout) == here.flatten().tolist()


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    ImageVariants(transform=lambda image: image + torch.rand(())).variant_images(IMAGES, 2, SEEDS)
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_keep_their_other_keys_and_copies_share_their_tensor():
    augmenter = ImageVariants(crop_padding=0)
    row = {"pixel_values": IMAGES[0], "label": 3}
    mirrored, copy = augmenter.variants(row, 2, 0)
    assert mirrored["label"] == 3 and torch.equal(mirrored["pixel_values"], IMAGES[0].flip(-1))
    assert copy["pixel_values"] is row["pixel_values"]
    lists = augmenter.variants([{"pixel_values": IMAGES[0].tolist()}], 1, [0])
    assert torch.equal(lists[0][0]["pixel_values"], mirrored["pixel_values"])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float64])
def test_images_keep_their_dtype(dtype):
    variants, _ = ImageVariants(crop_padding=1).variant_images(IMAGES.to(dtype), 2, SEEDS)
    expected, _ = ImageVariants(crop_padding=1).variant_images(IMAGES, 2, SEEDS)
    assert variants.dtype == dtype and torch.equal(variants, expected.to(dtype))


def test_the_configuration_round_trips():
    augmenter = ImageVariants(crop_padding=3, horizontal_flip=False, fill=-1.0)
    again = Configurable.from_dict(json.loads(json.dumps(augmenter.to_dict())), tokenizer=None)
    assert repr(again) == repr(augmenter) == "ImageVariants(crop_padding=3, horizontal_flip=False, fill=-1.0)"
    described = ImageVariants(transform=torch.nn.Identity()).to_dict()
    with pytest.raises(ValueError, match=r"transform is 'Identity\(\)'; expected a function"):
        Configurable.from_dict(json.loads(json.dumps(described)), tokenizer=None)


def test_what_cannot_be_varied_is_refused():
    with pytest.raises(ValueError, match="crop_padding is -1; expected a number of pixels >= 0"):
        ImageVariants(crop_padding=-1)
    with pytest.raises(ValueError, match="no crop, no flip and no transform"):
        ImageVariants(crop_padding=0, horizontal_flip=False)
    augmenter = ImageVariants()
    with pytest.raises(ValueError, match=r"shape \(3, 6, 5\); expected \(B, C, H, W\)"):
        augmenter.variant_images(IMAGES[0], 2, [0])
    with pytest.raises(ValueError, match="num_variants is 0; expected at least 1"):
        augmenter.variant_images(IMAGES, 0, SEEDS)
    with pytest.raises(ValueError, match="2 seeds for 4 images"):
        augmenter.variant_images(IMAGES, 1, [0, 1])
    with pytest.raises(ValueError, match=r"keys \['label'\]; expected pixel_values"):
        augmenter.variants({"label": 1}, 1, 0)
    rows = [{"pixel_values": torch.zeros(3, 4, 4)}, {"pixel_values": torch.zeros(3, 5, 4)}]
    with pytest.raises(ValueError, match=r"shapes \(3, 4, 4\), \(3, 5, 4\); expected one"):
        augmenter.variants(rows, 1, [0, 1])
    with pytest.raises(ValueError, match=r"made images of shape \(3, 3, 5\)"):
        ImageVariants(transform=lambda image: image[:, :3]).variant_images(IMAGES, 1, SEEDS)
