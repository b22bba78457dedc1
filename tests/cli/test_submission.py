"""The submission to the GLUE leaderboard: its files, their names, and what stands in them."""

import re
import zipfile

import numpy as np
import pytest

from hf_mmel.cli.submission import FILES, FORMATS, add_to_submission, check_submission, written_predictions


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_the_files_are_those_of_the_leaderboard():
    expected = ["AX", "CoLA", "MNLI-m", "MNLI-mm", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B", "WNLI"]
    assert sorted(FILES) == [f"{name}.tsv" for name in expected]


@pytest.mark.parametrize(
    ("task", "names", "expected"),
    [
        ("cola", ["unacceptable", "acceptable"], "01"),
        ("cola", ["acceptable", "unacceptable"], "10"),
        ("sst2", ["POSITIVE", "NEGATIVE"], "10"),
        ("mrpc", ["equivalent", "not_equivalent"], "10"),
        ("qqp", ["not_duplicate", "duplicate"], "01"),
        ("wnli", ["entailment", "not_entailment"], "10"),
        ("rte", ["NOT_ENTAILMENT", "ENTAILMENT"], ["not_entailment", "entailment"]),
        ("qnli", ["entailment", "not_entailment"], ["entailment", "not_entailment"]),
        ("mnli", ["contradiction", "neutral", "entailment"], ["contradiction", "neutral"]),
    ],
)
def test_classes_are_those_of_glue_whatever_the_order_of_the_outputs(task, names, expected):
    assert written_predictions(task, np.array([0, 1]), names) == list(expected)


def test_similarities_stay_within_their_scale():
    scores = np.array([-0.3, 2.34567, 5.2], dtype=np.float32)
    assert written_predictions("stsb", scores, None) == ["0.000", "2.346", "5.000"]


def test_tasks_join_in_one_zip(tmp_path):
    path = tmp_path / "new" / "submission.zip"
    missing = add_to_submission(path, "rte", [np.array([0, 1])], ["entailment", "not_entailment"])
    assert set(missing) == set(FILES) - {"RTE.tsv"}
    add_to_submission(path, "stsb", [np.array([1.0])], None)
    missing = add_to_submission(path, "rte", [np.array([1])], ["entailment", "not_entailment"])
    assert set(missing) == set(FILES) - {"RTE.tsv", "STS-B.tsv"}
    assert contents(path) == {
        "RTE.tsv": "index\tprediction\n0\tnot_entailment\n",
        "STS-B.tsv": "index\tprediction\n0\t1.000\n",
    }
    for task in FORMATS:
        names = list(FORMATS[task].classes) or None
        missing = add_to_submission(path, task, [np.array([0])] * len(FORMATS[task].files), names)
    assert missing == [] and set(contents(path)) == set(FILES)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("task", "names"),
    [("rte", ["LABEL_0", "LABEL_1"]), ("cola", None), ("stsb", ["a", "b"]), ("mnli", ["entailment"])],
)
def test_outputs_of_another_task_are_refused(tmp_path, task, names):
    with pytest.raises(ValueError, match=f"a submission for {task} needs"):
        check_submission(tmp_path / "submission.zip", task, names)


def test_a_file_that_is_no_zip_is_not_overwritten(tmp_path):
    path = tmp_path / "submission.zip"
    path.write_text("mine")
    with pytest.raises(ValueError, match="is not a zip file"):
        check_submission(path, "stsb", None)


@pytest.mark.parametrize("place", range(0, 130, 10))
def test_a_damaged_zip_is_refused_before_any_work(tmp_path, place):
    path = tmp_path / "submission.zip"
    add_to_submission(path, "stsb", [np.arange(5.0)], None)
    check_submission(path, "stsb", None)
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(content)
    try:
        check_submission(path, "stsb", None)
    except ValueError as refusal:
        assert re.search(r"submission\.zip is (damaged|not a zip)", str(refusal))
    else:  # bytes that are not read, such as times
        add_to_submission(path, "rte", [np.zeros(2, int)], ["entailment", "not_entailment"])
