"""
TextAttack's WordNetAugmenter in its fast mode.

15 % of the words of a sentence are two of fifteen, about as many as 30 % of those that have synonyms.
"""

import textattack_setup
from common import parse_arguments, report


def main() -> None:
    args = parse_arguments()
    textattack_setup.prepare(args.stop_words)
    from textattack.augmentation import WordNetAugmenter

    augmenter = WordNetAugmenter(
        pct_words_to_swap=0.15, transformations_per_example=args.num_variants, fast_augment=True
    )
    report(augmenter.augment_many, args.texts, args.repeats, warm_up=20, variants=args.variants)


if __name__ == "__main__":
    main()
