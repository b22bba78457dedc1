"""Variants to which a classifier that is given gives their label."""

import json
import logging

import numpy as np
import pytest
from classifiers import make_classifier, make_constant
from conftest import SENTENCES
from datasets import ClassLabel, Dataset
from generators import make_generator

from augment import Generated, LabelFilter, VariantsFromColumn


@pytest.fixture(scope="session")
def classifier(tokenizer):
    return make_classifier(tokenizer, "bad", "good")


@pytest.fixture(scope="session")
def rows(augmenter) -> list[dict]:
    """Texts with lists of variants."""
    groups = augmenter.augment_text(SENTENCES, 4, seed=0)
    labels = ["bad", "good", "bad"] * 3
    return [
        {"text": text, "paraphrases": group, "label": label}
        for text, group, label in zip(SENTENCES, groups, labels, strict=True)
    ]


def test_a_variant_is_kept_if_its_label_has_the_probability(tokenizer, classifier, rows):
    for least in (0.1, 0.5, 0.9):
        label_filter = LabelFilter(classifier, tokenizer, min_label_probability=least)
        kept = label_filter.filter(rows)
        assert [row["text"] for row in kept] == SENTENCES
        num_kept = 0
        for before, after in zip(rows, kept, strict=True):
            p = label_filter.classifier.probabilities(before["paraphrases"])[:, ["bad", "good"].index(before["label"])]
            assert after["paraphrases"] == [
                x for x, good in zip(before["paraphrases"], p >= least, strict=True) if good
            ]
            num_kept += len(after["paraphrases"])
        assert 0 < num_kept < 4 * len(rows)


def test_without_labels_the_class_of_the_original_decides(tokenizer, classifier, rows):
    label_filter = LabelFilter(classifier, tokenizer)
    unlabelled = [{name: row[name] for name in ("text", "paraphrases")} for row in rows]
    kept = label_filter.filter(unlabelled, label_column=None)
    own = label_filter.classifier.probabilities(SENTENCES).argmax(axis=1)
    labelled = [{**row, "label": ["bad", "good"][c]} for row, c in zip(rows, own, strict=True)]
    expected = [row["paraphrases"] for row in label_filter.filter(labelled)]
    assert [row["paraphrases"] for row in kept] == expected != [row["paraphrases"] for row in rows]


def test_a_classifier_that_agrees_changes_nothing_and_one_that_never_does_leaves_no_variant(tokenizer, rows):
    label_filter = LabelFilter(make_constant(tokenizer, "bad", "good"), tokenizer)
    forms = [["a film", " ", None], '["a film"]', "a film", None, [], {"text": "a film"}, ("a film",)]
    data = [{"text": "a movie", "paraphrases": value, "label": "bad"} for value in forms] + [
        {**row, "label": "bad"} for row in rows
    ]
    assert label_filter.filter(data) == data
    none = [row["paraphrases"] for row in label_filter.filter([{**row, "label": "good"} for row in data])]
    assert none == [[], "[]", "[]", None, [], [], []] + [[]] * len(rows)


def test_the_rest_of_a_list_keeps_its_form(tokenizer, classifier, rows):
    label_filter = LabelFilter(classifier, tokenizer)
    kept = label_filter.filter(rows)
    for form in (json.dumps, np.array, tuple, lambda texts: [{"text": text} for text in texts]):
        found = label_filter.filter([{**row, "paraphrases": form(row["paraphrases"])} for row in rows])
        for row, same in zip(found, kept, strict=True):
            value, expected = row["paraphrases"], form(same["paraphrases"])
            assert value == expected if isinstance(value, str) else list(value) == list(expected)


def test_texts_of_pairs_are_read_as_variants_from_a_column_are(tokenizer, classifier):
    label_filter = LabelFilter(classifier, tokenizer)
    a, b, c = SENTENCES[:3]
    filled = {a: (a, b), "first": (a, b), "pair": (c, a), "second": (c, b), "named": (c, a)}
    items = {"first": a, "pair": [None, a], "second": [c, b], "named": {"b": a}}
    p = label_filter.classifier.probabilities([filled[name] for name in items])[:, 1]
    row = {"a": c, "b": b, "label": "good", "variants": list(items.values())}
    (kept,) = label_filter.filter([row], "variants", ["a", "b"])
    assert kept["variants"] == [item for item, good in zip(items.values(), p >= 0.5, strict=True) if good]
    assert 0 < len(kept["variants"]) < 4


def test_a_dataset_keeps_its_columns_and_types(tokenizer, classifier, rows):
    label_filter = LabelFilter(classifier, tokenizer)
    dataset = Dataset.from_list(rows).cast_column("label", ClassLabel(names=["good", "bad"]))
    filtered = label_filter.filter(dataset)
    assert filtered.features == dataset.features and filtered.column_names == dataset.column_names
    assert list(filtered["label"]) == list(dataset["label"])
    assert list(filtered["paraphrases"]) == [row["paraphrases"] for row in label_filter.filter(rows)]
    kept = filtered.map(lambda row: tokenizer(row["text"]))
    VariantsFromColumn(tokenizer, "paraphrases").precompute(kept)


def test_rows_are_judged_alike_in_parts_and_at_once(tokenizer, classifier, rows, monkeypatch):
    label_filter = LabelFilter(classifier, tokenizer)
    whole = label_filter.filter(rows)
    monkeypatch.setattr("augment.label_filter._CHUNK", 2)
    assert label_filter.filter(rows) == whole


def test_scores_are_a_scorer_of_generated_texts(classifier, tokenizer, tmp_path):
    label_filter = LabelFilter(classifier, tokenizer)
    generator, own_tokenizer = make_generator("t5")
    options = {"tokenizer": own_tokenizer, "max_new_tokens": 16, "min_ratio": 0, "max_ratio": 9, "cache_dir": tmp_path}
    every = Generated(generator, **options).texts(SENTENCES, 4)
    some = Generated(generator, scorer=label_filter.scores, min_score=0.5, **options).texts(SENTENCES, 4)
    rows = [{"text": text, "new": group} for text, group in zip(SENTENCES, every, strict=True)]
    assert some == [row["new"] for row in label_filter.filter(rows, "new", label_column=None)] != every


def test_a_classifier_that_is_wrong_about_most_originals_is_reported(tokenizer, classifier, rows, caplog):
    label_filter = LabelFilter(make_constant(tokenizer, "bad", "good"), tokenizer)
    with caplog.at_level(logging.WARNING):
        label_filter.filter(rows)  # six of nine are bad
        unsure = LabelFilter(classifier, tokenizer, min_label_probability=0.95)
        unsure.filter(rows, label_column=None)  # there is no label that it could be wrong about
        assert not caplog.records
        label_filter.filter([{**row, "label": "good"} for row in rows[:5]] + rows[5:7])
    assert "gives only 2 of 7 originals their label" in caplog.text


def test_an_empty_dataset_stays_empty(tokenizer, classifier):
    assert LabelFilter(classifier, tokenizer).filter([]) == []


@pytest.mark.parametrize("value", [0, 1.1, -0.5, float("nan")])
def test_a_probability_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=r"min_label_probability is .*; expected a number in \(0, 1\]"):
        LabelFilter("model", min_label_probability=value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paraphrases": 3}, r"Row 1 \(from 0\): the column 'paraphrases' is 3; expected a list of texts"),
        ({"paraphrases": [3]}, r"Row 1 \(from 0\): the column 'paraphrases' has 3 in its list"),
        ({"text": None}, r"Row 1 \(from 0\): the column 'text' is None; expected a text"),
        ({"label": None}, r"The label of row 1 \(from 0\) is None"),
    ],
)
def test_a_faulty_row_is_refused_before_any_text_is_classified(tokenizer, classifier, rows, change, message):
    label_filter = LabelFilter(classifier, tokenizer)
    label_filter.scores = lambda *args: pytest.fail("too early")
    with pytest.raises(ValueError, match=message):
        label_filter.filter([rows[0], {**rows[1], **change}])


@pytest.mark.parametrize("name", ["paraphrases", "text", "label"])
def test_a_missing_column_is_named(tokenizer, classifier, rows, name):
    data = [{key: value for key, value in row.items() if key != name} for row in rows]
    for dataset in (data, Dataset.from_list(data)):
        with pytest.raises(ValueError, match=f"The dataset has no column '{name}'; its columns are "):
            LabelFilter(classifier, tokenizer).filter(dataset)


def test_a_stream_is_refused(tokenizer, classifier, rows):
    with pytest.raises(TypeError, match=r"dataset is a IterableDataset; expected a datasets.Dataset or a list"):
        LabelFilter(classifier, tokenizer).filter(Dataset.from_list(rows).to_iterable_dataset())
