"""Texts, and the examples that a tokenizer makes of them."""

from conftest import SENTENCES, make_tokenizer
from tokenizers import decoders, models, normalizers


TEXTS = [*SENTENCES, "", "movie", "The Movie and the FILM ran. Children's stories!", "12 + 3 = 15"]
CASED = ["film", "Film", "FILM", "films", "iFilm", "movie", "Movie", "the", "The", "x", "shit", "shits", "Café", "##s"]
PAIRS = [("the movie was awful", "an odd film"), ("a story", "actors ran"), ("film", "film")]


def examples_of(tokenizer, texts=TEXTS) -> list[dict]:
    encoded = tokenizer(list(texts), return_token_type_ids=True)
    return [{"label": i, **{name: encoded[name][i] for name in encoded}} for i in range(len(texts))]


def pair_of(tokenizer, first: str, second: str, **options) -> dict:
    return dict(tokenizer(first, second, return_token_type_ids=True, **options))


def ids_of(variants: list[dict]) -> list[list[int]]:
    return [variant["input_ids"] for variant in variants]


def make_cased_tokenizer():
    """A tokenizer that keeps case, with the words `CASED`."""
    tokenizer = make_tokenizer("wordpiece")
    pieces = [*tokenizer.all_special_tokens, *CASED, *"abcdefghijklmnopqrstuvwxyz.", *(f"##{c}" for c in "abcdeims")]
    backend = tokenizer.backend_tokenizer
    backend.model = models.WordPiece({piece: i for i, piece in enumerate(dict.fromkeys(pieces))}, unk_token="[UNK]")
    backend.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    backend.decoder = decoders.WordPiece(prefix="##")
    return tokenizer
