"""Words of scripts that put no space between words, with every family of tokenizers."""

import pytest
from foreign import make_multilingual_tokenizer

from augment import RandomDelete
from augment.core.batch import Batch
from augment.core.byte_tokenizer import ByteTokenizer
from augment.core.scripts import is_unspaced, script_of, without_spaces
from augment.core.words import WordFinder


def words_of(tokenizer, text: str) -> list[str]:
    batch = Batch([tokenizer(text)["input_ids"]])
    return [tokenizer.decode(list(pieces)).strip() for pieces in WordFinder(tokenizer).words(batch).pieces(batch.ids)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: make_multilingual_tokenizer("wordpiece"), list("我们看汽车的电影")),
        (lambda: make_multilingual_tokenizer("unigram"), ["我们", "看", "汽车", "的", "电影"]),
        (ByteTokenizer, list("我们看，汽车的电影。")),  # the bytes of a wide mark look like letters
    ],
)
def test_each_character_or_piece_is_a_word(make, words):
    found = words_of(make(), "我们看，汽车的电影。")
    assert found == words


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_spaces_still_end_other_words(kind):
    assert words_of(make_multilingual_tokenizer(kind), "Film 电影 and car") == (
        ["Film", *("电影" if kind == "wordpiece" else ["电影"]), "and", "car"]
    )


def test_a_run_of_wordpieces_in_such_a_script_is_no_word():
    tokenizer = make_multilingual_tokenizer()
    vocabulary = tokenizer.get_vocab()
    tokenizer.add_tokens(["ภาพ", "##ยนตร์"])
    ids = [*tokenizer.convert_tokens_to_ids(["ภาพ", "##ยนตร์", "film"]), vocabulary["Film"]]
    batch = Batch([ids])
    assert WordFinder(tokenizer).words(batch).pieces(batch.ids) == [(ids[-1],)]


def test_deletion_takes_words_and_not_whole_clauses():
    tokenizer = make_multilingual_tokenizer("unigram")
    text = "我们看汽车的电影"
    variants = set(RandomDelete(tokenizer, max_replaced=1).augment_text(text, 20, 0)) - {text}  # copies
    assert variants == {"看汽车的电影", "我们汽车的电影", "我们看的电影", "我们看汽车电影", "我们看汽车的"}


def test_scripts_are_told_by_their_letters():
    assert [is_unspaced(text) for text in ("电影", "film电", "えいが", "ภาพ", "film", "영화", "фильм", "")] == [
        *[True] * 4,
        *[False] * 4,
    ]
    assert [script_of(letter) for letter in "aé影ф"] == ["LATIN", "LATIN", "CJK", "CYRILLIC"]
    assert without_spaces("电 影 of 电 影") == "电影 of 电影"
