"""Labels of tokens and `alignment` follow the words into the variants of every augmenter."""

import re

import numpy as np
import pytest
import torch
from augmenters import AUGMENTERS, lexicon, masked_lm
from conftest import SENTENCES, TOKENIZER_KINDS, WORDS
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from pairwise import in_turn

from augment import Compose, LexiconSubstitution, OneOf, RandomDelete, RandomInsert, RandomSwap, Sometimes
from augment.core.batch import are_of_tokens
from examples import PAIRS, ids_of, pair_of
from hf_mmel.data.groups import IGNORE_INDEX


MOVING = ["swap", "one_of"]
STAYING = [name for name in AUGMENTERS if name not in MOVING]
SEEDS = list(range(len(SENTENCES)))


@pytest.fixture(params=STAYING)
def name(request):
    return request.param


@pytest.fixture
def build(name, wordnet, wordnet_cache, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    return AUGMENTERS[name]


def each_with_a_tokenizer(shift: int) -> pytest.MarkDecorator:
    """For laws in which the tokenizer has no part, since others say where labels go."""
    return in_turn(shift, ["name", "any_tokenizer"], name=STAYING, any_tokenizer=TOKENIZER_KINDS)


def labelled(tokenizer, *texts: str) -> dict:
    """An example whose words, as the tokenizer has them, have their numbers as labels, and its alignment."""
    encoded = tokenizer(*texts)
    words, labels, before = 0, [], None
    for word, part in zip(encoded.word_ids(), encoded.sequence_ids(), strict=True):
        begins = word is not None and (word, part) != before
        labels.append(words if begins else IGNORE_INDEX)
        words, before = words + begins, (word, part)
    return {**encoded, "labels": labels, "alignment": list(range(len(labels)))}


def spellings(tokenizer, example: dict) -> dict[int, str]:
    """The text from each label up to the next one or the next special token."""
    ids, found = example["input_ids"], {}
    for place, label in enumerate(example["labels"]):
        if label != IGNORE_INDEX:
            stop = place + 1
            while ids[stop] not in tokenizer.all_special_ids and example["labels"][stop] == IGNORE_INDEX:
                stop += 1
            assert label not in found
            found[label] = tokenizer.decode(ids[place:stop]).strip()
    return found


def may_become(name: str, text: str) -> str:
    """What a word of an original may be in a variant, and whatever comes before the next label, as a pattern."""
    word, rest = re.fullmatch(r"([a-zI]*)(.*)", text).groups()
    known = "|".join(map(re.escape, [word, *WORDS.get(word, ()), *(["story"] if word == "movie" else [])]))
    any_word = "|".join({new for news in WORDS.values() for new in news})
    rest = re.escape(rest)
    patterns = {
        "delete": rf"{word}{rest}.*",  # of a word that was deleted the mark after it is left
        "compose": rf"({known}){rest}.*",
        "insert": rf"{word}( ({any_word}))?{rest}",
        "hesitation": rf"{word}( um)?{rest}",
        "punctuation": rf"{word}( ?[,.;:!])?{rest}",
        "masked_lm_insertion": rf"{word}( [a-z]+)?{rest}",
    }
    if name in ("wordnet", "embedding", "masked_lm", "typos", "keyboard_typos"):
        return rf"\D+{rest}" if word else rest
    return patterns.get(name, rf"({known}){rest}")


def test_a_label_stays_with_its_word_or_goes_to_what_replaces_it(name, build, any_tokenizer):
    augmenter, changed = build(any_tokenizer), 0
    for seed, text in enumerate(SENTENCES[:-1]):
        example = labelled(any_tokenizer, text)
        words = spellings(any_tokenizer, example)
        assert "".join(words.values()).replace(" ", "").lower() == text.replace(" ", "").lower()
        for variant in augmenter.variants(example, 4, seed):
            assert len(variant["labels"]) == len(variant["input_ids"])
            found = spellings(any_tokenizer, variant)
            assert list(found) == sorted(found) and found.keys() <= words.keys()
            if name not in ("delete", "compose"):
                assert found.keys() == words.keys()
            for word, spelling in found.items():
                assert re.fullmatch(may_become(name, words[word]), spelling), (words[word], spelling)
            changed += found != words
    assert changed >= 5


def test_labels_and_alignment_are_what_the_edits_say(build, any_tokenizer):
    augmenter = build(any_tokenizer)
    examples = [labelled(any_tokenizer, text) for text in SENTENCES]
    examples += [labelled(any_tokenizer, *pair) for pair in PAIRS]
    for seed, example in enumerate(examples):
        variants = augmenter.variants(example, 4, seed)
        for variant, edits in zip(variants, augmenter.edits(example, 4, seed), strict=True):
            expected = {"labels": [], "alignment": []}
            place = 0
            for edit in [*sorted(edits), None]:
                stop = len(example["input_ids"]) if edit is None else edit.start
                for column, values in expected.items():
                    values += example[column][place:stop]
                    if edit is not None and edit.new:
                        values += [example[column][edit.start]] + [IGNORE_INDEX] * (len(edit.new) - 1)
                place = stop if edit is None else edit.start + len(edit.old)
            assert expected == {column: variant[column] for column in expected}


def test_the_tokens_that_stand_for_others_are_the_same_unless_replaced(build, any_tokenizer):
    augmenter = build(any_tokenizer)
    for seed, text in enumerate(SENTENCES):
        example = labelled(any_tokenizer, text)
        ids = np.array(example["input_ids"])
        for variant, edits in zip(
            augmenter.variants(example, 4, seed), augmenter.edits(example, 4, seed), strict=True
        ):
            replaced = {edit.start for edit in edits}
            pairs = [(i, j) for j, i in enumerate(variant["alignment"]) if i != IGNORE_INDEX and i not in replaced]
            assert all(ids[i] == variant["input_ids"][j] for i, j in pairs)
            touched = {i for edit in edits for i in range(edit.start, edit.start + len(edit.old))}
            assert {i for i, _ in pairs} == set(range(len(ids))) - touched


@each_with_a_tokenizer(0)
def test_labels_do_not_change_the_variants(build, any_tokenizer):
    augmenter = build(any_tokenizer)
    examples = [labelled(any_tokenizer, text) for text in SENTENCES]
    plain = [{"input_ids": example["input_ids"]} for example in examples]
    groups = augmenter.variants(examples, 3, SEEDS)
    assert [ids_of(group) for group in groups] == [ids_of(group) for group in augmenter.variants(plain, 3, SEEDS)]
    assert groups == [augmenter.variants(example, 3, seed) for example, seed in zip(examples, SEEDS, strict=True)]


@each_with_a_tokenizer(1)
def test_labels_of_all_pieces_stay_with_the_pieces_that_stay(build, any_tokenizer):
    example = labelled(any_tokenizer, "children laughed and clapped at the funny clown in the awful movie")
    special = any_tokenizer.all_special_ids
    example["labels"] = [IGNORE_INDEX if i in special else 100 + n for n, i in enumerate(example["input_ids"])]
    for variant in build(any_tokenizer).variants(example, 4, 0):
        expected = [example["labels"][i] if i != IGNORE_INDEX else i for i in variant["alignment"]]
        assert variant["labels"] == expected


@each_with_a_tokenizer(2)
def test_arrays_give_what_lists_give(build, any_tokenizer):
    augmenter, example = build(any_tokenizer), labelled(any_tokenizer, SENTENCES[0])
    expected = augmenter.variants(example, 3, 0)
    columns = ("labels", "alignment")
    for kind in (np.array, tuple, lambda values: list(np.array(values))):
        given = {**example, **{column: kind(example[column]) for column in columns}}
        for variant, other in zip(augmenter.variants(given, 3, 0), expected, strict=True):
            assert all(list(variant[column]) == other[column] for column in columns)


# --- particular edits -----------------------------------------------------------------------


def test_a_replacement_of_several_pieces_has_its_label_at_the_first(tokenizer):
    example = labelled(tokenizer, "a wonderful film with great players")
    augmenter = LexiconSubstitution(
        tokenizer, {"wonderful": ["marvelous"], "film": ["motion picture"]}, replace_prob=1
    )
    (variant,) = augmenter.variants(example, 1, 0)
    pieces = tokenizer("a marvelous motion picture with great players")
    assert variant["input_ids"] == pieces["input_ids"]
    words = {0: 0, 1: 1, 2: 2, 4: 3, 5: 4, 6: 5}  # the second word of "motion picture" has no label
    seen, expected = set(), []
    for word in pieces.word_ids():
        expected.append(words.get(word, IGNORE_INDEX) if word not in seen else IGNORE_INDEX)
        seen.add(word)
    assert variant["labels"] == expected and expected.count(IGNORE_INDEX) > 3


def test_a_masked_lm_keeps_the_label_of_a_word_of_several_pieces(tokenizer):
    example = labelled(tokenizer, "children laughed at marvelous children")
    long_words = [i for i, label in enumerate(example["labels"]) if label in (0, 3, 4)]
    lengths = np.diff([*long_words, len(example["labels"]) - 1])
    assert (lengths > 3).all()
    shorter = 0
    for variant in masked_lm(tokenizer, replace_prob=1.0).variants(example, 4, 0):
        assert [label for label in variant["labels"] if label != IGNORE_INDEX] == [0, 1, 2, 3, 4]
        shorter += len(variant["labels"]) < len(example["labels"])
        firsts = [tokenizer.convert_ids_to_tokens(variant["input_ids"][variant["labels"].index(i)]) for i in range(5)]
        assert not any(piece.startswith("##") for piece in firsts)
    assert shorter


def test_a_deleted_word_takes_its_label_along(tokenizer):
    example = labelled(tokenizer, SENTENCES[0])
    for variant in RandomDelete(tokenizer, replace_prob=0.5).variants(example, 5, 0):
        left = [label for label in variant["labels"] if label != IGNORE_INDEX]
        words = SENTENCES[0].split()
        assert tokenizer.decode(variant["input_ids"], skip_special_tokens=True).split() == [words[i] for i in left]
        assert left and len(left) < len(words)


def test_an_inserted_word_has_no_label(tokenizer):
    example = labelled(tokenizer, SENTENCES[0])
    augmenter = RandomInsert(LexiconSubstitution(tokenizer, {"movie": ["story"]}), replace_prob=0.5)
    for variant in augmenter.variants(example, 5, 0):
        new = [i for i, piece in enumerate(variant["input_ids"]) if piece == tokenizer.convert_tokens_to_ids("story")]
        assert new and all(variant["labels"][i] == variant["alignment"][i] == IGNORE_INDEX for i in new)
        assert [label for label in variant["labels"] if label != IGNORE_INDEX] == list(range(9))


@pytest.mark.parametrize("column", ["labels", "alignment"])
@pytest.mark.parametrize(
    "make",
    [
        RandomSwap,
        lambda t: OneOf([lexicon(t), RandomSwap(t)]),
        lambda t: Compose([RandomSwap(t), lexicon(t)]),
        lambda t: Compose([lexicon(t), Sometimes(RandomSwap(t), p=0.0)]),
        lambda t: Compose([lexicon(t), OneOf([RandomDelete(t), Compose([lexicon(t), RandomSwap(t)])])]),
        lambda t: Compose([RandomInsert(lexicon(t)), lexicon(t), RandomDelete(t)]),
    ],
)
def test_words_that_move_are_refused_where_tokens_have_labels(tokenizer, make, column):
    augmenter, example = make(tokenizer), labelled(tokenizer, SENTENCES[0])
    plain = {name: example[name] for name in ("input_ids", "attention_mask")}
    with pytest.raises(ValueError, match="moves words, whose labels would stay behind"):
        augmenter.variants({**plain, column: example[column]}, 2, 0)
    for labels in (1, [0, 1], [0.0] * len(plain["input_ids"])):
        assert len(augmenter.variants({**plain, "labels": labels}, 2, 0)) == 2


# --- labels of a text as a whole --------------------------------------------------------------


@each_with_a_tokenizer(0)
def test_labels_of_a_text_pass_untouched(build, any_tokenizer):
    augmenter, example = build(any_tokenizer), dict(any_tokenizer(SENTENCES[0]))
    length = len(example["input_ids"])
    for labels in ([0, 1] * (length // 2) + [1] * (length % 2), [0.5] * length, [-100.0] * length, "a" * length, 1):
        variants = augmenter.variants({**example, "labels": labels}, 3, 0)
        assert all(variant["labels"] is labels for variant in variants)
        assert any(len(variant["input_ids"]) != length for variant in variants) or len(set(map(str, variants))) > 1


@given(
    labels=st.lists(st.one_of(st.integers(0, 3), st.just(IGNORE_INDEX), st.floats(0, 1)), max_size=6),
    row=st.lists(st.integers(0, 9), max_size=6),
)
def test_labels_are_of_tokens_if_whole_as_many_and_without_one_for_special_tokens(labels, row):
    special = {0, 1}
    whole = all(type(label) is int for label in labels)
    expected = whole and len(labels) == len(row) and (IGNORE_INDEX in labels or not special & {*row})
    assert are_of_tokens(labels, row, special) == expected


# --- data sets --------------------------------------------------------------------------------


def test_a_mapped_data_set_has_the_labels_of_its_variants(tokenizer, augmenter):
    rows = [labelled(tokenizer, text) for text in SENTENCES]

    def variants(columns, numbers):
        examples = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        made = [variant for group in augmenter.variants(examples, 2, numbers) for variant in group]
        return {name: [variant[name] for variant in made] for name in columns}

    mapped = Dataset.from_list(rows).map(variants, batched=True, with_indices=True, batch_size=4)
    expected = [variant for i, row in enumerate(rows) for variant in augmenter.variants(row, 2, i)]
    assert mapped.to_list() == expected and any(row["labels"] not in [r["labels"] for r in rows] for row in expected)


def choices_of(tokenizer) -> list[dict]:
    rows = []
    for i, text in enumerate(SENTENCES):
        texts = [text, SENTENCES[i - 1], "a film with players"]
        rows.append({"input_ids": tokenizer(texts)["input_ids"], "label": i % 3})
    return rows


ROWS = {
    "list": lambda rows: rows,
    "arrays": lambda rows: [{"input_ids": as_arrays(row["input_ids"], np.array)} for row in rows],
    "tensors": lambda rows: [{"input_ids": as_arrays(row["input_ids"], torch.tensor)} for row in rows],
    "dataset": Dataset.from_list,
    "torch": lambda rows: Dataset.from_list(rows).with_format("torch"),
    "transform": lambda rows: Dataset.from_list(rows).with_transform(lambda rows: rows),
}


def as_arrays(ids, kind):
    return [kind(choice) for choice in ids] if isinstance(ids[0], list) else kind(ids)


@pytest.mark.parametrize("kind", ROWS)
def test_a_table_of_choices_is_that_of_their_rows(tokenizer, tmp_path, kind):
    nested = choices_of(tokenizer)
    flat = [{"input_ids": ids} for row in nested for ids in row["input_ids"]]
    expected = masked_lm(tokenizer).precompute(flat, tmp_path / "flat")._table
    assert len(expected) == len({tuple(row["input_ids"]) for row in flat}) > 9
    for name, rows in (("nested", nested), ("rows", flat)):
        table = masked_lm(tokenizer).precompute(ROWS[kind](rows), tmp_path / name)._table
        for file in ("keys.npy", "first.npy", "entries.npy"):
            assert (table.folder / file).read_bytes() == (expected.folder / file).read_bytes()


@each_with_a_tokenizer(1)
def test_pairs_keep_their_parts_and_their_labels(build, any_tokenizer):
    augmenter = build(any_tokenizer)
    for seed, (first, second) in enumerate(PAIRS):
        example = {**pair_of(any_tokenizer, first, second), **labelled(any_tokenizer, first, second)}
        parts = dict(zip(example["labels"], example["token_type_ids"], strict=True))
        for variant in augmenter.variants(example, 4, seed):
            for label, part in zip(variant["labels"], variant["token_type_ids"], strict=True):
                assert label == IGNORE_INDEX or parts[label] == part
