"""The image runs of the protocol: their rows, their measures and their settings."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmarks.evidence import __main__ as evidence
from benchmarks.evidence import images, methods, runs
from benchmarks.evidence.data import IMAGE_TASK, examples_of
from benchmarks.evidence.methods import IMAGES, group_of, settings_of


CHOICES = {"uniform": {"learning_rate": 0.001, "max_steps": 400}}
NUM_CLASSES = 10


def picture(label, i):
    """A bright image for each class, with noise, in the columns that a file of CIFAR-10 has for an image."""
    pixels = np.random.default_rng(i).integers(0, 60, (32, 32, 3)) + 19 * label
    Image.fromarray(pixels.astype(np.uint8)).save(file := io.BytesIO(), format="png")
    return {"bytes": file.getvalue(), "path": None}


@pytest.fixture
def data(tmp_path):
    (folder := tmp_path / IMAGE_TASK / "plain_text").mkdir(parents=True)
    for split, count in (("train", 560), ("test", 30)):
        labels = [i % NUM_CLASSES for i in range(count)]
        rows = {"img": [picture(label, i) for i, label in enumerate(labels)], "label": labels}
        pd.DataFrame(rows).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return tmp_path


def test_the_number_of_images_is_in_all_and_the_same_for_each_class(data):
    examples = examples_of([data], IMAGE_TASK, "20", seed=1)
    assert sorted(examples.labelled["label"]) == sorted([*range(NUM_CLASSES)] * 2)
    assert examples.num_labels == NUM_CLASSES and len(examples.evaluated) == 30
    rows = images.rows_of(examples.labelled)
    assert rows[0]["pixel_values"].shape == (3, 32, 32) and rows[0]["labels"] == examples.labelled["label"][0]


def test_pixels_have_the_mean_and_deviation_that_the_network_is_given(data):
    row = examples_of([data], IMAGE_TASK, "10", seed=1).labelled[0]
    restored = images.rows_of([row])[0]["pixel_values"].permute(1, 2, 0).numpy() * images.STD + images.MEAN
    assert restored * 255 == pytest.approx(np.asarray(row["image"].convert("RGB")), abs=0.01)


def test_an_image_counts_as_right_if_it_and_all_its_variants_are(data, monkeypatch):
    rows = images.rows_of(examples_of([data], IMAGE_TASK, "10", seed=1).evaluated)
    answers = []

    def predicted(model, pixels):
        labels = [row["labels"] for row in rows for _ in range(len(pixels) // len(rows))]
        logits = torch.nn.functional.one_hot(torch.tensor(labels), NUM_CLASSES).float().numpy()
        if answers:  # the variants: one of the first image is wrong
            logits[5] = np.roll(logits[5], 1)
        else:  # the second image is wrong
            logits[1] = np.roll(logits[1], 1)
        answers.append(len(pixels))
        return logits

    monkeypatch.setattr(images, "predicted_logits", predicted)
    measures = images.measure(None, rows, has_attacks=True)
    assert answers == [len(rows), 8 * len(rows)]
    assert np.flatnonzero(~measures.right["clean"]).tolist() == [1]
    assert np.flatnonzero(~measures.right["random"]).tolist() == [0, 1]
    assert measures.scores["random_accuracy"] == pytest.approx(1 - 2 / len(rows))


@pytest.mark.parametrize("method", IMAGES.methods)
def test_all_methods_on_images_train_as_uniform_has_chosen(method):
    assert group_of(IMAGE_TASK, "1000") is IMAGES
    for point in IMAGES.methods[method].points:
        settings = settings_of(IMAGES, method, point, CHOICES)
        assert settings["mmel_loss"] == method and "augmenter" not in settings
        if method != "uniform":
            assert CHOICES["uniform"].items() <= settings.items()


def test_texts_and_images_are_not_run_together(capsys):
    with pytest.raises(SystemExit):
        evidence.main(["--data=x", "--sizes=20", "--tasks", "subj", IMAGE_TASK])
    assert "do not all share their settings" in capsys.readouterr().err


@pytest.mark.integration
def test_images_go_from_files_to_a_table(data, tmp_path, capsys, monkeypatch):
    results, conditions = tmp_path / "results.jsonl", {"model": "minilm-mlm", "device": "cpu"}
    for module in (methods, runs):
        monkeypatch.setattr(module, "STEPS", (2, 4))
    with results.open("w") as file:
        for point in IMAGES.methods["uniform"].points:
            for seed in runs.TUNING_SEEDS:
                run = {"task": IMAGES.tuning, "size": IMAGES.tuning_size, "method": "uniform", "seed": seed}
                line = {"run": run | {"point": point}, "conditions": conditions, "settings": point}
                file.write(json.dumps({**line, "scores": {"accuracy": 0.5, "random_accuracy": 0.5}}) + "\n")
    argv = ["--data", data, "--results", results, "--work_dir", tmp_path / "work", "--tasks", IMAGE_TASK]
    argv = [str(option) for option in [*argv, "--sizes", 20, "--seeds", 1, "--jobs", 1]]
    assert evidence.main([*argv, "--stage", "steps"]) == 0 and capsys.readouterr().out.count("cifar10_tuning 20") == 6
    assert evidence.main(argv) == 0
    made = [json.loads(text) for text in results.read_text().splitlines()][-2:]
    assert [one["run"]["method"] for one in made] == ["none", "uniform"]  # the others are not tuned
    assert all(one["num_evaluated"] == 30 and set(one["right"]) == {"clean", "random"} for one in made)
    assert made[1]["settings"]["max_steps"] in (2, 4)
    assert evidence.main([*argv, "--table"]) == 0
    assert "**cifar10: 20 images**" in (said := capsys.readouterr().out) and "| uniform | 1 |" in said
