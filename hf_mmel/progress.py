"""What a progress bar says of variants."""

from transformers import ProgressCallback, Trainer


SHOWN = {
    "original": "mmel/loss_original",
    "variants": "mmel/loss_variants",
    "effective": "mmel/effective_num_variants",
    "variants/s": "mmel/variants_per_second",
}


class VariantProgressCallback(ProgressCallback):
    """
    The stock bar, with the latest figures of the variants beside it: the losses of the originals and of the variants,
    the effective number of variants, and variants per second.
    """

    def on_log(self, args, state, control, logs=None, **kwargs):
        figures = {name: f"{logs[key]:.3g}" for name, key in SHOWN.items() if key in logs}
        if self.training_bar is not None and figures:
            self.training_bar.set_postfix(figures, refresh=False)  # the stock line above the bar draws it anew
        super().on_log(args, state, control, logs=logs, **kwargs)


def replace_progress_bar(trainer: Trainer) -> None:
    """Has [`VariantProgressCallback`] take the place of the stock bar, and of no other."""
    callbacks = trainer.callback_handler.callbacks
    for place, callback in enumerate(callbacks):
        if type(callback) is ProgressCallback:
            callbacks[place] = VariantProgressCallback(callback.max_str_len)
