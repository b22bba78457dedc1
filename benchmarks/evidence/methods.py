"""The methods of the protocol, each with the four points that it is chosen among."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any, NamedTuple

from .data import HELD_OUT, IMAGE_TASK, LARGE


Settings = dict[str, Any]
Line = Mapping[str, Any]  # of a finished run

# The settings of an augmenter by its name in the protocol; None as a model stands for the encoder of the runs.
AUGMENTERS: dict[str, dict[str, Any]] = {
    "context": {"name": "context", "has_model": True},
    "synonyms": {"name": "synonyms"},
    "mlm": {"name": "mlm", "has_model": True},
    "wordnet_all": {"name": "wordnet", "min_sense_share": 0.0},
}


class Method(NamedTuple):
    """What a method trains with, besides what all share, and its points."""

    options: Settings
    points: Sequence[Settings]
    after: tuple[str, ...] = ("none",)  # methods whose choice is a part of its settings


def _grid(**axes: Sequence[Any]) -> list[Settings]:
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


_NONE: Settings = {"mmel_loss": "none"}
_SOFT: Settings = {"mmel_loss": "soft"}
_HARD: Settings = {"mmel_loss": "hard"}
_UNLABELLED: Settings = {"unlabeled_ratio": 2.0}
_WITH_VARIANTS = ("none", "uniform")
_SOFT_POINTS = _grid(lambda_p=[0.1, 1.0], lambda_t=[1.0, 4.0])
_CONFIDENT = _grid(lambda_u=[0.3, 1.0], confidence_threshold=[0.8, 0.95])
METHODS: dict[str, Method] = {
    "none": Method(_NONE, _grid(learning_rate=[1e-4, 2e-4], max_steps=[100, 200]), ()),
    "longer": Method(_NONE, [{}], (*_WITH_VARIANTS, "hard")),
    "uniform": Method({"mmel_loss": "uniform"}, _grid(augmenter=list(AUGMENTERS))),
    "hard": Method(_HARD, _grid(lambda_p=[0.03, 0.1, 0.3, 1.0]), _WITH_VARIANTS),
    "soft": Method(_SOFT, _SOFT_POINTS, _WITH_VARIANTS),
    "hard_effective": Method(_HARD, _grid(effective_num_variants=[1.5, 2.0, 3.0, 4.0]), _WITH_VARIANTS),
    "worst": Method({**_HARD, "lambda_p": 0.0}, _grid(num_variants=[1, 2, 4, 8]), _WITH_VARIANTS),
    "label_smoothing": Method(_NONE, _grid(label_smoothing_factor=[0.05, 0.1, 0.2, 0.4])),
    "r_drop": Method(
        {**_SOFT, "augmenter": "same_text", "num_variants": 1, "soft_label_gradient": True},
        _grid(lambda_t=[0.5, 1.0, 2.0, 5.0]),
    ),
    "soft_teacher": Method({**_SOFT, "soft_labels": "teacher"}, _SOFT_POINTS, _WITH_VARIANTS),
    "soft_ema": Method({**_SOFT, "soft_labels": "ema", "ema_decay": 0.9}, _SOFT_POINTS, _WITH_VARIANTS),
    "soft_unlabelled": Method({**_SOFT, **_UNLABELLED}, _CONFIDENT, _WITH_VARIANTS),
    "pseudo_label": Method({**_NONE, **_UNLABELLED, "unlabeled_loss": "pseudo_label"}, _CONFIDENT),
    "entropy": Method({**_NONE, **_UNLABELLED, "unlabeled_loss": "entropy"}, _grid(lambda_u=[0.03, 0.1, 0.3, 1.0])),
    "uniform_search": Method({"mmel_loss": "uniform", "augmenter": "wordnet_all"}, _grid(num_searched=[1, 2, 3, 6])),
    "hard_search": Method({**_HARD, "augmenter": "wordnet_all"}, _grid(lambda_p=[0.1, 1.0], num_searched=[3, 6])),
    "adversarial": Method({**_HARD, "lambda_p": 0.1, "augmenter": None}, _grid(step_size=[0.03, 0.1, 0.3, 1.0])),
}
CORE = ("none", "longer", "uniform", "hard", "soft")
STEPS = (100, 200, 400, 800, 1600, 3200)  # among which each task and size chooses


class Group(NamedTuple):
    """
    The tasks that share their choices: the methods, the task and size that they are tuned on, and the method that
    chooses the learning rate and the number of steps of all. Without this method nothing is tuned.
    """

    methods: Mapping[str, Method]
    tuning: str = ""
    tuning_size: str = ""
    base: str = ""


TEXTS = Group(METHODS, "sst2" + HELD_OUT, "50", "none")
IMAGES = Group(
    {
        "none": Method(_NONE, [{}], ("uniform",)),
        "uniform": Method(
            {"mmel_loss": "uniform"}, _grid(learning_rate=[1e-3, 2e-3, 4e-3, 8e-3], max_steps=[400]), ()
        ),
        "hard": METHODS["hard"]._replace(after=("uniform",)),
        "soft": METHODS["soft"]._replace(after=("uniform",)),
    },
    IMAGE_TASK + HELD_OUT,
    "1000",
    "uniform",
)
_LARGE: Settings = {"learning_rate": 1e-4, "max_steps": 400, "per_device_train_batch_size": 16}
_ALL_SENSES: Settings = {**_LARGE, "augmenter": "wordnet_all"}
LARGE_TEXTS = Group(
    {
        "none": Method(_NONE | _LARGE, [{}], ()),
        "longer": Method(_NONE | _LARGE, [{"max_steps": 1200}], ()),
        "uniform": Method({"mmel_loss": "uniform"} | _ALL_SENSES, [{}], ()),
        "hard": Method(_HARD | _ALL_SENSES, [{"lambda_p": 0.1}], ()),
        "soft": Method(_SOFT | _ALL_SENSES, [{"lambda_p": 0.1, "lambda_t": 1.0}], ()),
        "uniform_search": Method({"mmel_loss": "uniform"} | _ALL_SENSES, [{"num_searched": 3}], ()),
        "hard_search": Method(_HARD | _ALL_SENSES, [{"lambda_p": 0.1, "num_searched": 3}], ()),
    }
)
# The settings that held-out data would choose with as many examples, from which the defaults are taken.
LARGE_TUNING = Group(
    {
        "uniform": Method({"mmel_loss": "uniform"} | _LARGE, METHODS["uniform"].points, ()),
        "hard": Method(_HARD | _LARGE, METHODS["hard"].points, ("uniform",)),
        "soft": Method(_SOFT | _LARGE, _SOFT_POINTS, ("uniform",)),
    },
    TEXTS.tuning,
    LARGE,
)


def group_of(task: str, size: str) -> Group:
    if task == IMAGE_TASK:
        return IMAGES
    if size == LARGE:
        return LARGE_TUNING if task == LARGE_TUNING.tuning else LARGE_TEXTS
    return TEXTS


def settings_of(
    group: Group, method: str, point: Settings, choices: Mapping[str, Settings], factor: float = 1.0
) -> Settings:
    """
    The settings of a run: what the methods before it have chosen, its own, and its point. `factor` is that of the
    steps of `longer`.
    """
    own = group.methods[method]
    settings: Settings = {}
    for earlier in own.after:
        if earlier in (group.base, "uniform"):  # learning rate and steps, and the augmenter
            settings |= choices[earlier]
    settings |= own.options | point
    if settings["mmel_loss"] == "none":
        settings.pop("augmenter", None)
    if method == "longer":
        settings["max_steps"] = round(settings["max_steps"] * factor)
    return settings


def chosen(points: Sequence[Settings], lines: Sequence[Line], seeds: Sequence[int]) -> Settings | None:
    """
    The best point of a method, given the lines of its runs on the tuning data; `None` before all of them are there. A
    single point needs no runs.
    """
    if len(points) == 1:
        return points[0]
    scores = []
    for point in points:
        own = {line["run"]["seed"]: tuning_score(line["scores"]) for line in lines if line["run"]["point"] == point}
        if set(own) != set(seeds):
            return None
        scores.append(fmean(own.values()))
    return points[scores.index(max(scores))]


def chosen_steps(lines: Sequence[Line], seeds: Sequence[int]) -> tuple[int, bool]:
    """
    The number of steps that trains a method to convergence, given the lines of its runs on held-out examples: the
    first whose double is not better. The flag says if it is known; if not, the number is the next to try.
    """
    best, best_score = STEPS[0], -1.0
    for steps in STEPS:
        own = {
            line["run"]["seed"]: line["scores"].get("accuracy", line["scores"].get("correlation"))
            for line in lines
            if line["run"]["point"]["max_steps"] == steps
        }
        if not set(seeds) <= set(own):
            return steps, False
        if (score := fmean(own[seed] for seed in seeds)) <= best_score:
            break
        best, best_score = steps, score
    return best, True


def tuning_score(scores: Mapping[str, float]) -> float:
    return (scores["accuracy"] + scores["random_accuracy"]) / 2
