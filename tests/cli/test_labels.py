"""The labels of the user's files: text until something says otherwise, and the same whatever the format."""

import json
from decimal import Decimal

import numpy as np
import pandas
import pyarrow
import pytest
from conftest import reviews
from datasets import ClassLabel, Dataset, Features, Value
from pyarrow import parquet
from transformers import BertConfig

from hf_mmel.cli.arguments import ModelArguments
from hf_mmel.cli.data import find_text_columns, load_splits
from hf_mmel.cli.data_arguments import DataArguments
from hf_mmel.cli.errors import UsageError
from hf_mmel.cli.files import load_file
from hf_mmel.cli.labels import Labels, encode_labels, find_labels
from hf_mmel.cli.model import name_classes


@pytest.fixture
def write_labels(tmp_path):
    """Writes texts with these labels to a file of the format that its name asks for."""

    def write_labels(name, labels):
        path = tmp_path / name
        frame = pandas.DataFrame({"text": [f"film {i}" for i in range(len(labels))], "label": labels})
        if path.suffix == ".parquet":
            arrays = {"text": frame["text"].tolist(), "label": pyarrow.array(labels)}
            parquet.write_table(pyarrow.table(arrays), path)
        elif path.suffix in (".json", ".jsonl"):
            rows = [{"text": text, "label": label} for text, label in zip(frame["text"], labels, strict=True)]
            path.write_text(json.dumps(rows) if name.endswith(".json") else "\n".join(map(json.dumps, rows)))
        else:
            frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
        return str(path)

    return write_labels


@pytest.fixture
def read(tmp_path):
    """Reads files, and returns their labels and the encoded labels of each file."""

    def read(train, validation=None, names=None, **options):
        files = {"train_file": train, "validation_file": validation}
        data_args = DataArguments(**{k: v for k, v in files.items() if v is not None}, **options)
        splits = load_splits(data_args, list(data_args.files()), str(tmp_path / "cache"))
        config = BertConfig() if names is None else BertConfig(id2label=dict(enumerate(names)))
        labels = find_labels(splits, data_args, config)
        column = data_args.label_column_name
        return labels, [encode_labels(data, column, labels, data_args.where(split)) for split, data in splits.items()]

    return read


CODES = [
    *(["007", "042"], ["01", "1"], ["+1", "1"], ["1E2", "2E2"], ["0x1", "0x2"], ["1_0", "2_0"], [" 1", "1 "]),
    *(["12345678901234567890", "22345678901234567890"], ["12345678901234567", "12345678901234568"]),
    *(["2020-01-01", "2020-01-02"], ["NA", "null"], ["True", "no"], ["inf", "nan"], ["1.", "2."]),
]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("codes", CODES)
def test_a_label_column_is_text_until_something_says_otherwise(write_labels, read, codes, name):
    labels, (encoded,) = read(write_labels(name, [*codes, *codes]))
    assert labels.problem_type == "single_label_classification"
    assert sorted(labels.names) == sorted(codes)
    assert [labels.names[i] for i in encoded] == codes * 2


def test_a_folder_of_csv_files_has_text_as_labels(write_labels, tmp_path):
    (tmp_path / "data").mkdir()
    write_labels("data/train.csv", ["007", "1E2", "NA"])
    (tmp_path / "data" / "test.csv").write_text("text\nNA\n")
    data_args = DataArguments(dataset_name=str(tmp_path / "data"))
    splits = load_splits(data_args, ["train", "test"], str(tmp_path / "cache"))
    assert splits["train"]["label"][:] == ["007", "1E2", "NA"] and splits["test"]["text"][:] == ["NA"]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet"])
def test_floats_of_a_file_are_a_regression_and_whole_numbers_are_classes(write_labels, read, name):
    labels, encoded = read(write_labels(name, [0.5, 2.0, -1.5]))
    assert labels.problem_type == "regression" and encoded == [[0.5, 2.0, -1.5]]
    labels, encoded = read(write_labels("b" + name, [10, 9, -1, 9]))
    assert labels.names == ["-1", "9", "10"] and encoded == [[2, 1, 0, 1]]


@pytest.mark.parametrize("digits", [128, 256])
def test_decimals_of_parquet_are_numbers_if_they_have_a_fraction(read, tmp_path, digits):
    kind = {128: pyarrow.decimal128, 256: pyarrow.decimal256}[digits]

    def file(name, values, scale):
        label = pyarrow.array([Decimal(value) for value in values], kind(9, scale))
        parquet.write_table(pyarrow.table({"text": ["film"] * len(values), "label": label}), tmp_path / name)
        return str(tmp_path / name)

    labels, encoded = read(file("a.parquet", ["1.50", "2.00"], 2))
    assert labels.problem_type == "regression" and encoded == [[1.5, 2.0]]
    assert read(file("b.parquet", ["10", "9"], 0))[0].names == ["9", "10"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_text_is_a_regression_if_it_is_asked_for(write_labels, read, name):
    file = write_labels(name, ["1.5", "2", "1e-3"])
    assert read(file, do_regression=True)[1] == [[1.5, 2.0, 0.001]]
    with pytest.raises(ValueError, match=r"has the label '1_0' in row 0 .*expected a finite number"):
        read(write_labels(f"b{name}", ["1_0", "2_0"]), do_regression=True)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    "decimals", [["0.5", "1.5"], ["1", "2", "2.5"], ["1,5", "2,0"], ["1.5%", "2%"], ["3.5/5", "4/5"], ["1,150", "2"]]
)
def test_decimals_in_text_are_neither_classes_nor_numbers_without_a_word(write_labels, read, name, decimals):
    file = write_labels(name, decimals * 2)
    with pytest.raises(ValueError, match=f"{name}: column 'label' holds .*--do_regression.*--no_do_regression if"):
        read(file)
    assert sorted(read(file, do_regression=False)[0].names) == sorted(decimals)
    assert sorted(read(file, names=decimals)[0].names) == sorted(decimals)  # the classes of the checkpoint


def test_decimals_with_a_comma_are_refused_for_a_regression(write_labels, read):
    with pytest.raises(ValueError, match=r"the label '1,5' in row 0 .* number, with a decimal point"):
        read(write_labels("a.csv", ["1,5", "2,0"]), do_regression=True)


FORMATS = ["a.csv", "a.tsv", "a.json", "a.parquet"]


@pytest.mark.parametrize("validation", FORMATS)
@pytest.mark.parametrize("train", FORMATS)
@pytest.mark.parametrize("values", [["10", "9", "9"], [10, 9, 9], [True, False, True], ["007", "07", "7"]])
def test_training_and_validation_files_agree_whatever_their_formats(write_labels, read, train, validation, values):
    labels, (trained, evaluated) = read(write_labels(train, values), write_labels(f"val{validation}", values))
    assert trained == evaluated
    assert [labels.names[i] for i in evaluated] == [str(value) for value in values]


@pytest.mark.parametrize("validation", [[2.0, 1.0], [2, 1], ["2", "1"], np.array([2, 1], np.float32)])
@pytest.mark.parametrize("train", [[1, 2], ["1", "2"]])
def test_whole_numbers_are_one_class_as_integers_and_as_floats(write_labels, read, train, validation):
    val = write_labels("val.parquet", validation)
    assert read(write_labels("a.parquet", train), val)[1] == [[0, 1], [1, 0]]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_as_classes_have_the_names_that_are_read(write_labels, read, kind):
    file = write_labels("a.parquet", np.array([0.1, 0.5], kind))
    assert read(file, write_labels("val.csv", ["0.5", "0.1"]), do_regression=False)[1] == [[0, 1], [1, 0]]


@pytest.mark.parametrize("classes_train", [True, False])
def test_class_labels_agree_with_names(write_labels, read, tmp_path, classes_train):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])})
    rows = [{"text": "film", "label": label} for label in (0, 1, 1)]
    Dataset.from_list(rows, features=features).to_parquet(tmp_path / "a.parquet")
    files = [str(tmp_path / "a.parquet"), write_labels("b.csv", ["pos", "neg", "neg"])]
    labels, (trained, evaluated) = read(*(files if classes_train else files[::-1]))
    assert labels.names == (["pos", "neg"] if classes_train else ["neg", "pos"])
    assert trained == evaluated and [labels.names[i] for i in trained] == ["pos", "neg", "neg"]


@pytest.mark.parametrize("label", [0, "0"])
def test_an_id_is_no_name_of_a_class(write_labels, read, tmp_path, label):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])})
    Dataset.from_list([{"text": "film", "label": 0}] * 2, features=features).to_parquet(tmp_path / "a.parquet")
    classes, ids = str(tmp_path / "a.parquet"), write_labels("b.jsonl", [label, label])
    with pytest.raises(ValueError, match=r"has the label '0' in row 0 .*expected one of pos, neg"):
        read(classes, ids)
    with pytest.raises(ValueError, match=r"has the label 'pos' in row 0 .*expected one of 0, 1"):
        read(write_labels("c.jsonl", [0, 1]), classes)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10", "9", "100"], ["9", "10", "100"]),
        (["-1", "1", "0", "-10"], ["-10", "-1", "0", "1"]),
        (["b", "B", "a", "10", "9"], ["10", "9", "B", "a", "b"]),
    ],
)
def test_classes_that_are_numbers_are_sorted_by_their_value(write_labels, read, values, expected):
    assert read(write_labels("a.csv", values))[0].names == expected


def test_a_missing_number_is_no_class(write_labels, read):
    file = write_labels("a.parquet", [1.0, float("nan"), 2.0])
    with pytest.raises(ValueError, match="has no label in row 1"):
        read(file, do_regression=False)


def test_columns_of_numbers_are_not_guessed_to_be_text(tmp_path):
    (tmp_path / "a.csv").write_text("id,score,review,label\n7,0.5,a film,x\n8,,bad,y\n")
    data_args = DataArguments(train_file=str(tmp_path / "a.csv"))
    splits = load_splits(data_args, ["train"], str(tmp_path / "cache"))
    assert find_text_columns(splits, data_args) == ("review",)


def test_a_file_that_has_changed_is_read_again(write_labels, read):
    assert read(write_labels("a.csv", ["x", "y"]))[0].names == ["x", "y"]
    assert read(write_labels("a.csv", ["x", "z"]))[0].names == ["x", "z"]


def test_values_of_several_types_beside_texts_and_labels_are_read(tmp_path, read):
    metas, ids = [None, {"a": 1}, ["b"], 2**70, "c", 1.5, {}, {"b": []}], ["x", *range(7)]
    rows = [{**row, "meta": metas[i], "id": ids[i]} for i, row in enumerate(reviews(num_examples=8))]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read(str(tmp_path / "a.jsonl"))[0].names == ["bad", "good"]


def test_text_beside_values_of_other_types_stays_text(tmp_path):
    values = ["007", "1E2", "null", "[", 7, None, {"a": "01"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": "film", "meta": value}) for value in values))
    assert load_file(str(tmp_path / "a.jsonl"), str(tmp_path / "cache"))["meta"][:] == values


PROBABILITIES = [[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("names", [["sad", "glad", "mad"], ["sad", "glad"], ["a", "b", "c", "d"], None])
def test_probabilities_are_of_the_classes_of_a_checkpoint_of_their_size(write_labels, read, names):
    labels = read(write_labels("a.jsonl", PROBABILITIES), names=names)[0]
    fits = names is not None and len(names) == 3
    assert labels.names == (names if fits else ["LABEL_0", "LABEL_1", "LABEL_2"])


def test_validation_may_have_the_classes_that_training_has_the_probabilities_of(write_labels, read):
    files = write_labels("a.jsonl", PROBABILITIES), write_labels("b.jsonl", ["mad", "sad"])
    assert read(*files, names=["sad", "glad", "mad"])[1] == [PROBABILITIES, [2, 0]]
    with pytest.raises(ValueError, match=r"b.jsonl.* the label 'mad' in row 0 .*expected one of LABEL_0, LABEL_1"):
        read(*files)
    with pytest.raises(ValueError, match=r"a.jsonl.* holds List.*; expected one label in each row"):
        read(files[1], files[0])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Neg", "POS"], ["neg", "pos"]),
        (["POS", "Neg"], ["pos", "neg"]),
        (["pos", "neg", "mixed"], ["neg", "pos"]),
        (["pos", "Pos", "neg"], ["neg", "pos"]),
        (["pos", "negative"], ["neg", "pos"]),
    ],
)
def test_a_checkpoint_of_the_same_classes_keeps_its_order(write_labels, read, names, expected):
    assert read(write_labels("a.csv", ["pos", "neg", "neg"]), names=names)[0].names == expected


def test_classes_that_differ_in_case_alone_are_not_those_of_a_checkpoint(write_labels, read):
    assert read(write_labels("a.csv", ["pos", "POS"]), names=["pos", "neg"])[0].names == ["POS", "pos"]
    assert read(write_labels("a.csv", ["pos", "POS"]), names=["Pos", "pos"])[0].names == ["POS", "pos"]
    assert read(write_labels("b.csv", ["pos", "neg"]), names=["pos", "Pos"])[0].names == ["neg", "pos"]


def test_a_classifier_of_another_size_is_refused_unless_it_may_be_replaced():
    labels = Labels("single_label_classification", ["a", "b", "c"], ["a", "b", "c"])
    for architecture, ignored in (("BertForSequenceClassification", True), ("BertForMaskedLM", False), (None, False)):
        config = BertConfig(architectures=[architecture] if architecture else None, num_labels=2)
        name_classes(config, labels, ModelArguments("x", ignore_mismatched_sizes=ignored))
        assert (config.num_labels, config.problem_type) == (3, labels.problem_type)
        assert config.id2label == {0: "a", 1: "b", 2: "c"} and config.label2id == {"a": 0, "b": 1, "c": 2}
    config = BertConfig(architectures=["BertForSequenceClassification"], num_labels=2)
    with pytest.raises(UsageError, match="x has a classifier of 2 outputs, the data needs 3; pass --ignore_"):
        name_classes(config, labels, ModelArguments("x"))
