"""A tokenizer of bytes, for text that no model is going to read."""

from .words import _BYTE_OF_CHAR


# Latin-1 and general punctuation: “ ” ‘ ’ – … and others, each of two or three bytes.
_MARKS = [chr(i) for i in (*range(0xA0, 0xC0), *range(0x2000, 0x2040))]


def byte_tokenizer():
    """
    A fast tokenizer that needs no file: byte-level BPE with GPT-2's rule for words and a piece for every byte.

    Common punctuation outside of ASCII has pieces of its own, since the bytes of such a mark cannot be told from those
    of a letter. Other characters outside of ASCII are runs of bytes, so that a word that has some is one word.

    Returns:
        [`~transformers.PreTrainedTokenizerFast`]: The tokenizer, without special tokens and without a longest length.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = dict(_BYTE_OF_CHAR)
    char_of_byte = {byte: char for char, byte in vocabulary.items()}
    merges: dict[tuple[str, str], None] = {}
    for mark in _MARKS:
        piece, *others = (char_of_byte[byte] for byte in mark.encode())
        for char in others:
            merges[piece, char] = None
            piece += char
            vocabulary.setdefault(piece, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=1 << 40)
