"""Our own side of the speed benchmark: one measurement, by name, in the manner of the runners of the peers."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

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


class FlatRows(Sequence):
    """Rows of token ids in one array."""

    def __init__(self, ids: np.ndarray, lengths: np.ndarray):
        self.ids, self.lengths = ids, lengths
        self.ends = lengths.cumsum()

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, place: int | slice) -> "list[int] | FlatRows":
        if isinstance(place, slice):
            lengths, begin = self.lengths[place], self.ends[place.start - 1] if place.start else 0
            return FlatRows(self.ids[begin : begin + lengths.sum()], lengths)
        return self.ids[self.ends[place] - self.lengths[place] : self.ends[place]].tolist()


class FlatGroups(Sequence):
    """The variants of many calls, as the calls gave them: the first variant of each row, then the second ones."""

    def __init__(self, calls: list[tuple[np.ndarray, np.ndarray]]):
        self.calls = [FlatRows(ids, lengths.ravel()) for ids, lengths in calls]
        self.counts = [lengths.shape[1] for _, lengths in calls]

    def __len__(self) -> int:
        return sum(self.counts)

    def __getitem__(self, place: int) -> list[list[int]]:
        call = 0
        while place >= self.counts[call]:
            place, call = place - self.counts[call], call + 1
        return [self.calls[call][v] for v in range(place, len(self.calls[call]), self.counts[call])]

    def __iter__(self):
        return map(self.__getitem__, range(len(self)))


def wordnet_arrays(args: Namespace) -> None:
    """Flat arrays in and out, in which neither a row nor a variant is a Python object."""
    from augment import WordNetSynonyms

    tokenizer = bare_tokenizer(args.tokenizer)
    rows = [example["input_ids"] for example in examples_of(args.texts, tokenizer.backend_tokenizer)]
    augmenter = WordNetSynonyms(tokenizer, min_sense_share=float(args.min_sense_share))
    rows_per_call = int(args.rows_per_call)

    def make(examples: FlatRows) -> Groups:
        calls = []
        for begin in range(0, len(examples), rows_per_call):
            rows = examples[begin : begin + rows_per_call]
            seeds = range(begin, begin + len(rows))
            calls.append(augmenter.variant_arrays(rows.ids, rows.lengths, args.num_variants, seeds)[:2])
        return FlatGroups(calls)

    report(make, FlatRows(np.concatenate(rows), np.array([len(row) for row in rows])), args.repeats)


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
    from augment.registry import augmenter_config, load_augmenter

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
    for measure in (wordnet_arrays, wordnet_ids, wordnet_text, wordnet_bytes, mlm_first_epoch, mlm_later_epochs)
}


if __name__ == "__main__":
    args = parse_arguments("measure", "tokenizer", "mlm", "masking", "rows_per_call", "min_sense_share", "dtype")
    MEASUREMENTS[args.measure](args)
