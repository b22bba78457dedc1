import multiprocessing
import pickle

import numpy as np
import pytest
from conftest import WORDS

from augment.core.lexicon import Lexicon, build_lexicon, tokenizer_fingerprint


CONTEXTS = [("the ", " ran"), ("", ""), ("(", ")")]


@pytest.fixture(scope="module")
def lexicon(any_tokenizer) -> Lexicon:
    return build_lexicon(any_tokenizer, WORDS)


def options_of(lexicon: Lexicon, ids: list[int], after_article: bool = False) -> list[tuple[int, ...]] | None:
    (entry,) = lexicon.lookup(np.array(ids), np.array([0]), np.array([len(ids)]))
    if entry < 0:
        return None
    count = (lexicon.count_after_article if after_article else lexicon.count)[entry]
    rows = lexicon.candidates[lexicon.first[entry] : lexicon.first[entry] + count]
    return [tuple(lexicon.pieces[lexicon.offsets[row] : lexicon.offsets[row + 1]].tolist()) for row in rows]


def pieces_between(tokenizer, before: str, text: str, after: str) -> list[int]:
    """Pieces of a text that stands between two others."""
    ids = tokenizer(before + text + after, add_special_tokens=False)["input_ids"]
    lead = len(tokenizer(before.strip(), add_special_tokens=False)["input_ids"])
    tail = len(tokenizer(before + text, add_special_tokens=False)["input_ids"])
    return ids[lead:tail]


@pytest.mark.parametrize("case", [str.lower, str.capitalize, str.upper])
@pytest.mark.parametrize(("before", "after"), CONTEXTS)
def test_every_spelling_of_a_word_has_its_candidates(any_tokenizer, lexicon, case, before, after):
    found = 0
    for word, candidates in WORDS.items():
        spelt = [pieces_between(any_tokenizer, before, case(text), after) for text in (word, *candidates)]
        known = [tuple(pieces) for pieces in spelt[1:] if any_tokenizer.unk_token_id not in pieces]
        if any_tokenizer.unk_token_id not in spelt[0] and known:
            assert sorted(options_of(lexicon, spelt[0])) == sorted(known)
            found += 1
    assert found >= (len(WORDS) if case is str.lower else 1)


def test_other_words_have_no_entry(any_tokenizer, lexicon):
    for word in ("the", "actor", "movies", "ra", "film movie", "f"):
        assert options_of(lexicon, pieces_between(any_tokenizer, "the ", word, "")) is None


def test_order_of_the_pieces_matters(tokenizer):
    lexicon = build_lexicon(tokenizer, {"tea": ["film"]})
    tea, tae = (tokenizer.encode(word, add_special_tokens=False) for word in ("tea", "tae"))
    assert len(tea) == 3 and sorted(tea) == sorted(tae)
    assert options_of(lexicon, tea) is not None and options_of(lexicon, tae) is None


def test_candidates_after_an_article_begin_like_the_word(tokenizer):
    lexicon = build_lexicon(tokenizer, {"odd": ["strange", "unusual", "away"], "movie": ["acting"]})
    after_article = options_of(lexicon, tokenizer.encode("odd", add_special_tokens=False), after_article=True)
    assert [tokenizer.decode(option) for option in after_article] == ["unusual", "away"]
    assert options_of(lexicon, tokenizer.encode("movie", add_special_tokens=False), after_article=True) == []


def test_only_capitalised_words_are_marked(any_tokenizer, lexicon):
    ids = pieces_between(any_tokenizer, "the ", "Film", "")
    if any_tokenizer.unk_token_id in ids:
        pytest.skip("the vocabulary has no such capital")
    upper_is_lower = ids == pieces_between(any_tokenizer, "the ", "film", "")
    (entry,) = lexicon.lookup(np.array(ids), np.array([0]), np.array([len(ids)]))
    assert lexicon.capitalised[entry] == (not upper_is_lower)
    assert lexicon.capitalised.any() == (not upper_is_lower)


def test_candidates_that_come_out_the_same_are_dropped(tokenizer):
    lexicon = build_lexicon(tokenizer, {"film": ["fïlm", "movie", "Movie", "móvie", "☃"], "story": ["stóry"]})
    options = options_of(lexicon, tokenizer.encode("film", add_special_tokens=False))
    assert [tokenizer.decode(option) for option in options] == ["movie"]
    assert options_of(lexicon, tokenizer.encode("story", add_special_tokens=False)) is None


def test_no_words_make_an_empty_lexicon(any_tokenizer):
    lexicon = build_lexicon(any_tokenizer, {})
    assert options_of(lexicon, [any_tokenizer.vocab_size - 1]) is None
    assert options_of(lexicon, [1, 2, 3]) is None


def test_building_leaves_the_tokenizer_as_it_was(any_tokenizer):
    before = any_tokenizer("the film", padding="max_length", truncation=True, max_length=3)["input_ids"]
    build_lexicon(any_tokenizer, WORDS)
    assert any_tokenizer("the film", padding="max_length", truncation=True, max_length=3)["input_ids"] == before


def test_fingerprint_is_that_of_the_vocabulary_and_not_of_the_last_call(any_tokenizer):
    first = tokenizer_fingerprint(any_tokenizer)
    any_tokenizer("film", padding="max_length", truncation=True, max_length=9)
    assert tokenizer_fingerprint(any_tokenizer) == first
    other = pickle.loads(pickle.dumps(any_tokenizer))
    assert tokenizer_fingerprint(other) == first
    other.add_tokens(["filmlike"])
    assert tokenizer_fingerprint(other) != first


# --- the file --------------------------------------------------------------------------------------------------------


def same(one: Lexicon, other: Lexicon) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in Lexicon.__dataclass_fields__)


def test_file_round_trip(lexicon, tmp_path):
    path = tmp_path / "new" / "lexicon.npz"
    lexicon.save(path, "mine")
    assert same(Lexicon.load(path, "mine"), lexicon)
    assert [file.name for file in path.parent.iterdir()] == ["lexicon.npz"]


def test_absent_or_foreign_file_is_not_loaded(lexicon, tmp_path):
    path = tmp_path / "lexicon.npz"
    assert Lexicon.load(path, "mine") is None
    lexicon.save(path, "theirs")
    assert Lexicon.load(path, "mine") is None
    np.savez(path, a=np.arange(3))
    assert Lexicon.load(path, "mine") is None
    np.savez(path, fingerprint=np.array("mine"))
    assert Lexicon.load(path, "mine") is None
    with path.open("wb") as file:
        np.save(file, np.arange(3))
    assert Lexicon.load(path, "mine") is None
    path.unlink()
    path.mkdir()
    assert Lexicon.load(path, "mine") is None


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


def test_pickles_are_not_opened(lexicon, tmp_path):
    path = tmp_path / "lexicon.npz"
    path.write_bytes(pickle.dumps(Bomb()))
    assert Lexicon.load(path, "mine") is None
    arrays = {name: getattr(lexicon, name) for name in Lexicon.__dataclass_fields__}
    arrays["pieces"] = np.array([Bomb()], dtype=object)
    np.savez(path, fingerprint=np.array("mine"), **arrays)
    assert Lexicon.load(path, "mine") is None


def test_damaged_file_is_never_taken_for_a_lexicon(tokenizer, tmp_path):
    lexicon = build_lexicon(tokenizer, {"film": ["movie"]})
    path = tmp_path / "lexicon.npz"
    lexicon.save(path, "mine")
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert Lexicon.load(path, "mine") is None
    for i in range(0, len(whole), 13):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :])
        loaded = Lexicon.load(path, "mine")
        assert loaded is None or same(loaded, lexicon)  # some bytes, such as a date, say nothing


def test_failed_write_leaves_nothing_behind(lexicon, tmp_path, monkeypatch):
    path = tmp_path / "lexicon.npz"
    lexicon.save(path, "mine")

    def fail(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="no space"):
        lexicon.save(path, "other")
    assert [file.name for file in tmp_path.iterdir()] == ["lexicon.npz"]
    assert same(Lexicon.load(path, "mine"), lexicon)


def _save_and_load(lexicon: Lexicon, path, rounds: int) -> bool:
    """Whether every read beside the other process's writes finds a whole file."""
    for _ in range(rounds):
        lexicon.save(path, "mine")
        loaded = Lexicon.load(path, "mine")
        if loaded is None or not same(loaded, lexicon):
            return False
    return True


def test_two_processes_at_once_always_find_a_whole_file(tokenizer, tmp_path):
    lexicon, path = build_lexicon(tokenizer, WORDS), tmp_path / "lexicon.npz"
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.starmap(_save_and_load, [(lexicon, path, 30)] * 2) == [True, True]
    assert [file.name for file in tmp_path.iterdir()] == ["lexicon.npz"]
