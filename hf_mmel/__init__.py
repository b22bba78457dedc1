"""Fine-tuning on augmented text by minimising the maximal expected loss (MMEL).

Yi et al., "Reweighting Augmented Samples by Minimizing the Maximal Expected Loss", ICLR 2021, arXiv 2103.08933.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .own_augment import own_augment


with own_augment():
    import augment as augment  # also for scripts with another module of that name: `from hf_mmel import augment`

    from . import version  # names an unsupported package before an import fails because of it

if TYPE_CHECKING:
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
# The modules of these names. They are imported when a name is used, as they need torch and transformers, which take
# seconds to import and which `--help` does without.
_MODULES = {
    "AdversarialVariants": "step.adversarial",
    "GreedySearchCallback": "callbacks",
    "GroupCollator": "data.group_collator",
    "MMELTrainer": "trainer",
    "MMELTrainingArguments": "training_args",
    "VariantCollator": "data.variant_collator",
    "VariantHistory": "monitoring.history",
    "search_variants": "search",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        globals()[name] = value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):  # `import hf_mmel; hf_mmel.functional`
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
