"""JSON files that the commands read, damaged at random: a result, or one line that says what is wrong."""

import contextlib
import io
import json
import random
import shutil
from collections import Counter
from copy import deepcopy
from dataclasses import fields
from pathlib import Path

import pytest
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


def outcome(command, argv: list[str]) -> str:
    """How a command has ended, well or with one line; all else fails."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            code = command(argv)
    except cli.UsageError as error:
        assert str(error) and "\n" not in str(error)
        return "refused"
    except SystemExit as error:  # of argparse, after its usage
        assert error.code == 2 and ": error: " in said.getvalue().splitlines()[-1]
        return "refused"
    assert "Traceback" not in said.getvalue()
    if isinstance(code, int) and code:
        assert code == 1 and said.getvalue().splitlines()[-1].startswith("error: ")
        return "refused"
    return "done"


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
    draw, counts = random.Random(19), Counter()
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
        try:
            if command == "report":
                counts[outcome(mmel_command, ["report", str(copy), "--max_examples", "4"])] += 1
            else:
                argv = [str(tmp_path / "options.json"), "--augmenter", "delete", "--output_dir", str(copy)]
                counts[outcome(cli.main, argv)] += 1
        except Exception as error:
            raise AssertionError(f"{file.relative_to(copy)}: {file.read_bytes()[:1000]!r}") from error
    assert counts["done"] > num_files / 5


@pytest.mark.parametrize("command", ["train", "compare"])
def test_files_of_options(options, tmp_path, command):
    draw, counts = random.Random(23), Counter()
    for _ in range(NUM_FILES):
        path = tmp_path / f"options{draw.choice(['.json', '.yaml'])}"  # JSON is YAML
        path.write_bytes(damaged(draw, json.dumps(options)))
        try:
            if command == "train":
                counts[outcome(cli.main, [str(path), "--dry_run", "--augmenter", "delete"])] += 1
            else:
                counts[outcome(planned, ["compare", str(path), "--methods", "none"])] += 1
        except Exception as error:
            raise AssertionError(f"{path.name}: {path.read_bytes()!r}") from error
    assert counts["done"] > NUM_FILES / 5 and counts["refused"] > NUM_FILES / 20


@pytest.mark.parametrize("command", ["train", "preview"])
def test_files_of_augmenters(options, masked_lm_dir, tmp_path, command):
    draw, counts = random.Random(29), Counter()
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
        try:
            if command == "train":
                argv = [str(tmp_path / "options.json"), "--dry_run", "--augmenter", str(path)]
                counts[outcome(cli.main, argv)] += 1
            else:
                argv = ["preview", "--text", "a film of beauty", "--augmenter", str(path)]
                counts[outcome(augment_command, argv)] += 1
        except Exception as error:
            raise AssertionError(path.read_bytes()) from error
    assert counts["done"] and counts["refused"]


def test_numbers_of_trainings(options, tmp_path):
    draw, counts = random.Random(31), Counter()
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
        try:
            counts[outcome(cli.main, [*argv, *given])] += 1
        except Exception as error:
            raise AssertionError(given) from error
    assert counts["done"] > NUM_FILES / 5 and counts["refused"] > NUM_FILES / 5
