"""One run: a training, and all that is measured of its model."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import EvalPrediction, PrinterCallback, Trainer, set_seed

from augment.registry import augmenter_config
from hf_mmel import __version__
from hf_mmel.cli import run as cli
from hf_mmel.cli.evaluation import predict_in_order
from hf_mmel.cli.metrics import build_metrics, leading_metric
from hf_mmel.cli.model import load_model
from hf_mmel.distributed import release
from hf_mmel.hub.redaction import without_folders

from .data import TaskData, both, load_task
from .mending import LambdaSchedule, mended_weights
from .plan import Run
from .rival import RDropTrainer
from .scores import clean_scores, robustness
from .settings import Settings


_LOSSES = {"none_time": "none", "rdrop": "none", "worst": "hard"}  # of methods that are no `mmel_loss` themselves


@dataclass
class Bench:
    """
    What the runs have in common.

    Attributes:
        model, data (`str`): Names or folders of the encoder and of GLUE.
        work_dir (`Path`): Where everything is kept.
        stage (`str`): "tune" or "report".
        device (`str`): "cpu" or "gpu".
        perturbations (`tuple[str, ...]`): Of the evaluated data.
        cache_dir (`str`, *optional*): Of downloads and lexicons.
        max_eval_samples (`int`, *optional*): Evaluates no more examples.
        max_perturbed_samples (`int`, *optional*): Evaluates no more examples in perturbed forms.
    """

    model: str
    data: str
    work_dir: Path
    stage: str
    device: str
    perturbations: tuple[str, ...]
    cache_dir: str | None = None
    max_eval_samples: int | None = None
    max_perturbed_samples: int | None = None

    def __post_init__(self):
        self._tasks: dict[tuple[str, int], TaskData] = {}

    @cached_property
    def conditions(self) -> dict[str, Any]:
        """What results depend on besides a run and its settings; folders by their names, wherever they are."""
        names = {"model": without_folders(self.model), "data": without_folders(self.data)}
        facts = {**names, "stage": self.stage, "device": self.device}
        limits = {
            "perturbations": list(self.perturbations),
            "max_eval_samples": self.max_eval_samples,
            "max_perturbed_samples": self.max_perturbed_samples,
        }
        return {**facts, **limits, "version": __version__}

    def task(self, name: str, max_seq_length: int) -> TaskData:
        """The data of a task, which are loaded once."""
        if (name, max_seq_length) not in self._tasks:
            options = self._options(name, {"max_seq_length": max_seq_length}, "--mmel_loss", "none")
            self._tasks[name, max_seq_length] = load_task(
                options, self.stage, self.perturbations, self.max_perturbed_samples, self.work_dir / "forms" / name
            )
        return self._tasks[name, max_seq_length]

    def execute(self, run: Run, settings: Settings) -> dict[str, Any]:
        """
        Trains and evaluates: scores, seconds (of the processor, on a CPU), steps, the last figures of variants, and by
        which commit.
        """
        now = time.process_time if self.device == "cpu" else time.perf_counter
        data = self.task(run.task, settings["max_seq_length"])
        begun = now()
        trainer = self._trainer(run, settings, data)
        prepared = now()
        with mended_weights(settings.get("max_weight")):
            trainer.train()
        trained = now()
        scores = self._scores(trainer, data, run.task)
        seconds = {
            "prepare": prepared - begun,
            "train": trained - prepared,
            "evaluate": now() - trained,
        }
        history = trainer.state.log_history
        figures = next((line for line in reversed(history) if "mmel/max_weight" in line), {})
        result = {
            "scores": scores,
            "seconds": {name: round(value, 2) for name, value in seconds.items()},
            "steps": trainer.state.global_step,
            "epochs": settings["num_train_epochs"],
            "num_examples": len(trainer.train_dataset),
            "commit": commit(),
            "figures": {name: value for name, value in figures.items() if name.startswith("mmel/")},
        }
        release(trainer)
        return result

    def _trainer(self, run: Run, settings: Settings, data: TaskData) -> Trainer:
        """The trainer of a run, made by the parts of the command."""
        settings = dict(settings)
        alpha, lambda_p_start = settings.pop("rdrop_alpha", None), settings.pop("lambda_p_start", None)
        of_augmenter = {name: settings.pop(name) for name in ("replace_prob", "top_m") if name in settings}
        settings.pop("max_weight", None)  # which `execute` has seen to
        if run.method == "worst":
            settings["lambda_p"] = 0.0
        options = self._options(run.task, settings, "--mmel_loss", _LOSSES.get(run.method, run.method))
        options += ["--seed", str(run.seed), *self._augmenter_options(run, of_augmenter)]
        args = cli.parse_arguments(options)
        model_args, data_args, _, _, training_args = args
        examples, tokenizer = data.slice(run.size, run.seed), data.prepared.tokenizer
        augmenter = cli.build_augmenter(args, data.prepared.config, tokenizer, data_args.max_seq_length, examples)
        prepared = data.prepared._replace(encoded={"train": examples}, augmenter=augmenter)
        set_seed(run.seed)  # before the new head of the model is drawn
        model = load_model(model_args, prepared.config)
        if run.method == "rdrop":
            trainer: Trainer = RDropTrainer(
                model,
                training_args,
                data_collator=prepared.collator,
                train_dataset=examples,
                processing_class=tokenizer,
                alpha=alpha,
            )
        else:
            trainer = cli.build_trainer(args, prepared, model)
        trainer.remove_callback(PrinterCallback)
        if lambda_p_start is not None:
            trainer.add_callback(LambdaSchedule(lambda_p_start, settings["lambda_p"]))
        return trainer

    def _options(self, task: str, settings: Settings, *more: str) -> list[str]:
        options = ["--model_name_or_path", self.model, "--dataset_name", self.data, "--task_name", task]
        options += ["--output_dir", str(self.work_dir / "out"), "--do_train", "--per_device_eval_batch_size", "64"]
        options += ["--save_strategy", "no", "--report_to", "none", "--disable_tqdm", "true", "--log_level", "error"]
        options += ["--train_sampling_strategy", "group_by_length", "--logging_strategy", "epoch"]
        options += [] if self.cache_dir is None else ["--cache_dir", self.cache_dir]
        options += ["--use_cpu"] if self.device == "cpu" else []
        options += [] if self.max_eval_samples is None else ["--max_eval_samples", str(self.max_eval_samples)]
        for name, value in settings.items():
            options += [f"--{name}", str(value)]
        return [*options, *more]

    def _augmenter_options(self, run: Run, given: Settings) -> list[str]:
        """`--augmenter`; one that the command has no options for is described in a file."""
        if run.augmenter is None or run.method == "none_time":
            return ["--augmenter", "none"]
        if run.augmenter == "both":
            config = both(self.model, given.get("replace_prob"), self.cache_dir)
        elif "top_m" in given:
            config = augmenter_config(run.augmenter, self.model, **given, cache_dir=self.cache_dir)
        else:
            return ["--augmenter", run.augmenter, *(f"--{name}={value}" for name, value in given.items())]
        path = self.work_dir / "augmenters" / f"{run.augmenter}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config), encoding="utf-8")
        return ["--augmenter", str(path)]

    def _scores(self, trainer: Trainer, data: TaskData, task: str) -> dict[str, float]:
        """The task's metrics, `score`, which is the one that counts, and what `scores.py` has."""
        labels, kind = np.array(data.evaluated["label"]), data.prepared.labels.problem_type
        sets = [data.evaluated, *(form for forms in data.forms.values() for form in forms)]
        logits = predict(trainer, sets)
        args = cli.parse_arguments(self._options(task, {}, "--mmel_loss", "none"))
        metrics = build_metrics(args[1], data.prepared.labels, self.cache_dir)(EvalPrediction(logits[0], labels))
        rest = iter(logits[1:])
        perturbed = {name: np.stack([next(rest) for _ in forms], axis=1) for name, forms in data.forms.items()}
        score = metrics[leading_metric([f"eval_{name}" for name in metrics]).removeprefix("eval_")]
        found = {**metrics, **clean_scores(logits[0], labels, kind), **robustness(logits[0], perturbed, labels, kind)}
        return {"score": float(score), **{name: float(value) for name, value in found.items()}}


@cache
def commit() -> str | None:
    """The commit of this code, which ends in "-dirty" where files differ from it; `None` where there is no git."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip() or None


def predict(trainer: Trainer, sets: list[Dataset]) -> list[np.ndarray]:
    """The logits `(N, C)` of each of several data sets; equal rows are computed once, and short ones together."""
    rows: dict[tuple, int] = {}
    places = []
    for dataset in sets:
        columns = [name for name in ("input_ids", "token_type_ids", "attention_mask") if name in dataset.column_names]
        values = zip(*(map(tuple, dataset[name]) for name in columns), strict=True)
        places.append([rows.setdefault(row, len(rows)) for row in values])
    unique = sorted(rows, key=lambda row: len(row[0]))
    ordered = Dataset.from_list([dict(zip(columns, row, strict=True)) for row in unique])
    found = predict_in_order(trainer, ordered)
    logits = np.empty_like(found)
    logits[[rows[row] for row in unique]] = found
    return [logits[place] for place in places]
