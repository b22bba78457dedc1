"""Texts, and the examples that a tokenizer makes of them."""

from conftest import SENTENCES


TEXTS = [*SENTENCES, "", "movie", "The Movie and the FILM ran. Children's stories!", "12 + 3 = 15"]
PAIRS = [("the movie was awful", "an odd film"), ("a story", "actors ran"), ("film", "film")]


def examples_of(tokenizer, texts=TEXTS) -> list[dict]:
    encoded = tokenizer(list(texts), return_token_type_ids=True)
    return [{"label": i, **{name: encoded[name][i] for name in encoded}} for i in range(len(texts))]


def pair_of(tokenizer, first: str, second: str, **options) -> dict:
    return dict(tokenizer(first, second, return_token_type_ids=True, **options))


def ids_of(variants: list[dict]) -> list[list[int]]:
    return [variant["input_ids"] for variant in variants]
