"""The command with files of its own, in this process or launched on several."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from augmenters import make_masked_lm
from conftest import SENTENCES, WORDS, make_model, make_tokenizer
from safetensors.torch import load_file

from augment import LexiconSubstitution


COMMAND = Path(__file__).parents[1] / "run_glue_mmel.py"
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
ACCELERATE = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
# Eight examples in each update, whose weights show what it was made of.
BATCH = ("--per_device_train_batch_size", "8")
HALVES = ("--per_device_train_batch_size", "4")
MLM = ("--augmenter", "mlm", "--augmenter_model", "masked_lm")


def write_files(folder: Path) -> None:
    """
    A classifier, a masked LM, an augmenter and data. Neither the 11 rows to evaluate nor the 15 to predict can be
    dealt evenly to two processes in batches of 2, and the model gives each text a number of its own.
    """
    tokenizer = make_tokenizer("wordpiece")
    for name, model in (
        ("model", make_model(tokenizer, num_labels=1, initializer_range=0.3)),
        ("masked_lm", make_masked_lm(tokenizer)),
    ):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    config = LexiconSubstitution(tokenizer, WORDS).to_dict()
    (folder / "augmenter.json").write_text(json.dumps(config), encoding="utf-8")
    texts = [f"{text} {ending}" for ending in ("", "!", "again") for text in SENTENCES]
    rows = pd.DataFrame({"text": texts, "label": [i % 5 / 2 for i in range(len(texts))]})
    for name, size in (("train", 16), ("validation", 11), ("test", 15)):
        rows[:size].to_csv(folder / f"{name}.csv", index=False)


def arguments(folder: Path, out: str, *options: str) -> list[str]:
    """Options that train, evaluate and predict; later ones win."""
    argv = ["--model_name_or_path", "model", "--augmenter", "augmenter.json", "--cache_dir", f"{out}-cache"]
    for name in ("train", "validation", "test"):
        argv += [f"--{name}_file", f"{name}.csv"]
    argv += ["--do_regression", "--do_train", "--do_eval", "--do_predict", "--max_steps", "3", "--num_variants", "2"]
    argv += [
        "--optim",
        "sgd",
        "--learning_rate",
        "0.01",
        "--lr_scheduler_type",
        "constant",
        "--max_grad_norm",
        "0",
        "--per_device_eval_batch_size",
        "2",
    ]
    argv += ["--report_to", "none", "--use_cpu", "--save_strategy", "no", "--logging_steps", "1", "--output_dir", out]
    return [*argv, *options]


def start(folder: Path, launcher: tuple[str, ...], script: Path | str, argv: list[str], **environment: str):
    """A launch that has begun."""
    quiet = {"OMP_NUM_THREADS": "1", "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, str(script), *argv],
        cwd=folder,
        env={**os.environ, **quiet, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outputs(*launches: subprocess.Popen, fails: bool = False) -> list[str]:
    """What the launches said; those of several machines wait for each other."""
    try:
        said = [launch.communicate(timeout=240)[0] for launch in launches]
    finally:
        for launch in launches:
            launch.kill()
    for launch, text in zip(launches, said, strict=True):
        assert (launch.returncode != 0) == fails, text[-9000:]
    return said


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return str(one.getsockname()[1])


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def assert_same_results(expected: Path, found: Path) -> None:
    """
    The files of two runs are the same, but for times and `eval_loss`: in the mean of their batch `Trainer` counts the
    rows that fill it up.
    """
    assert sorted(path.name for path in found.iterdir()) == sorted(path.name for path in expected.iterdir())
    if (expected / "augmenter.json").exists():
        assert read(found / "augmenter.json") == read(expected / "augmenter.json")
    metrics = [
        {name: value for name, value in json.loads(read(out / "all_results.json")).items() if is_of_training(name)}
        for out in (expected, found)
    ]
    assert {"eval_pearson", "eval_samples", "train_loss"} <= metrics[0].keys()
    assert metrics[1] == pytest.approx(metrics[0], abs=1e-5), metrics
    indices, numbers = zip(*(predictions(out) for out in (expected, found)), strict=True)
    assert indices[0] == indices[1] == [str(i) for i in range(15)]
    assert len(set(numbers[0])) > 10
    assert numbers[1] == pytest.approx(numbers[0], abs=0.0011)  # they are written with three decimals
    weights = [weights_of(out) for out in (expected, found)]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        assert torch.allclose(weight, weights[1][name], atol=1e-6, rtol=0), name


def weights_of(out: Path) -> dict[str, torch.Tensor]:
    """The saved weights by name; with ZeRO-3 transformers writes older names, which it reads as well."""
    weights = load_file(out / "model.safetensors")
    return {name.replace("gamma", "weight").replace("beta", "bias"): weight for name, weight in weights.items()}


def is_of_training(name: str) -> bool:
    return name not in ("eval_loss", "total_flos") and not name.endswith(("_runtime", "_per_second"))


def predictions(out: Path) -> tuple[list[str], list[float]]:
    """The indices and the numbers predicted, in the order of the file."""
    rows = [line.split("\t") for line in read(out / "predict_results_custom.txt").splitlines()[1:]]
    return [index for index, _ in rows], [float(number) for _, number in rows]
