"""The part of `MMELTrainer` that writes the model card."""

from typing import Any

from transformers import Trainer

from ..data.group_collator import GroupCollator
from ..step.adversarial import AdversarialVariants
from ..training_args import MMELTrainingArguments
from .model_card import write_model_card


class ModelCardTrainer(Trainer):
    """A trainer whose model card describes the objective, the augmentation and the weights."""

    args: MMELTrainingArguments  # or plain `TrainingArguments`, which are enough without variants
    adversary: AdversarialVariants | None = None

    def build_group_collator(self) -> GroupCollator | None:
        """The collator of the training examples, or `None` if they are trained on as they are."""
        return None

    def create_model_card(
        self,
        language: str | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | list[str] | None = None,
        dataset_tags: str | list[str] | None = None,
        dataset: str | list[str] | None = None,
        dataset_args: str | list[str] | None = None,
        *,
        scores: dict[str, dict[str, float]] | None = None,
        command: str | None = None,
    ) -> None:
        """
        Writes the model card, `README.md`, and a chart of the weights, `mmel_weights.svg`, to `output_dir`.
        `push_to_hub` calls this. Under plain `TrainingArguments` the card is the stock one.

        Args:
            scores (`dict[str, dict[str, float]]`, *optional*):
                Metrics returned by `evaluate`, by split. Defaults to those of the latest evaluation.
            command (`str`, *optional*): The command that trained the model.

        All other arguments are those of `transformers.Trainer.create_model_card`.
        """
        facts: dict[str, Any] = {"language": language, "license": license, "tags": tags, "model_name": model_name}
        facts |= {"finetuned_from": finetuned_from, "tasks": tasks, "dataset_tags": dataset_tags}
        facts |= {"dataset": dataset, "dataset_args": dataset_args}
        if not isinstance(self.args, MMELTrainingArguments):
            super().create_model_card(**facts)
        elif self.is_world_process_zero():
            collator = self.build_group_collator()
            write_model_card(self, collator, self.adversary, scores=scores, command=command, **facts)
