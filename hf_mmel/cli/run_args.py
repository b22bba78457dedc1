"""The arguments that say what is done besides one training: several seeds, a dry run, a submission to GLUE."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from transformers import TrainingArguments

from .args import DataArguments
from .glue_submission import FORMATS


SUBMISSION = "submission.zip"
_UNNAMED = "true"
MAX_SEED = 2**32 - 1  # NumPy's


@dataclass
class RunArguments:
    """What is run, and what becomes of it."""

    seeds: list[str] | None = field(
        default=None,
        metadata={
            "help": "Train once with each of these seeds, separated by commas, in output_dir/seed-N, and report mean "
            "and standard deviation. Seeds that are finished are not run again."
        },
    )
    dry_run: bool = field(
        default=False,
        metadata={
            "help": "Load and tokenise the data, show ten examples with their variants and how long the training "
            "would be, and stop. Nothing is written to output_dir."
        },
    )
    glue_submission: str | None = field(
        default=None,
        metadata={
            "help": "With do_predict on a GLUE task: write the predictions as the leaderboard takes them to this zip, "
            f"or to {SUBMISSION} in output_dir. What other tasks have put there stays.",
            "nargs": "?",
            "const": _UNNAMED,
        },
    )

    def __post_init__(self):
        if self.seeds is not None:
            self.seeds = _seeds(self.seeds)
        if self.glue_submission is not None and self.glue_submission.lower() in ("true", "false"):  # as in a file
            self.glue_submission = _UNNAMED if self.glue_submission.lower() == "true" else None
        if self.glue_submission not in (None, _UNNAMED) and not self.glue_submission.endswith(".zip"):
            raise ValueError(
                f"glue_submission is {self.glue_submission!r}; expected a name that ends in .zip, or none at all, for "
                f"{SUBMISSION} in output_dir."
            )

    def submission_path(self, output_dir: str) -> Path:
        """The zip: `glue_submission`, which lies in `output_dir` where it has no name of its own."""
        return Path(output_dir, SUBMISSION) if self.glue_submission == _UNNAMED else Path(self.glue_submission)

    def check(self, data_args: DataArguments, training_args: TrainingArguments) -> None:
        """
        Raises a `ValueError` if these arguments do not go with the others.
        """
        if self.seeds is not None:
            if not training_args.do_train:
                raise ValueError("seeds is for trainings; pass --do_train, or leave out --seeds.")
            for name in ("resume_from_checkpoint", "push_to_hub"):
                if getattr(training_args, name):
                    raise ValueError(
                        f"{name} is for one training, and seeds names {len(self.seeds)}; leave it out. Each seed goes "
                        "on from its own last checkpoint, and its folder is a model that can be pushed."
                    )
        if not training_args.eval_do_concat_batches:
            raise ValueError("Scores and predictions are of all batches together; leave out eval_do_concat_batches.")
        if training_args.do_predict and training_args.prediction_loss_only:
            raise ValueError("prediction_loss_only leaves no predictions to write; leave it out, or --do_predict.")
        if self.glue_submission is None:
            return
        if self.seeds is not None:
            raise ValueError(
                "glue_submission takes the predictions of one model, and --seeds trains several; predict with one of "
                "them afterwards: --model_name_or_path OUTPUT_DIR/seed-N --do_predict --glue_submission."
            )
        if not training_args.do_predict or data_args.task_name not in FORMATS:
            raise ValueError(
                "glue_submission takes the predictions for a GLUE task; pass --task_name and --do_predict."
            )
        if data_args.max_predict_samples is not None:
            raise ValueError("The leaderboard takes predictions for all examples; leave out --max_predict_samples.")


def is_seed(text: str) -> bool:
    """Whether a text is a seed; Python reads no number of thousands of digits."""
    return text.isdecimal() and len(text.lstrip("0")) <= len(str(MAX_SEED)) and int(text) <= MAX_SEED


def _seeds(given: list[str]) -> list[int]:
    """Seeds from `["1,2,3"]` or `["1", "2", "3"]`."""
    parts = [part.strip() for text in given for part in str(text).split(",") if part.strip()]
    if not all(map(is_seed, parts)):
        raise ValueError(f"seeds is {','.join(parts)!r}; expected whole numbers from 0 to {MAX_SEED}, such as 1,2,3.")
    seeds = [int(part) for part in parts]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds is {','.join(parts)!r}; expected each seed once.")
    if len(seeds) < 2:
        raise ValueError(f"seeds is {','.join(parts)!r}; expected two or more. For a single one pass --seed.")
    return seeds
