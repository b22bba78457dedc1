"""What may change in an example, and how it fits what stands around it."""

import re

import pytest
from conftest import SENTENCES, WORDS

from augment import LexiconSubstitution
from examples import PAIRS, TEXTS, examples_of, ids_of, pair_of


@pytest.mark.parametrize(("segments", "kept"), [("first", 1), ("second", 0)])
def test_only_the_chosen_segment_changes(any_tokenizer, segments, kept):
    augmenter = LexiconSubstitution(any_tokenizer, WORDS, segments=segments)
    for first, second in PAIRS:
        example = pair_of(any_tokenizer, first, second)

        def parts(ids):
            cut = ids.index(any_tokenizer.sep_token_id) + 1
            return ids[:cut], ids[cut:]

        for ids in ids_of(augmenter.variants(example, 1, 0)):
            assert parts(ids)[kept] == parts(example["input_ids"])[kept]
            assert parts(ids)[1 - kept] != parts(example["input_ids"])[1 - kept]
    rows = [{"input_ids": []}, *examples_of(any_tokenizer, [""])]
    assert augmenter.variants(rows, 1, [0, 0]) == [[row] for row in rows]
    assert augmenter.variants(rows[:1], 1, [0]) == [rows[:1]]


def test_last_word_of_a_full_row_stays(any_tokenizer):
    text = "the story film"
    ids = any_tokenizer(text)["input_ids"]
    for max_length, last in ((len(ids), {"story"}), (len(ids) + 1, {"film", "story"})):
        augmenter = LexiconSubstitution(any_tokenizer, {"story": ["film"], "film": ["the"]}, max_length=max_length)
        edits = augmenter.edits({"input_ids": ids}, 9, 0)
        assert {any_tokenizer.decode(edit.old).strip() for variant in edits for edit in variant} == last
    pair = pair_of(any_tokenizer, "the film", "the story")
    full = LexiconSubstitution(any_tokenizer, WORDS, max_length=len(pair["input_ids"]))
    assert full.edits(pair, 3, 0) == [[], [], []]  # either text may have been cut


def test_max_length_is_that_of_the_tokenizer_by_default(any_tokenizer):
    text = " ".join(["the movie ran"] * 40)
    ids = any_tokenizer(text, truncation=True, max_length=64)["input_ids"]
    words = {"movie": ["motion picture, as it were"], "ran": ["went"]}
    augmenter = LexiconSubstitution(any_tokenizer, words, replace_prob=1.0)
    assert all(len(variant) <= 64 for variant in ids_of(augmenter.variants({"input_ids": ids}, 4, 0)))


@pytest.mark.parametrize(
    ("text", "variant"),
    [("the story", "the tale"), ("Story", "Tale"), ("STORY", "TALE"), ("The STORY ran.", "The TALE jogged.")],
)
def test_case_is_kept(any_tokenizer, text, variant):
    augmenter = LexiconSubstitution(any_tokenizer, WORDS, replace_prob=1.0)
    assert augmenter.augment_text(text, 1, 0) == [variant]


@pytest.mark.parametrize(
    ("text", "variants"),
    [
        ("an odd film", {"an unusual film"}),
        ("An odd film", {"An unusual film"}),
        ("the odd film", {"the unusual film", "the strange film"}),
        ("a funny film", {"a comic film"}),
        ("so a funny film", {"so a comic film"}),
        ("a dull film", set()),
    ],
)
def test_article_fits_the_replacement(any_tokenizer, text, variants):
    augmenter = LexiconSubstitution(
        any_tokenizer, {word: WORDS[word] for word in ("odd", "funny")} | {"dull": ["Awful"]}
    )
    assert set(augmenter.augment_text(text, 4, 0)) - {text} == variants


ODD_TEXTS = [
    "  the  movie\twas\nawful ",
    "😀 The movie 😀 was AWFUL 😀",
    "«The film» — children's “movie”… (story)",
    "naïve Ångström movie \u200b café",
    "電影 movie фильм film",
    "movie",
    "",
    "<b>film</b> movie.com don't",
]


def test_text_between_replacements_is_untouched(make, any_tokenizer):
    words = "|".join(sorted({*make.table, *(c for cs in make.table.values() for c in cs)}, key=len, reverse=True))
    pattern = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    for text, variants in zip(
        ODD_TEXTS, make(any_tokenizer).augment_text(ODD_TEXTS, 4, [0] * len(ODD_TEXTS)), strict=True
    ):
        for variant in variants:
            assert pattern.sub("<>", variant) == pattern.sub("<>", text)


def test_text_agrees_with_the_variants_of_its_ids(make, any_tokenizer):
    """The text of a variant is cut into that variant's ids."""
    augmenter = make(any_tokenizer)
    for text in TEXTS:
        variants = augmenter.variants(any_tokenizer(text), 4, 5)
        assert any_tokenizer(augmenter.augment_text(text, 4, 5))["input_ids"] == ids_of(variants)


def test_text_longer_than_max_length_is_not_cut(any_tokenizer):
    text = " ".join(SENTENCES * 5)
    augmenter = LexiconSubstitution(any_tokenizer, WORDS, max_length=8, replace_prob=1.0)
    (variant,) = augmenter.augment_text(text, 1, 0)
    assert len(variant.split()) >= len(text.split()) and variant.count("jogged") == 5


@pytest.mark.parametrize("text", [None, 3, b"film", ["film", None], [["film"]]])
def test_what_is_no_text_is_refused(augmenter, text):
    with pytest.raises(TypeError, match="expected a str"):
        augmenter.augment_text(text, 1, [0])
