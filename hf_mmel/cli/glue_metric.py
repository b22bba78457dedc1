"""The metrics of the GLUE benchmark as a local `evaluate` module.

Load it by path, with the task as configuration name:

    >>> import evaluate
    >>> metric = evaluate.load("hf_mmel/metrics/glue.py", "mrpc", keep_in_memory=True)
    >>> metric.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0])
    {'accuracy': 0.75, 'f1': 0.6666666666666666}

`evaluate` copies this file into its module cache and imports the copy, hence nothing of `hf_mmel` is imported here.
"""

import datasets
import evaluate
import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef


_DESCRIPTION = "The official metrics of the nine GLUE tasks (Wang et al. 2019), one configuration per task."

_CITATION = """\
@inproceedings{wang2019glue,
  title={{GLUE}: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding},
  author={Wang, Alex and Singh, Amanpreet and Michael, Julian and Hill, Felix and Levy, Omer and Bowman, Samuel R.},
  booktitle={International Conference on Learning Representations},
  year={2019}
}"""

_INPUTS = """
Args:
    predictions (`list[int]` or `list[float]`, shape `(num_examples,)`):
        Predicted class ids, or predicted scores for `stsb`.
    references (`list[int]` or `list[float]`, shape `(num_examples,)`):
        True class ids, or true scores for `stsb`.

Returns:
    `dict[str, float]`: the task's metrics, named as in the Hub's `glue` metric.
"""


def _accuracy(predictions, references):
    return {"accuracy": float(accuracy_score(references, predictions))}


def _accuracy_and_f1(predictions, references):
    # The positive class is 1; a model that never predicts it scores 0 rather than warn.
    f1 = f1_score(references, predictions, zero_division=0.0)
    return {**_accuracy(predictions, references), "f1": float(f1)}


def _matthews(predictions, references):
    return {"matthews_correlation": float(matthews_corrcoef(references, predictions))}


def _correlations(predictions, references):
    # A correlation with a constant is undefined. Early in training a model may well predict one score for everything;
    # it has learnt nothing of the order yet, so 0.0 is the value that keeps "greater is better" comparisons working.
    # Not a number in the input stays visible as such: it is a fault, not an uninformative model.
    if np.ptp(predictions) == 0 or np.ptp(references) == 0:
        return {"pearson": 0.0, "spearmanr": 0.0}
    pearson = pearsonr(predictions, references).statistic
    return {"pearson": float(pearson), "spearmanr": float(spearmanr(predictions, references).statistic)}


_METRICS = {
    "cola": _matthews,
    "mnli": _accuracy,
    "mnli_matched": _accuracy,
    "mnli_mismatched": _accuracy,
    "mrpc": _accuracy_and_f1,
    "qnli": _accuracy,
    "qqp": _accuracy_and_f1,
    "rte": _accuracy,
    "sst2": _accuracy,
    "stsb": _correlations,
    "wnli": _accuracy,
}


class Glue(evaluate.Metric):
    """GLUE's metrics; the configuration name is the task.

    | task | metrics |
    |---|---|
    | cola | `matthews_correlation` |
    | mrpc, qqp | `accuracy`, `f1` (of class 1) |
    | stsb | `pearson`, `spearmanr`; both 0.0 where predictions or references are constant |
    | mnli (and mnli_matched, mnli_mismatched), qnli, rte, sst2, wnli | `accuracy` |

    Raises:
        ValueError: if the configuration name is not one of these tasks.

    Source: Wang et al., *GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding*,
    ICLR 2019, Table 1.
    """

    def _info(self):
        if self.config_name not in _METRICS:
            raise ValueError(
                f"Unknown GLUE task {self.config_name!r}: pass one of {', '.join(_METRICS)} as the configuration "
                'name, for example evaluate.load("hf_mmel/metrics/glue.py", "rte").'
            )
        value = datasets.Value("float32" if self.config_name == "stsb" else "int64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": value, "references": value}),
            format="numpy",
        )

    def _compute(self, predictions, references):
        return _METRICS[self.config_name](predictions, references)
