"""The metrics of GLUE (Wang et al. 2019, Table 1) as a local `evaluate` module, so that scoring needs no network.

    >>> import evaluate
    >>> metric = evaluate.load("hf_mmel/cli/glue_metric.py", "mrpc", keep_in_memory=True)
    >>> metric.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0])
    {'accuracy': 0.75, 'f1': 0.6666666666666666}

The configuration name is the task. `evaluate` imports a copy of this file, so it must import nothing of `hf_mmel`.
"""

from functools import partial

import datasets
import evaluate
import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef


def _correlation(correlate, references, predictions):
    # The correlation with a constant is undefined. 0.0 keeps comparisons of scores working early in training, when a
    # model may predict one number for everything. NaN in the input stays NaN, as it is a fault.
    if np.ptp(predictions) == 0 or np.ptp(references) == 0:
        return 0.0
    return correlate(predictions, references).statistic


_ACCURACY = {"accuracy": accuracy_score}
_F1 = {"f1": partial(f1_score, zero_division=0.0)}  # of class 1, which a model may never predict
_METRICS = {
    **dict.fromkeys(("mnli", "mnli_matched", "mnli_mismatched", "qnli", "rte", "sst2", "wnli"), _ACCURACY),
    **dict.fromkeys(("mrpc", "qqp"), _ACCURACY | _F1),
    "cola": {"matthews_correlation": matthews_corrcoef},
    "stsb": {"pearson": partial(_correlation, pearsonr), "spearmanr": partial(_correlation, spearmanr)},
}


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
        return {name: float(score(references, predictions)) for name, score in _METRICS[self.config_name].items()}
