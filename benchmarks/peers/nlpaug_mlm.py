"""
nlpaug's ContextualWordEmbsAug with its own defaults: 30 % of a sentence's words, one pass of the masked LM for each.

It is given lists of texts, each K times. With 32 it runs fastest; with 1 it does what `augment(text, n=K)` does.
"""

from common import parse_arguments, report
from nlpaug.augmenter.word import ContextualWordEmbsAug


def main() -> None:
    args = parse_arguments("mlm", "batch_size")
    batch_size = int(args.batch_size)
    augmenter = ContextualWordEmbsAug(model_path=args.mlm, model_type="bert", batch_size=batch_size)

    def make(texts: list[str]) -> list[list[str]]:
        copies = [text for text in texts for _ in range(args.num_variants)]
        variants = []
        for begin in range(0, len(copies), batch_size):
            variants += augmenter.augment(copies[begin : begin + batch_size])
        return [variants[i : i + args.num_variants] for i in range(0, len(variants), args.num_variants)]

    report(make, args.texts, args.repeats, warm_up=8, variants=args.variants)


if __name__ == "__main__":
    main()
