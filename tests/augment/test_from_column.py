"""Variants that come with the data: which texts of a column become variants, and how they are tokenised."""

import numpy as np
import pytest
from augmenters import lexicon
from datasets import Dataset
from transformers import AutoTokenizer

from augment import Augmenter, Compose, LexiconSubstitution, RandomDelete, RandomSwap, VariantsFromColumn


TEXT, PARAPHRASES = "a wonderful film", ["a superb movie", "a funny story", "the picture is lovely", "great players"]


@pytest.fixture
def make_row(tokenizer):
    """Makes a row with a text, its tokens and a column of paraphrases."""

    def make(paraphrases, text=TEXT, **options):
        return {"text": text, "paraphrases": paraphrases, **tokenizer(text, truncation=True, **options), "label": 1}

    return make


@pytest.fixture
def augmenter(tokenizer):
    return VariantsFromColumn(tokenizer, "paraphrases")


def texts_of(tokenizer, variants):
    return [tokenizer.decode(variant["input_ids"], skip_special_tokens=True) for variant in variants]


# --- which texts -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [list, tuple, lambda x: np.array(x, dtype=object)])
def test_variants_are_the_texts_in_the_order_of_the_column(tokenizer, augmenter, make_row, form):
    row = make_row(form(PARAPHRASES))
    variants = augmenter.variants(row, num_variants=4)
    assert texts_of(tokenizer, variants) == PARAPHRASES
    for variant, text in zip(variants, PARAPHRASES, strict=True):
        assert variant == {**row, **tokenizer(text)}


def test_variants_that_a_row_lacks_are_copies_of_it(augmenter, make_row):
    row = make_row(PARAPHRASES[:1])
    first, *others = augmenter.variants(row, num_variants=3)
    assert first["input_ids"] != row["input_ids"] and others == [row, row]


@pytest.mark.parametrize("nothing", [[], None, "", [None], ["", "  "]])
def test_a_row_without_texts_has_copies_alone(augmenter, make_row, nothing):
    row = make_row(nothing)
    assert augmenter.variants(row, num_variants=2) == [row, row]


def test_texts_with_the_tokens_of_the_original_or_of_another_text_are_left_out(tokenizer, augmenter, make_row):
    same = [TEXT, f" {TEXT.upper()} ", PARAPHRASES[0], PARAPHRASES[0].title(), PARAPHRASES[1]]
    assert texts_of(tokenizer, augmenter.variants(make_row(same), 2)) == PARAPHRASES[:2]


def test_texts_that_are_equal_once_they_are_truncated_are_left_out(tokenizer, make_row):
    augmenter = VariantsFromColumn(tokenizer, "paraphrases", max_length=4)
    row = make_row(["the movie was bad", "the movie is fine", "a story"], max_length=4)
    variants = augmenter.variants(row, 3)
    assert texts_of(tokenizer, variants) == ["the movie", "a story", tokenizer.decode(row["input_ids"][1:-1])]
    assert max(len(variant["input_ids"]) for variant in variants) == 4


def test_a_single_text_is_a_list_of_one(tokenizer, augmenter, make_row):
    assert texts_of(tokenizer, augmenter.variants(make_row("a superb movie"), 1)) == ["a superb movie"]


def test_a_cell_may_hold_its_list_as_json(tokenizer, augmenter, make_row):
    assert texts_of(tokenizer, augmenter.variants(make_row('["a superb movie", "bad"]'), 2)) == [
        "a superb movie",
        "bad",
    ]


def test_more_texts_than_wanted_are_drawn_by_the_seed_alone(tokenizer, augmenter, make_row):
    row, seeds = make_row(PARAPHRASES), [(seed, epoch) for seed in range(2) for epoch in range(20)]
    groups = augmenter.variants([row] * len(seeds), 2, seeds)
    drawn = [texts_of(tokenizer, group) for group in groups]
    for seed, texts in zip(seeds, drawn, strict=True):
        assert texts_of(tokenizer, augmenter.variants(row, 2, seed)) == texts
        assert texts == sorted(set(texts), key=PARAPHRASES.index)
    counts = [sum(text in texts for texts in drawn) for text in PARAPHRASES]
    assert sum(counts) == 80 and min(counts) >= 10


# --- filling -----------------------------------------------------------------------------------


def test_another_augmenter_makes_the_variants_that_a_row_lacks(tokenizer, make_row):
    then = lexicon(tokenizer)
    augmenter = VariantsFromColumn(tokenizer, "paraphrases", then=then)
    rows = [make_row(PARAPHRASES[:1]), make_row([]), make_row(PARAPHRASES)]
    seeds = [(7, i) for i in range(3)]
    some, none, all_of_them = augmenter.variants(rows, 4, seeds)
    filled = then.variants(rows[:2], 4, seeds[:2])
    assert texts_of(tokenizer, all_of_them) == PARAPHRASES
    assert none == filled[1]
    assert texts_of(tokenizer, some) == [PARAPHRASES[0], *texts_of(tokenizer, filled[0][:3])]


def test_filling_repeats_no_text_of_the_column(tokenizer, make_row):
    then = LexiconSubstitution(tokenizer, {"film": ["movie", "picture"]})
    augmenter = VariantsFromColumn(tokenizer, "paraphrases", then=then)
    (group,) = augmenter.variants([make_row(["a wonderful movie"])], 3)
    assert texts_of(tokenizer, group) == ["a wonderful movie", "a wonderful picture", TEXT]


@pytest.mark.parametrize("then", [RandomDelete, RandomSwap])
def test_lists_that_are_as_long_as_the_tokens_do_not_follow_them(tokenizer, make_row, then):
    row = make_row([], text="an odd film")
    row["paraphrases"] = ["an odd film"] * len(row["input_ids"])
    row["features"] = [float(i) for i in range(len(row["input_ids"]))]
    augmenter = VariantsFromColumn(tokenizer, "paraphrases", then=then(tokenizer))
    variants = augmenter.variants(row, 2)
    assert row["input_ids"] not in [variant["input_ids"] for variant in variants]
    for variant in variants:
        tokens = {name: variant[name] for name in tokenizer(TEXT)}
        assert variant == {**row, **tokens}


# --- pairs, joined columns, padding ------------------------------------------------------------

PAIR = {"sentence1": "a wonderful film", "sentence2": "the movie was superb"}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("a bad film", ("a bad film", PAIR["sentence2"])),
        (["a bad film", "it was bad"], ("a bad film", "it was bad")),
        (["a bad film", None], ("a bad film", PAIR["sentence2"])),
        ({"sentence2": "it was bad", "guid": "aug-1"}, (PAIR["sentence1"], "it was bad")),
        ({"sentence1": "a bad film", "sentence2": "it was bad"}, ("a bad film", "it was bad")),
    ],
)
def test_an_entry_gives_the_first_text_of_a_pair_or_both_or_those_that_it_names(tokenizer, entry, expected):
    row = {**PAIR, "more": [entry], **tokenizer(*PAIR.values())}
    augmenter = VariantsFromColumn(tokenizer, "more", ["sentence1", "sentence2"])
    assert augmenter.variants(row, 1) == [{**row, **tokenizer(*expected)}]


def test_text_columns_may_be_joined(tokenizer):
    row = {"title": "film", "body": "bad", "more": ["movie", ["movie", "awful"]], **tokenizer("film bad")}
    augmenter = VariantsFromColumn(tokenizer, "more", ["title", "body"], delimiter=" ")
    assert texts_of(tokenizer, augmenter.variants(row, 2)) == ["movie bad", "movie awful"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_may_come_padded(tokenizer, augmenter, make_row, side, monkeypatch):
    monkeypatch.setattr(tokenizer, "padding_side", side)
    row = make_row([TEXT, *PARAPHRASES[:1]], padding="max_length")
    assert texts_of(tokenizer, augmenter.variants(row, 1)) == PARAPHRASES[:1]


def test_variants_have_the_columns_of_their_row(augmenter, make_row):
    row = make_row(PARAPHRASES, return_special_tokens_mask=True, return_token_type_ids=False)
    (variant,) = augmenter.variants(row, 1)
    assert variant.keys() == row.keys() and len(variant["special_tokens_mask"]) == len(variant["input_ids"])


# --- configuration and checks ------------------------------------------------------------------


def test_configuration_and_back(tokenizer):
    augmenter = VariantsFromColumn(tokenizer, "more", "text", then=lexicon(tokenizer), max_length=9)
    config = augmenter.to_dict()
    assert Augmenter.from_dict(config, tokenizer).to_dict() == config
    assert augmenter.columns == ("more", "text", "keep_spans")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "Row 1 .from 0.: the column 'text' is None; expected a text"),
        ({"text": "another"}, "Row 1 .* input_ids, which are not the .* that tokenizer.text, truncation=True. makes"),
        ({"paraphrases": 3}, "Row 1 .*: the column 'paraphrases' is 3; expected a list of texts"),
        ({"paraphrases": ["a", 3]}, "Row 1 .*: the column 'paraphrases' has 3 in its list; expected a text, or"),
        ({"paraphrases": [["a", "b"]]}, r"has \['a', 'b'\] in its list; expected a text, or a dict with 'text'"),
        ({"paraphrases": "['a', 'b']"}, "not a list in JSON.*json.dumps"),
        ({"start_positions": 1, "end_positions": 1}, "Row 1 .from 0. has an answer, and .* do not say where tokens"),
    ],
)
def test_all_rows_of_a_data_set_are_checked_beforehand(augmenter, make_row, change, message):
    rows = [make_row(PARAPHRASES), {**make_row(PARAPHRASES), **change}]
    with pytest.raises(ValueError, match=message):
        augmenter.precompute(rows)
    with pytest.raises(ValueError, match=message.replace("Row 1 .from 0.", "An example").replace("Row 1 ", "")):
        augmenter.variants(rows, 2)


@pytest.mark.parametrize("name", ["labels", "label"])
def test_labels_of_tokens_are_refused(augmenter, make_row, name):
    row = make_row(PARAPHRASES)
    row[name] = [-100, *[1] * (len(row["input_ids"]) - 2), -100]
    with pytest.raises(ValueError, match=r"Row 0 .* has a label for each token, and the texts .* WordNetSynonyms"):
        augmenter.precompute([row])


def test_choices_are_refused(augmenter, make_row):
    row = make_row(PARAPHRASES)
    with pytest.raises(ValueError, match=r"Row 0 .* has choices"):
        augmenter.precompute([{**row, "input_ids": [row["input_ids"]] * 2}])


@pytest.mark.parametrize(("name", "what"), [("paraphrases", "with the texts"), ("text", "that its input_ids were")])
def test_a_column_that_is_missing_is_named(augmenter, make_row, name, what):
    row = make_row(PARAPHRASES)
    del row[name]
    with pytest.raises(
        ValueError, match=f"has no column {name!r}, {what}.*; its columns are .*keep it in the dataset"
    ):
        augmenter.precompute([row])


def test_originals_that_were_truncated_otherwise_are_refused_with_the_length(tokenizer, make_row):
    row = make_row(PARAPHRASES, text="the movie was awful and the actors ran away", max_length=6)
    with pytest.raises(ValueError, match=r"has 6 input_ids, .* VariantsFromColumn max_length=6, if"):
        VariantsFromColumn(tokenizer, "paraphrases").precompute([row])
    assert VariantsFromColumn(tokenizer, "paraphrases", max_length=6).precompute([row])


@pytest.mark.parametrize("column", [[], [TEXT], None])
def test_a_column_without_any_variant_is_refused(augmenter, make_row, column):
    with pytest.raises(ValueError, match="has no text that differs from the original in any of 2 rows"):
        augmenter.precompute(Dataset.from_list([make_row(column)] * 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_columns": []}, "expected the column with the lists, and another one"),
        ({"text_columns": "more"}, "column is 'more' and text_columns is 'more'; expected"),
        ({"text_columns": ["a", "b", "c"]}, "More columns need a delimiter"),
        ({"max_length": 0}, "max_length is 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tokenizer, options, message):
    with pytest.raises(ValueError, match=message):
        VariantsFromColumn(tokenizer, "more", **options)


def test_only_an_augmenter_of_the_same_vocabulary_fills(tokenizer, model_dir):
    with pytest.raises(TypeError, match="then is 'wordnet' of type str; expected a Augmenter"):
        VariantsFromColumn(tokenizer, "more", then="wordnet")
    other = AutoTokenizer.from_pretrained(model_dir)
    VariantsFromColumn(tokenizer, "more", then=lexicon(other))
    other.add_tokens(["newword"])
    with pytest.raises(ValueError, match="LexiconSubstitution has another vocabulary"):
        VariantsFromColumn(tokenizer, "more", then=lexicon(other))


def test_parts_of_others_are_augmenters_of_edits(tokenizer, augmenter):
    with pytest.raises(TypeError, match="A part is VariantsFromColumn"):
        Compose([augmenter])


def test_number_and_seeds_are_checked(augmenter, make_row):
    with pytest.raises(ValueError, match="num_variants is 0"):
        augmenter.variants(make_row(PARAPHRASES), 0)
    with pytest.raises(ValueError, match="1 examples and 2 seeds"):
        augmenter.variants([make_row(PARAPHRASES)], 1, [1, 2])
    assert augmenter.variants([], 1) == []
