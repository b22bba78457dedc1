"""The programs under examples/."""

import csv
import json
import math
import os
import random
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file


sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import demo
from _tiny import make_config, make_tokenizer
from transformers import BertForSequenceClassification, set_seed

from augment import Augmenter


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


EXAMPLES = Path(demo.__file__).parent


def test_the_demo_validates_on_new_reviews(tmp_path):
    demo.write_data(tmp_path)
    rows = {}
    for name in ("train", "validation"):
        with (tmp_path / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            rows[name] = list(csv.DictReader(file))
    assert [len(rows[name]) for name in rows] == [demo.NUM_TRAIN, demo.NUM_VALIDATION]
    assert not {row["text"] for row in rows["train"]} & {row["text"] for row in rows["validation"]}


def test_a_review_of_the_demo_is_labelled_by_most_of_its_aspects_and_its_verdict_agrees():
    rng = random.Random(0)
    labels = set()
    for _ in range(200):
        text, label = demo.review(rng)
        words = text.split()
        praise = sum(word in demo.OPINIONS["positive"] for word in words)
        assert praise + sum(word in demo.OPINIONS["negative"] for word in words) == 3
        assert label == ("positive" if praise >= 2 else "negative")
        assert [word for of in demo.VERDICTS.values() for word in of if word in words] == [words[3]]
        assert words[3] in demo.VERDICTS[label]
        labels.add(label)
    assert len(labels) == 2


@pytest.mark.slow
def test_only_the_named_synonyms_of_the_demo_have_both_classes_and_each_is_rare_in_one():
    from augment.english.synonyms import build_synonyms
    from augment.english.wordnet_data import load_wordnet

    synonyms = build_synonyms(load_wordnet(), min_sense_share=0, multiword=False)
    praise, blame = (
        {name for word in [*demo.VERDICTS[label], *demo.OPINIONS[label]] for name in (word, *synonyms.get(word, []))}
        for label in ("positive", "negative")
    )
    ambiguous = list(demo.VERDICTS["positive"].values())
    assert praise & blame == set(ambiguous)
    assert list(demo.VERDICTS["negative"].values()) == ambiguous
    for (good, name), bad in zip(demo.VERDICTS["positive"].items(), demo.VERDICTS["negative"], strict=True):
        assert name in synonyms[good] and name in synonyms[bad]
        numbers = sorted(len(synonyms[word]) for word in (good, bad))
        assert numbers[1] >= 3 * numbers[0]  # so that it is drawn much less often for one of them
    assert synonyms["terrifying"] == ["terrific"] and len(synonyms["wonderful"]) == 5


def test_the_table_of_the_demo_shows_both_accuracies():
    runs = [{"accuracy": 1.0, "worst_case_accuracy": share, "seconds": 10} for share in (0.5, 0.6, 0.7)]
    assert demo.table({"hard": runs}).splitlines()[2:] == ["| MMEL-H | 100.0 ± 0.0 % | 60.0 ± 10.0 % | 10 |"]


def own_rows(name: str) -> list[dict[str, str]]:
    with (EXAMPLES / "own_data" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def own_words() -> dict:
    return json.loads((EXAMPLES / "own_data" / "words.json").read_text(encoding="utf-8"))


@pytest.fixture
def small_model(tmp_path) -> Path:
    """A checkpoint that knows the words of the users' own data."""
    reviews = [row["review"].lower() for name in ("train", "dev") for row in own_rows(name)]
    words = [word for group in own_words()["words"].values() for word in group]
    tokenizer = make_tokenizer([*(re.sub(r"[^a-z ]", " ", text) for text in reviews), *words, ". ,"])
    tokenizer.save_pretrained(tmp_path / "model")
    set_seed(0)
    BertForSequenceClassification(make_config(tokenizer)).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_the_python_api_trains_on_variants_and_evaluates(small_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("augment.make_augmenter", lambda name, tokenizer: Augmenter.from_dict(own_words(), tokenizer))
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["python_api.py", str(small_model)])
    names = runpy.run_path("examples/python_api.py")
    printed, trainer, (train, dev) = capsys.readouterr().out, names["trainer"], names["data"].values()
    assert trainer.model.config.id2label == {0: "happy", 1: "unhappy"}
    assert train["label"] == [row["verdict"] == "unhappy" for row in own_rows("train")]
    assert trainer.state.global_step == 10 * math.ceil(len(train) / 8)
    assert any(trainer.augmenter.variants(example, num_variants=4, seed=0) for example in train)
    predicted = trainer.predict(dev).predictions.argmax(-1)
    accuracy = np.mean([found == label for found, label in zip(predicted, dev["label"], strict=True)])
    assert f"'eval_accuracy': {accuracy}" in printed


def test_the_python_api_is_a_program_of_thirty_lines():
    lines = (EXAMPLES / "python_api.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line]) <= 30


def test_the_walk_through_shows_what_its_text_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(EXAMPLES / "walkthrough.py"))
    assert names["predictions"] == {
        "a great movie": "praise",
        "the tale is charming": "praise",
        "a lousy picture": "blame",
        "the plot is flat": "blame",
    }
    known = {word for text in names["PRAISE"] + names["BLAME"] for word in text.split()}
    assert {word for text in names["predictions"] for word in text.split()} & known == {"a", "the", "is"}
    printed = capsys.readouterr().out
    assert "lambda_p  0.0: weights [1.0, 0.0, 0.0, 0.0]" in printed
    assert "lambda_p  inf: weights [0.25, 0.25, 0.25, 0.25]" in printed
    assert len(names["history"]) == 15


def test_the_own_data_keeps_training_and_validation_apart_and_its_words_occur():
    train, dev = ({row["review"] for row in own_rows(name)} for name in ("train", "dev"))
    assert len(train) == len(own_rows("train")) and not train & dev
    texts = " ".join(train | dev).lower()
    assert all(re.search(rf"\b{word}\b", texts) for word in own_words()["words"])
    Augmenter.from_dict(own_words(), make_tokenizer([texts]))


@pytest.mark.slow
@pytest.mark.parametrize("script", ["own_csv.sh", "two_processes.sh"])
def test_the_scripts_train_on_the_users_own_csv(script, tmp_path, small_model):
    options = ["--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache", "--learning_rate", "5e-3"]
    if script == "two_processes.sh":
        options.append("--use_cpu")
    environment = {**os.environ, "PYTHON": sys.executable, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = ["sh", EXAMPLES / script, small_model, *options]
    subprocess.run(list(map(str, command)), env=environment, cwd=tmp_path, check=True, timeout=300)
    results = json.loads((tmp_path / "out" / "all_results.json").read_text())
    assert results["eval_samples"] == 8 and results["eval_accuracy"] >= 0.75
    assert json.loads((tmp_path / "out" / "augmenter.json").read_text())["words"] == own_words()["words"]


CONFIGS = sorted((EXAMPLES / "accelerate").glob("*.yaml"), key=lambda path: path.name)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_accelerate_reads_the_configuration(path):
    config = load_config_from_file(str(path))
    assert (config.num_machines, config.machine_rank) == (2 if "two_machines" in path.name else 1, 0)
    expected = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}
    assert config.distributed_type == expected[path.stem.split("_")[0]]
    assert config.num_processes == 2 * config.num_machines
    assert path.name in (EXAMPLES / "accelerate" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("stage", [2, 3])
def test_a_deepspeed_configuration_leaves_sizes_to_the_command(stage):
    config = yaml.safe_load((EXAMPLES / "accelerate" / f"zero{stage}.yaml").read_text(encoding="utf-8"))
    settings = EXAMPLES.parent / config["deepspeed_config"]["deepspeed_config_file"]
    settings = json.loads(settings.read_text(encoding="utf-8"))
    assert settings["zero_optimization"]["stage"] == stage
    for name in ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"):
        assert settings[name] == "auto"
