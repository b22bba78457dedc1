"""Training runs that differ only by their seed: which are finished, and means and deviations of their scores."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils.memory import clear_device_cache

from augment.core.atomic_file import write_json

from ..distributed import gathered
from ..training_args import MMELTrainingArguments
from .errors import UsageError
from .fingerprint import differences_of
from .metrics import leading_metric, less_is_better, scores_among
from .resuming import (
    SEEDS_FILE,
    TRAIN_RESULTS,
    ResumePoint,
    check_optimizer,
    checkpoints_in,
    numbered_in,
    remove_checkpoints,
    resume_point_in,
)


logger = logging.getLogger(__name__)


class SeedResults:
    """
    The metrics of each seed, kept in `seeds_results.json` together with the `arguments` that the runs share. Each seed
    has a folder `seed-N` in `output_dir`. Raises a `ValueError` if that holds other training runs.
    """

    def __init__(
        self, args: MMELTrainingArguments, seeds: list[int], arguments: dict[str, Any], overwrite: bool = False
    ):
        self.args, self.seeds, self.arguments, self.overwrite = args, seeds, arguments, overwrite
        self.output_dir = Path(args.output_dir)
        # All processes go by what the first one reads, or some would train a seed that others take for finished.
        earlier = gathered(None if overwrite else self._read())[0]
        folders = [] if overwrite or earlier else [self.output_dir, *map(self.folder, seeds)]
        if any((folder / "config.json").exists() or checkpoints_in(folder) for folder in folders):
            raise ValueError(
                f"{self.output_dir} holds a training run that was not started with --seeds; choose another "
                "--output_dir, or pass --overwrite_output_dir to train again and replace it."
            )
        before: dict[str, Any] = earlier[0] if earlier else arguments
        self.metrics: dict[int, dict[str, float]] = earlier[1] if earlier else {}
        if differences := differences_of(before, arguments):
            raise ValueError(
                f"{self.output_dir} holds seeds trained with other arguments: {differences}. Choose another "
                "--output_dir, or pass --overwrite_output_dir to train all of them again."
            )

    @property
    def unfinished(self) -> list[int]:
        """The seeds that are still to be run."""
        return [seed for seed in self.seeds if seed not in self.metrics]

    def folder(self, seed: int) -> Path:
        return self.output_dir / f"seed-{seed}"

    def resume_point(self, seed: int) -> ResumePoint:
        """Where the run of a seed resumes. Raises a `UsageError` if its last checkpoint has no optimizer."""
        if self.overwrite:
            return ResumePoint()
        point = resume_point_in(self.folder(seed))
        check_optimizer(point, f"to train this seed from the start remove {self.folder(seed)}.")
        return point

    def run(self, train: Callable[[int], dict[str, float]]) -> None:
        """Calls `train`, which returns the metrics of a seed, for each unfinished one, and writes them each time."""
        if self.overwrite and self.args.should_save:  # a later command would resume from earlier results
            for folder in numbered_in(self.output_dir, "seed"):
                if folder.is_symlink():
                    folder.unlink()
                else:
                    (folder / TRAIN_RESULTS).unlink(missing_ok=True)
                    remove_checkpoints(folder)
        for seed in self.unfinished:
            self._write()  # marks the folder as one of seeds
            try:
                self.metrics[seed] = train(seed)
            except Exception as error:
                message = f"Seed {seed} failed; finished and kept: {', '.join(map(str, self.metrics)) or 'none'}."
                if isinstance(error, UsageError):
                    raise UsageError(f"{message} {error}") from error
                logger.error("%s The same command continues with seed %d.", message, seed)
                raise
            clear_device_cache(garbage_collection=True)  # before the next model is loaded
        self._write()

    def summary(self) -> dict[str, float]:
        """
        The mean of each metric under its name, and its sample standard deviation under its name and `_std`. Integers
        that are equal for all seeds, such as `train_samples`, have no deviation.
        """
        summary: dict[str, float] = {}
        for name, values in self._values().items():
            if all(isinstance(value, int) and value == values[0] for value in values):
                summary[name] = values[0]
            else:
                summary |= {name: float(np.mean(values)), f"{name}_std": float(np.std(values, ddof=1))}
        return summary

    def best(self) -> tuple[str, int] | None:
        """The leading metric, see `metrics.leading_metric`, and the best seed by it, if there is an evaluation."""
        values = self._values()
        metric = leading_metric(values, self.args.metric_for_best_model)
        if metric is None:
            return None
        if metric not in values:
            message = "There is no %s, so there is no best seed; the scores are %s."
            logger.warning(message, metric, scores_among(values))
            return None
        ranks = np.array(values[metric]) * (-1 if less_is_better(metric, self.args.greater_is_better) else 1)
        return metric, self.seeds[int(np.where(np.isnan(ranks), -np.inf, ranks).argmax())]

    def table(self) -> Iterator[str]:
        """The mean, the standard deviation and the values of each metric, as lines of text."""
        summary = self.summary()
        yield f"{'':34}{'mean':>12}{'std':>12}" + "".join(f"{f'seed {seed}':>16}" for seed in self.seeds)
        for name, values in self._values().items():
            std = f"{summary[f'{name}_std']:.4g}" if f"{name}_std" in summary else ""
            yield f"  {name:32}{summary[name]:>12.6g}{std:>12}" + "".join(f"{value:>16.6g}" for value in values)
        if (best := self.best()) is not None:
            yield f"  best {best[0]}: {self.folder(best[1])}"

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
        runs = [self.metrics[seed] for seed in self.seeds]
        shared = [name for name in runs[0] if all(isinstance(metrics.get(name), int | float) for metrics in runs)]
        return {name: [metrics[name] for metrics in runs] for name in shared}

    def _read(self) -> tuple[dict[str, Any], dict[int, dict[str, float]]] | None:
        """The arguments, and the metrics of the finished seeds whose folders still exist."""
        file = self.output_dir / SEEDS_FILE
        if not file.is_file():
            return None
        try:
            results = json.loads(file.read_text(encoding="utf-8"))
            arguments = dict(results["arguments"])
            metrics = {int(seed): dict(metrics) for seed, metrics in results["seeds"].items()}
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            advice = "Pass --overwrite_output_dir to train all seeds again."
            raise ValueError(f"{file} is damaged: {type(error).__name__}: {error}. {advice}") from error
        finished = [seed for seed in metrics if (self.folder(seed) / "all_results.json").is_file()]
        return arguments, {seed: metrics[seed] for seed in finished}
