"""Random texts, files and options: a result, or one line that says what is wrong, and never a traceback."""

import json
import random
import sys
from dataclasses import fields
from pathlib import Path

import pyarrow
import pytest
from command_outputs import ends_well
from conftest import SENTENCES
from pyarrow import parquet
from transformers import SchedulerType
from transformers.training_args import OptimizerNames

from augment.__main__ import main as augment_command
from hf_mmel import MMELTrainingArguments
from hf_mmel.cli import run as cli
from hf_mmel.cli.arguments import AugmenterArguments, ModelArguments, RunArguments
from hf_mmel.cli.data_arguments import DataArguments


sys.path.append(str(Path(__file__).parents[1] / "augment"))

from augmenters import AUGMENTERS


pytestmark = pytest.mark.slow
NUM_TEXTS, NUM_OPTIONS, NUM_FILES, NUM_TRAININGS = 10_000, 2_000, 300, 100
# What a training makes something of only when it begins, or is evaluated.
OF_TRAINING = {
    "optim": [str(optim) for optim in OptimizerNames],
    "optim_args": ["a=1", "foo", "scale_parameter=False,relative_step=False", ""],
    "optim_target_modules": ["all-linear", "x", "["],
    "lr_scheduler_type": [str(kind) for kind in SchedulerType],
    "lr_scheduler_kwargs": ["{}", '{"a": 1}', '{"num_decay_steps": 1}', '{"min_lr": 0}', '{"num_cycles": "x"}'],
    "learning_rate": ["0", "1e-3", "1e38"],
    "warmup_steps": ["0", "0.5", "7"],
    "eval_strategy": ["no", "steps", "epoch"],
    "eval_steps": ["1", "0.5"],
    "eval_on_start": ["true"],
    "logging_steps": ["1", "0.5"],
    "logging_strategy": ["epoch", "no"],
    "metric_for_best_model": ["accuracy", "f1", "loss", "eval_loss", "samples_per_second"],
    "greater_is_better": ["true", "false"],
    "prediction_loss_only": ["true"],
    "label_names": ["labels", "x"],
    "include_for_metrics": ["inputs", "loss", "x"],
    "batch_eval_metrics": ["true"],
    "eval_accumulation_steps": ["1"],
    "eval_do_concat_batches": ["false"],
    "remove_unused_columns": ["false"],
    "train_sampling_strategy": ["random", "sequential", "group_by_length"],
    "length_column_name": ["length", "input_ids"],
    "dataloader_num_workers": ["-1", "1"],
    "dataloader_prefetch_factor": ["-1", "2"],
    "dataloader_persistent_workers": ["true"],
    "dataloader_drop_last": ["true"],
    "per_device_train_batch_size": ["100", "3"],
    "auto_find_batch_size": ["true"],
    "gradient_accumulation_steps": ["3"],
    "gradient_checkpointing": ["true"],
    "gradient_checkpointing_kwargs": ["{}", '{"a": 1}', '{"use_reentrant": false}'],
    "neftune_noise_alpha": ["1"],
    "label_smoothing_factor": ["0.1"],
    "include_num_input_tokens_seen": ["all", "non_padding", "no"],
    "accelerator_config": ['{"split_batches": true}', '{"dispatch_batches": true}', '{"x": 1}', "x"],
    "report_to": ["wandb", "tensorboard", "all", "x"],
    "use_liger_kernel": ["true"],
    "torch_empty_cache_steps": ["1"],
    "max_grad_norm": ["0", "inf"],
    "full_determinism": ["true"],
    "skip_memory_metrics": ["false"],
    "bf16": ["true"],
    "bf16_full_eval": ["true"],
    "fp16": ["true"],
    "ddp_find_unused_parameters": ["true"],
    "parallelism_config": ["{}", "x"],
    "mmel_loss": ["soft", "hard", "uniform", "none"],
    "max_seq_length": ["1", "3", str(10**20)],
}
# What texts break on: marks that combine, change direction, have no width, end lines, stand for bytes, are no letters.
ODD = (
    "\u0301\u202e\u200b\u200d\ufeff\u2028\x00\x1b\x85\xad\ufffd\U0001f469\U0001f3fd\u0130\u01c5\ufb01\u1e9e'\"\\\t\r\n"
)


def random_text(draw: random.Random) -> str:
    """Words that augmenters know among characters of all of Unicode, or nothing at all."""
    parts = []
    for _ in range(draw.choice([0, 1, 3, 10, 40])):
        kind = draw.random()
        if kind < 0.4:
            parts.append(draw.choice(draw.choice(SENTENCES).split()))
        elif kind < 0.6:
            parts.append("".join(draw.choices(ODD, k=draw.randint(1, 4))))
        else:
            highest = draw.choice([0x7F, 0x24F, 0xFFFF, 0x10FFFF])
            points = (draw.randint(0, highest) for _ in range(draw.randint(1, 12)))
            parts.append("".join(chr(point) for point in points if not 0xD800 <= point < 0xE000))
    return draw.choice(["", " ", "  "]).join(parts)


@pytest.fixture(scope="module")
def texts():
    draw = random.Random(7)
    return [random_text(draw) for _ in range(NUM_TEXTS)]


@pytest.mark.parametrize("kind", AUGMENTERS)
def test_variants_of_random_texts_are_rows_of_the_same_kind(
    texts, kind, any_tokenizer, wordnet, wordnet_cache, monkeypatch
):
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    augmenter, special = AUGMENTERS[kind](any_tokenizer), set(any_tokenizer.all_special_ids)
    num_ids, num_changed = len(any_tokenizer), 0
    for begin in range(0, NUM_TEXTS, 500):
        encoded = any_tokenizer(texts[begin : begin + 500], truncation=True, max_length=60)
        rows = [{"input_ids": ids} for ids in encoded["input_ids"]]
        groups = augmenter.variants(rows, 2, range(begin, begin + len(rows)))
        for row, group in zip(rows, groups, strict=True):
            given = [token for token in row["input_ids"] if token in special]
            assert len(group) == 2
            for variant in group:
                ids = variant["input_ids"]
                assert all(0 <= token < num_ids for token in ids)
                assert [token for token in ids if token in special] == given
                num_changed += ids != row["input_ids"]
    assert num_changed > NUM_TEXTS / 20  # random texts have few places for a new word


@pytest.mark.parametrize("kind", [kind for kind in AUGMENTERS if kind not in ("masked_lm", "embedding", "greedy")])
def test_variants_of_random_texts_as_text(texts, kind, tokenizer, wordnet, wordnet_cache, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    augmenter = AUGMENTERS[kind](tokenizer)
    for begin in range(0, NUM_TEXTS, 500):
        part = texts[begin : begin + 500]
        for text, variants in zip(part, augmenter.augment_text(part, 2, range(begin, begin + 500)), strict=True):
            assert len(variants) == 2 and all(isinstance(variant, str) for variant in variants)
            if not text.strip():
                assert variants == [text, text]


# --- the command ----------------------------------------------------------


def test_random_options_are_parsed_or_refused_on_one_line(tmp_path):
    groups = (ModelArguments, DataArguments, AugmenterArguments, RunArguments, MMELTrainingArguments)
    # What reaches for a device, a network or a file of somebody's is left to its own tests.
    left_out = {"deepspeed", "fsdp", "fsdp_config", "ddp_backend", "tpu_num_cores", "help", "local_rank", "debug"}
    names = sorted({f.name for group in groups for f in fields(group) if f.init} - left_out)
    values = ["", "0", "-1", "1", "3.5", "nan", "inf", "1e400", "true", "no", "null", "rte", "hard", "steps", "epoch"]
    values += [
        "[]",
        "{}",
        '{"a": 1}',
        "../..",
        "/dev/null",
        "--",
        "é\u0301\u202e",
        "x" * 5000,
        "<script>",
        "a,b",
        "1,2,2",
    ]
    draw, parsed = random.Random(11), 0
    for _ in range(NUM_OPTIONS):
        argv = ["--model_name_or_path", "model", "--task_name", "rte", "--do_eval", "--use_cpu"]
        argv += ["--output_dir", str(tmp_path / "out"), "--report_to", "none"]
        for name in draw.sample(names, draw.choice([1, 1, 2, 3, 6])):
            option = f"--{name}" if draw.random() < 0.9 else f"--no_{name}"
            argv += [option] if draw.random() < 0.15 else [option, draw.choice(values)]
        parsed += ends_well(cli.parse_arguments, argv)
    assert parsed > NUM_OPTIONS / 20


def test_random_options_train_or_are_refused_on_one_line(files, model_dir, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    draw, trained = random.Random(19), 0
    for number in range(NUM_TRAININGS):
        argv = ["--model_name_or_path", model_dir, *files, "--do_train", "--do_eval", "--use_cpu", "--max_steps", 2]
        argv += ["--save_strategy", "no", "--disable_tqdm", "true", "--report_to", "none", "--augmenter", "delete"]
        argv += draw.choice([[], ["--do_predict", "--test_file", files[1]]])
        argv += ["--output_dir", tmp_path / str(number), "--cache_dir", tmp_path / "cache", "--num_variants", 2]
        for name in draw.sample(sorted(OF_TRAINING), draw.choice([1, 2, 3])):
            argv += [f"--{name}", draw.choice(OF_TRAINING[name])]
        trained += ends_well(cli.main, argv)
    assert NUM_TRAININGS / 5 < trained < NUM_TRAININGS


def random_cell(draw: random.Random):
    cells = [random_text(draw), random_text(draw), draw.choice(SENTENCES), draw.randint(-5, 5), draw.random(), None]
    cells += [True, float("nan"), 10**30, "0", "1", "yes", [1, "a"], {"a": None}, "NULL", ""]
    return draw.choice(cells)


def random_file(draw: random.Random, folder: Path) -> Path:
    """A file of labelled texts, some of whose cells, or bytes, are anything."""
    num_rows, broken = draw.choice([0, 1, 5, 30]), draw.choice([0, 0, 0.05, 0.5])
    rows = [
        {"text": draw.choice(SENTENCES) + random_text(draw), "label": draw.choice(["a", "b"])} for _ in range(num_rows)
    ]
    for row in rows:
        for name in row:
            if draw.random() < broken:
                row[name] = random_cell(draw)
        if draw.random() < broken / 5:
            row.pop(draw.choice(["text", "label"]))
    suffix = draw.choice([".csv", ".json", ".jsonl", ".parquet"])
    path = folder / f"data{suffix}"
    if suffix == ".parquet":
        try:
            parquet.write_table(pyarrow.Table.from_pylist(rows or [{"text": None}]), path)
            data = path.read_bytes()
        except (pyarrow.ArrowException, OverflowError, TypeError):
            data = b""
    elif suffix == ".csv":
        quote = draw.choice(["always", "never"])
        cells = [[str(row.get(name, "")) for name in ("text", "label")] for row in rows]
        shown = [
            [json.dumps(cell, ensure_ascii=False) if quote == "always" else cell for cell in row] for row in cells
        ]
        data = "\n".join(["text,label", *(",".join(row) for row in shown)]).encode()
    else:
        data = "\n".join(json.dumps(row, ensure_ascii=draw.random() < 0.5) for row in rows).encode()
    data = bytearray(data)
    if draw.random() < 0.3:
        for _ in range(draw.randint(1, 8)):
            if data:
                data[draw.randrange(len(data))] = draw.randrange(256)
    if draw.random() < 0.1:
        data = data[: draw.randint(0, len(data))]
    path.write_bytes(bytes(data))
    return path


def test_random_files_are_read_or_refused_on_one_line(model_dir, tmp_path):
    draw, read = random.Random(13), 0
    for number in range(NUM_FILES):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = random_file(draw, folder)
        argv = ["--model_name_or_path", str(model_dir), "--train_file", str(path), "--do_train", "--use_cpu"]
        argv += ["--output_dir", str(folder / "out"), "--cache_dir", str(folder / "cache"), "--augmenter", "delete"]
        argv += ["--dry_run", "--report_to", "none", "--log_level", "error"]
        read += ends_well(cli.main, argv, (path.name, number, path.read_bytes()[:500]))
    assert NUM_FILES / 10 < read < NUM_FILES


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("command", ["write", "stats"])
def test_random_files_get_variants_or_are_refused_on_one_line(tmp_path, command, suffix):
    draw, read = random.Random(17), 0
    for number in range(NUM_FILES // 3):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = random_file(draw, folder)
        argv = [command, str(path), *([str(folder / f"out{suffix}")] if command == "write" else [])]
        has_result = ends_well(augment_command, [*argv, "--augmenter", "delete", "--num_variants", "2"])
        assert not has_result or command == "stats" or (folder / f"out{suffix}").is_file()
        read += has_result
    assert NUM_FILES / 20 < read < NUM_FILES / 3
