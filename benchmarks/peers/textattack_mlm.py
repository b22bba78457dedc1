"""
TextAttack's WordSwapMaskedLM, by the method of BAE, in its Augmenter's fast mode; it has no recipe of this alone.

15 % of the words of a sentence are two of fifteen. It pads every text to `max_length`, which is to be little more than
the longest one has: 512 by default would make it far slower.
"""

import textattack_setup
from common import parse_arguments, report


def main() -> None:
    args = parse_arguments("mlm", "max_length")
    textattack_setup.prepare(args.stop_words)
    from textattack.augmentation import Augmenter
    from textattack.constraints.pre_transformation import RepeatModification, StopwordModification
    from textattack.transformations import WordSwapMaskedLM

    augmenter = Augmenter(
        WordSwapMaskedLM(method="bae", masked_language_model=args.mlm, max_length=int(args.max_length)),
        constraints=[RepeatModification(), StopwordModification()],
        pct_words_to_swap=0.15,
        transformations_per_example=args.num_variants,
        fast_augment=True,
    )
    report(augmenter.augment_many, args.texts, args.repeats, warm_up=1, variants=args.variants)


if __name__ == "__main__":
    main()
