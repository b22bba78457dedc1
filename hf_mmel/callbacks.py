"""What happens where an epoch begins."""

from transformers import TrainerCallback

from .data.variant_collator import VariantCollator
from .step.score_cache import ScoreTable


class EpochCallback(TrainerCallback):
    """
    Tells the collator which epoch begins, since `Trainer` tells samplers and data sets only, and has scores forgotten
    where new variants are drawn.
    """

    newest_collator: VariantCollator | None = None  # of the last data loader made, which a callback may ask for, too

    def __init__(self, scores: ScoreTable):
        self.scores = scores

    def on_train_begin(self, args, state, control, **kwargs):
        self.collator = self.newest_collator
        self.next_epoch = int(state.epoch or 0)  # a resumed run begins in the middle of this epoch
        self.scores.clear()

    def on_train_end(self, args, state, control, **kwargs):
        self.scores.clear()

    def on_epoch_begin(self, args, state, control, **kwargs):
        epoch, self.next_epoch = self.next_epoch, self.next_epoch + 1
        if self.collator is None:
            return
        self.collator.set_epoch(epoch)
        if epoch % self.collator.epochs_per_draw == 0:
            self.scores.clear()
        else:
            self.scores.share()
