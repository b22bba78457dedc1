"""Words deleted, exchanged, or put in."""

import pickle
import re
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from conftest import SENTENCES, WORDS, make_tokenizer

from augment import LexiconSubstitution, RandomDelete, RandomInsert, RandomSwap, apply_edits
from examples import PAIRS, TEXTS, examples_of, ids_of, pair_of


LONG = "the story and the film and the children and the actors and the players and the clown and the music"
ANY = {"delete": RandomDelete, "swap": RandomSwap, "insert": lambda tokenizer, **options: insert(tokenizer, **options)}


def insert(tokenizer, replace_prob=0.1, **options):
    return RandomInsert(LexiconSubstitution(tokenizer, WORDS, **options), replace_prob=replace_prob)


def parts_of(tokenizer, ids: list[int]) -> list[list[int]]:
    """The texts of an example."""
    cut = ids.index(tokenizer.sep_token_id)
    return [[i for i in part if i not in tokenizer.all_special_ids] for part in (ids[:cut], ids[cut:])]


def is_within(few: list, many: list) -> bool:
    """Whether the items of one list are items of the other, in the same order."""
    rest = iter(many)
    return all(item in rest for item in few)


@pytest.mark.parametrize("make", ANY.values(), ids=ANY)
@pytest.mark.parametrize("replace_prob", [0.1, 0.5])
def test_text_agrees_with_the_variants_of_its_ids(any_tokenizer, make, replace_prob):
    augmenter = make(any_tokenizer, replace_prob=replace_prob, max_length=1000)
    for text in [*TEXTS, "Ann met Tom and THE ODD MOVIE (movie or film) of the year"]:
        variants = augmenter.variants(any_tokenizer(text), 4, 5)
        assert any_tokenizer(augmenter.augment_text(text, 4, 5))["input_ids"] == ids_of(variants)


@pytest.mark.parametrize("make", ANY.values(), ids=ANY)
def test_variants_of_a_text_that_repeats_itself_differ(any_tokenizer, make):
    example = examples_of(any_tokenizer, ["the very very very very odd odd movie"])[0]
    for seed in range(20):
        assert len(set(map(tuple, ids_of(make(any_tokenizer).variants(example, 3, seed))))) == 3


@pytest.mark.parametrize("make", ANY.values(), ids=ANY)
def test_texts_of_a_pair_do_not_mix(any_tokenizer, make):
    augmenter = make(any_tokenizer, replace_prob=1.0)
    for first, second in [*PAIRS, ("the odd movie", "12 + 3"), ("(story)", "")]:
        example = pair_of(any_tokenizer, first, second)
        originals = parts_of(any_tokenizer, example["input_ids"])

        def words_of(part: list[int]) -> list[str]:
            return re.findall(r"\w+", any_tokenizer.decode(part))

        for ids in ids_of(augmenter.variants(example, 4, 0)):
            for part, original in zip(parts_of(any_tokenizer, ids), originals, strict=True):
                if make is RandomDelete:
                    assert is_within(words_of(part), words_of(original)) and bool(part) == bool(original)
                elif make is RandomSwap:
                    assert sorted(words_of(part)) == sorted(words_of(original))
                else:
                    assert is_within(original, part)


def test_deleted_words_are_a_share_of_all(tokenizer):
    count, number = 500, len(LONG.split())
    for prob in (0.1, 0.5):
        variants = RandomDelete(tokenizer, replace_prob=prob).augment_text([LONG] * count, 1, range(count))
        deleted = np.array([number - len(text.split()) for (text,) in variants])
        expected = number * prob / (1 - (1 - prob) ** number)  # at least one is
        assert deleted.min() >= 1 and abs(deleted.mean() - expected) < 4 * deleted.std() / np.sqrt(count)


def test_one_word_of_a_pair_does_not_hold_the_other_text(any_tokenizer):
    example = pair_of(any_tokenizer, "film", "an odd story of the actors")
    variants = ids_of(RandomDelete(any_tokenizer).variants(example, 4, 0))
    assert all(len(ids) < len(example["input_ids"]) for ids in variants)


def test_each_word_is_as_likely_to_be_deleted(tokenizer):
    words = ["one", "story", "of", "an", "odd", "film", "and", "its", "music"]
    count = 2000
    variants = RandomDelete(tokenizer).augment_text([" ".join(words)] * count, 1, range(count))
    left = Counter(chain.from_iterable(text.split() for (text,) in variants))
    share = np.array([1 - left[word] / count for word in words])
    assert np.all(np.abs(share - share.mean()) < 4 * np.sqrt(share.mean() / count))


def test_one_word_is_left_whatever_the_probability(any_tokenizer):
    augmenter = RandomDelete(any_tokenizer, replace_prob=1.0)
    for text in ("the movie", "movie film story", "the (movie)", "The movie ran."):
        for variant in augmenter.augment_text(text, 5, 0):
            assert any(char.isalpha() for char in variant)


@pytest.mark.parametrize(
    ("text", "variants"),
    [
        ("the movie", {"the", "movie"}),
        ("an odd, funny film", {"odd, funny film", "an, funny film", "an odd, film", "an odd, funny"}),
        ("  movie film ", {"  film ", "  movie "}),
        ("the  movie\tran", {"movie\tran", "the\tran", "the  movie"}),
        ("story (movie) end", {"(movie) end", "story () end", "story (movie)"}),
        ("story (movie film)", {"(movie film)", "story (film)", "story (movie)"}),
        ("the children's story", {"children's story", "the children's"}),
        ("naïve MOVIE", {"naïve", "MOVIE"}),
    ],
)
def test_space_around_a_deleted_word_goes_with_it(tokenizer, text, variants):
    assert set(RandomDelete(tokenizer, max_replaced=1).augment_text(text, 40, 0)) - {text} == variants


@pytest.mark.parametrize(
    ("text", "variants"),
    [
        ("film movie", {"film", "movie"}),
        ("story (film movie)", {"story (movie)", "story (film)"}),
        ("film movie plot", {"movie plot", "film plot", "film movie"}),
    ],
)
def test_a_word_without_a_space_is_deleted_and_the_next_one_loses_its_space(any_tokenizer, text, variants):
    augmenter = RandomDelete(any_tokenizer, max_replaced=1, keep_words=["story"])
    found = augmenter.augment_text([text] * 40, 1, range(40))
    assert {variant for (variant,) in found} == variants
    example = any_tokenizer(text)
    for seed, (variant,) in enumerate(found):
        assert ids_of(augmenter.variants(example, 1, seed)) == [any_tokenizer(variant)["input_ids"]]


@pytest.mark.parametrize("gap", ["\t", "\n", " \t", "\t\t"])
def test_a_word_after_a_tab_of_its_own_piece_stays(gap):
    """Byte-level BPE writes the next word with a space, and deletes the tab of the text with the word."""
    tokenizer, text = make_tokenizer("bpe"), f"the{gap}movie film ran"
    augmenter = RandomDelete(tokenizer, max_replaced=1, keep_words=["the"])
    found = augmenter.augment_text([text] * 40, 1, range(40))
    assert {variant for (variant,) in found} == {f"the{gap}movie film", f"the{gap}movie ran"}
    for seed, (variant,) in enumerate(found):
        assert ids_of(augmenter.variants(tokenizer(text), 1, seed)) == [tokenizer(variant)["input_ids"]]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_word_without_a_space_stays_if_all_words_after_it_go(kind):
    augmenter = RandomDelete(make_tokenizer(kind), replace_prob=0.9)
    found = {text for (text,) in augmenter.augment_text(["story (film movie) and odd music"] * 60, 1, range(60))}
    assert any("(film)" in text for text in found) and any("(movie)" in text for text in found)
    assert not any("()" in text for text in found)


def test_the_next_word_keeps_its_label_if_it_loses_its_space(any_tokenizer):
    example = dict(any_tokenizer("film movie story"))
    words = any_tokenizer("film movie story").word_ids()
    example["labels"] = [-100 if word is None else word for word in words]
    for (variant,) in RandomDelete(any_tokenizer, replace_prob=0.6).variants([example] * 30, 1, range(30)):
        text = any_tokenizer.decode(variant["input_ids"], skip_special_tokens=True)
        kept = [i for i, word in enumerate(("film", "movie", "story")) if word in text]
        assert [label for label in dict.fromkeys(variant["labels"]) if label != -100] == kept


def test_a_kept_word_never_loses_its_space(any_tokenizer):
    example = dict(any_tokenizer("film movie story"))
    (start, *_), kept = zip(
        *[(i, example["input_ids"][i]) for i, w in enumerate(any_tokenizer("film movie story").word_ids()) if w == 1],
        strict=True,
    )
    example["keep_spans"] = [(start, start + len(kept))]
    for variant in RandomDelete(any_tokenizer, replace_prob=0.6).variants(example, 4, 0):
        ((begin, end),) = variant["keep_spans"]
        assert tuple(variant["input_ids"][begin:end]) == kept


def test_swaps_exchange_words_and_nothing_else(any_tokenizer):
    augmenter = RandomSwap(any_tokenizer)
    for text in [*SENTENCES, LONG]:
        example = examples_of(any_tokenizer, [text])[0]
        for edits, ids in zip(augmenter.edits(example, 4, 0), ids_of(augmenter.variants(example, 4, 0)), strict=True):
            assert len(edits) >= 2 or ids == example["input_ids"]
            old, new = ([any_tokenizer.decode(edit[k]).strip() for edit in edits] for k in (1, 2))
            assert sorted(old) == sorted(new)
            assert all(edit.old != edit.new for edit in edits)
            before, after = (any_tokenizer.decode(row).split() for row in (example["input_ids"], ids))
            assert len(before) == len(after)


def test_swaps_reach_a_word_without_a_space(any_tokenizer):
    texts = RandomSwap(any_tokenizer, max_replaced=2).augment_text("film movie", 1, 0)
    assert texts == ["movie film"]
    assert RandomSwap(any_tokenizer).augment_text("story (film)", 1, 0) == ["film (story)"]


def test_more_pairs_change_places_with_a_higher_probability(tokenizer):
    text = " ".join(sorted({word for sentence in SENTENCES[:7] for word in sentence.replace(",", "").split()})[:20])
    for prob in (0.1, 0.6, 1.0):
        swapped = RandomSwap(tokenizer, replace_prob=prob).augment_text([text] * 300, 1, range(300))
        pairs = [sum(map(str.__ne__, text.split(), variant.split())) / 2 for (variant,) in swapped]
        num_pairs = len(text.split()) // 2
        expected = 1 + prob * (num_pairs - 1)
        assert abs(np.mean(pairs) - expected) <= 4 * np.std(pairs) / np.sqrt(300)


def test_capital_of_a_sentence_stays_in_its_place(any_tokenizer):
    cased = any_tokenizer.decode(any_tokenizer("The")["input_ids"], skip_special_tokens=True).strip() == "The"
    texts = RandomSwap(any_tokenizer, replace_prob=1.0).augment_text("The movie ran. Tom and Ann ran away.", 20, 0)
    first = {text.split()[0] for text in texts}
    assert first == {"The"} if cased else len(first) > 1
    if cased:
        assert all(text.split(". ")[1].startswith("Tom") for text in texts)
        assert any("Ann" not in text.split()[-3] for text in texts)


def test_a_bare_mark_of_a_space_is_no_word(any_tokenizer):
    text = "the (movie) and (film) and (story)"  # some pieces of a mark and nothing else, some with more
    for make in ANY.values():
        for variant in make(any_tokenizer, replace_prob=1.0).augment_text(text, 10, 0):
            assert variant.count(" (") == 3 or variant.startswith("(")


def test_what_is_put_in_is_a_candidate_of_a_word_of_the_text(any_tokenizer):
    augmenter = insert(any_tokenizer, replace_prob=1.0)
    for text in SENTENCES[:-1]:
        words = re.findall(r"\w+", text)
        offered = " ".join(chain.from_iterable(WORDS.get(word, ()) for word in words)).split()
        for variant in augmenter.augment_text(text, 4, 0):
            new = Counter(re.findall(r"\w+", variant)) - Counter(words)
            assert new.keys() <= set(offered) and bool(new) == (bool(offered) and variant != text)


def test_what_is_put_in_has_no_capital_of_a_sentence(any_tokenizer):
    text = "the odd plot. Movie, story and plot."
    for variant in insert(any_tokenizer, replace_prob=1.0).augment_text(text, 20, 0):
        assert re.findall("[A-Z]", variant) == ["M"]


@pytest.mark.parametrize("make", [RandomDelete, insert])
def test_words_with_a_possessive_are_left_alone(any_tokenizer, make):
    variants = make(any_tokenizer).augment_text("the movie and the children's odd story", 20, 0)
    assert all("children's" in variant for variant in variants)


def test_words_around_one_put_in_are_untouched(tokenizer):
    texts = insert(tokenizer, replace_prob=1.0).augment_text("Ein naïve MOVIE", 6, 0)
    for text in texts:
        before, after = text.split(" MOVIE ")
        assert before.startswith("Ein ") and " naïve " in f"{before} " and after == after.upper()


def test_words_put_in_fit_in(any_tokenizer):
    example = examples_of(any_tokenizer, ["the movie was awful and the actors ran away"])[0]
    length = len(example["input_ids"])
    for max_length in (length, length + 1, length + 3):
        variants = ids_of(insert(any_tokenizer, replace_prob=1.0, max_length=max_length).variants(example, 6, 0))
        assert max(map(len, variants)) <= max_length
        assert any(len(ids) > length for ids in variants) == (max_length > length)


@pytest.mark.parametrize("make", ANY.values(), ids=ANY)
def test_use_leaves_no_trace_in_a_pickle(any_tokenizer, make):
    augmenter = make(any_tokenizer)
    before = pickle.dumps(augmenter)
    augmenter.variants(any_tokenizer("The movie. Tom ran. The Story"), 3, 0)
    assert pickle.dumps(augmenter) == before


@pytest.mark.parametrize("make", ANY.values(), ids=ANY)
def test_no_more_words_change_than_max_replaced(any_tokenizer, make):
    example = examples_of(any_tokenizer, [LONG])[0]
    for most in (2, 3, 4):
        edits = make(any_tokenizer, replace_prob=1.0, max_replaced=most).edits(example, 8, 0)
        if make is RandomDelete:  # the other edits take the space before a word
            edits = [[edit for edit in variant if not edit.new] for variant in edits]
        assert {len(variant) for variant in edits} <= set(range(1, most + 1))
        assert max(map(len, edits)) >= 2


@pytest.mark.parametrize("make", ANY.values(), ids=ANY)
@pytest.mark.parametrize("replace_prob", [0, -0.1, 1.1, float("nan")])
def test_probability_out_of_range_is_refused(tokenizer, make, replace_prob):
    with pytest.raises(ValueError, match="replace_prob"):
        make(tokenizer, replace_prob=replace_prob)


def test_a_pair_is_two_words(tokenizer):
    with pytest.raises(ValueError, match="max_replaced is 1; expected at least 2"):
        RandomSwap(tokenizer, max_replaced=1)


def test_source_of_words_to_put_in_is_a_substitution(tokenizer):
    with pytest.raises(TypeError, match="expected a Substitution"):
        RandomInsert(RandomDelete(tokenizer))


def test_neighbours_without_a_space_that_both_go_have_the_next_word_rewritten_once():
    tokenizer = make_tokenizer("bpe")
    example = examples_of(tokenizer, ["\x1b\t👩 鞆\uf705ꭸ鮬뼁㹑艶䁵▮松 Z film"])[0]
    for edits in RandomDelete(tokenizer, replace_prob=0.5).edits(example, 100, 0):
        assert apply_edits(example["input_ids"], edits)[-1] == tokenizer.sep_token_id  # which refuses overlaps
