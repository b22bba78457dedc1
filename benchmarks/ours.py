"""Our own side of the speed benchmark: one measurement, by name, in the manner of the runners of the peers."""

from argparse import Namespace
from collections.abc import Callable
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from benchmarks.peers.common import Groups, parse_arguments, report


def bare_tokenizer(file: str) -> SimpleNamespace:
    """All that an augmenter needs of one of BERT's tokenizers to change token ids, without transformers."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(file)
    added = backend.get_added_tokens_decoder()
    return SimpleNamespace(
        is_fast=True,
        backend_tokenizer=backend,
        get_vocab=backend.get_vocab,
        model_max_length=512,
        added_tokens_decoder=added,
        all_special_ids=[index for index, token in added.items() if token.special],
        special_tokens_map={"unk_token": "[UNK]", "sep_token": "[SEP]"},
        unk_token="[UNK]",
        unk_token_id=backend.token_to_id("[UNK]"),
        sep_token_id=backend.token_to_id("[SEP]"),
        eos_token_id=None,
    )


def examples_of(texts: list[str], backend) -> list[dict[str, Any]]:
    encoded = backend.encode_batch(texts)
    return [{"input_ids": row.ids, "attention_mask": row.attention_mask} for row in encoded]


def in_calls_of(augmenter, rows_per_call: int, num_variants: int) -> Callable[[list[Any]], Groups]:
    """Makes the variants of examples, or of texts, in calls of so many of them."""

    def make(examples: list[Any]) -> Groups:
        groups = []
        for begin in range(0, len(examples), rows_per_call):
            rows = examples[begin : begin + rows_per_call]
            of = augmenter.augment_text if isinstance(rows[0], str) else augmenter.variants
            groups += of(rows, num_variants, range(begin, begin + len(rows)))
        return groups

    return make


def wordnet_ids(args: Namespace) -> None:
    from augment import WordNetSynonyms

    tokenizer = bare_tokenizer(args.tokenizer)
    examples = examples_of(args.texts, tokenizer.backend_tokenizer)
    augmenter = WordNetSynonyms(tokenizer, min_sense_share=float(args.min_sense_share))
    report(in_calls_of(augmenter, int(args.rows_per_call), args.num_variants), examples, args.repeats)


def wordnet_text(args: Namespace) -> None:
    from transformers import AutoTokenizer

    from augment import WordNetSynonyms

    tokenizer = AutoTokenizer.from_pretrained(args.mlm)
    augmenter = WordNetSynonyms(tokenizer, min_sense_share=float(args.min_sense_share))
    report(in_calls_of(augmenter, int(args.rows_per_call), args.num_variants), args.texts, args.repeats)


def wordnet_bytes(args: Namespace) -> None:
    """Text without a model, read by the tokenizer of bytes that is built in."""
    from augment.by_name import augmenter_config, load_augmenter

    make = in_calls_of(load_augmenter(augmenter_config("wordnet")), int(args.rows_per_call), args.num_variants)
    report(make, args.texts, args.repeats)


def mlm_first_epoch(args: Namespace) -> None:
    """
    The table of candidates, for which the model is loaded anew, and one epoch of variants from it. What is built once
    for a tokenizer counts as part of the start, as does the loading of the other libraries' models.
    """
    augmenter, examples = masked_lm(args)
    make = in_calls_of(augmenter, int(args.rows_per_call), args.num_variants)

    def first_epoch(examples: list[Any]) -> Groups:
        with TemporaryDirectory() as folder:
            augmenter.precompute(examples, folder)
            return make(examples)

    report(first_epoch, examples, args.repeats, warm_up=8)


def mlm_later_epochs(args: Namespace) -> None:
    augmenter, examples = masked_lm(args)
    with TemporaryDirectory() as folder:
        augmenter.precompute(examples, folder)
        report(in_calls_of(augmenter, int(args.rows_per_call), args.num_variants), examples, args.repeats)


def masked_lm(args: Namespace) -> tuple[Any, list[dict[str, Any]]]:
    """A masked LM as an augmenter, and the examples, both with the model's own tokenizer."""
    from transformers import AutoTokenizer

    from augment import MaskedLMSubstitution

    tokenizer = AutoTokenizer.from_pretrained(args.mlm)
    augmenter = MaskedLMSubstitution(tokenizer, args.mlm, masking=args.masking, dtype=args.dtype)
    return augmenter, examples_of(args.texts, tokenizer.backend_tokenizer)


MEASUREMENTS = {
    measure.__name__: measure
    for measure in (wordnet_ids, wordnet_text, wordnet_bytes, mlm_first_epoch, mlm_later_epochs)
}


if __name__ == "__main__":
    args = parse_arguments("measure", "tokenizer", "mlm", "masking", "rows_per_call", "min_sense_share", "dtype")
    MEASUREMENTS[args.measure](args)
