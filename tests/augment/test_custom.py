"""The augmenters of docs/custom_augmenters.md. Beside the laws here they keep all others, see augmenters.py."""

import ast
import doctest
import json
from pathlib import Path

import documented
import numpy as np
import pytest
from conftest import SENTENCES
from documented import Hesitation, KeyboardTypos

from augment import (
    Augmenter,
    Compose,
    FirstOf,
    GreedySearch,
    LexiconSubstitution,
    OneOf,
    RandomInsert,
    Sometimes,
    apply_edits,
    custom,
)
from augment.core.batch import Batch
from augment.custom import Candidates, Substitution, different_variants
from examples import examples_of, ids_of


AUGMENT = Path(custom.__file__).parent


def test_the_page_shows_what_its_snippets_give(any_tokenizer):
    names = {**vars(documented), "tokenizer": any_tokenizer}
    blocks = documented.blocks("python", "pycon")
    for number, (language, code) in enumerate(blocks):
        if language == "python":
            exec(code, names)
            continue
        test = doctest.DocTestParser().get_doctest(code, names, f"block {number}", str(documented.PAGE), 0)
        names = test.globs
        assert doctest.DocTestRunner(verbose=False).run(test, clear_globs=False).failed == 0, code
    assert [language for language, _ in blocks].count("pycon") == 3


def test_no_underscore_method_is_needed():
    code = "".join(code for _, code in documented.blocks("python"))
    assert not [name for name in underscores(ast.parse(code)) if name != "__init__"]


def underscores(tree: ast.AST) -> list[str]:
    """Attributes with an underscore, and functions so named, that code writes or reads."""
    names = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    names += [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("_")]


@pytest.mark.parametrize(
    "path", [path for folder in (".", "core") for path in sorted((AUGMENT / folder).glob("*.py"))], ids=str
)
def test_no_module_uses_underscores_of_another_object(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            assert ast.unparse(node.value) in ("self", "cls", "super()"), ast.unparse(node)


# Parts of others


def test_a_source_is_a_part_of_every_augmenter(any_tokenizer):
    source, examples = KeyboardTypos(any_tokenizer), examples_of(any_tokenizer, SENTENCES)
    lexicon, seeds = LexiconSubstitution(any_tokenizer, {"movie": ["film"]}), list(range(len(SENTENCES)))
    for augmenter in (
        Compose([source, lexicon]),
        Compose([lexicon, Sometimes(source, p=0.9)]),
        OneOf([source, lexicon]),
        FirstOf([lexicon, source]),
        GreedySearch(source),
        RandomInsert(source),
    ):
        groups = augmenter.variants(examples, 3, seeds)
        for example, group in zip(examples, groups, strict=True):
            assert len({tuple(ids) for ids in [example["input_ids"], *ids_of(group)]}) == 4


def test_edits_are_a_part_of_every_augmenter(any_tokenizer):
    edits, examples = Hesitation(any_tokenizer), examples_of(any_tokenizer, SENTENCES[:4])
    lexicon, seeds = LexiconSubstitution(any_tokenizer, {"movie": ["film"]}), [0, 1, 2, 3]
    for augmenter in (Compose([lexicon, edits]), Compose([edits, Sometimes(edits)]), OneOf([edits, lexicon])):
        for i, group in enumerate(augmenter.variants(examples, 2, seeds)):
            own = augmenter.edits(examples[i], 2, i)
            assert [apply_edits(examples[i]["input_ids"], each) for each in own] == ids_of(group)
            assert len({tuple(ids) for ids in [examples[i]["input_ids"], *ids_of(group)]}) == 3
            assert any(edit.new[: len(edit.old)] == edit.old for each in own for edit in each)


def test_a_source_is_searched(tokenizer):
    source = KeyboardTypos(tokenizer, max_replaced=2)
    augmenter, (example,) = GreedySearch(source, num_positions=2), examples_of(tokenizer, SENTENCES[:1])

    def by_value(rows, of):
        return np.array([np.random.default_rng(row["input_ids"]).random() for row in rows])

    (found,) = augmenter.search([example], by_value, 3, [0]).lookup(Batch.of([example]))
    every_variant = {tuple(ids) for ids in ids_of(source.variants(example, 3000, 0))}
    rows = [apply_edits(example["input_ids"], edits) for edits in found]
    assert len(found) == 3 and {tuple(ids) for ids in rows} <= every_variant
    values = by_value([{"input_ids": ids} for ids in rows], None).tolist()
    assert values == sorted(values, reverse=True)


def test_configurations_round_trip_through_json(any_tokenizer):
    typos = KeyboardTypos(any_tokenizer, keep_words=["movie"], replace_prob=0.2)
    hesitation, seeds = Hesitation(any_tokenizer, filler="er", segments="first"), list(range(len(SENTENCES)))
    for augmenter in (typos, hesitation, GreedySearch(typos), Compose([OneOf([typos, hesitation]), hesitation])):
        copy = Augmenter.from_dict(json.loads(json.dumps(augmenter.to_dict())), any_tokenizer)
        assert type(copy) is type(augmenter) and repr(copy) == repr(augmenter)
        assert copy.augment_text(SENTENCES, 3, seeds) == augmenter.augment_text(SENTENCES, 3, seeds)
    with pytest.raises(ValueError, match="Hesitation has no fillers"):
        Augmenter.from_dict({"class": "Hesitation", "fillers": "er"}, any_tokenizer)


# Candidates


class OwnCandidates(Substitution):
    """Replaces each word by any of two ids, or by two ids, as the weights say."""

    def candidates(self, batch, words):
        options = [[(10,), (11, 12)] if length == 1 else [] for length in words.length]
        return Candidates.of(words, options, [[1, 3][: len(own)] for own in options])


def test_candidates_are_made_of_lists_of_ids(tokenizer):
    examples = examples_of(tokenizer, ["the movie children film"] * 2000)
    source = OwnCandidates(tokenizer, replace_prob=0.5)
    edits = [edit for i in range(2000) for variant in source.edits(examples[i], 1, i) for edit in variant]
    assert {edit.start for edit in edits} == {
        1,
        2,
        3 + len(tokenizer("children", add_special_tokens=False)["input_ids"]),
    }
    share = np.mean([edit.new == (11, 12) for edit in edits])
    assert {edit.new for edit in edits} == {(10,), (11, 12)} and abs(share - 0.75) < 4 * np.sqrt(0.19 / len(edits))


def test_candidates_that_do_not_fit_their_words_are_refused(tokenizer):
    source = KeyboardTypos(tokenizer)
    batch = Batch(tokenizer(["the movie"])["input_ids"])
    words = source.eligible_words(batch)
    with pytest.raises(ValueError, match="replacements for 1 words; expected 2"):
        Candidates.of(words, [[(3,)]])
    with pytest.raises(ValueError, match="texts for 3 words; expected 2"):
        source.candidates_of_texts(batch, words, [["a"]] * 3)
    with pytest.raises(ValueError, match="one weight per replacement"):
        Candidates.of(words, [[(3,)], []], [[1], [2]])
    for weight in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected positive finite numbers"):
            Candidates.of(words, [[(3,)], [(4,)]], [[1], [weight]])
    nothing = Candidates.of(words, [[], []], [[], []])
    assert len(nothing.words) == len(nothing.count) == len(nothing.cumulative) == 0


class Films(Substitution):
    def candidates(self, batch, words):
        spelt = [self.tokenizer.decode(pieces).strip().lower() for pieces in words.pieces(batch.ids)]
        texts = [["film", "movie", "film", "☃"] if word == "movie" else [] for word in spelt]
        return self.candidates_of_texts(batch, words, texts)


@pytest.mark.parametrize("text", ["the movie ran", "(movie)", "movie. movie"])
def test_texts_are_tokenised_as_they_stand_in_the_place_of_their_word(any_tokenizer, text):
    (example,) = examples_of(any_tokenizer, [text])
    expected = any_tokenizer(text.replace("movie", "film"))["input_ids"]
    seen = ids_of(Films(any_tokenizer, replace_prob=1.0).variants(example, 30, 0))
    assert expected in seen and (any_tokenizer.unk_token_id is None or seen[0] == expected)


def test_different_variants_needs_no_rows(tokenizer):
    assert len(different_variants(Batch([]), 3, np.zeros(0, dtype=np.uint64), Hesitation(tokenizer).draw_one)) == 0
