"""Datasets by name, in a folder or on the Hub: values are those of their files, as with files of one's own."""

import gzip
import json

import pandas
import pytest
import yaml
from datasets import ClassLabel, Dataset, Features, Value, load_dataset
from hub_server import Repository
from transformers import BertConfig

from hf_mmel.cli.data import load_splits
from hf_mmel.cli.data_arguments import DataArguments
from hf_mmel.cli.labels import encode_labels, find_labels


CODES = [
    *(["007", "042"], ["01", "1"], ["1E2", "2E2"], ["12345678901234567", "12345678901234568"]),
    *(["2020-01-01", "2020-01-02"], ["NA", "null"], ["True", "no"], ["10", "9"]),
]
NAMES = ["train.csv", "train.tsv", "train.json", "train.jsonl"]


def table(name, labels):
    """The content of a file of the format that its name asks for."""
    rows = [{"text": f"film {i}", "label": label} for i, label in enumerate(labels)]
    if name.endswith(".json"):
        return json.dumps(rows).encode()
    if name.endswith(".jsonl"):
        return "\n".join(map(json.dumps, rows)).encode()
    return pandas.DataFrame(rows).to_csv(index=False, sep="\t" if name.endswith(".tsv") else ",").encode()


def readme(**values):
    return f"---\n{yaml.safe_dump(values)}---\n".encode()


def go_offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)


@pytest.fixture
def on_the_hub(hub, tmp_path, monkeypatch):
    """Publishes files as a dataset of the Hub, and returns its name."""
    monkeypatch.setattr("datasets.config.HF_ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "downloads"))

    def publish(files):
        hub.repositories["datasets/me/data"] = Repository(False, {"main": files})
        return "me/data"

    return publish


@pytest.fixture
def in_a_folder(tmp_path):
    """Writes files to a folder, and returns its path."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return str(tmp_path / "data")

    return write


@pytest.fixture(params=["folder", "Hub"])
def publish(request):
    return request.getfixturevalue("in_a_folder" if request.param == "folder" else "on_the_hub")


@pytest.fixture
def load(tmp_path):
    """Loads splits of a dataset by name."""

    def load(name, *splits, **options):
        return load_splits(DataArguments(dataset_name=name, **options), list(splits), str(tmp_path / "cache"))

    return load


def encoded(splits, **options):
    """The labels of splits, and those of each of their rows by the names of the classes."""
    data_args = DataArguments(dataset_name="data", **options)
    labels = find_labels(splits, data_args, BertConfig())
    rows = {name: encode_labels(split, "label", labels, name) for name, split in splits.items()}
    return labels, {name: [labels.names[i] for i in ids] for name, ids in rows.items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("codes", CODES)
def test_a_label_column_is_text_until_something_says_otherwise(in_a_folder, load, name, codes):
    labels, rows = encoded(load(in_a_folder({name: table(name, codes)}), "train"))
    assert labels.problem_type == "single_label_classification"
    assert sorted(labels.names) == sorted(codes) and rows == {"train": codes}


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_the_hub_are_those_of_its_files(on_the_hub, load, name):
    codes = ["007", "01", "1", "1E2", "2020-01-01", "NA", "null", ""]
    assert load(on_the_hub({name: table(name, codes)}), "train")["train"]["label"][:] == codes


def test_dates_that_datasets_guesses_in_compressed_json_are_refused(in_a_folder, load):
    folder = in_a_folder({"train.jsonl.gz": gzip.compress(table("train.jsonl", ["2020-01-01", "2020-01-02"]))})
    with pytest.raises(ValueError, match=r"column 'label' holds dates .* reads as timestamps; unpack the files"):
        load(folder, "train")
    folder = in_a_folder({"train.jsonl.gz": gzip.compress(table("train.jsonl", ["007", "042"]))})
    assert load(folder, "train")["train"]["label"][:] == ["007", "042"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl"])
def test_training_validation_and_test_agree_and_numbers_are_sorted_by_their_value(publish, load, suffix):
    codes = {"train": ["10", "9", "100"], "validation": ["9", "100"], "test": ["100", "9"]}
    files = {f"data/{split}{suffix}": table(suffix, labels) for split, labels in codes.items()}
    splits = load(publish(files), *codes)
    labels, rows = encoded(splits)
    assert labels.names == ["9", "10", "100"] and rows == codes
    assert {name: str(split.split) for name, split in splits.items()} == {name: name for name in codes}


@pytest.mark.parametrize("labels", [[0.5, 2.0], [1, 2]])
def test_numbers_of_a_json_file_are_numbers(publish, load, labels):
    loaded = load(publish({"train.jsonl": table(".jsonl", labels)}), "train")["train"]
    assert loaded["label"][:] == labels
    assert loaded.features["label"] == Value("float64" if labels[0] == 0.5 else "int64")


def test_text_is_a_regression_if_it_is_asked_for(publish, load):
    splits = load(publish({"train.csv": table(".csv", ["1.5", "2"])}), "train", do_regression=True)
    labels = find_labels(splits, data_args := DataArguments(dataset_name="data", do_regression=True), BertConfig())
    assert encode_labels(splits["train"], data_args.label_column_name, labels, "train") == [1.5, 2.0]


@pytest.mark.parametrize("name", ["train.csv", "train.jsonl"])
def test_types_that_a_dataset_declares_hold(publish, load, name):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])})
    info = {"features": features._to_yaml_list()}
    files = {name: table(name, ["pos", "neg", "neg"]), "README.md": readme(dataset_info=info)}
    loaded = load(publish(files), "train")["train"]
    assert loaded.features == features and loaded["label"][:] == [0, 1, 1]


@pytest.mark.parametrize(
    ("kind", "reason"), [(ClassLabel(names=["pos"]), "class label neg"), (Value("int8"), "'neg'")]
)
def test_values_of_other_types_than_declared_are_refused(in_a_folder, load, kind, reason):
    info = {"features": Features({"label": kind})._to_yaml_list()}
    folder = in_a_folder({"train.csv": table(".csv", ["neg"]), "README.md": readme(dataset_info=info)})
    message = rf"^{folder}/train.csv does not have the types .* declares, {{'label': .*{reason}.* Correct the values"
    with pytest.raises(ValueError, match=message):
        load(folder, "train")


@pytest.mark.parametrize("name", ["train.csv", "train.jsonl"])
def test_a_declared_text_stays_as_it_is_written(publish, load, name):
    features = Features({"text": Value("string"), "label": Value("string"), "score": Value("float32")})
    codes = ["007", "2020-01-01", "NA"]
    frame = pandas.DataFrame({"text": ["film"] * 3, "label": codes, "score": [0.5, None, 2]})
    content = frame.to_csv(index=False) if name.endswith(".csv") else frame.to_json(orient="records", lines=True)
    files = {name: content.encode(), "README.md": readme(dataset_info={"features": features._to_yaml_list()})}
    loaded = load(publish(files), "train")["train"]
    assert loaded.features == features
    assert loaded["label"][:] == codes and loaded["score"][:] == [0.5, None, 2.0]


def test_class_labels_of_parquet_files_hold(in_a_folder, load, tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])})
    data = Dataset.from_list([{"text": "film", "label": i} for i in (0, 1, 1)], features=features)
    data.to_parquet(tmp_path / "train.parquet")
    folder = in_a_folder({"train.parquet": (tmp_path / "train.parquet").read_bytes()})
    assert encoded(load(folder, "train"))[1] == {"train": ["pos", "neg", "neg"]}


@pytest.mark.parametrize("name", ["train.csv", "train.jsonl"])
def test_an_earlier_result_of_datasets_has_no_say(publish, load, tmp_path, name):
    codes = ["2020-01-01", "2021-01-01"] if name.endswith(".jsonl") else ["007", "01"]
    data = publish({name: table(name, codes)})
    assert load_dataset(data, cache_dir=str(tmp_path / "cache"))["train"]["label"][:] != codes
    assert load(data, "train")["train"]["label"][:] == codes


def test_types_that_the_viewer_of_the_hub_guessed_have_no_say(on_the_hub, load, monkeypatch):
    guessed = Features({"text": Value("string"), "label": Value("int64")})
    exported = {"default": {"features": guessed.to_dict(), "config_name": "default"}}
    viewer = "datasets.utils._dataset_viewer.get_exported_dataset_infos"
    monkeypatch.setattr(viewer, lambda **_: exported)
    assert load(on_the_hub({"train.csv": table(".csv", ["007", "01"])}), "train")["train"]["label"][:] == ["007", "01"]


def test_options_for_reading_that_a_dataset_declares_hold(publish, load):
    config = {"config_name": "default", "data_files": [{"split": "train", "path": "a.csv"}], "sep": ";"}
    files = {"a.csv": b"text;label\nfilm, good;007\nfilm;NA\n", "README.md": readme(configs=[config])}
    loaded = load(publish(files), "train")["train"]
    assert loaded["text"][:] == ["film, good", "film"] and loaded["label"][:] == ["007", "NA"]


def test_a_header_and_a_field_that_a_dataset_declares_hold(in_a_folder, load):
    config = {"config_name": "default", "data_files": [{"split": "train", "path": "a.json"}], "field": "data"}
    folder = in_a_folder(
        {"a.json": b'{"data": [{"text": "a film", "label": "x"}]}', "README.md": readme(configs=[config])}
    )
    assert load(folder, "train")["train"]["label"][:] == ["x"]
    config = {**config, "data_files": [{"split": "train", "path": "a.csv"}], "names": ["text", "label"]}
    folder = in_a_folder({"a.csv": b"a film,007\n", "README.md": readme(configs=[config])})
    assert load(folder, "train")["train"]["label"][:] == ["007"]


def test_data_files_that_a_dataset_declares_hold(publish, load):
    data_files = [{"split": "train", "path": "parts/*.jsonl"}, {"split": "dev", "path": "more.jsonl"}]
    files = {
        "parts/1.jsonl": table(".jsonl", [1, 2]),
        "parts/2.jsonl": table(".jsonl", ["007"]),
        "more.jsonl": table(".jsonl", ["x"]),
        "README.md": readme(configs=[{"config_name": "first", "data_files": data_files}]),
    }
    splits = load(publish(files), "train", "validation", validation_split_name="dev")
    assert splits["train"]["label"][:] == [1, 2, "007"] and splits["validation"]["label"][:] == ["x"]


def test_files_of_one_split_need_the_same_columns(in_a_folder, load):
    folder = in_a_folder({"train/1.csv": b"text,label\na film,x\n", "train/2.csv": b"text,class\na film,x\n"})
    message = r"data/train/2.csv has the columns 'text', 'class', but .*/1.csv has 'text', 'label'"
    with pytest.raises(ValueError, match=message):
        load(folder, "train")


def test_a_split_that_is_not_asked_for_is_not_read(in_a_folder, load):
    folder = in_a_folder({"train.csv": table(".csv", ["x", "y"]), "test.csv": b"text,label\na,b,c\n"})
    assert len(load(folder, "train")["train"]) == 2
    with pytest.raises(ValueError, match=r"data/test.csv cannot be read: row 0 \(from 0\) has 3 cells"):
        load(folder, "test")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_was_downloaded_is_read_without_a_network(on_the_hub, load, monkeypatch, caplog, suffix):
    codes = ["007", "2020-01-01"]
    name = on_the_hub({f"{split}{suffix}": table(suffix, codes) for split in ("train", "test")})
    load(name, "train")
    go_offline(monkeypatch)
    assert load(name, "test")["test"]["label"][:] == codes
    assert "The Hub cannot be reached; reading the copy of me/data in" in caplog.text


def test_a_guess_of_datasets_is_no_copy(on_the_hub, load, tmp_path, monkeypatch):
    name = on_the_hub({"train.csv": table(".csv", ["007", "01"])})
    load_dataset(name, cache_dir=str(tmp_path / "cache"))
    go_offline(monkeypatch)
    assert load(name, "train")["train"]["label"][:] == ["007", "01"]


def test_a_result_of_datasets_with_types_of_its_own_is_read_without_a_network(on_the_hub, load, tmp_path, monkeypatch):
    Dataset.from_list([{"text": "film", "label": 1}]).to_parquet(tmp_path / "train.parquet")
    name = on_the_hub({"train.parquet": (tmp_path / "train.parquet").read_bytes()})
    load(name, "train")
    go_offline(monkeypatch)
    monkeypatch.delattr("hf_mmel.cli.named_data.snapshot_download")  # is not asked
    assert load(name, "train")["train"]["label"][:] == [1]
