"""The score that a comparison goes by is known before anything runs."""

import pytest
from stand_in import plan_of

from hf_mmel.compare.plan import check


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


@pytest.mark.parametrize(
    ("task", "metric", "chosen"),
    [
        ("mrpc", None, "eval_combined_score"),
        ("stsb", "pearson", "eval_pearson"),
        ("mnli", None, "eval_accuracy"),
        ("mnli", "accuracy_mm", "eval_accuracy_mm"),
    ],
)
def test_the_score_is_known_before_anything_runs(model_dir, mirror, task, metric, chosen):
    options = [*mirror, "--task_name", task, "--model_name_or_path", model_dir, "--output_dir", "nowhere"]
    options += ["--methods", "none", "--use_cpu", *(["--metric", metric] if metric else [])]
    assert check(plan_of(*options))[0].metric == chosen


@pytest.mark.parametrize(
    ("options", "chosen", "lower"),
    [
        (["--load_best_model_at_end"], "eval_accuracy", False),
        (["--load_best_model_at_end", "--metric", "accuracy"], "eval_accuracy", False),
        (["--metric_for_best_model", "loss", "--metric", "accuracy"], "eval_accuracy", False),
        (["--metric_for_best_model", "accuracy", "--metric", "loss"], "eval_loss", True),
        (["--metric_for_best_model", "loss"], "eval_loss", True),
        (["--metric_for_best_model", "accuracy", "--greater_is_better", "false"], "eval_accuracy", True),
    ],
)
def test_what_the_best_checkpoint_is_chosen_by_does_not_turn_another_score(model_dir, files, options, chosen, lower):
    argv = [*files, "--model_name_or_path", model_dir, "--output_dir", "nowhere", "--methods", "none"]
    argv += ["--use_cpu", "--eval_strategy", "epoch", "--save_strategy", "epoch", *options]
    criterion, _ = check(plan_of(*argv))
    assert criterion[:2] == (chosen, lower)


def test_the_score_of_several_labels_is_known_too(model_dir, write):
    rows = [{"text": "the film was good .", "label": labels} for labels in (["a"], ["a", "b"], [])] * 3
    file = write("rows.json", rows)
    options = ["--train_file", file, "--validation_file", file, "--model_name_or_path", model_dir]
    options += ["--output_dir", "nowhere", "--methods", "none", "--use_cpu"]
    assert check(plan_of(*options))[0].metric == "eval_f1"
