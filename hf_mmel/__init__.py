"""Fine-tuning on augmented text by minimising the maximal expected loss (MMEL).

Yi et al., "Reweighting Augmented Samples by Minimizing the Maximal Expected Loss", ICLR 2021, arXiv 2103.08933.
"""

from .own_augment import own_augment


with own_augment():
    import augment as augment  # also for scripts with another module of that name: `from hf_mmel import augment`

    from . import version  # first: it names an unsupported package before an import fails because of it
    from .callbacks import GreedySearchCallback
    from .data.group_collator import GroupCollator
    from .data.variant_collator import VariantCollator
    from .monitoring.history import VariantHistory
    from .search import search_variants
    from .step.adversarial import AdversarialVariants
    from .trainer import MMELTrainer
    from .training_args import MMELTrainingArguments


__version__ = version.__version__
__all__ = [
    "AdversarialVariants",
    "GreedySearchCallback",
    "GroupCollator",
    "MMELTrainer",
    "MMELTrainingArguments",
    "VariantCollator",
    "VariantHistory",
    "search_variants",
]
