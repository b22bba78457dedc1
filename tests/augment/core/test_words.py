"""Which runs of pieces are words, seen through a lexicon whose words are all replaced."""

import numpy as np
import pytest
from conftest import TOKENIZER_KINDS, WORDS, make_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from augment import LexiconSubstitution
from augment.core.batch import Batch
from augment.core.byte_tokenizer import ByteTokenizer
from augment.core.words import WordFinder


def replaced_words(tokenizer, text: str) -> list[str]:
    """The words that change where every word of the lexicon does."""
    augmenter = LexiconSubstitution(tokenizer, WORDS, replace_prob=1.0)
    return [tokenizer.decode(edit.old).strip() for edit in augmenter.edits(tokenizer(text), 1, 0)[0]]


def test_words_are_runs_of_letters(any_tokenizer):
    ids = any_tokenizer("the movie was awful, and the actors ran away!")["input_ids"]
    words = WordFinder(any_tokenizer).words(Batch([ids]))
    spelt = [
        any_tokenizer.decode(ids[start : start + length]).strip()
        for start, length in zip(words.start, words.length, strict=True)
    ]
    assert spelt == ["the", "movie", "was", "awful", "and", "the", "actors", "ran", "away"]
    assert words.first.tolist() == [True] + [False] * 8
    assert not words.last.any()  # the last one has a mark after it


@pytest.mark.parametrize("kind", TOKENIZER_KINDS)
def test_a_space_alone_is_no_word(kind):
    tokenizer = ByteTokenizer() if kind == "bpe" else make_tokenizer(kind)  # one in which each letter is a piece
    ids = tokenizer("the  movie . 3   ( ran", add_special_tokens=False)["input_ids"]
    words = WordFinder(tokenizer).words(Batch([ids]))
    assert [tokenizer.decode(list(pieces)).strip() for pieces in words.pieces(np.array(ids))] == [
        "the",
        "movie",
        "ran",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the movie was awful", ["movie", "awful"]),
        ("movie", ["movie"]),
        ("(movie) film: story!", ["movie", "film", "story"]),
        ("children ran", ["children", "ran"]),
        ("the movie's end, the film's end", ["movie", "film"]),
        ("the odd-movie and film-end state-of-the-film", []),
        ("don'film", []),
        ("film'd", []),
        ("3film film3 3-film", []),
        ("film-3 'film'", []),
        ("filmmovie moviea amovie", []),
        ("film😀 😀movie", []),
        ("filmé éfilm", []),
        ("", []),
        ("   ", []),
        ("!!! 3", []),
    ],
)
def test_only_whole_words_are_replaced(any_tokenizer, text, words):
    assert replaced_words(any_tokenizer, text) == words


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize("text", ["film\u0301", "film\u200bmovie", "film\u00admovie"])
def test_marks_and_invisible_characters_belong_to_the_word(kind, text):
    assert replaced_words(make_tokenizer(kind), text) == []


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_only_the_space_marker_tells_a_dash_from_a_hyphen(kind):
    assert replaced_words(make_tokenizer(kind), "the film - the story") == ["film", "story"]


def test_dash_with_its_space_in_one_piece_is_no_hyphen():
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    backend.train_from_iterator(["the film - the story -film"] * 9, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert "Ġ-" in tokenizer.get_vocab()
    assert replaced_words(tokenizer, "the film - the story -film") == ["film", "story"]


def test_numbers_stand_apart(any_tokenizer):
    assert replaced_words(any_tokenizer, "3 actors ran 3") == ["actors", "ran"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Film and Film", ["Film"]),
        ("the Film ran", ["ran"]),
        ("the end. Film", ["Film"]),
        ("the end, Film", []),
        ("(Film", ["Film"]),
        ("3 Film", []),
        ("FILM and FILM", ["FILM", "FILM"]),
    ],
)
def test_capitalised_word_inside_a_sentence_stays(text, words):
    assert replaced_words(make_tokenizer("bpe"), text) == words


def test_capital_after_an_unknown_token_is_inside_the_sentence():
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=cased_word_piece(["[UNK]", "[SEP]", "Film", "film", "Movie", "movie", "a"]),
        unk_token="[UNK]",
        sep_token="[SEP]",
    )
    assert replaced_words(tokenizer, "Movie ☃ Film film") == ["Movie", "film"]


def test_unknown_letter_is_a_part_of_the_word():
    tokenizer = make_tokenizer("unigram")
    assert tokenizer.unk_token_id in tokenizer("ж")["input_ids"]
    assert replaced_words(tokenizer, "жfilm filmж ж film ж") == ["film"]


def cased_word_piece(pieces: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


@pytest.mark.parametrize("article", ["a", "an", "A", "An"])
def test_article_is_seen(any_tokenizer, article):
    tokenizer = any_tokenizer
    for text in (f"{article} odd film", f"the {article} odd film"):
        ids = tokenizer(text)["input_ids"]
        if tokenizer.unk_token_id in ids:
            continue
        words = WordFinder(tokenizer).words(Batch([ids]))
        spelt = [tokenizer.decode(ids[s : s + n]).strip() for s, n in zip(words.start, words.length, strict=True)]
        assert [word for word, after in zip(spelt, words.after_article, strict=True) if after] == ["odd"]


def test_rows_do_not_touch(tokenizer):
    """What stands at the end of one row is not beside what begins the next."""
    finder = WordFinder(tokenizer)
    rows = [
        tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in ("a", "film '", "s", "film", "-", "film", "")
    ]
    words = finder.words(Batch(rows))
    assert words.row.tolist() == [0, 2, 3, 5]
    assert words.first.all() and words.last.all() and not words.after_article.any()


def test_slow_tokenizer_is_refused():
    class SlowTokenizer:
        is_fast = False

    with pytest.raises(ValueError, match="SlowTokenizer is a slow tokenizer"):
        WordFinder(SlowTokenizer())


def test_unknown_way_to_mark_words_is_refused():
    bare = Tokenizer(models.WordLevel({"[UNK]": 0, "film": 1}, unk_token="[UNK]"))
    with pytest.raises(ValueError, match="does not mark word starts"):
        WordFinder(PreTrainedTokenizerFast(tokenizer_object=bare))


def test_the_row_before_is_no_part_of_a_row():
    augmenter = LexiconSubstitution(ByteTokenizer(), {"film": ["oddity"]})
    assert augmenter.augment_text(["I got a", "n film"], 1, [0, 1]) == [["I got a"], ["n oddity"]]


def test_runs_stay_in_their_row_and_reach_its_last_word(any_tokenizer):
    rows = [any_tokenizer(text)["input_ids"] for text in ("odd film story", "movie, plot music")]
    batch = Batch(rows)
    words = WordFinder(any_tokenizer).words(batch)

    def found(num_words):
        runs = words.runs(num_words)
        texts = [any_tokenizer.decode(list(pieces)).strip() for pieces in runs.pieces(batch.ids)]
        return list(zip(texts, runs.last.tolist(), strict=True))

    singles = [("odd", False), ("film", False), ("story", True), ("movie", False), ("plot", False), ("music", True)]
    assert found(1) == singles
    assert found(2) == [("odd film", False), ("film story", True), ("plot music", True)]
    assert found(3) == [("odd film story", True)] and found(4) == found(9) == []
