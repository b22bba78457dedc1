"""The parts of a folder: the same rows as one file has, whoever writes them and in whatever order."""

import pickle
import random
from uuid import uuid4

import pyarrow
import pytest
from augmenters import RANDOM_MODEL, make_masked_lm
from datasets import ClassLabel, Dataset, Features, Value, load_dataset
from files import write_rows
from part_jobs import LEXICON, ROWS, as_config, make_job, parts_of, rows_of, write_all
from pyarrow import parquet

from augment import MaskedLMSubstitution
from augment.__main__ import main
from augment.core.tables import Table
from augment.parts import job as job_module


MARKS = {"class": "RandomPunctuation", "places": "end", "marks": [",", "!"]}
IN_TURN = {"class": "InTurn", "augmenters": [LEXICON, MARKS]}
SPLITS = {".csv": 1, ".jsonl": 1, ".parquet": 3}  # into files


@pytest.fixture(autouse=True)
def chunks(monkeypatch):
    """Parts of four rows are made in chunks of three."""
    monkeypatch.setattr(job_module, "CHUNK", 3)


@pytest.fixture
def masked_lm(tokenizer, tmp_path):
    """The configuration of an augmenter with a tiny masked LM."""
    make_masked_lm(tokenizer).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    options = {**RANDOM_MODEL, "top_m": 4, "keep_inflection": False, "replace_prob": 0.3}
    return {"class": "MaskedLMSubstitution", "model": str(tmp_path / "model"), **options}


def one_file(tmp_path, source, config, *options) -> list[dict]:
    """The rows that `write` writes into one file."""
    augmenter = as_config(tmp_path / "augmenter.json", config)
    out = str(tmp_path / "one.parquet")
    assert main(["write", str(source), out, "--augmenter", augmenter, "--num_variants", "3", *options]) == 0
    return parquet.read_table(out).to_pylist()


@pytest.mark.parametrize("config", [LEXICON, IN_TURN], ids=["lexicon", "in_turn"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    "options",
    [{}, {"keep_original": True, "keep_copies": True, "seed": 7}, {"new_column": "variants"}],
    ids=["rows", "all_rows", "lists"],
)
def test_parts_have_the_rows_of_one_file(tmp_path, config, suffix, options):
    source = write_rows(tmp_path / f"a{suffix}", ROWS)
    job = make_job(source, tmp_path / "out", config, **options)
    numbers = job.missing()
    random.Random(0).shuffle(numbers)
    for number in numbers:
        pickle.loads(pickle.dumps(job)).write(number)  # each by a process of its own
    assert job.finish()["examples"] == len(ROWS)
    named = [f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items()]
    assert rows_of(tmp_path / "out") == one_file(tmp_path, source, config, *named)


def test_a_pair_has_lists_of_pairs(tmp_path):
    rows = [{"text": row["text"], "other": "a movie"} for row in ROWS]
    source = write_rows(tmp_path / "a.parquet", rows)
    write_all(make_job(source, tmp_path / "out", columns=("text", "other"), new_column="pairs"))
    options = ("--column2", "other", "--new_column", "pairs")
    assert rows_of(tmp_path / "out") == one_file(tmp_path, source, LEXICON, *options)
    assert all(len(pair) == 2 for row in rows_of(tmp_path / "out") for pair in row["pairs"])


def test_files_of_the_input_are_one_table(tmp_path):
    (tmp_path / "data").mkdir()
    for number, rows in enumerate([ROWS[:5], ROWS[5:6], ROWS[6:]]):
        write_rows(tmp_path / "data" / f"{number}.parquet", rows)
    write_all(make_job(tmp_path / "data", tmp_path / "out"))
    assert rows_of(tmp_path / "out") == one_file(tmp_path, write_rows(tmp_path / "a.parquet", ROWS), LEXICON)


def test_parts_of_a_masked_lm_are_equal_to_the_bit(tmp_path, masked_lm):
    source = write_rows(tmp_path / "a.jsonl", ROWS)
    first, second = make_job(source, tmp_path / "first", masked_lm), make_job(source, tmp_path / "second", masked_lm)
    write_all(first)
    for number in reversed(second.missing()):
        pickle.loads(pickle.dumps(second)).write(number)
    second.finish()
    assert parts_of(tmp_path / "first") == parts_of(tmp_path / "second")
    assert len({row["text"] for row in rows_of(tmp_path / "first")}) > len(ROWS)


def test_another_model_in_the_same_folder_is_refused(tmp_path, tokenizer, masked_lm):
    source = write_rows(tmp_path / "a.jsonl", ROWS)
    make_job(source, tmp_path / "out", masked_lm)
    make_job(source, tmp_path / "out", masked_lm)
    model = make_masked_lm(tokenizer)
    model.get_input_embeddings().weight.data[5] += 1
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="different settings: models"):
        make_job(source, tmp_path / "out", masked_lm)


@pytest.mark.parametrize("own", [None, "float32"])
def test_a_masked_lm_computes_in_the_fast_type_and_the_settings_do_not_say_so(tmp_path, masked_lm, monkeypatch, own):
    monkeypatch.setattr(job_module, "fast_dtype", lambda device: "bfloat16")
    types = set()
    propose = MaskedLMSubstitution._propose
    monkeypatch.setattr(
        MaskedLMSubstitution,
        "_propose",
        lambda self, batch, model: types.add(str(model.model.dtype)) or propose(self, batch, model),
    )
    config = {"class": "InTurn", "augmenters": [{**masked_lm, "dtype": own}, MARKS]}
    source = write_rows(tmp_path / "a.jsonl", ROWS[:4])
    job = write_all(make_job(source, tmp_path / "out", config))
    assert types == {f"torch.{own or 'bfloat16'}"}
    assert job.folder.settings["augmenter"]["augmenters"][0]["dtype"] == own
    make_job(source, tmp_path / "out", config)  # the same settings


def test_every_part_has_the_types_of_the_input(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b"]), "x": Value("int8")})
    rows = [{"text": row["text"], "label": i % 2, "x": None} for i, row in enumerate(ROWS)]
    Dataset.from_list(rows, features=features).to_parquet(tmp_path / "a.parquet")
    write_all(make_job(tmp_path / "a.parquet", tmp_path / "rows"))
    write_all(make_job(tmp_path / "a.parquet", tmp_path / "lists", new_column="variants"))
    for folder, column in (("rows", "label"), ("lists", "variants")):
        files = str(tmp_path / folder / "*.parquet")
        written = load_dataset("parquet", data_files=files, split="train", cache_dir=tmp_path / "cache")
        assert column in written.column_names and written.features["label"] == features["label"]
    schemas = [parquet.read_schema(path) for path in (tmp_path / "rows").glob("*.parquet")]
    assert all(schema.equals(schemas[0]) and schema.field("x").type == pyarrow.int8() for schema in schemas)


def test_values_that_only_some_parts_have_give_all_parts_one_type(tmp_path):
    rows = [{"text": "odd", "x": None}] * 5 + [{"text": "odd", "x": 1}] * 3 + [{"text": "odd", "x": 0.5}]
    write_all(make_job(write_rows(tmp_path / "a.jsonl", rows), tmp_path / "out", num_variants=1))
    types = {parquet.read_schema(path).field("x").type for path in (tmp_path / "out").glob("*.parquet")}
    assert types == {pyarrow.float64()}
    assert [row["x"] for row in rows_of(tmp_path / "out")] == [row["x"] for row in rows]


def test_a_part_in_which_no_text_has_a_variant_is_there(tmp_path):
    source = write_rows(tmp_path / "a.csv", [{"text": "nothing"}] * 4 + [{"text": "odd"}])
    write_all(make_job(source, tmp_path / "out"))
    assert [row["example"] for row in rows_of(tmp_path / "out")] == [4, 4]


def test_parts_in_a_store_are_those_on_disk(tmp_path):
    source = write_rows(tmp_path / "a.csv", ROWS)
    write_all(make_job(source, tmp_path / "out"))
    job = write_all(make_job(source, f"memory://{uuid4().hex}/out"))
    assert parts_of(tmp_path / "out") == parts_of(job.folder.path)
    assert make_job(source, str(job.folder.path)).missing() == []


def test_memory_is_that_of_a_chunk(tmp_path):
    job = make_job(write_rows(tmp_path / "a.csv", ROWS), tmp_path / "out", rows_per_part=27)
    done = []
    job.write(0, done.append)
    assert done == [3] * 9
    assert parquet.ParquetFile(tmp_path / "out" / "part-00000-of-00001.parquet").num_row_groups == 9


def test_pages_have_checksums(tmp_path):
    write_all(make_job(write_rows(tmp_path / "a.csv", ROWS), tmp_path / "out"))
    path = tmp_path / "out" / "part-00000-of-00007.parquet"
    column = parquet.read_metadata(path).row_group(0).column(0)
    last = column.dictionary_page_offset + column.total_compressed_size - 1  # byte of the column's values
    content = bytearray(path.read_bytes())
    content[last] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        parquet.read_table(path, page_checksum_verification=True)


@pytest.mark.parametrize(("name", "options"), [("example", {}), ("variant", {}), ("label", {"new_column": "label"})])
def test_columns_that_are_added_must_not_be_there(tmp_path, name, options):
    source = write_rows(tmp_path / "a.csv", [{"text": "a", name: "1"}])
    with pytest.raises(ValueError, match=f"a.csv has a column '{name}', which the output needs"):
        make_job(source, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_rows_are_those_of_the_table(tmp_path):
    source = write_rows(tmp_path / "a.csv", ROWS)
    write_all(make_job(source, tmp_path / "out", keep_original=True))
    originals = [row for row in rows_of(tmp_path / "out") if row["variant"] == 0]
    assert [{"text": row["text"], "label": row["label"]} for row in originals] == list(Table(source))
