"""The command trains with the soft labels of a trained classifier."""

import pytest
import torch
from conftest import results, reviews
from transformers import AutoModelForSequenceClassification

from hf_mmel.cli import model as cli_model
from hf_mmel.cli.run import UsageError


pytestmark = pytest.mark.integration  # whole runs of the command


@pytest.fixture
def train(run, files):
    def train(*options, out="out"):
        return run("--do_train", *files, "--augmenter", "wordnet", *options, out=out)

    return train


@pytest.fixture
def teacher(train, tmp_path):
    """The folder of a classifier that the command trained."""
    train("--mmel_loss", "none", "--max_steps", 6, "--learning_rate", 1e-2, out="teacher")
    return tmp_path / "teacher"


def test_a_classifier_of_an_earlier_run_is_the_teacher(train, teacher, tmp_path, monkeypatch):
    loaded, load = [], cli_model.AutoModelForSequenceClassification.from_pretrained
    monkeypatch.setattr(
        "hf_mmel.cli.run.load_teacher", lambda args: loaded.append(cli_model.load_teacher(args)) or loaded[-1]
    )
    options = ["--soft_labels", "teacher", "--teacher_model_name_or_path", teacher, "--lambda_t", 100]
    train(*options)
    train(*options, "--soft_label_temperature", 0.5, out="sharp")
    train("--lambda_t", 100, out="self")
    assert [model is None for model in loaded] == [False, False, True]
    stored = load(teacher).state_dict()
    assert all(torch.equal(weight, stored[name]) for name, weight in loaded[0].state_dict().items())
    losses = {results(tmp_path, "train", out)["train_loss"] for out in ("out", "sharp", "self")}
    assert len(losses) == 3
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config.num_labels == 2


def test_no_teacher_is_loaded_for_another_loss(train, teacher):
    options = ["--soft_labels", "teacher", "--teacher_model_name_or_path", teacher / "none"]
    train(*options, "--mmel_loss", "hard")
    with pytest.raises(UsageError, match=r"The teacher of '.*none' cannot be loaded"):
        train(*options, out="soft")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--soft_labels", "teacher"],
            "soft_labels is 'teacher' and teacher_model_name_or_path is None; expected a t",
        ),
        (
            ["--teacher_model_name_or_path", "@model"],
            "soft_labels is 'self' and .* expected --soft_labels teacher, or",
        ),
        (
            ["--soft_labels", "teacher", "--teacher_model_name_or_path", "@model"],
            "has no weights named classifier.bias, which would be random; expected a trained classifier",
        ),
    ],
)
def test_a_teacher_that_is_missing_or_not_trained_is_refused(train, model_dir, options, message):
    with pytest.raises(UsageError, match=message):
        train(*(str(model_dir) if option == "@model" else option for option in options))


def test_a_teacher_with_the_labels_in_another_order_is_refused(train, teacher, write):
    model = AutoModelForSequenceClassification.from_pretrained(teacher)
    model.config.id2label = dict(enumerate(["good", "bad"]))
    model.save_pretrained(teacher)
    options = ["--soft_labels", "teacher", "--teacher_model_name_or_path", teacher]
    with pytest.raises(UsageError, match="has the labels good, bad, the model bad, good; expected the same"):
        train(*options)
    other = write("other.csv", [{**row, "label": "xyz"[i % 3]} for i, row in enumerate(reviews())])
    with pytest.raises(UsageError, match="number of labels 2, the model 3"):
        train(*options, "--train_file", other, "--validation_file", other, out="three")


def test_a_dry_run_times_steps_with_the_teacher(train, teacher, capsys):
    train("--soft_labels", "teacher", "--teacher_model_name_or_path", teacher, "--dry_run")
    assert "steps of" in capsys.readouterr().out
