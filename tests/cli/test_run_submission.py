"""Submissions to the GLUE leaderboard by the command."""

import zipfile

import pytest
import yaml
from datasets import ClassLabel, Dataset, Features, Value
from transformers import AutoModelForSequenceClassification, BertConfig

from hf_mmel.cli.data_arguments import DataArguments
from hf_mmel.cli.run import UsageError
from hf_mmel.cli.submission import DIAGNOSTICS, load_diagnostics


pytestmark = pytest.mark.integration  # whole runs of the command


@pytest.fixture
def glue(mirror):
    """The local mirror of GLUE, with the diagnostics."""
    folder = mirror[1]
    classes = ClassLabel(names=["entailment", "neutral", "contradiction"])
    features = Features({"premise": Value("string"), "hypothesis": Value("string"), "label": classes})
    rows = {"premise": ["the film was good ."] * 5, "hypothesis": ["a movie"] * 5, "label": [-1] * 5}
    (folder / "ax").mkdir()
    Dataset.from_dict(rows, features=features).to_parquet(folder / "ax" / "test-00000-of-00001.parquet")
    configs = yaml.safe_load((folder / "README.md").read_text().strip("- \n"))["configs"]
    configs.append({"config_name": "ax", "data_files": [{"split": "test", "path": "ax/test-*"}]})
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n")
    return mirror


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode().splitlines() for name in archive.namelist()}


def test_a_submission_has_all_test_rows_in_their_order(run, mirror, tmp_path, capsys):
    run(*mirror, "--task_name", "rte", "--do_train", "--do_predict", "--glue_submission")
    files = contents(tmp_path / "out" / "submission.zip")
    assert files == {"RTE.tsv": (tmp_path / "out" / "predict_results_rte.txt").read_text().splitlines()}
    assert len(files["RTE.tsv"]) == 11
    assert f"{tmp_path / 'out' / 'submission.zip'}: not there yet: CoLA.tsv, " in capsys.readouterr().out


def test_models_of_mnli_predict_the_diagnostics_too(run, glue, tmp_path):
    run(*glue, "--task_name", "mnli", "--do_train", "--do_predict", "--glue_submission")
    sizes = {name: len(lines) - 1 for name, lines in contents(tmp_path / "out" / "submission.zip").items()}
    assert sizes == {"MNLI-m.tsv": 11, "MNLI-mm.tsv": 12, "AX.tsv": 5}


def test_the_diagnostics_do_not_need_the_splits_of_mnli_that_are_removed(glue, tmp_path):
    data_args = DataArguments(task_name="mnli", dataset_name=str(glue[1]), remove_splits="validation_mismatched")
    assert len(load_diagnostics(data_args, str(tmp_path / "cache"), None)[DIAGNOSTICS]) == 5


def test_without_the_diagnostics_a_warning_says_so(run, mirror, tmp_path, caplog):
    run(*mirror, "--task_name", "mnli", "--do_train", "--do_predict", "--glue_submission")
    assert contents(tmp_path / "out" / "submission.zip").keys() == {"MNLI-m.tsv", "MNLI-mm.tsv"}
    assert "The submission will have no AX.tsv" in caplog.text


def test_files_of_another_model_go_where_this_one_has_none(run, glue, tmp_path, capsys, monkeypatch):
    path = tmp_path / "glue.zip"
    options = ["--task_name", "mnli", "--do_train", "--do_predict", "--glue_submission", path]
    run(*glue, *options)
    assert "AX.tsv" in contents(path)
    monkeypatch.setattr("hf_mmel.cli.run.load_diagnostics", lambda *args: {})  # as from a mirror that lacks them
    run(*glue, *options, out="other")
    assert contents(path).keys() == {"MNLI-m.tsv", "MNLI-mm.tsv"}
    assert ", AX.tsv, " in capsys.readouterr().out


def test_tasks_in_folders_of_their_own_fill_one_zip(run, mirror, tmp_path):
    path = tmp_path / "all" / "glue.zip"
    for task in ("rte", "stsb"):
        run(*mirror, "--task_name", task, "--do_train", "--do_predict", "--glue_submission", path, out=task)
    assert contents(path).keys() == {"RTE.tsv", "STS-B.tsv"}


def test_a_saved_model_is_submitted_with_the_classes_of_its_outputs(run, mirror, model_dir, tmp_path):
    names = {"id2label": {0: "not_entailment", 1: "entailment"}, "label2id": {"not_entailment": 0, "entailment": 1}}
    model = AutoModelForSequenceClassification.from_pretrained(
        model_dir, config=BertConfig.from_pretrained(model_dir, **names)
    )
    model.classifier.bias.data[1] += 100
    model.save_pretrained(tmp_path / "model")
    options = ["--model_name_or_path", tmp_path / "model", "--tokenizer_name", model_dir, "--task_name", "rte"]
    run(*mirror, *options, "--do_predict", "--glue_submission")
    lines = contents(tmp_path / "out" / "submission.zip")["RTE.tsv"]
    assert lines[1:] == [f"{i}\tentailment" for i in range(10)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task_name", "rte", "--do_eval", "--glue_submission"], "pass --task_name and --do_predict"),
        (["--do_predict", "--glue_submission"], "pass --task_name and --do_predict"),
        (
            ["--task_name", "rte", "--do_predict", "--max_predict_samples", 3, "--glue_submission"],
            "leave out --max_predict_samples",
        ),
        (["--task_name", "rte", "--do_predict", "--glue_submission", "out.tsv"], "expected a name that ends in .zip"),
        (
            ["--task_name", "rte", "--do_predict", "--glue_submission"],
            "The model's outputs are LABEL_0, LABEL_1; .*rte",
        ),
        (["--task_name", "mrpc", "--do_train", "--do_predict", "--glue_submission"], "are no, yes; a submission"),
    ],
)
def test_what_cannot_be_submitted_is_refused(run, mirror, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        run(*mirror, *options)
    assert not (tmp_path / "out").exists()
