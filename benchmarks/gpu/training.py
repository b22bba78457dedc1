"""A short training run of the command under `accelerate launch`, in a process of its own."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from transformers import BertConfig, BertForSequenceClassification

from .report import FAILED, OK, Place, Row
from .tiny import SIZES, make_tokenizer


ROOT = Path(__file__).parents[2]
STEPS = 10


def write_files(folder: Path) -> None:
    """A tiny model with its tokenizer, and a file of texts of two classes."""
    folder.mkdir()
    tokenizer = make_tokenizer(500)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **SIZES)
    for part in (tokenizer, BertForSequenceClassification(config)):
        part.save_pretrained(folder / "model")
    words = [piece for piece in tokenizer.get_vocab() if piece.isalpha() and len(piece) > 3]
    with (folder / "train.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i in range(64):
            writer.writerow([" ".join(words[(7 * i + j) % len(words)] for j in range(10)), ("bad", "good")[i % 2]])


def command(place: Place) -> list[str]:
    launch = ["--num_processes", "1", "--num_machines", "1", "--mixed_precision", "bf16", "--dynamo_backend", "no"]
    if not place.is_gpu:
        launch.append("--cpu")
    options = {
        "model_name_or_path": "model",
        "train_file": "train.csv",
        "augmenter": "typos",
        "num_variants": 4,
        "max_steps": STEPS,
        "per_device_train_batch_size": 8,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": "true",
        "cache_dir": "cache",
        "output_dir": "out",
    }
    argv = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    argv += ["--do_train", "--bf16", *([] if place.is_gpu else ["--use_cpu"])]
    return [sys.executable, "-m", "accelerate.commands.launch", *launch, str(ROOT / "run_glue_mmel.py"), *argv]


def run(argv: list[str], folder: Path) -> tuple[int, str]:
    """The exit status of a command, and the end of what it said. If this is interrupted, so is the command."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            argv, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the process that it has launched
        log.seek(0)
        return status, log.read()[-5000:]


def rows(place: Place) -> Iterator[Row]:
    name, folder = "accelerate launch run_glue_mmel.py --bf16", place.folder / "training"
    if missing := [package for package in ("evaluate", "sklearn") if find_spec(package) is None]:
        yield Row(name, f"left out, since the command needs {' and '.join(missing)}: pip install 'hf_mmel[glue]'")
        return
    write_files(folder)
    status, said = run(command(place), folder)
    if status:
        lines = [text for text in said.splitlines() if "rror" in text and "CalledProcessError" not in text]
        error = lines[-1] if lines else said[-300:]
        yield Row(name, f"status {status}: {error[:300]}", "status 0", FAILED, {"status": status, "log": said})
        return
    results = json.loads((folder / "out" / "all_results.json").read_text())
    loss = results["train_loss"]
    verdict = OK if math.isfinite(loss) else FAILED
    yield Row(name, f"status 0, train loss {loss:.3f}", "a finite loss", verdict, {"status": 0, **results})
