"""JSON files that the commands read, damaged at random: a result, or one line that says what is wrong."""

import json
import random
import shutil
from copy import deepcopy
from dataclasses import fields
from pathlib import Path

import pytest
from command_outputs import ends_well
from conftest import reviews

from augment.__main__ import main as augment_command
from hf_mmel import MMELTrainingArguments
from hf_mmel.__main__ import main as mmel_command
from hf_mmel.__main__ import parse
from hf_mmel.cli import run as cli
from hf_mmel.cli.arguments import AugmenterArguments
from hf_mmel.cli.data_arguments import DataArguments
from hf_mmel.compare.plan import read_plan


pytestmark = pytest.mark.slow
NUM_FILES, NUM_REPORTS = 100, 40  # a report takes its time
VALUES = ["", "x", "../..", "e\u0301\u202e", "<script>", 0, -1, 1, 3.5, float("nan"), float("inf"), 10**30, True, None]
VALUES += [[], {}, [1, "a"], {"a": None}, "nan", "1"]
NUMBERS = ["0", "-1", "1", "nan", "inf", "1e400", "0.5", "2", "1e-400", "-0.5", "7"]


def places(value, place=()):
    """Where the parts of what a JSON file holds are."""
    yield place
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*place, key))


def damaged(draw: random.Random, text: str) -> bytes:
    """A JSON file with other bytes, cut off, or with parts that are others, have other names, or are not there."""
    kind = draw.random()
    if kind < 0.15:
        data = bytearray(text.encode())
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        return bytes(data)
    if kind < 0.25:
        return text.encode()[: draw.randrange(len(text))]
    value = json.loads(text)
    for _ in range(draw.choice([1, 1, 1, 3])):
        place = draw.choice(list(places(value)))
        if not place:
            return json.dumps(draw.choice(VALUES)).encode()
        of = value
        for key in place[:-1]:
            of = of[key]
        what = draw.random()
        if what < 0.25:
            del of[place[-1]]
        elif what < 0.35 and isinstance(of, dict):
            of[draw.choice(["odd", "label", "class", ""])] = of.pop(place[-1])
        else:
            of[place[-1]] = deepcopy(draw.choice(VALUES))  # or one might come to hold itself
    return json.dumps(value).encode()


def planned(argv: list[str]) -> None:
    read_plan(parse(argv))


@pytest.fixture(autouse=True)
def somewhere_else(monkeypatch, tmp_path):
    """Folders may get any name, and be made where the test runs."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def options(write, model_dir, tmp_path) -> dict[str, object]:
    """The options of a short training, as a file of them has them."""
    train = str(write("train.csv", reviews()))
    paths = {"model_name_or_path": str(model_dir), "train_file": train, "validation_file": train}
    paths |= {"cache_dir": str(tmp_path / "cache"), "output_dir": str(tmp_path / "out")}
    training = {"num_train_epochs": 1, "per_device_train_batch_size": 8, "logging_steps": 1, "save_steps": 1}
    training |= {"save_strategy": "steps", "use_cpu": True, "report_to": "none", "disable_tqdm": True}
    return {**paths, **training, "log_level": "error", "do_train": True, "do_eval": True}


@pytest.fixture
def folder(options, tmp_path) -> Path:
    """What a training has left."""
    path = tmp_path / "options.json"
    path.write_text(json.dumps(options))
    cli.main([str(path), "--augmenter", "delete"])
    return Path(options["output_dir"])


@pytest.mark.parametrize("command", ["resume", "report"])
def test_folders_of_trainings(folder, tmp_path, command):
    draw, done = random.Random(19), 0
    num_files = NUM_FILES if command == "resume" else NUM_REPORTS
    for _ in range(num_files):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        if command == "resume" or draw.random() < 0.2:
            (copy / "train_results.json").unlink()
        file = draw.choice(sorted(copy.rglob("*.json")))
        text = file.read_text()
        file.write_bytes(damaged(draw, text))
        given = file.relative_to(copy), file.read_bytes()[:1000]
        if command == "report":
            done += ends_well(mmel_command, ["report", copy, "--max_examples", 4], given)
        else:
            argv = [tmp_path / "options.json", "--augmenter", "delete", "--output_dir", copy]
            done += ends_well(cli.main, argv, given)
    assert done > num_files / 5


@pytest.mark.parametrize("command", ["train", "compare"])
def test_files_of_options(options, tmp_path, command):
    draw, done = random.Random(23), 0
    for _ in range(NUM_FILES):
        path = tmp_path / f"options{draw.choice(['.json', '.yaml'])}"  # JSON is YAML
        path.write_bytes(damaged(draw, json.dumps(options)))
        given = path.name, path.read_bytes()
        if command == "train":
            done += ends_well(cli.main, [path, "--dry_run", "--augmenter", "delete"], given)
        else:
            done += ends_well(planned, ["compare", path, "--methods", "none"], given)
    assert NUM_FILES / 5 < done < NUM_FILES * 19 / 20


@pytest.mark.parametrize("command", ["train", "preview"])
def test_files_of_augmenters(options, masked_lm_dir, tmp_path, command):
    draw, done = random.Random(29), 0
    (tmp_path / "options.json").write_text(json.dumps(options))
    delete, swap = {"class": "RandomDelete", "replace_prob": 0.1}, {"class": "RandomSwap", "max_length": 20}
    model = {"model": str(masked_lm_dir), "keep_inflection": False}
    configs = [delete, swap, {"class": "OneOf", "augmenters": [delete, swap], "p": [0.5, 0.5]}]
    configs += [{"class": "Sometimes", "augmenter": delete, "p": 0.2}]
    configs += [{"class": "MaskedLMSubstitution", "top_m": 3, "temperature": 1.0, **model}]
    configs += [{"class": "EmbeddingNeighbours", "num_neighbours": 3, **model}]
    path = tmp_path / "augmenter.json"
    for _ in range(NUM_FILES):
        path.write_bytes(damaged(draw, json.dumps(draw.choice(configs))))
        if command == "train":
            argv = [tmp_path / "options.json", "--dry_run", "--augmenter", path]
            done += ends_well(cli.main, argv, path.read_bytes())
        else:
            argv = ["preview", "--text", "a film of beauty", "--augmenter", path]
            done += ends_well(augment_command, argv, path.read_bytes())
    assert 0 < done < NUM_FILES


def test_numbers_of_trainings(options, tmp_path):
    draw, done = random.Random(31), 0
    (tmp_path / "options.json").write_text(json.dumps({**options, "save_strategy": "no"}))
    left_out = {"local_rank", "ddp_timeout", "dataloader_num_workers", "dataloader_prefetch_factor", "tpu_num_cores"}
    groups = (MMELTrainingArguments, AugmenterArguments, DataArguments)
    names = {
        f.name for group in groups for f in fields(group) if any(kind in str(f.type) for kind in ("int", "float"))
    }
    argv = [str(tmp_path / "options.json"), "--augmenter", "delete", "--overwrite_output_dir", "--max_steps", "2"]
    for _ in range(NUM_FILES):
        chosen = draw.sample(sorted(names - left_out), draw.choice([1, 1, 2]))
        given = [f"--{name}={draw.choice(NUMBERS)}" for name in chosen]
        done += ends_well(cli.main, [*argv, *given], given)
    assert NUM_FILES / 5 < done < NUM_FILES * 4 / 5
