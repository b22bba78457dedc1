"""
What an augmenter of any kind may not change.

Each law is tested with every augmenter and every family of tokenizers, and each augmenter with every tokenizer, but
not each law with every pair of them: augmenters find the words that may change through the same code.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from augmenters import AUGMENTERS
from conftest import SENTENCES, TOKENIZER_KINDS
from pairwise import in_turn

from augment import LexiconSubstitution, RandomDelete
from examples import PAIRS, examples_of, ids_of, pair_of


KEPT = ["movie", "Actors", "FILM", "the", "and"]


@pytest.fixture(params=AUGMENTERS)
def name(request):
    return request.param


def each_with_a_tokenizer(shift: int) -> pytest.MarkDecorator:
    names = ["name", "any_tokenizer"]
    return in_turn(shift, names, name=list(AUGMENTERS), any_tokenizer=TOKENIZER_KINDS)


@pytest.fixture
def build(name, wordnet, wordnet_cache, monkeypatch):
    """Makes an augmenter of one kind: `build(tokenizer, **options)`."""
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    return AUGMENTERS[name]


def changed_words(augmenter, texts) -> list[tuple[str, str]]:
    """The words that variants of the texts have others for, or nothing, and what these are."""
    tokenizer, changed = augmenter.tokenizer, []
    for example in examples_of(tokenizer, texts):
        for variant in augmenter.edits(example, 4, 0):
            changed += [(tokenizer.decode(edit.old).strip(), tokenizer.decode(edit.new).strip()) for edit in variant]
    return changed


@each_with_a_tokenizer(0)
def test_words_to_keep_stay_in_any_case(build, any_tokenizer):
    texts = [*SENTENCES, *(sentence.upper() for sentence in SENTENCES)]
    kept = {word.lower() for word in KEPT}
    assert kept & {old.lower() for old, _ in changed_words(build(any_tokenizer), texts)}
    changed = changed_words(build(any_tokenizer, keep_words=KEPT), texts)
    assert changed and not kept & {old.lower() for old, _ in changed}


@each_with_a_tokenizer(1)
def test_words_of_a_pattern_stay(build, any_tokenizer):
    pattern = "[mt].*|.*s"
    assert any(re.fullmatch(pattern, old) for old, _ in changed_words(build(any_tokenizer), SENTENCES))
    changed = changed_words(build(any_tokenizer, keep_pattern=pattern), SENTENCES)
    assert changed and not any(re.fullmatch(pattern, old) for old, _ in changed)


def test_pattern_matches_whole_words_in_their_case(any_tokenizer):
    cased = any_tokenizer.decode(any_tokenizer("The")["input_ids"], skip_special_tokens=True).strip() == "The"
    augmenter = LexiconSubstitution(
        any_tokenizer, {"movie": ["film"], "story": ["tale"]}, keep_pattern="Movie|stor", replace_prob=1.0
    )
    variant = "Movie and the tale" if cased else "Film and the tale"
    assert augmenter.augment_text("Movie and the story", 1, 0) == [variant]


@each_with_a_tokenizer(2)
def test_no_more_words_change_than_max_replaced(name, build, any_tokenizer):
    if name in ("compose", "one_of"):
        pytest.skip("each part has a limit of its own")
    augmenter = build(any_tokenizer, max_replaced=2)
    counts = [len(edits) for row in examples_of(any_tokenizer, SENTENCES) for edits in augmenter.edits(row, 6, 0)]
    free = build(any_tokenizer)
    unlimited = [len(edits) for row in examples_of(any_tokenizer, SENTENCES) for edits in free.edits(row, 6, 0)]
    assert max(counts) == 2 and max(unlimited) >= 2


@each_with_a_tokenizer(1)
@pytest.mark.parametrize(("segments", "kept"), [("first", 1), ("second", 0)])
def test_only_the_chosen_text_of_a_pair_changes(build, any_tokenizer, segments, kept):
    augmenter, changed = build(any_tokenizer, segments=segments), 0

    def parts(ids):
        cut = ids.index(any_tokenizer.sep_token_id) + 1
        return ids[:cut], ids[cut:]

    for first, second in [*PAIRS, (SENTENCES[0], SENTENCES[0]), (SENTENCES[1], SENTENCES[4])]:
        example = pair_of(any_tokenizer, first, second)
        for ids in ids_of(augmenter.variants(example, 3, 0)):
            assert parts(ids)[kept] == parts(example["input_ids"])[kept]
            changed += ids != example["input_ids"]
    assert changed >= 3


@each_with_a_tokenizer(2)
def test_spans_of_a_text_stay(build, any_tokenizer):
    augmenter = build(any_tokenizer)
    for text in SENTENCES[:-1]:
        begin, end = text.index(" ") + 1, len(text) // 2
        free = augmenter.augment_text(text, 6, 0)
        for variant in augmenter.augment_text(text, 6, 0, keep_spans=[(begin, end)]):
            # Words that the span has a part of stay too.
            assert text[begin:end] in variant
        assert augmenter.augment_text(text, 2, 0, keep_spans=[(0, len(text))]) == [text, text]
        assert augmenter.augment_text(text, 6, 0, keep_spans=[]) == free


@each_with_a_tokenizer(0)
def test_spans_of_texts_are_one_list_each(build, any_tokenizer):
    augmenter, texts = build(any_tokenizer), SENTENCES[:2]
    spans = [[(4, 9)], []]
    together = augmenter.augment_text(texts, 3, [0, 1], keep_spans=spans)
    assert together == [augmenter.augment_text(texts[i], 3, i, keep_spans=spans[i]) for i in range(2)]
    with pytest.raises(ValueError, match="keep_spans has 1 lists of pairs for 2 texts"):
        augmenter.augment_text(texts, 3, [0, 1], keep_spans=spans[:1])


@pytest.mark.parametrize("spans", [[(3, 2)], [(-1, 2)], [(0, 99)], [(1,)], [1], "movie"])
def test_spans_are_pairs_of_places_in_the_example(tokenizer, spans):
    example = {**examples_of(tokenizer)[0], "keep_spans": spans}
    with pytest.raises(ValueError, match="keep_spans of an example"):
        RandomDelete(tokenizer).variants(example, 1, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_words": "movie"}, "expected a list of words"),
        ({"keep_words": [3]}, "expected a list of words"),
        ({"keep_pattern": "("}, "not a regular expression"),
        ({"max_replaced": 0}, "max_replaced is 0"),
        ({"max_length": 0}, "max_length is 0"),
        ({"segments": "third"}, "segments is 'third'"),
    ],
)
def test_constraint_that_makes_no_sense_is_refused(build, tokenizer, options, message):
    with pytest.raises(ValueError, match=message):
        build(tokenizer, **options)


HASH = """
import sys
sys.path[:0] = {path}
from conftest import make_tokenizer
from datasets.fingerprint import Hasher
from augment import RandomDelete
words = ["movie", "film", "story", "plot"]
print(*(Hasher.hash(RandomDelete(make_tokenizer("wordpiece"), keep_words=kind(words))) for kind in (list, set, iter)))
"""


@pytest.mark.integration
def test_words_to_keep_of_any_kind_have_one_order_in_every_interpreter(tokenizer):
    root = Path(__file__).parents[2]
    code = HASH.format(path=[str(root), str(root / "tests")])
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert len(printed[0]) == 3 and printed[0] == printed[1] and printed[0][0] == printed[0][2]
    assert RandomDelete(tokenizer, keep_words=(word for word in ["movie"])).keep_words == ("movie",)


def test_spans_may_be_an_array(tokenizer):
    example = {**tokenizer("the movie was awful"), "keep_spans": np.array([[1, 2], [3, 4]])}
    as_list = {**example, "keep_spans": [(1, 2), (3, 4)]}
    assert (
        RandomDelete(tokenizer).variants(example, 2, 0)[0]["input_ids"]
        == (RandomDelete(tokenizer).variants(as_list, 2, 0)[0]["input_ids"])
    )
