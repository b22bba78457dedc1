"""The command on data with weights of examples."""

import pytest
from command_outputs import log_of
from conftest import results, reviews

from hf_mmel.cli import run as cli
from hf_mmel.cli.run import UsageError


pytestmark = pytest.mark.integration  # whole runs of the command


WEIGHTED = [{**row, "trust": 0.5 + i % 3} for i, row in enumerate(reviews())]
WEIGHT = ["--weight_column", "trust"]


@pytest.fixture
def encoded(synonyms, model_dir, tmp_path):
    """The training set that a command trains on."""

    def encoded(*options):
        argv = ["--model_name_or_path", model_dir, "--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache"]
        argv += ["--do_train", "--use_cpu", "--report_to", "none", *options]
        return cli.prepare(cli.parse_arguments([str(option) for option in argv])).encoded["train"]

    return encoded


@pytest.mark.parametrize("name", ["train.csv", "train.json", "train.jsonl"])
def test_the_column_is_read_from_files_of_all_kinds_as_numbers(encoded, write, name):
    options = ["--train_file", write(name, WEIGHTED), *WEIGHT]
    assert encoded(*options)["trust"] == [row["trust"] for row in WEIGHTED]
    few = encoded(*options, "--shuffle_train_dataset", "--max_train_samples", 5)
    found = {tuple(row["input_ids"]): row["trust"] for row in encoded(*options)}
    assert len(few) == 5 and all(row["trust"] in {0.5, 1.5, 2.5} for row in few) and found


def test_a_column_that_is_named_weight_is_used_only_if_it_is_asked_for(encoded, write):
    file = write("train.json", [{**row, "weight": 2} for row in reviews()])
    assert "weight" not in encoded("--train_file", file).column_names
    assert set(encoded("--train_file", file, "--weight_column", "weight")["weight"]) == {2}


def test_a_run_trains_with_them_and_evaluates_without(run, write, tmp_path):
    train, test = write("train.csv", WEIGHTED), write("val.csv", reviews())
    common = ["--train_file", train, "--validation_file", test, "--do_train", "--do_eval", "--logging_steps", 1]
    for out, options in {"plain": [], "weights": WEIGHT, "none": [*WEIGHT, "--mmel_loss", "none"]}.items():
        run(*common, *options, out=out)
    plain, *weighted = (
        [entry.get("loss") for entry in log_of(tmp_path / out)] for out in ("plain", "weights", "none")
    )
    assert plain not in weighted
    assert results(tmp_path, "eval", "weights")["eval_loss"] == pytest.approx(
        results(tmp_path, "eval", "plain")["eval_loss"], rel=0.05
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            -1,
            r"column 'trust' has the weight .*-1.* in row 3 \(the first is 0\); expected a finite number >= 0\.",
        ),
        ("high", r"column 'trust' has the weight 'high' in row 3"),
        ("nan", r"column 'trust' has the weight 'nan' in row 3"),
        ("", r"column 'trust' has no weight in row 3"),
    ],
)
def test_bad_weights_are_refused_before_the_model_is_loaded(run, write, monkeypatch, bad, message):
    monkeypatch.setattr("hf_mmel.cli.run.load_model", None)
    rows = [dict(row) for row in WEIGHTED]
    rows[3]["trust"] = bad
    with pytest.raises(UsageError, match=rf"train\.csv: {message}"):
        run("--train_file", write("train.csv", rows), "--do_train", *WEIGHT)


def test_a_missing_column_and_that_of_the_labels_are_refused(run, write):
    file = write("train.csv", reviews())
    with pytest.raises(UsageError, match=r"has no column 'trust'; its columns are .*with --weight_column"):
        run("--train_file", file, "--do_train", *WEIGHT)
    numbered = write("numbered.csv", [{"text": row["text"], "class": i % 2} for i, row in enumerate(reviews())])
    options = ["--do_train", "--label_column_name", "class", "--weight_column", "class"]
    with pytest.raises(UsageError, match="weight_column is 'class', which is a column of the labels"):
        run("--train_file", numbered, *options)


def test_a_separation_of_what_has_no_classes_is_refused_before_the_model_is_loaded(run, write, monkeypatch):
    monkeypatch.setattr("hf_mmel.cli.run.load_model", None)
    file = write("train.json", [{"text": row["text"], "label": i / 4} for i, row in enumerate(reviews())])
    with pytest.raises(UsageError, match=r"feature_separation is 0\.5, but the problem type is 'regression'"):
        run("--train_file", file, "--do_train", "--feature_separation", "0.5")
