"""The table of a training run in a notebook. Needs IPython, as the module of transformers that it builds on does."""

from transformers import IntervalStrategy, TrainerState
from transformers.utils.notebook import NotebookProgressCallback


PREFIX = "mmel/"


class VariantNotebookCallback(NotebookProgressCallback):
    """
    The stock table of notebooks with a column for each metric of the variants, beside the training loss that it was
    logged with: "Loss Original", "Loss Variants", "Max Weight", "Effective Num Variants" and so on, see
    `GroupMetrics`.
    """

    def on_log(self, args, state, control, logs=None, **kwargs):
        super().on_log(args, state, control, logs=logs, **kwargs)
        if args.eval_strategy == IntervalStrategy.NO and "loss" in (logs or {}):
            self._add_columns(state)

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        super().on_evaluate(args, state, control, metrics=metrics, **kwargs)
        self._add_columns(state)

    def _add_columns(self, state: TrainerState) -> None:
        """Adds the metrics of the latest training loss to the last line, which the stock callback has just written."""
        log = next((log for log in reversed(state.log_history) if "loss" in log), {})
        columns = {title_of(name): value for name, value in log.items() if name.startswith(PREFIX)}
        tracker = self.training_tracker  # `None` outside training
        if tracker is not None and columns:
            titles, *_, line = tracker.inner_table
            tracker.write_line({titles[0]: line[0], **columns})
            tracker.display()


def title_of(metric: str) -> str:
    """The title of a metric's column, written as the stock titles are: "Max Weight" for `mmel/max_weight`."""
    return " ".join(word.capitalize() for word in metric.removeprefix(PREFIX).split("_"))
