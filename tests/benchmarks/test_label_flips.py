"""The benchmark of flipped labels: what it counts, and on which examples."""

import numpy as np
import pytest
from datasets import Dataset

from benchmarks import label_flips


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


def logits(classes):
    """Of predictions of two classes, each as sure as the number before its point."""
    classes = np.array(classes, dtype=float)
    return np.stack([-classes, classes], axis=-1).astype(np.float32)


def test_flips_are_counted_where_the_judge_is_right_on_the_original():
    labels = np.array([1, 1, 0])
    # Of three examples, the original and three variants; the judge errs on the third original.
    judged = logits([[2, -1, 3, -1], [1, 1, 1, 1], [1, -1, -1, -1]])
    novice = logits([[5, 4, 3, -9], [5, 4, 3, 2], [0, 0, 0, 0]])
    is_new = np.array([[True, True, False], [True, True, True], [True, True, True]])
    found = label_flips.count(judged, novice, labels, is_new)
    assert found.per_example == pytest.approx(8 / 3)
    assert found.all == pytest.approx(1 / 5)  # the copy, though flipped, does not count
    assert found.hardest == 0.0  # the hardest that is no copy is the second, and not flipped
    novice[0, 1] = logits(-9)
    assert label_flips.count(judged, novice, labels, is_new).hardest == 0.5


def test_nothing_is_in_two_parts():
    data = Dataset.from_dict({"i": range(20)})
    parts = label_flips.parts_of(data, 8, 5, 7)
    assert [len(part) for part in parts] == [8, 5, 7]
    assert sorted(i for part in parts for i in part["i"]) == list(range(20))
    with pytest.raises(SystemExit, match="20 examples; expected 21 at least"):
        label_flips.parts_of(data, 20, 1)


def test_it_goes_from_a_task_to_a_table(mirror, masked_lm_dir, synonyms, tmp_path, capsys):
    sizes = ["--num_judge", 3, "--num_novice", 2, "--num_examples", 3, "--num_variants", 2]
    argv = ["--model", masked_lm_dir, "--data", mirror[1], "--task", "rte", "--work_dir", tmp_path / "work", *sizes]
    argv += ["--augmenters", "wordnet", "mlm", "--cache_dir", tmp_path / "cache", "--num_steps", 2]
    assert label_flips.main([str(option) for option in argv]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| augmenter", "| wordnet", "| mlm"]
