"""A tokenizer of bytes for text that no model reads: the default of the command line."""

from collections.abc import Sequence
from typing import Any

from .words import BYTE_OF_CHAR


# Latin-1 and general punctuation, such as “ ” ‘ ’ – …: marks of two or three bytes.
_MARKS = [chr(i) for i in (*range(0xA0, 0xC0), *range(0x2000, 0x2040))]


class ByteTokenizer:
    """
    Byte-level BPE with GPT-2's word rule and one piece per byte. It reads no files and has no special tokens and no
    maximum length.

    Common punctuation outside ASCII has its own pieces, because the bytes of a mark look like the bytes of a letter.
    Other characters outside ASCII are runs of bytes, so a word that contains some is one word.

    It implements the part of `transformers.PreTrainedTokenizerFast` that augmenters use, because importing that
    class takes about a second.
    """

    is_fast = True
    model_max_length = 1 << 40
    all_special_ids: tuple[int, ...] = ()
    unk_token = unk_token_id = sep_token_id = eos_token_id = mask_token_id = None

    def __init__(self):
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        vocabulary = dict(BYTE_OF_CHAR)
        char_of_byte = {byte: char for char, byte in vocabulary.items()}
        merges: dict[tuple[str, str], None] = {}
        for mark in _MARKS:
            piece, *others = (char_of_byte[byte] for byte in mark.encode())
            for char in others:
                merges[piece, char] = None
                piece += char
                vocabulary.setdefault(piece, len(vocabulary))
        self.backend_tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
        self.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.backend_tokenizer.decoder = decoders.ByteLevel()
        self.special_tokens_map: dict[str, str] = {}
        self.added_tokens_decoder: dict[int, Any] = {}

    def __call__(self, text: str | Sequence[str], **options) -> dict[str, list]:
        """`input_ids` and `offset_mapping` of a text, or of each of a list of texts. Options are ignored."""
        encodings = self.backend_tokenizer.encode_batch([text] if isinstance(text, str) else list(text))
        columns: dict[str, list[list]] = {
            "input_ids": [row.ids for row in encodings],
            "offset_mapping": [row.offsets for row in encodings],
        }
        return {name: rows[0] for name, rows in columns.items()} if isinstance(text, str) else dict(columns)

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size()

    def get_vocab(self) -> dict[str, int]:
        return self.backend_tokenizer.get_vocab()

    def decode(self, ids: Sequence[int]) -> str:
        return self.backend_tokenizer.decode(list(ids))
