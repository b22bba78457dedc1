"""Substitution by a masked language model."""

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from augmenters import RANDOM_MODEL, candidates_of, make_masked_lm, masked_lm
from conftest import SENTENCES, make_tokenizer

from augment import Augmenter, FirstOf, LexiconSubstitution, MaskedLMSubstitution
from augment.core.batch import Batch
from augment.core.vocabulary import keeps_inflection, word_tags
from augment.english.stopwords import STOP_WORDS
from examples import TEXTS, examples_of, make_cased_tokenizer


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    """A folder with a masked LM and its tokenizer."""
    folder = tmp_path_factory.mktemp("masked_lm")
    make_masked_lm(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("masking", ["grouped", "single", "none"])
def test_candidates_are_whole_words_other_than_the_word(any_tokenizer, masking):
    found = candidates_of(masked_lm(any_tokenizer, masking=masking), TEXTS)
    assert sum(map(len, found)) > 20
    for words in found:
        for word, candidates in words.items():
            assert word.lower() not in STOP_WORDS
            assert 1 <= len(candidates) <= 4 and word.lower() not in map(str.lower, candidates)
            for candidate in candidates:
                assert candidate.isalpha() and len(candidate) > 1 and candidate.lower() not in STOP_WORDS
            assert math.isclose(sum(candidates.values()), 1)


def test_article_fits_the_candidates(any_tokenizer):
    texts = ["we saw a funny film and a story", "we saw an odd film", "the odd film", "the funny film and the story"]
    after, after_an, odd, free = candidates_of(masked_lm(any_tokenizer, top_m=9), texts)
    vowel = {word: word[0] in "aeiou" for words in (odd, free) for cs in words.values() for word in cs}
    assert {*vowel.values()} == {True, False}
    assert not any(word[0] in "aeiou" for name in ("funny", "story") for word in after.get(name, {}))
    assert all(word[0] in "aeiou" for word in after_an.get("odd", {}))
    assert after.keys() & {"funny", "story"} or after_an.keys() & {"odd"}
    for words in (after, after_an):
        assert all(math.isclose(sum(candidates.values()), 1) for candidates in words.values())


def test_padding_of_a_row_changes_no_candidate(any_tokenizer):
    texts = SENTENCES[:4]
    plain = any_tokenizer(texts)["input_ids"]
    padded = any_tokenizer(texts, padding="max_length", max_length=60)["input_ids"]
    left = [[any_tokenizer.pad_token_id] * 3 + ids for ids in plain]
    augmenter = masked_lm(any_tokenizer)
    expected = augmenter._proposals(Batch(plain))
    for rows, shift in ((padded, 0), (left, 3)):
        count, entries = augmenter._proposals(Batch(rows))
        assert np.array_equal(count, expected[0]) and np.array_equal(entries["ids"], expected[1]["ids"])
        assert np.array_equal(entries["start"], expected[1]["start"] + shift)
    nothing = Batch([[any_tokenizer.pad_token_id] * 3])
    assert augmenter._proposals(nothing)[0].tolist() == [0]


def test_words_of_several_pieces_are_replaced_whole_or_left(any_tokenizer):
    example = examples_of(any_tokenizer, ["the marvelous film"])[0]
    long = [len(any_tokenizer.encode(" " + word, add_special_tokens=False)) > 1 for word in ("marvelous", "film")]
    assert long == [True, False]
    refilled = [edit for edits in masked_lm(any_tokenizer).edits(example, 8, 0) for edit in edits]
    assert {len(edit.old) > 1 for edit in refilled} == {True, False} and {len(edit.new) for edit in refilled} == {1}
    left = [edit for edits in masked_lm(any_tokenizer, multi_piece="leave").edits(example, 8, 0) for edit in edits]
    assert {(len(edit.old), len(edit.new)) for edit in left} == {(1, 1)}


def test_words_that_are_left_may_go_to_another_source(tokenizer):
    other = LexiconSubstitution(tokenizer, {"children": ["kids"], "film": ["movie"]})
    both = FirstOf([masked_lm(tokenizer, multi_piece="leave"), other], replace_prob=1.0)
    for text in both.augment_text("children film", 4, 0):
        assert text.split()[0] == "kids"


def test_grouped_with_one_word_equals_single(any_tokenizer):
    texts = ["the movie", "the film!"]
    assert candidates_of(masked_lm(any_tokenizer), texts) == candidates_of(
        masked_lm(any_tokenizer, masking="single"), texts
    )


def test_maskings_see_different_contexts(tokenizer):
    found = [candidates_of(masked_lm(tokenizer, masking=m), SENTENCES) for m in ("grouped", "single", "none")]
    assert found[0] != found[1] != found[2] != found[0]


def test_inflection_is_kept(tokenizer):
    found = candidates_of(masked_lm(tokenizer, keep_inflection=True), SENTENCES)
    pairs = [(word, new) for words in found for word, candidates in words.items() for new in candidates]
    assert {"actors", "clapped"} <= {word for word, _ in pairs}
    assert all(keeps_inflection(word_tags(word), word_tags(new)) for word, new in pairs)
    free = candidates_of(masked_lm(tokenizer), SENTENCES)
    assert not all(
        keeps_inflection(word_tags(word), word_tags(new)) for words in free for word in words for new in words[word]
    )


def test_near_zero_temperature_takes_the_best_and_infinite_any(tokenizer):
    ordinary, cold, hot = (
        candidates_of(masked_lm(tokenizer, temperature=t), SENTENCES) for t in (1.0, 1e-300, math.inf)
    )
    for words, best, alike in zip(ordinary, cold, hot, strict=True):
        for word, chances in words.items():
            assert best[word][max(chances, key=chances.get)] == 1.0
            np.testing.assert_allclose(list(alike[word].values()), 1 / len(chances))
            assert max(chances.values()) > 1.5 / len(chances)


def test_draws_follow_the_probabilities(tokenizer):
    augmenter = masked_lm(tokenizer, replace_prob=1.0)
    expected = candidates_of(augmenter, ["movie"])[0]["movie"]
    drawn = [text for [text] in augmenter.augment_text(["movie"] * 1000, 1, list(range(1000)))]
    for word, chance in expected.items():
        assert abs(drawn.count(word) / 1000 - chance) < 0.06


def test_names_inside_a_sentence_stay_where_case_is_kept():
    augmenter = masked_lm(make_cased_tokenizer())
    [words] = candidates_of(augmenter, ["Film the Movie. Movie the film FILM"])
    assert words.keys() == {"Film", "Movie", "film"}  # one word in capitals has no other to become
    assert set(words["Film"]) <= {"Movie", "Café"} and set(words["film"]) <= {"films", "movie"}
    [words] = candidates_of(augmenter, ["the Film the Movie"])
    assert not words


def test_constraints_change_no_candidate(tokenizer):
    everything = candidates_of(masked_lm(tokenizer), SENTENCES)
    some = candidates_of(masked_lm(tokenizer, keep_words=["movie", "film"]), SENTENCES)
    assert some == [{word: words[word] for word in words if word not in ("movie", "film")} for words in everything]
    assert some != everything


def test_candidates_do_not_depend_on_the_batch(any_tokenizer):
    augmenter = masked_lm(any_tokenizer)
    together = candidates_of(augmenter, TEXTS)
    for text, words in zip(TEXTS, together, strict=True):
        [alone] = candidates_of(augmenter, [text])
        assert {word: list(candidates) for word, candidates in alone.items()} == {w: list(c) for w, c in words.items()}


def test_texts_of_any_length_are_taken(tokenizer):
    text = " ".join(SENTENCES * 4)
    assert len(tokenizer(text)["input_ids"]) > 66
    [variant] = masked_lm(tokenizer, replace_prob=1.0).augment_text(text, 1, 0)
    changed = [old != new for old, new in zip(text.split(), variant.split(), strict=True)]
    assert any(changed[:20]) and any(changed[-20:])


def test_model_by_name_is_loaded_at_first_use(tokenizer, saved, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    make_masked_lm(tokenizer).config.save_pretrained(tmp_path)  # and no weights
    augmenter = MaskedLMSubstitution(tokenizer, tmp_path)
    with pytest.raises(OSError):
        augmenter.augment_text("the movie", 1, 0)
    by_name = MaskedLMSubstitution(tokenizer, saved, **RANDOM_MODEL | {"keep_inflection": False, "top_m": 4})
    texts = by_name.augment_text(SENTENCES, 3, list(range(len(SENTENCES))))
    assert texts == masked_lm(tokenizer).augment_text(SENTENCES, 3, list(range(len(SENTENCES))))


def test_model_without_a_head_is_refused(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    make_masked_lm(tokenizer).base_model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"no weights for cls\.predictions.*trained as a masked LM"):
        MaskedLMSubstitution(tokenizer, tmp_path).augment_text("the movie", 1, 0)


def test_pickle_leaves_out_a_model_that_came_by_name(tokenizer, saved):
    augmenter = MaskedLMSubstitution(tokenizer, saved)
    before = len(pickle.dumps(augmenter))
    texts = augmenter.augment_text(SENTENCES, 2, list(range(len(SENTENCES))))
    data = pickle.dumps(augmenter)
    assert len(data) < before + 20_000
    assert pickle.loads(data).augment_text(SENTENCES, 2, list(range(len(SENTENCES)))) == texts


def test_plain_data_describes_the_augmenter(tokenizer, saved):
    augmenter = MaskedLMSubstitution(
        tokenizer, saved, top_m=3, temperature=2.0, masking="single", keep_inflection=False, replace_prob=0.5
    )
    again = Augmenter.from_dict(augmenter.to_dict(), tokenizer)
    assert again.to_dict() == augmenter.to_dict() and again.model == str(saved)
    assert again.augment_text(SENTENCES[0], 3, 0) == augmenter.augment_text(SENTENCES[0], 3, 0)
    model = make_masked_lm(tokenizer)
    assert MaskedLMSubstitution(tokenizer, type(model).from_pretrained(saved)).to_dict()["model"] == str(saved)
    with pytest.raises(ValueError, match=r"save_pretrained\(folder\)"):
        MaskedLMSubstitution(tokenizer, model).to_dict()


def test_model_with_another_vocabulary_is_refused(tokenizer, saved):
    other = make_tokenizer("bpe")
    with pytest.raises(
        ValueError, match=rf"vocabulary of {len(tokenizer)} tokens.*another vocabulary, of {len(other)}"
    ):
        MaskedLMSubstitution(other, saved)
    with pytest.raises(ValueError, match=f"embeddings of {len(tokenizer)} tokens"):
        MaskedLMSubstitution(other, make_masked_lm(tokenizer))


def test_tokenizer_without_a_mask_is_refused(tokenizer):
    model, tokenizer = make_masked_lm(tokenizer), make_tokenizer("wordpiece")
    tokenizer.mask_token = None
    with pytest.raises(ValueError, match="no mask token"):
        MaskedLMSubstitution(tokenizer, model)


@pytest.mark.parametrize(
    "option",
    [
        {"top_m": 0},
        {"temperature": 0},
        {"temperature": math.nan},
        {"masking": "whole"},
        {"multi_piece": "split"},
        {"dtype": "int8"},
        {"batch_tokens": 0},
    ],
    ids=lambda option: next(iter(option)),
)
def test_options_out_of_range_are_refused(tokenizer, option):
    name, value = next(iter(option.items()))
    with pytest.raises(ValueError, match=rf"^{name} is {value!r}.*expected"):
        masked_lm(tokenizer, **option)


def test_gpu_in_a_worker_process_is_refused_with_the_way_out(tokenizer, monkeypatch):
    monkeypatch.setattr("torch.utils.data.get_worker_info", lambda: SimpleNamespace(id=0))
    assert masked_lm(tokenizer, device="cpu").augment_text("the movie", 1, 0) != ["the movie"]
    with pytest.raises(RuntimeError, match=r"dataloader_num_workers=0.*precompute\(dataset\)"):
        masked_lm(tokenizer, device="cuda").augment_text("the movie", 1, 0)
