"""The benchmark of unlabelled text: which examples have a label, and what is kept of its runs."""

from collections import Counter

import pandas as pd
import pytest
from conftest import SENTENCES

from benchmarks import unlabelled


def test_each_class_has_so_many_labels_and_all_others_are_unlabelled():
    labels = [0, 1, 2] * 10
    labelled, others = unlabelled.drawn(labels, 3, 100, seed=1)
    assert Counter(labels[i] for i in labelled) == {0: 3, 1: 3, 2: 3}
    assert sorted([*labelled, *others]) == list(range(30))
    assert unlabelled.drawn(labels, 3, 5, seed=1) == (labelled, others[:5])
    assert unlabelled.drawn(labels, 3, 100, seed=2)[0] != labelled


@pytest.mark.integration
def test_it_goes_from_files_to_a_table_and_makes_no_run_twice(model_dir, synonyms, tmp_path, capsys, monkeypatch):
    for task, column in (("sst2", "sentence"), ("trec", "text")):
        (tmp_path / "data" / task).mkdir(parents=True)
        for split in ("train", "test"):
            rows = pd.DataFrame({column: SENTENCES, "label": [i % 3 for i in range(9)]})
            rows.to_parquet(tmp_path / "data" / task / f"{split}-0.parquet")
    argv = ["--model", model_dir, "--data", tmp_path / "data", "--tasks", "sst2,trec", "--labels_per_class", "1"]
    argv += ["--seeds", 1, 2, "--max_steps", 1, "--work_dir", tmp_path / "work", "--augmenter", "punctuate"]
    argv = [str(option) for option in argv]
    assert unlabelled.main(argv) == 0
    first = capsys.readouterr().out
    rows = [line.split(" | ")[:3] for line in first.splitlines()[2:]]
    assert rows == [[f"| {task}", "1", method] for task in ("sst2", "trec") for method in unlabelled.METHODS]
    monkeypatch.setattr(unlabelled, "run", lambda *args: pytest.fail("a run was made again"))
    assert unlabelled.main(argv) == 0 and capsys.readouterr().out == first
