"""Groups of images: the collator, and training of image classifiers on them."""

import math

import numpy as np
import pytest
import torch
from conftest import perturb_weights
from datasets import Dataset
from pairwise import pairwise
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    Trainer,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from augment import ImageVariants
from hf_mmel import GroupCollator, MMELTrainer
from hf_mmel.functional import divergence, mmel_hard_loss, mmel_soft_loss, per_variant_loss


KIND = "single_label_classification"


def make_resnet():
    shape = {"num_channels": 3, "embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic"}
    return perturb_weights(ResNetForImageClassification(ResNetConfig(**shape, num_labels=3)))


def make_convnext():
    shape = {"num_stages": 2, "hidden_sizes": [4, 8], "depths": [1, 1], "patch_size": 2, "image_size": 16}
    return perturb_weights(ConvNextForImageClassification(ConvNextConfig(**shape, num_labels=3)))


def make_vit():
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = ViTConfig(**shape, **no_dropout, image_size=16, patch_size=8, num_labels=3)
    return perturb_weights(ViTForImageClassification(config))


MODELS = [make_resnet, make_convnext, make_vit]
BACKWARD = {
    "full": {},
    "top": {"variant_backward": "top"},
    "sample": {"variant_backward": "sample"},
    "chunked": {"variant_chunk_size": 2},
}


@pytest.fixture
def images():
    """Twelve images of 16 by 16 pixels, of three classes that differ in colour."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(12) % 3
    pixels = torch.rand(12, 3, 16, 16, generator=generator)
    pixels[torch.arange(12), labels] += 1
    return [{"pixel_values": image, "labels": int(label)} for image, label in zip(pixels, labels, strict=True)]


@pytest.fixture
def train(images, arguments):
    def train(model, trainer=MMELTrainer, dataset=None, **options):
        given = {"augmenter": ImageVariants(crop_padding=2)} if trainer is MMELTrainer else {}
        given |= {name: options.pop(name) for name in ("augmenter", "data_collator") if name in options}
        options = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-2} | options
        made = trainer(model, arguments(**options), train_dataset=dataset or images, eval_dataset=images, **given)
        made.train()
        return made

    return train


def seeded(make):
    torch.manual_seed(0)
    return make()


def test_groups_have_the_original_first_and_one_label(images):
    collator = GroupCollator(ImageVariants(crop_padding=2), num_variants=3)
    batch = collator(images[:4])
    assert batch["pixel_values"].shape == (4, 4, 3, 16, 16) and batch["variant_mask"].all()
    assert batch["labels"].tolist() == [0, 1, 2, 0]
    assert torch.equal(batch["pixel_values"][:, 0], torch.stack([row["pixel_values"] for row in images[:4]]))


def test_a_group_depends_on_epoch_seed_and_image_alone(images):
    collator = GroupCollator(ImageVariants(crop_padding=2), num_variants=3)
    whole, turned = collator(images[:4]), collator(images[3::-1])
    assert torch.equal(whole["pixel_values"], turned["pixel_values"].flip(0))
    collator.set_epoch(1)
    assert not torch.equal(whole["pixel_values"], collator(images[:4])["pixel_values"])
    expected = collator(images[:4])["pixel_values"]
    for read in (torch.Tensor.numpy, torch.Tensor.tolist):
        rows = [{**row, "pixel_values": read(row["pixel_values"])} for row in images[:4]]
        assert torch.equal(collator(rows)["pixel_values"], expected)
    rows = [{**row, "pixel_values": row["pixel_values"].bfloat16()} for row in images[:4]]
    assert collator(rows)["pixel_values"].dtype == torch.bfloat16


def test_copies_are_absent(images):
    plain = [{"pixel_values": torch.ones(3, 4, 4), "labels": 0}]  # whose mirror image is itself
    batch = GroupCollator(ImageVariants(crop_padding=0), num_variants=2)(plain + images[:0])
    assert batch["variant_mask"].tolist() == [[True, False, False]]
    batch = GroupCollator(ImageVariants(crop_padding=0), num_variants=2)(images[:1])
    assert batch["variant_mask"].tolist() == [[True, True, False]]


def test_groups_that_are_kept_have_the_same_key(images):
    collator = GroupCollator(ImageVariants(crop_padding=2), num_variants=2, epochs_per_draw=2)
    first = collator(images)["group_key"]
    collator.set_epoch(1)
    assert torch.equal(collator(images)["group_key"], first) and len(set(first.tolist())) == len(images)
    collator.set_epoch(2)
    assert not torch.equal(collator(images)["group_key"], first)


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("loss", ["hard", "soft"])
def test_the_loss_is_the_objective(make, loss, images, arguments):
    model, collator = seeded(make), GroupCollator(ImageVariants(crop_padding=2), num_variants=3)
    args = arguments(mmel_loss=loss, lambda_p=0.05, lambda_t=2.0)
    trainer = MMELTrainer(model, args, train_dataset=images, data_collator=collator)
    batch = collator(images[:4])
    model.train()
    found = trainer.compute_loss(model, batch)
    logits = model(batch["pixel_values"].flatten(0, 1)).logits
    losses = per_variant_loss(logits, batch["labels"].repeat_interleave(4), KIND).view(4, 4)
    if loss == "hard":
        expected = mmel_hard_loss(losses, 0.05).mean()
    else:
        logits = logits.view(4, 4, 3)
        apart = divergence(logits[:, 1:], logits[:, :1].detach(), KIND)
        expected = mmel_soft_loss(losses[:, 0], apart, 0.05, 2.0).mean()
    assert math.isclose(found.item(), expected.item(), rel_tol=1e-5)


@pairwise(
    unless=lambda make, loss, options: (loss, options) == ("uniform", "top"),  # which have no largest weights
    make={make.__name__: make for make in MODELS},
    loss=["hard", "soft", "uniform"],
    options=BACKWARD,
)
def test_every_objective_and_backward_learns(make, loss, options, train):
    trainer = train(seeded(make), mmel_loss=loss, num_variants=3, num_train_epochs=6, **options)
    before = MMELTrainer(seeded(make), trainer.args, eval_dataset=trainer.eval_dataset).evaluate()["eval_loss"]
    assert trainer.evaluate()["eval_loss"] < before - 0.01
    assert any("mmel/loss_variants" in line for line in trainer.state.log_history)


def test_scores_are_kept_of_images_too(train):
    trainer = train(seeded(make_vit), mmel_loss="hard", variant_backward="top", score_interval=2, num_train_epochs=4)
    assert trainer.state.global_step == 12


@pytest.mark.parametrize("make", MODELS)
def test_without_variants_it_is_the_stock_trainer(make, train):
    ours = train(seeded(make), augmenter=None, mmel_loss="none").model.state_dict()
    stock = train(seeded(make), Trainer).model.state_dict()
    assert all(torch.equal(stock[name], value) for name, value in ours.items())


def test_workers_and_accumulation_change_nothing(train):
    descent = {"mmel_loss": "hard", "optim": "sgd"}  # Adam moves weights without a gradient as rounding has it
    one = train(seeded(make_convnext), **descent).model.state_dict()
    other = train(
        seeded(make_convnext),
        **descent,
        dataloader_num_workers=1,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
    ).model.state_dict()
    assert all(torch.allclose(one[name], value, atol=1e-5) for name, value in other.items())


def test_an_image_processor_reads_the_images(train):
    processor = ViTImageProcessor(size={"height": 16, "width": 16})
    pixels = torch.randint(256, (8, 16, 16, 3), dtype=torch.uint8).numpy()
    dataset = Dataset.from_dict({"img": list(pixels), "label": [0, 1, 2, 0, 1, 2, 0, 1]})

    def read(rows):
        read_images = [np.array(image, dtype=np.uint8) for image in rows["img"]]
        return {**processor(read_images, return_tensors="pt"), "labels": rows["label"]}

    trainer = train(seeded(make_vit), dataset=dataset.with_transform(read), remove_unused_columns=False)
    assert trainer.state.global_step == 4


def test_a_data_set_without_pixels_is_refused(train):
    with pytest.raises(ValueError, match=r"expected pixel_values among them\. Have the data set read with"):
        train(seeded(make_vit), dataset=Dataset.from_dict({"img": [[1.0]], "label": [0]}))


def test_stored_pixels_are_read_and_their_labels_checked(images, train):
    columns = {name: [row[name] for row in images] for name in ("pixel_values", "labels")}
    dataset = Dataset.from_dict({**columns, "pixel_values": [image.tolist() for image in columns["pixel_values"]]})
    stored = train(seeded(make_vit), dataset=dataset, mmel_loss="hard", train_sampling_strategy="sequential")
    in_memory = train(seeded(make_vit), mmel_loss="hard", train_sampling_strategy="sequential")
    for one, other in zip(stored.model.parameters(), in_memory.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    with pytest.raises(ValueError, match="Row 1 of train_dataset has the labels 7; there are 3 num_labels"):
        train(seeded(make_vit), dataset=dataset.map(lambda row, i: {"labels": 7 if i == 1 else 0}, with_indices=True))
