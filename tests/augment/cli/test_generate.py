"""`python -m augment generate`: a file with a column of lists of new texts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SENTENCES
from datasets import ClassLabel, Dataset, Features, List, Value, load_dataset
from files import write_rows
from generators import save_generator

from augment import Generated
from augment.__main__ import main
from augment.core.tables import Table


ROOT = Path(__file__).parents[3]
OPTIONS = ["--prompt", "say: {text}", "--num_variants", "3", "--max_new_tokens", "16", "--min_ratio", "0"]
OPTIONS += ["--max_ratio", "9", "--column", "sentence"]
ROWS = [{"sentence": text, "label": i % 2} for i, text in enumerate([*SENTENCES, ""])]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The commands run in a folder with rows in `a.jsonl` and tiny models in `model` and `second`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "cache"))
    save_generator("gpt2", tmp_path / "model")
    save_generator("t5", tmp_path / "second")
    write_rows(Path("a.jsonl"), ROWS)


def generate(source: str, out: str, *options: str) -> int:
    return main(["generate", source, out, "--model", "model", *OPTIONS, *options])


def paraphrases(path: str) -> list[list[str]]:
    return [row["paraphrases"] for row in Table(path)]


@pytest.mark.parametrize("out", ["b.jsonl", "b.parquet", "b.csv"])
@pytest.mark.parametrize("source", ["a.jsonl", "a.csv", "a.parquet"])
def test_rows_stay_and_get_a_column_of_lists(source, out, capsys, monkeypatch):
    monkeypatch.setattr("augment.cli.output.CHUNK", 4)
    write_rows(Path(source), ROWS)
    assert generate(source, out) == 0
    groups = paraphrases(out)
    if out == "b.csv":
        groups = [json.loads(cell) for cell in groups]
    rows = [{name: str(row[name]) for name in ("sentence", "label")} for row in Table(out)]
    assert rows == [{name: str(value) for name, value in row.items()} for row in ROWS]
    arguments = {"max_new_tokens": 16, "min_ratio": 0, "max_ratio": 9}
    expected = Generated("model", "say: {text}", **arguments).texts([row["sentence"] for row in ROWS], 3, seed=0)
    assert groups == expected and any(groups)
    num_texts, num_without = sum(map(len, groups)), groups.count([])
    line = f"{out}: 10 rows with {num_texts} new texts in column 'paraphrases'; {num_without} have none.\n"
    assert capsys.readouterr().out == line


def test_options_reach_the_model():
    assert generate("a.jsonl", "b.jsonl") == 0
    for options in (["--seed", "1"], ["--temperature", "0.5"], ["--top_p", "0.5"], ["--prompt", "{text}"]):
        assert generate("a.jsonl", "c.jsonl", *options) == (1 if options[0] == "--prompt" else 0)
        assert options[0] == "--prompt" or paraphrases("c.jsonl") != paraphrases("b.jsonl")
    assert generate("a.jsonl", "d.jsonl", "--num_return_sequences", "9", "--new_column", "new") == 0
    new = [row["new"] for row in Table("d.jsonl")]
    assert sum(map(len, new)) > sum(map(len, paraphrases("b.jsonl")))


def test_two_models_are_a_chain():
    assert generate("a.jsonl", "b.jsonl", "--model", "second", "--prompt", "back: {text}") == 0
    prompts = ["say: {text}", "back: {text}"]
    chain = Generated(["model", "second"], prompts, max_new_tokens=16, min_ratio=0, max_ratio=9)
    assert paraphrases("b.jsonl") == chain.texts([row["sentence"] for row in ROWS], 3, seed=0)


def test_parquet_keeps_the_feature_types_of_datasets():
    features = Features({"sentence": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    Dataset.from_list(ROWS, features=features).to_parquet("a.parquet")
    assert generate("a.parquet", "b.parquet") == 0
    written = load_dataset("parquet", data_files="b.parquet", split="train", cache_dir="data")
    assert written.features == {**features, "paraphrases": List(Value("string"))}


def test_rows_without_any_new_text_have_empty_lists_in_every_format():
    for out in ("b.jsonl", "b.parquet"):
        assert generate("a.jsonl", out, "--max_new_tokens", "1", "--max_ratio", "0") == 0
        assert paraphrases(out) == [[]] * 10


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["a.jsonl", "b.txt"], "b.txt ends in '.txt'; expected one of .csv, .jsonl, .parquet"),
        (["a.jsonl", "a.jsonl"], "a.jsonl is also the input file"),
        (["a.jsonl", "b.jsonl", "--column", "text"], "a.jsonl has no column 'text'"),
        (["a.jsonl", "b.jsonl", "--new_column", "label"], "a.jsonl already has a column 'label'. Choose another"),
        (["a.jsonl", "b.jsonl", "--num_variants", "0"], "num_variants is 0"),
        (["a.jsonl", "b.jsonl", "--num_beams", "2"], "num_beams is 2, but 3 texts are to be generated"),
        (["a.jsonl", "b.jsonl", "--model", "./absent", "--prompt", "{text}"], "absent"),
        (["a.jsonl", "b.jsonl", "--prompt", "say"], "prompt is a list of 2 for 1 models"),
    ],
)
def test_error_is_one_line_that_says_what_is_wrong(argv, message, capsys):
    assert generate(*argv) == 1
    line = capsys.readouterr().err.splitlines()[-1]  # after the progress of loading a model
    assert line.startswith("error: ") and message in line
    assert not Path("b.jsonl").exists() and not Path("b.jsonl.parts").exists()


def test_a_prompt_without_its_place_is_refused(capsys):
    assert main(["generate", "a.jsonl", "b.jsonl", "--column", "sentence", "--model", "model", "--prompt", "say"]) == 1
    assert "prompt is 'say'; expected a string with {text}" in capsys.readouterr().err


@pytest.mark.integration
def test_two_processes_write_what_one_writes(monkeypatch):
    write_rows(Path("a.jsonl"), [{"sentence": f"{text} {i}"} for i in range(60) for text in SENTENCES])
    limit = ["--max_new_tokens", "4", "--num_variants", "1"]
    assert generate("a.jsonl", "b.jsonl", *limit, "--cache_dir", "one") == 0
    argv = ["generate", "a.jsonl", "c.jsonl", "--model", "model", *OPTIONS, *limit, "--cache_dir", "two"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*launch, "-m", "augment", *argv], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("c.jsonl: 540 rows") == 1
    assert Path("b.jsonl").read_bytes() == Path("c.jsonl").read_bytes()
    (one,), (two,) = Path("one").iterdir(), Path("two").iterdir()
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())
    assert len([*two.glob("part-*")]) == 3
