"""The metrics of GLUE (Wang et al. 2019, Table 1) as a local `evaluate` module, so that scoring needs no network.

    >>> import evaluate
    >>> metric = evaluate.load("hf_mmel/cli/glue_metric.py", "mrpc", keep_in_memory=True)
    >>> metric.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0])
    {'accuracy': 0.75, 'f1': 0.6666666666666666}

The configuration name is the task. `evaluate` imports a copy of this file, so it must import nothing of `hf_mmel`.
"""

import datasets
import evaluate
import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef


def _accuracy(predictions, references):
    return {"accuracy": accuracy_score(references, predictions)}


def _accuracy_and_f1(predictions, references):
    f1 = f1_score(references, predictions, zero_division=0.0)  # of class 1, which a model may never predict
    return {"accuracy": accuracy_score(references, predictions), "f1": f1}


def _matthews(predictions, references):
    return {"matthews_correlation": matthews_corrcoef(references, predictions)}


def _correlations(predictions, references):
    # The correlation with a constant is undefined. 0.0 keeps comparisons of scores working early in training, when a
    # model may predict one number for everything. NaN in the input stays NaN, as it is a fault.
    if np.ptp(predictions) == 0 or np.ptp(references) == 0:
        return {"pearson": 0.0, "spearmanr": 0.0}
    pearson = pearsonr(predictions, references).statistic
    return {"pearson": pearson, "spearmanr": spearmanr(predictions, references).statistic}


_ACCURACY_TASKS = ("mnli", "mnli_matched", "mnli_mismatched", "qnli", "rte", "sst2", "wnli")
_METRICS = {"cola": _matthews, "mrpc": _accuracy_and_f1, "qqp": _accuracy_and_f1, "stsb": _correlations}
_METRICS |= dict.fromkeys(_ACCURACY_TASKS, _accuracy)


class Glue(evaluate.Metric):
    def _info(self):
        if self.config_name not in _METRICS:
            raise ValueError(
                f"Unknown GLUE task {self.config_name!r}; pass one of {', '.join(sorted(_METRICS))} as the "
                "configuration name."
            )
        value = datasets.Value("float32" if self.config_name == "stsb" else "int64")
        features = datasets.Features({"predictions": value, "references": value})
        return evaluate.MetricInfo(
            description="The metrics of GLUE.", citation="Wang et al. 2019", features=features, format="numpy"
        )

    def _compute(self, predictions, references):
        scores = _METRICS[self.config_name](predictions, references)
        return {name: float(score) for name, score in scores.items()}
