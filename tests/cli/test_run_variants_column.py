"""The command on variants that the training data brings in a column, or in rows of their own."""

import json
import shutil
from functools import partial

import pandas as pd
import pytest
from conftest import results

import augment.__main__
from augment.core.tables import Table
from hf_mmel import VariantCollator
from hf_mmel.cli import run as cli
from hf_mmel.cli.run import UsageError


pytestmark = pytest.mark.integration  # whole runs of the command


TEXTS = ["the film was awful", "the film was good", "an odd film"]
PARAPHRASES = [["the movie was bad", "it was awful"], ["a good movie"], []]
ROWS = [
    {"text": text, "paraphrases": own, "label": "bad" if i % 2 else "good"}
    for i, (text, own) in enumerate(zip(TEXTS, PARAPHRASES, strict=True))
]
REVIEWS = [{"text": text, "label": i % 2} for i, text in enumerate(["the film was awful", "good film", "a bad film"])]
COLUMN = ["--variants_column", "paraphrases"]


@pytest.fixture
def groups(synonyms, model_dir, tmp_path):
    """The texts of the groups that a command trains on, in the order of the data."""

    def groups(*options):
        argv = ["--model_name_or_path", model_dir, "--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache"]
        argv += ["--do_train", "--use_cpu", "--report_to", "none", "--num_variants", 3, *options]
        prepared = cli.prepare(cli.parse_arguments([str(option) for option in argv]))
        data = prepared.encoded["train"]
        decode = partial(prepared.tokenizer.decode, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if prepared.augmenter is None:
            assert set(data.column_names) == {"input_ids", "attention_mask", "label"}
            return [[decode(row["input_ids"])] for row in data]
        batch = VariantCollator(prepared.tokenizer, prepared.augmenter, 3)(data.to_list())
        return [
            [decode(ids[k]) for k, is_present in enumerate(mask) if is_present]
            for ids, mask in zip(batch["input_ids"], batch["variant_mask"].tolist(), strict=True)
        ]

    return groups


def as_groups(texts, variants):
    return [[text, *own] for text, own in zip(texts, variants, strict=True)]


def in_json(rows):
    return [{**row, "paraphrases": json.dumps(row["paraphrases"])} for row in rows]


@pytest.mark.parametrize("name", ["train.jsonl", "train.json", "train.parquet", "train.csv"])
def test_lists_of_texts_in_files_of_all_kinds_are_the_variants(groups, write, tmp_path, name):
    if name == "train.parquet":
        pd.DataFrame(ROWS).to_parquet(tmp_path / name)
    else:
        write(name, in_json(ROWS) if name == "train.csv" else ROWS)
    assert groups("--train_file", tmp_path / name, *COLUMN) == as_groups(TEXTS, PARAPHRASES)


def test_rows_of_a_csv_may_have_a_single_text(groups, write):
    rows = [{"review": row["text"], "again": "a movie", "label": row["label"]} for row in ROWS]
    file = write("train.csv", [*rows, {"review": "it was good", "again": "", "label": "good"}])
    texts = [*TEXTS, "it was good"]
    assert groups("--train_file", file, "--variants_column", "again") == as_groups(texts, [["a movie"]] * 3 + [[]])


def test_an_augmenter_that_is_asked_for_fills_the_groups(groups, write):
    found = groups("--train_file", write("train.jsonl", ROWS), *COLUMN, "--augmenter", "wordnet")
    assert [group[: 1 + len(own)] for group, own in zip(found, PARAPHRASES, strict=True)] == as_groups(
        TEXTS, PARAPHRASES
    )
    assert [len(set(group)) for group in found] == [4, 4, 2] and found[2] == ["an odd film", "an odd movie"]


def test_pairs_and_their_joined_texts_take_entries_of_both(groups, write):
    rows = [
        {"a": "a film", "b": "it was good", "label": "x", "more": [["a movie", "it was fine"]]},
        {"a": "a film", "b": "it was bad", "label": "y", "more": [["a movie", None], ["a film", "awful"]]},
    ]
    options = ["--train_file", write("train.jsonl", rows), "--variants_column", "more", "--text_column_names", "a,b"]
    pairs = [
        ["a film it was good", "a movie it was fine"],
        ["a film it was bad", "a movie it was bad", "a film awful"],
    ]
    assert groups(*options) == groups(*options, "--text_column_delimiter", " ") == pairs


def test_samples_that_name_their_columns_are_read(groups, write):
    """As the files of Glitter have them."""
    samples = [{"guid": "aug-1", "text_a": "a movie", "text_b": "it was good"}]
    row = {"guid": "8", "text_a": "a film", "text_b": "it was good", "augmented_samples": samples}
    file = write("train.jsonl", [{**row, "label": "x"}, {**row, "label": "y", "augmented_samples": []}])
    options = ["--variants_column", "augmented_samples", "--text_column_names", "text_a,text_b"]
    first, second = groups("--train_file", file, *options)
    assert (first, second) == (["a film it was good", "a movie it was good"], first[:1])


# --- files of python -m augment write ----------------------------------------------------------


@pytest.fixture
def augmented(write, synonyms, tmp_path, monkeypatch):
    """A file that `python -m augment write` has written."""
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "lexicons"))

    def augmented(name, *options, rows=REVIEWS):
        source, out = write("source.csv", rows), tmp_path / name
        assert (
            augment.__main__.main(
                ["write", str(source), str(out), "--augmenter", "wordnet", "--replace_prob", "1", *options]
            )
            == 0
        )
        return out

    return augmented


@pytest.mark.parametrize("name", ["train.csv", "train.jsonl", "train.parquet"])
def test_what_augment_write_writes_is_read_without_conversion(groups, augmented, name):
    file = augmented(name, "--keep_original", "--num_variants", "2")
    found = groups("--train_file", file, "--variants_column", "variant")
    rows = list(Table(file))
    written = [[row["text"] for row in rows if int(row["example"]) == i] for i in range(3)]
    assert found == written and [group[0] for group in found] == [row["text"] for row in REVIEWS]
    assert all(len(group) > 1 for group in found)


def test_both_texts_of_a_pair_are_read(groups, augmented):
    rows = [{"sentence1": "a good film", "sentence2": "an awful film", "label": i} for i in range(2)]
    columns = ["--column", "sentence1", "--column2", "sentence2"]
    file = augmented("train.jsonl", *columns, "--keep_original", "--num_variants", "2", rows=rows)
    written = [f"{row['sentence1']} {row['sentence2']}" for row in pd.read_json(file, lines=True).to_dict("records")]
    found = groups("--train_file", file, "--variants_column", "variant")
    assert [text for group in found for text in group] == written


def test_training_without_variants_takes_the_originals_of_such_a_file(groups, augmented):
    file = augmented("train.csv", "--keep_original")
    found = groups("--train_file", file, "--variants_column", "variant", "--mmel_loss", "none")
    assert found == [[row["text"]] for row in REVIEWS]


def test_a_limit_of_the_samples_counts_examples(groups, augmented):
    file = augmented("train.csv", "--keep_original")
    options = ["--train_file", file, "--variants_column", "variant"]
    assert groups(*options, "--max_train_samples", 2) == groups(*options)[:2]


def test_a_file_without_originals_is_refused(groups, augmented):
    with pytest.raises(
        UsageError, match=r"a variant of example 0, whose original, number 0, is missing, in row 0 .*keep_orig"
    ):
        groups("--train_file", augmented("train.csv"), "--variants_column", "variant")


def test_a_second_original_is_refused(groups, write):
    rows = [{"text": "a film", "label": i, "example": 0, "variant": 0} for i in range(2)]
    with pytest.raises(UsageError, match="a second original of example 0, which row 0 has as well, in row 1"):
        groups("--train_file", write("train.jsonl", rows), "--variants_column", "variant")


# --- the whole command -------------------------------------------------------------------------


def test_a_run_is_repeated_by_its_configuration(run, write, tmp_path):
    file = write("train.jsonl", [*ROWS, *ROWS])
    losses = []
    for out, source in {"out": COLUMN, "again": ["--augmenter", tmp_path / "augmenter.json"]}.items():
        run("--train_file", file, "--do_train", *source, out=out)
        losses.append(results(tmp_path, "train", out)["train_loss"])
        shutil.copy(tmp_path / out / "augmenter.json", tmp_path / "augmenter.json")
    assert losses[0] == losses[1]
    config = json.loads((tmp_path / "augmenter.json").read_text())
    assert (config["class"], config["column"], config["text_columns"]) == (
        "VariantsFromColumn",
        "paraphrases",
        ["text"],
    )
    assert config["max_length"] == 64 and config["then"] is None


def test_variants_change_the_training(run, write, tmp_path):
    file = write("train.jsonl", ROWS)
    for out, options in {"with": COLUMN, "without": [*COLUMN, "--mmel_loss", "none"]}.items():
        run("--train_file", file, "--do_train", *options, out=out)
    assert results(tmp_path, "train", "with")["train_loss"] != results(tmp_path, "train", "without")["train_loss"]


def test_evaluation_alone_needs_no_variants(run, write):
    file = write("val.jsonl", [{"text": row["text"], "label": row["label"]} for row in ROWS])
    assert run("--validation_file", file, "--do_eval", *COLUMN)["eval_samples"] == 3


def test_a_dry_run_shows_the_variants(run, write, capsys):
    run("--train_file", write("train.jsonl", ROWS), "--do_train", "--dry_run", *COLUMN)
    shown = capsys.readouterr().out
    assert "33.3% of the training examples have no variant; the others have 1.50 different variants" in shown
    assert "was awful" in shown


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (ROWS, ["--variants_column", "gone"], "train.jsonl has no column 'gone'; .* --variants_column"),
        (
            ROWS,
            ["--variants_column", "text", "--text_column_names", "text"],
            "variants_column is 'text', which is a co",
        ),
        (
            [{**ROWS[0], "paraphrases": 1}] * 2,
            COLUMN,
            "column 'paraphrases' in row 0 .* is 1; expected a list of texts",
        ),
        (
            [ROWS[0], {**ROWS[1], "paraphrases": [1]}],
            COLUMN,
            "column 'paraphrases' in row 1 .* has 1 in its list; exp",
        ),
        (
            [{**ROWS[0], "paraphrases": "['a']"}] * 2,
            COLUMN,
            "in row 0 .* is \"\\['a'\\]\", which is not a list in JSON",
        ),
        ([{**ROWS[0], "paraphrases": []}] * 2, COLUMN, "column 'paraphrases' has no text in any row; expected lists"),
        (ROWS, ["--variants_column", "label"], "variants_column is 'label', which is a column of the text or of the"),
        (ROWS, [*COLUMN, "--greedy_search", "loss"], "greedy_search is 'loss', .* variants_column is 'paraphrases'"),
        (ROWS, [*COLUMN, "--augmenter", "thesaurus"], "The augmenter is 'thesaurus'; expected one of context"),
    ],
)
def test_faults_are_told_before_a_model_is_loaded(run, write, monkeypatch, rows, options, message):
    monkeypatch.setattr("hf_mmel.cli.run.load_model", None)  # is not reached
    with pytest.raises(UsageError, match=message):
        run("--train_file", write("train.jsonl", rows), "--do_train", *options)
