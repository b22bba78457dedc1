"""`python -m augment filter`: a file of variants without those that lose their label."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from classifiers import make_classifier, make_constant, save_classifier
from conftest import SENTENCES, WORDS
from datasets import ClassLabel, Dataset, Features, List, Value, load_dataset
from files import write_rows

from augment import LabelFilter, LexiconSubstitution
from augment.__main__ import main
from augment.core.tables import Table


ROOT = Path(__file__).parents[3]
LABELS = [("bad", "good")[i % 2] for i in range(len(SENTENCES))]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, tokenizer):
    """The commands run in a folder with a classifier `model`, lists of variants and variants in rows of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("augment.cli.output.CHUNK", 4)
    save_classifier(make_classifier(tokenizer, "bad", "good"), tokenizer, tmp_path / "model")
    groups = LexiconSubstitution(tokenizer, WORDS).augment_text(SENTENCES, 4, seed=0)
    rows = zip(SENTENCES, groups, LABELS, strict=True)
    write_rows(Path("lists.jsonl"), [{"text": text, "paraphrases": new, "label": label} for text, new, label in rows])
    write_rows(
        Path("a.jsonl"), [{"text": text, "label": label} for text, label in zip(SENTENCES, LABELS, strict=True)]
    )
    Path("augmenter").write_text(json.dumps({"class": "LexiconSubstitution", "words": WORDS}))
    assert main(["write", "a.jsonl", "rows.jsonl", "--augmenter", "augmenter", "--keep_original"]) == 0


def filtered(source: str, out: str, *options: str) -> list[dict]:
    column = "variant" if source.startswith("rows") else "paraphrases"
    assert main(["filter", source, out, "--model", "model", "--variants_column", column, *options]) == 0
    return list(Table(out))


def expected(*, labelled: bool = True, least: float = 0.5) -> list[dict]:
    label_filter = LabelFilter("model", min_label_probability=least)
    return label_filter.filter(list(Table("lists.jsonl")), label_column="label" if labelled else None)


@pytest.mark.parametrize(("options", "least"), [((), 0.5), (("--min_label_probability", "0.2"), 0.2)])
def test_lists_have_the_variants_that_keep_their_label(capsys, options, least):
    rows = expected(least=least)
    capsys.readouterr()
    assert filtered("lists.jsonl", "b.jsonl", *options) == rows != list(Table("lists.jsonl"))
    before, after = (sum(len(row["paraphrases"]) for row in part) for part in (Table("lists.jsonl"), rows))
    assert capsys.readouterr().out.splitlines()[0] == f"b.jsonl: {after} of {before} variants keep their label."


def test_lists_without_labels_go_by_the_class_of_the_original():
    assert filtered("lists.jsonl", "b.jsonl", "--no_labels") == expected(labelled=False) != expected()


@pytest.mark.parametrize("options", [(), ("--no_labels",)])
def test_rows_of_variants_are_kept_by_the_same_rule_and_originals_always(options, capsys):
    capsys.readouterr()
    found = filtered("rows.jsonl", "b.jsonl", *options)
    first = capsys.readouterr().out.splitlines()[0]
    every, label_filter = list(Table("rows.jsonl")), LabelFilter("model")
    texts, classes = [row["text"] for row in every], label_filter.classifier.class_ids([row["label"] for row in every])
    originals = [SENTENCES[row["example"]] for row in every]
    scores = label_filter.scores(originals, texts, None if options else classes)
    assert found == [row for row, p in zip(every, scores, strict=True) if p >= 0.5 or row["variant"] == 0]
    assert [row["text"] for row in found if row["variant"] == 0] == SENTENCES
    assert len(SENTENCES) < len(found) < len(every)
    before, after = (len(rows) - len(SENTENCES) for rows in (every, found))
    assert first == f"b.jsonl: {after} of {before} variants keep their label."


def test_rows_without_originals_are_kept_by_their_label():
    rows = [row for row in Table("rows.jsonl") if row["variant"]]
    with_originals = filtered("rows.jsonl", "b.jsonl")
    write_rows(Path("rows_alone.jsonl"), rows)
    assert filtered("rows_alone.jsonl", "c.jsonl") == [row for row in with_originals if row["variant"]]


def test_both_texts_of_a_pair_are_read(tokenizer):
    pairs = [{"text": a, "other": b, "label": "good"} for a, b in zip(SENTENCES, SENTENCES[::-1], strict=True)]
    write_rows(Path("rows.jsonl"), [{**row, "example": i, "variant": 1} for i, row in enumerate(pairs)])
    p = LabelFilter("model").classifier.probabilities([(row["text"], row["other"]) for row in pairs])[:, 1]
    found = filtered("rows.jsonl", "b.jsonl", "--column2", "other")
    assert [row["example"] for row in found] == [i for i, good in enumerate(p >= 0.5) if good]
    assert 0 < len(found) < len(pairs)


@pytest.mark.parametrize("name", ["lists", "rows"])
def test_a_classifier_that_agrees_changes_nothing_and_one_that_never_does_leaves_no_variant(tokenizer, name, capsys):
    for names, num in ((("bad", "good"), None), (("fine", "bad", "good"), 0)):
        save_classifier(make_constant(tokenizer, *names), tokenizer, Path("model"))
        rows = [{**row, "label": "bad"} for row in Table(f"{name}.jsonl")]
        write_rows(Path(f"{name}_bad.jsonl"), rows)
        capsys.readouterr()
        found = filtered(f"{name}_bad.jsonl", "b.jsonl")
        lines = capsys.readouterr().out.splitlines()
        if num is None:
            assert Path("b.jsonl").read_bytes() == Path(f"{name}_bad.jsonl").read_bytes() and len(lines) == 1
        else:
            assert ": 0 of " in lines[0] and lines[1].startswith("The classifier gives only 0 of 9 originals")
            assert all(row.get("variant", 0) == 0 and not row.get("paraphrases") for row in found)
            assert len(found) == len(SENTENCES)


@pytest.mark.parametrize("out", ["b.csv", "b.parquet"])
@pytest.mark.parametrize("source", ["lists", "rows"])
def test_every_format_is_filtered_alike(source, out):
    whole = filtered(f"{source}.jsonl", "whole.jsonl")
    rows = list(Table(f"{source}.jsonl"))
    if out == "b.csv" and source == "lists":
        rows = [{**row, "paraphrases": json.dumps(row["paraphrases"])} for row in rows]
        whole = [{**row, "paraphrases": json.dumps(row["paraphrases"])} for row in whole]
    write_rows(Path(source).with_suffix(Path(out).suffix), rows)
    found = filtered(f"{source}{Path(out).suffix}", out)
    assert found == [{k: str(v) if out == "b.csv" else v for k, v in row.items()} for row in whole]


def test_parquet_keeps_types_and_classes_go_by_their_names():
    features = Features({"text": Value("string"), "paraphrases": List(Value("string"))})
    features["label"] = ClassLabel(names=["good", "bad"])  # in another order than the classifier's
    Dataset.from_list(list(Table("lists.jsonl")), features=features).to_parquet("lists.parquet")
    found = filtered("lists.parquet", "b.parquet")
    assert [row["paraphrases"] for row in found] == [row["paraphrases"] for row in expected()]
    written = load_dataset("parquet", data_files="b.parquet", split="train", cache_dir="data")
    assert written.features == features


def test_labels_of_other_names_are_named():
    rows = [{**row, "label": ["bad", "good"].index(row["label"])} for row in Table("lists.jsonl")]
    write_rows(Path("lists_ids.jsonl"), rows)
    found = filtered("lists_ids.jsonl", "b.jsonl", "--label_names", "0=bad, 1=good")
    assert [row["paraphrases"] for row in found] == [row["paraphrases"] for row in expected()]


@pytest.mark.parametrize("name", ["lists", "rows"])
def test_an_interrupted_filter_resumes_where_it_stopped(name, monkeypatch, capsys):
    whole = filtered(f"{name}.jsonl", "whole.jsonl", "--no_labels")
    scores, calls = LabelFilter.scores, []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return scores(self, *args)

    monkeypatch.setattr(LabelFilter, "scores", interrupted)
    argv = ["filter", f"{name}.jsonl", "b.jsonl", "--model", "model", "--no_labels", "--variants_column"]
    argv.append("variant" if name == "rows" else "paraphrases")
    assert main(argv) == 130
    assert capsys.readouterr().err.endswith("interrupted; run the same command again to resume\n")
    assert main([*argv, "--min_label_probability", "0.6"]) == 1
    assert "different settings: min_label_probability" in capsys.readouterr().err
    num_parts = -(-len(list(Table(f"{name}.jsonl"))) // 4)
    assert main(argv) == 0 and list(Table("b.jsonl")) == whole
    assert len(calls) == 1 + num_parts


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("lists.jsonl b.txt", "b.txt ends in '.txt'; expected one of .csv, .jsonl, .parquet"),
        ("lists.jsonl lists.jsonl", "lists.jsonl is also the input file"),
        ("lists.jsonl b.jsonl --column sentence", "lists.jsonl has no column 'sentence'"),
        ("lists.jsonl b.jsonl --column2 text", "The columns of texts, variants and labels are 'text', 'text', "),
        ("a.jsonl b.jsonl", "a.jsonl has no column 'paraphrases'; its columns are 'text', 'label'."),
        ("lists.jsonl b.jsonl --label_column y", "'label'. If there are no labels, give --no_labels."),
        ("lists.jsonl b.jsonl --model ./absent", "absent"),
        ("lists.jsonl b.jsonl --model masked_lm", "The model masked_lm has no weights for "),
        ("lists.jsonl b.jsonl --min_label_probability 0", "min_label_probability is 0.0; expected a number in (0, 1]"),
        ("lists.jsonl b.jsonl --label_names bad", "label_names has 'bad'; expected label=NAME"),
        (
            "lists.jsonl b.jsonl --label_names bad=no",
            "label_names has 'no'; the classifier model has the classes 'bad'",
        ),
        (
            "odd.jsonl b.jsonl",
            "The label of row 8 (from 0) is 'odd'; the classifier model has the classes 'bad', 'good'",
        ),
        ("numbers.jsonl b.jsonl", "Row 3 (from 0): the column 'paraphrases' is 3; expected a list of texts"),
        ("alone.jsonl b.jsonl --no_labels", "alone.jsonl: row 1 (from 0) is a variant of example 7, and the original"),
    ],
)
def test_error_is_one_line_that_says_what_is_wrong(argv, message, capsys, masked_lm_dir):
    Path("masked_lm").symlink_to(masked_lm_dir)
    rows = list(Table("lists.jsonl"))
    write_rows(Path("odd.jsonl"), [*rows[:8], {**rows[8], "label": "odd"}])
    write_rows(Path("numbers.jsonl"), [*rows[:3], {**rows[3], "paraphrases": 3}])
    alone = [{"text": "a film", "example": example, "paraphrases": number} for example, number in ((6, 0), (7, 1))]
    write_rows(Path("alone.jsonl"), alone)
    capsys.readouterr()
    assert main(["filter", "--model", "model", "--variants_column", "paraphrases", *argv.split()]) == 1
    captured = capsys.readouterr()
    line = captured.err.splitlines()[-1]  # after the progress of loading a model
    assert captured.out == "" and line.startswith("error: ") and message in line
    assert not Path("b.jsonl").exists() and not Path("b.jsonl.parts").exists()


@pytest.mark.integration
def test_of_two_processes_one_writes_what_one_process_writes(monkeypatch):
    monkeypatch.setattr("augment.cli.output.CHUNK", 1000)
    filtered("rows.jsonl", "b.jsonl")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "augment"]
    argv = ["filter", "rows.jsonl", "c.jsonl", "--model", "model", "--variants_column", "variant"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*launch, *argv], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("variants keep their label") == 1
    assert Path("b.jsonl").read_bytes() == Path("c.jsonl").read_bytes()
