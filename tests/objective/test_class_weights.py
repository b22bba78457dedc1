"""Weights of classes: those asked for, and those that balance the labels of a training set."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SENTENCES
from datasets import Dataset
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from task_heads import TASK_HEADS
from torch.utils.data import IterableDataset
from transformers import BertConfig

from hf_mmel.objective.class_weights import class_weights_of


def asked(value="balanced"):
    return SimpleNamespace(class_weights=value)


def texts(labels, name="label") -> list[dict]:
    return [{"input_ids": [2, 5, 3], name: label} for label in labels]


def words(labels: list[list[int]]) -> list[dict]:
    return [{"input_ids": [2, *range(5, 5 + len(row)), 3], "labels": [-100, *row, -100]} for row in labels]


KINDS = {
    "list": lambda rows: rows,
    "dataset": Dataset.from_list,
    "torch": lambda rows: Dataset.from_list(rows).with_format("torch"),
    "numpy": lambda rows: Dataset.from_list(rows).with_format("numpy"),
    "tensors": lambda rows: [{name: torch.tensor(value) for name, value in row.items()} for row in rows],
    "arrays": lambda rows: [{name: np.array(value) for name, value in row.items()} for row in rows],
    "tuples": lambda rows: [{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows],
    "map_style": lambda rows: MapStyle(rows),
}


class MapStyle(torch.utils.data.Dataset):
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        return self.rows[number]


class Stream(IterableDataset):
    """A stream that knows its length."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)

    def __len__(self):
        return len(self.rows)


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_balanced_weights_are_those_of_scikit_learn(labels):
    weights = class_weights_of(asked(), texts(labels), BertConfig(num_labels=4))
    present = np.unique(labels)
    expected = np.zeros(4)
    expected[present] = compute_class_weight("balanced", classes=present, y=labels)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    # Each class has the same share, and the mean factor is 1.
    shares = [weights[c] * labels.count(c) for c in present]
    assert np.allclose(shares, shares[0]) and np.isclose(weights[labels].mean(), 1)


@given(labels=st.lists(st.lists(st.integers(0, 2) | st.just(-100), max_size=6), min_size=1, max_size=6))
def test_balanced_weights_of_words_count_every_labelled_word(labels):
    flat = [label for row in labels for label in row if label != -100]
    assume(flat)
    weights = class_weights_of(asked(), words(labels), BertConfig(num_labels=3))
    assert weights.equal(class_weights_of(asked(), texts(flat), BertConfig(num_labels=3)))
    present = np.unique(flat)
    np.testing.assert_allclose(weights[present], compute_class_weight("balanced", classes=present, y=flat), rtol=1e-6)


LABELS = st.lists(st.integers(0, 3), min_size=1, max_size=30)


@given(labels=LABELS, beta=st.floats(0.001, 0.999))
def test_effective_weights_are_those_of_the_effective_number_of_examples(labels, beta):
    """E_c = 1 + β + ... + β^(n_c - 1), term by term."""
    weights = class_weights_of(asked(f"effective:{beta:.6f}"), texts(labels), BertConfig(num_labels=4))
    present = sorted(set(labels))
    inverse = {c: 1 / sum(round(beta, 6) ** k for k in range(labels.count(c))) for c in present}
    scale = len(labels) / sum(inverse[c] for c in labels)
    expected = [inverse[c] * scale if c in present else 0.0 for c in range(4)]
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    assert weights.dtype == torch.float32 and np.isclose(weights[labels].mean(), 1)


@given(labels=LABELS)
def test_effective_weights_are_uniform_for_beta_0_and_balanced_for_beta_1(labels):
    config = BertConfig(num_labels=4)
    uniform, balanced, near = (
        class_weights_of(asked(rule), texts(labels), config)
        for rule in ("effective:0", "balanced", "effective:0.999999999999")
    )
    assert (uniform[labels] == 1).all() and (uniform[[c not in labels for c in range(4)]] == 0).all()
    np.testing.assert_allclose(near, balanced, rtol=1e-6)


def test_the_beta_of_effective_weights_is_0_999_unless_it_is_given():
    weights = [
        class_weights_of(asked(rule), texts([0] * 300 + [1] * 30), BertConfig(num_labels=2))
        for rule in ("effective", "effective:0.999", "effective:0.9")
    ]
    assert weights[0].equal(weights[1]) and not weights[0].equal(weights[2])
    # Less unequal than the inverse frequencies, 1 to 10.
    assert 1 < weights[2][1] / weights[2][0] < weights[0][1] / weights[0][0] < 10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "rows",
    [texts([0, 1, 1, 2, 1]), texts([0, 1, 1], "labels"), texts([2, 0, 2], "label_ids"), words([[0, 1], [1, 2, 1]])],
)
def test_every_kind_of_data_set_is_counted_alike(kind, rows):
    config = BertConfig(num_labels=3)
    expected = class_weights_of(asked(), rows, config)
    assert class_weights_of(asked(), KINDS[kind](rows), config).equal(expected)
    assert expected.dtype == torch.float32 and expected.shape == (3,)


def test_without_a_configuration_the_labels_say_how_many_classes_there_are():
    weights = class_weights_of(asked(), texts([0, 1, 1, 2]), None)
    torch.testing.assert_close(weights, torch.tensor([4 / 3, 2 / 3, 4 / 3]))


def test_numbers_are_taken_as_they_are_for_streams_too():
    for dataset in (texts([0, 1]), Stream(texts([0, 1])), iter(texts([0, 1])), None):
        assert class_weights_of(asked([0.5, 2.0]), dataset, BertConfig(num_labels=2)).tolist() == [0.5, 2.0]
        assert class_weights_of(asked(None), dataset, BertConfig(num_labels=2)) is None
    assert class_weights_of(SimpleNamespace(), texts([0]), None) is None  # stock arguments
    assert class_weights_of(asked([1.0, 2.0, 3.0]), texts([0]), None).tolist() == [1.0, 2.0, 3.0]


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["balanced", "effective"])
@pytest.mark.parametrize("dataset", [Stream(texts([0, 1])), iter(texts([0, 1]))], ids=["sized", "iterator"])
def test_labels_of_a_stream_are_not_counted(dataset, rule):
    with pytest.raises(ValueError, match=f"class_weights='{rule}'.* but that is a stream; give the weights"):
        class_weights_of(asked(rule), dataset, BertConfig(num_labels=2))


@pytest.mark.parametrize("numbers", [[1.0], [1.0, 2.0, 3.0]])
def test_as_many_weights_as_classes(numbers):
    with pytest.raises(ValueError, match=f"class_weights are {len(numbers)} numbers; expected 2"):
        class_weights_of(asked(numbers), texts([0, 1]), BertConfig(num_labels=2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["balanced", [1.0, 2.0]])
@pytest.mark.parametrize(
    ("rows", "config", "message"),
    [
        (texts([0.5, 1.5]), {}, "the labels are floats"),
        (texts([[0.0, 1.0]] * 2), {}, "the labels are floats"),
        (texts([0, 1]), {"problem_type": "regression"}, "the problem type is 'regression'"),
        (texts([0, 1]), {"num_labels": 1}, "the problem type is 'regression'"),
        (texts([[0, 1]] * 2), {"problem_type": "multi_label_classification"}, "the problem type is 'multi_label"),
        ([{"input_ids": [2, 3], "start_positions": 0, "end_positions": 0}], {}, "the labels are places of answers"),
        ([{"input_ids": [[2, 3], [2, 3]], "label": 0}], {}, "the labels are the numbers of choices"),
    ],
)
def test_what_has_no_classes_is_refused(kind, value, rows, config, message):
    with pytest.raises(ValueError, match=f"class_weights are given, but {message}.*Leave them out"):
        class_weights_of(asked(value), KINDS[kind](rows), BertConfig(**config))


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_needs_a_label_that_is_a_class(kind):
    config = BertConfig(num_labels=2)
    with pytest.raises(ValueError, match=r"Row 0 .* has no label; expected one named labels or label or label_ids"):
        class_weights_of(asked(), KINDS[kind]([{"input_ids": [2, 3]}] * 2), config)
    for bad in (-1, 2, -7):
        with pytest.raises(ValueError, match=f"label {bad}; .*expected 0 to 1"):
            class_weights_of(asked(), KINDS[kind](texts([0, 1, bad])), config)
    with pytest.raises(ValueError, match=r"label 5; .*expected 0 to 1"):
        class_weights_of(asked(), KINDS[kind](words([[0, 1], [1, 5]])), config)


def test_a_label_that_is_missing_is_named():
    rows = texts([0, None, 1])
    of_words = words([[0, 1], [1, None]])
    for dataset in (rows, Dataset.from_list(rows), of_words, Dataset.from_list(of_words)):
        with pytest.raises(ValueError, match="Row 1 of train_dataset has no label"):
            class_weights_of(asked(), dataset, BertConfig(num_labels=2))


def test_a_data_set_as_it_is_trained_on(tokenizer):
    for name in ("single_label", "tokens"):
        rows = TASK_HEADS[name].rows(tokenizer)
        weights = class_weights_of(asked(), Dataset.from_list(rows), BertConfig(num_labels=2))
        labels = [x for row in rows for x in np.atleast_1d(row.get("labels", row.get("label"))) if x != -100]
        assert len(labels) >= len(SENTENCES)
        np.testing.assert_allclose(
            weights, compute_class_weight("balanced", classes=np.arange(2), y=labels), rtol=1e-6
        )
