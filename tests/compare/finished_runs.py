"""Rows of comparisons as finished runs leave them, and what is written of them."""

from dataclasses import replace

import numpy as np

from hf_mmel.compare.plan import Criterion, Run, Setting
from hf_mmel.compare.results import RunResult
from hf_mmel.compare.rows import Calibration, Row, WorstCase, summarize
from hf_mmel.compare.text import Document, conclusions, paired_tests, tables


NONE, HARD, SOFT = Setting("none"), Setting("hard", "wordnet"), Setting("soft", "wordnet")
ACCURACY = Criterion("eval_accuracy", False, has_one_class=True, data="films")
COMMAND = "hf-mmel compare --seeds 3"


def rows_with_tests(settings=(NONE, HARD, SOFT), seeds=(1, 2, 3), examples=200) -> list[Row]:
    """Rows with all that there is to know of a setting; each setting is better than the one before."""
    numbers = np.arange(examples)
    correct = {
        Run(setting, seed): (numbers * (seed + 7)) % examples < (0.5 + 0.1 * i + 0.01 * seed**i) * examples
        for i, setting in enumerate(settings)
        for seed in seeds
    }
    scores = {run: RunResult({"eval_accuracy": float(of.mean())}, 60.0) for run, of in correct.items()}
    rows = summarize(scores, settings, "eval_accuracy", correct)
    return [replace(row, worst_case=WorstCase(row, row), calibration=Calibration(0.5, 0.125)) for row in rows]


def document_of(rows, failed=()) -> Document:
    """What is written of the rows."""
    sentences = list(conclusions(rows, ACCURACY, 200))
    return Document([*tables(rows, "accuracy"), *paired_tests(rows)], sentences, list(failed), COMMAND)
