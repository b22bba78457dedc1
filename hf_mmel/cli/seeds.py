"""Several trainings that differ by their seed alone: which of them are finished, and what came out of all."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils.memory import clear_device_cache
from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from augment.core.atomic_file import write_json

from ..distributed import gathered
from .arguments import differences_of
from .earlier import SEEDS_FILE, Earlier, forget, left_in
from .metrics import OF_NUMBERS
from .overwriting import seeds_in
from .usage import UsageError


logger = logging.getLogger(__name__)

_SPEED = ("_runtime", "_per_second", "_preparation_time")


def is_speed(name: str) -> bool:
    """Whether a metric is one of those that `Trainer` adds, of how long an evaluation takes."""
    return f"_{name}".endswith(_SPEED)


def scores_among(names: Iterable[str]) -> list[str]:
    """The names of scores among those of the metrics of an evaluation; not those of MNLI's second validation set."""
    others = ("eval_loss", "eval_samples")
    scores = [name for name in names if name.startswith("eval_") and not (is_speed(name) or name.endswith("_mm"))]
    return [name for name in scores if name not in others]


def leading_metric(names: Iterable[str], chosen: str | None = None) -> str | None:
    """
    The metric that trainings are compared by: the one that is chosen, with or without its `eval_`, else the combined
    score or the first score of the task. `None` where there is no score.
    """
    if chosen is not None:
        return chosen if chosen.startswith("eval_") else f"eval_{chosen}"
    scores = scores_among(names)
    return "eval_combined_score" if "eval_combined_score" in scores else next(iter(scores), None)


def less_is_better(metric: str, greater_is_better: bool | None = None) -> bool:
    """Whether a metric is an error or a loss; for others `greater_is_better` says so."""
    return greater_is_better is False or metric.removeprefix("eval_").removesuffix("_mm") in ("loss", *OF_NUMBERS)


class SeedResults:
    """
    The metrics of each seed, kept in `seeds_results.json` together with the arguments that they hold for.

    Args:
        args ([`~transformers.TrainingArguments`]): Its `output_dir` has a folder `seed-N` for each.
        seeds (`list[int]`): The seeds to be run, two or more.
        arguments (`dict`):
            What the trainings have in common, see [`~arguments.arguments_of`] and [`~arguments.contents_of`].
        overwrite (`bool`, *optional*, defaults to `False`): Whether to forget what is there.

    Raises:
        `ValueError`: if the folder holds other trainings, or results of other arguments.
    """

    def __init__(self, args: TrainingArguments, seeds: list[int], arguments: dict[str, Any], overwrite: bool = False):
        self.args, self.seeds, self.arguments, self.overwrite = args, seeds, arguments, overwrite
        self.output_dir = output_dir = Path(args.output_dir)
        # What one process sees is so for all: none is to train a seed while another takes it for finished.
        earlier = gathered(None if overwrite else self._read())[0]
        if earlier is None and not overwrite and any(_is_trained(self.folder(seed)) for seed in [None, *seeds]):
            raise ValueError(
                f"{output_dir} holds a training that was not begun with --seeds; choose another --output_dir, or pass "
                "--overwrite_output_dir to train again and replace it."
            )
        before, self.metrics = earlier or (arguments, {})
        if differences := differences_of(before, arguments):
            raise ValueError(
                f"{output_dir} holds seeds trained with other arguments: {differences}. Choose another --output_dir, "
                "or pass --overwrite_output_dir to train all of them again."
            )

    @property
    def unfinished(self) -> list[int]:
        """The seeds that are still to be run."""
        return [seed for seed in self.seeds if seed not in self.metrics]

    def folder(self, seed: int | None) -> Path:
        """Where a seed is trained; `None` is none of them."""
        return self.output_dir if seed is None else self.output_dir / f"seed-{seed}"

    def earlier(self, seed: int) -> Earlier:
        """Where a seed goes on: behind its training, if that is finished, or from its last checkpoint."""
        return Earlier() if self.overwrite else left_in(self.folder(seed))

    def run(self, train: Callable[[int], dict[str, float]]) -> None:
        """
        Trains the seeds that are not finished, one after the other. Each that is finished is taken down at once.

        Args:
            train (`Callable`): Trains a seed, in its folder, and gives the metrics.

        Raises:
            Whatever `train` does, after a line in the log that says with which seed.
        """
        if self.overwrite and self.args.should_save:
            for folder in seeds_in(self.output_dir):  # which a later command would go on from
                folder.unlink() if folder.is_symlink() else forget(folder)
        for seed in self.unfinished:
            self._write()  # so that the folder is known for what it is
            try:
                self.metrics[seed] = train(seed)
            except Exception as error:
                message = f"Seed {seed} failed; finished and kept: {', '.join(map(str, self.metrics)) or 'none'}."
                if isinstance(error, UsageError):
                    raise UsageError(f"{message} {error}") from error
                logger.error("%s The same command goes on with seed %d.", message, seed)
                raise
            clear_device_cache(garbage_collection=True)  # before the next model is loaded
        self._write()

    def summary(self) -> dict[str, float]:
        """
        The mean of each metric, by its name, and its sample standard deviation, by its name and `_std`. Whole numbers
        that are the same for all seeds, such as `train_samples`, stay as they are.
        """
        summary: dict[str, float] = {}
        for name, values in self._values().items():
            if all(isinstance(value, int) and value == values[0] for value in values):
                summary[name] = values[0]
            else:
                summary |= {name: float(np.mean(values)), f"{name}_std": float(np.std(values, ddof=1))}
        return summary

    def best(self) -> tuple[str, int] | None:
        """
        The evaluation metric, and the seed that is best by it: `metric_for_best_model`, else the combined score or the
        first score of the task. `None` without evaluation.
        """
        values = self._values()
        metric = leading_metric(values, self.args.metric_for_best_model)
        if metric not in values:
            if metric is not None:
                scores = scores_among(values)
                logger.warning("There is no %s, so no seed is called the best; the scores are %s.", metric, scores)
            return None
        ranks = np.array(values[metric]) * (-1 if less_is_better(metric, self.args.greater_is_better) else 1)
        return metric, self.seeds[int(np.where(np.isnan(ranks), -np.inf, ranks).argmax())]

    def table(self) -> Iterator[str]:
        """Mean, standard deviation and the values of each metric, as lines of text."""
        summary = self.summary()
        yield f"{'':34}{'mean':>12}{'std':>12}" + "".join(f"{f'seed {seed}':>16}" for seed in self.seeds)
        for name, values in self._values().items():
            std = summary.get(f"{name}_std")
            numbers = [f"{summary[name]:>12.6g}", " " * 12 if std is None else f"{std:>12.4g}"]
            yield f"  {name:32}" + "".join(numbers) + "".join(f"{value:>16.6g}" for value in values)
        if (best := self.best()) is not None:
            metric, seed = best
            yield f"  best {metric}: {self.folder(seed)}"

    def _write(self) -> None:
        """Writes `seeds_results.json`, and `all_results.json` once all seeds are finished."""
        if not self.args.should_save:
            return
        self.output_dir.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {"arguments": self.arguments, "seeds": self.metrics}
        if not self.unfinished:
            write_json(self.output_dir / "all_results.json", self.summary())
            if (best := self.best()) is not None:
                results |= {"metric": best[0], "best_seed": best[1]}
        write_json(self.output_dir / SEEDS_FILE, results)

    def _values(self) -> dict[str, list[float]]:
        """The values of each metric that all seeds have, in the order of the seeds."""
        of_seeds = [self.metrics[seed] for seed in self.seeds]
        return {
            name: [metrics[name] for metrics in of_seeds]
            for name in of_seeds[0]
            if all(isinstance(metrics.get(name), int | float) for metrics in of_seeds)
        }

    def _read(self) -> tuple[dict[str, Any], dict[int, dict[str, float]]] | None:
        """The arguments and the metrics of the finished seeds whose folders are still there."""
        file = self.output_dir / SEEDS_FILE
        if not file.is_file():
            return None
        try:
            results = json.loads(file.read_text(encoding="utf-8"))
            reason = None if _is_results(results) else f"it holds {results!r:.60}"
        except (ValueError, RecursionError) as error:
            reason = str(error)
        if reason is not None:
            raise ValueError(f"{file} is damaged: {reason}. Pass --overwrite_output_dir to train all seeds again.")
        metrics = {int(seed): metrics for seed, metrics in results["seeds"].items()}
        finished = {seed: of for seed, of in metrics.items() if (self.folder(seed) / "all_results.json").is_file()}
        return results["arguments"], finished


def _is_results(value: Any) -> bool:
    """Whether a value is what `seeds_results.json` holds."""
    if not isinstance(value, dict) or not all(isinstance(value.get(name), dict) for name in ("arguments", "seeds")):
        return False
    return all(seed.isdecimal() and isinstance(metrics, dict) for seed, metrics in value["seeds"].items())


def _is_trained(folder: Path) -> bool:
    """Whether a folder holds a model or a checkpoint, be it a part of one."""
    return folder.is_dir() and ((folder / "config.json").exists() or get_last_checkpoint(str(folder)) is not None)
