"""Our augmenters, and whether their variants survive a tokenizer."""

from collections.abc import Callable, Sequence
from pathlib import Path

from datasets import load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from augment import Augmenter, EmbeddingNeighbours, RandomDelete, RandomInsert, RandomSwap, WordNetSynonyms
from augment.masked_lm import MaskedLMSubstitution

from .sentences import COLUMNS


VOCABULARY_SIZE = 16_000


def make_augmenters(args) -> dict[str, Callable[[], Augmenter]]:
    """Name -> what builds the augmenter. `args` has `data`, `mlm` and `work_dir` of the benchmark."""

    def wordpiece():
        return AutoTokenizer.from_pretrained(args.mlm)

    def bpe():
        return byte_level_bpe(args.data, args.work_dir / "bpe.json")

    def wordnet(tokenizer, **options) -> WordNetSynonyms:
        return WordNetSynonyms(tokenizer, cache_dir=args.work_dir / "cache", **options)

    def masked_lm(masking: str) -> MaskedLMSubstitution:
        return MaskedLMSubstitution(wordpiece(), args.mlm, masking=masking)

    return {
        "WordNetSynonyms": lambda: wordnet(wordpiece()),
        "WordNetSynonyms, all senses": lambda: wordnet(wordpiece(), min_sense_share=0),
        "WordNetSynonyms, cased BPE": lambda: wordnet(bpe()),
        "MaskedLMSubstitution, grouped": lambda: masked_lm("grouped"),
        "MaskedLMSubstitution, single": lambda: masked_lm("single"),
        "MaskedLMSubstitution, none": lambda: masked_lm("none"),
        "EmbeddingNeighbours": lambda: EmbeddingNeighbours(wordpiece(), args.mlm),
        "RandomDelete": lambda: RandomDelete(wordpiece()),
        "RandomDelete, cased BPE": lambda: RandomDelete(bpe()),
        "RandomSwap": lambda: RandomSwap(wordpiece()),
        "RandomSwap, cased BPE": lambda: RandomSwap(bpe()),
        "RandomInsert": lambda: RandomInsert(wordnet(wordpiece())),
        "RandomInsert, cased BPE": lambda: RandomInsert(wordnet(bpe())),
    }


def byte_level_bpe(data: str, path: Path) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that keeps case, trained on the texts of GLUE and kept at `path`."""
    if not path.exists():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY_SIZE, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
        for_training = (load_dataset(data, task, split="train")[column] for task, column in COLUMNS.items())
        tokenizer.train_from_iterator((text for texts in for_training for text in texts), trainer)
        tokenizer.save(str(path))
    return PreTrainedTokenizerFast(tokenizer_file=str(path))


def tokenised_again(
    augmenter: Augmenter, texts: Sequence[str], groups: Sequence[Sequence[str]]
) -> dict[str, dict[str, float]]:
    """
    The shares of variants of ids, of those that are not copies, that are the same after a way through text. All texts
    have their index as seed.

    Returns:
        `dict`: `"augment_text"`: whether the text of the same variant has those ids. `"decode"`: whether their own
        text, decoded, has. With each the number of variants that it is a share of.
    """
    tokenizer, num_variants = augmenter.tokenizer, len(groups[0])
    examples = [dict(tokenizer(text)) for text in texts]
    variants = augmenter.variants(examples, num_variants, range(len(texts)))
    counts = {"augment_text": 0, "decode": 0, "all": 0}
    for example, group, written in zip(examples, variants, groups, strict=True):
        for variant, text in zip(group, written, strict=True):
            ids = variant["input_ids"]
            if ids != example["input_ids"]:
                decoded = tokenizer.decode(ids, skip_special_tokens=True)
                counts["augment_text"] += tokenizer(text)["input_ids"] == ids
                counts["decode"] += tokenizer(decoded)["input_ids"] == ids
                counts["all"] += 1
    return {way: {"share": counts[way] / counts["all"], "count": counts["all"]} for way in ("augment_text", "decode")}
