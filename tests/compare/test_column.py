"""Comparisons on variants that the training data brings in a column."""

from functools import partial

import pytest
from conftest import reviews
from stand_in import plan_of as plan_with

from hf_mmel.cli.errors import UsageError
from hf_mmel.compare.options import read_augmenters
from hf_mmel.compare.plan import Run, Setting, check


@pytest.fixture
def plan_of(synonyms, model_dir, write, tmp_path):
    """The plan of a comparison on rows with one paraphrase each."""
    rows = [{**row, "paraphrases": [f"again {row['text']}"]} for row in reviews()]
    files = ["--train_file", write("train.jsonl", rows), "--validation_file", write("val.csv", reviews())]

    argv = ["--model_name_or_path", model_dir, *files, "--output_dir", tmp_path / "out"]
    return partial(plan_with, *argv, "--cache_dir", tmp_path / "cache")


COLUMN = ("--variants_column", "paraphrases", "--methods", "none,hard")


@pytest.mark.parametrize(
    ("options", "augmenters"),
    [
        (COLUMN, {"column": "none"}),
        ((*COLUMN, "--augmenters", "column,wordnet"), {"column": "none", "wordnet": "wordnet"}),
        (COLUMN[2:], {"synonyms": "synonyms"}),
    ],
)
def test_the_column_alone_is_an_augmenter_of_a_comparison(plan_of, options, augmenters):
    plan = plan_of(*options)
    assert plan.augmenters == augmenters
    assert [str(setting) for setting in plan.settings] == ["none", *(f"hard-{name}" for name in augmenters)]
    assert check(plan)[0].metric == "eval_accuracy"


def test_all_runs_read_the_column(plan_of):
    plan = plan_of(*COLUMN)
    for setting in (Setting("none"), Setting("hard", "column")):
        options = plan.options_of(Run(setting, 1))
        assert options[options.index("--variants_column") + 1] == "paraphrases"
    assert options[options.index("--augmenter") + 1] == "none"


def test_a_comparison_without_a_column_has_no_augmenter_of_this_name(plan_of):
    with pytest.raises(UsageError, match=r"augmenters has 'column'; expected .* or 'column' with --variants_col"):
        plan_of("--augmenters", "column")


def test_classes_of_one_module_are_named_after_the_class():
    paths = ["own.words:First", "own.words:Second", "typos.v2:Third"]
    assert read_augmenters(",".join(paths), None) == dict(zip(["First", "Second", "Third"], paths, strict=True))
