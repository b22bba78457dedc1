"""Neighbours in the embedding space of a model."""

import json
import pickle

import numpy as np
import pytest
import torch
from conftest import SENTENCES, make_model, make_tokenizer
from tokenizers import Tokenizer
from transformers import AutoModel, PreTrainedTokenizerFast

from augment import EmbeddingNeighbours
from augment.core.batch import Batch
from augment.core.vocabulary import Vocabulary, keeps_inflection
from examples import TEXTS, examples_of, ids_of


TEXT = "the movie was awful and the children ran away from a marvelous picture"


def neighbours(tokenizer, **options):
    options = {"num_neighbours": 3, "min_similarity": -1, "keep_inflection": False, **options}
    return EmbeddingNeighbours(tokenizer, options.pop("model", None) or make_model(tokenizer), **options)


def candidates_of(augmenter, texts) -> dict[tuple[int, ...], set[int]]:
    """What each word of the texts may become, by its pieces. No word of theirs has two sets of candidates."""
    batch = Batch(augmenter.tokenizer(texts)["input_ids"], bounded=False)
    candidates = augmenter.candidates(batch, augmenter.eligible_words(batch))
    found = {}
    for i, pieces in enumerate(candidates.words.pieces(batch.ids)):
        begin = candidates.first[i]
        ids = candidates.table[begin : begin + candidates.count[i]].tolist()
        assert len(set(ids)) == len(ids) and found.setdefault(pieces, set(ids)) == set(ids)
    return found


def reference(augmenter, pieces: tuple[int, ...], count: int) -> list[int]:
    """The nearest whole words of a word's group, by the definition."""
    tokenizer, vocabulary = augmenter.tokenizer, Vocabulary(augmenter.tokenizer)
    rows = augmenter.model.get_input_embeddings().weight.detach().double().numpy()
    whole = np.flatnonzero(vocabulary.group)
    rows = rows - rows[whole].mean(axis=0)
    word = rows[list(pieces)].mean(axis=0)
    text = tokenizer.decode(list(pieces)).strip()
    group = next(vocabulary.group[i] for i in whole if len(pieces) > 1 or i == pieces[0])
    cosine = {
        i: rows[i] @ word / np.linalg.norm(rows[i]) / np.linalg.norm(word)
        for i in whole.tolist()
        if vocabulary.group[i] == group and tokenizer.decode([i]).strip() != text
    }
    return sorted(cosine, key=cosine.get, reverse=True)[:count]


def test_candidates_are_the_nearest_whole_words(tokenizer):
    augmenter = neighbours(tokenizer)
    found = candidates_of(augmenter, [f"the {text}".replace(" a ", " the ") for text in (TEXT, *SENTENCES[:2])])
    assert {len(pieces) > 1 for pieces in found} == {True, False} and len(found) >= 10
    for pieces, ids in found.items():
        assert ids == set(reference(augmenter, pieces, 3))


def test_candidates_are_whole_words_of_the_case_and_spacing_of_their_word(any_tokenizer):
    vocabulary, seen = Vocabulary(any_tokenizer), 0
    for pieces, ids in candidates_of(neighbours(any_tokenizer, num_neighbours=50), [TEXT, *SENTENCES]).items():
        old = any_tokenizer.decode(list(pieces)).strip()
        (group,) = {vocabulary.group[i] for i in ids}
        if len(pieces) == 1:
            assert vocabulary.group[pieces[0]] in (group, 0)  # 0 where the piece is not all of the word elsewhere
        for new in (any_tokenizer.decode([i]).strip() for i in ids):
            assert new.isalpha() and new != old and new.islower() == old.islower()
            seen += 1
    assert seen > 50


def test_neighbours_of_a_word_do_not_depend_on_the_words_beside_it(tokenizer, monkeypatch):
    monkeypatch.setattr("augment.embedding._BLOCK", 8)  # less than there are words
    words = sorted({word for text in SENTENCES for word in text.split() if word.isalpha()})
    together = candidates_of(neighbours(tokenizer), [f"the {word}" for word in words])
    backwards = candidates_of(neighbours(tokenizer), [f"the {word}" for word in reversed(words)])
    one_by_one = {}
    for word in words:
        one_by_one |= candidates_of(neighbours(tokenizer), [f"the {word}"])
    assert together == backwards == one_by_one and len(together) > 20


def test_rounding_does_not_depend_on_the_words_beside_a_word(tokenizer):
    """Each word has two nearest neighbours that lie equally far from it, but for rounding."""
    whole = np.flatnonzero(Vocabulary(tokenizer).group).tolist()
    words, pairs = whole[0::3], list(zip(whole[1::3], whole[2::3], strict=False))
    model = make_model(tokenizer)
    model.set_input_embeddings(torch.nn.Embedding(len(tokenizer), 384))
    rows = model.get_input_embeddings().weight.data
    rows.copy_(torch.from_numpy(np.random.default_rng(0).standard_normal(rows.shape)))
    swap = torch.arange(384).reshape(-1, 2).flip(1).flatten()
    rows[words] += rows[words][:, swap]
    for one, other in pairs:
        rows[other] = rows[one][swap]
    texts = [f"the {tokenizer.decode([word])}" for word in words]
    together = candidates_of(neighbours(tokenizer, model=model, num_neighbours=1), texts)
    one_by_one = {}
    for text in texts:
        one_by_one |= candidates_of(neighbours(tokenizer, model=model, num_neighbours=1), [text])
    assert together == one_by_one and len(together) > 10


def test_words_seen_before_change_nothing(tokenizer):
    used, example = neighbours(tokenizer), examples_of(tokenizer, [TEXT])[0]
    used.augment_text(SENTENCES, 2, list(range(len(SENTENCES))))
    assert used.variants(example, 4, 0) == neighbours(tokenizer).variants(example, 4, 0)


def test_less_similar_words_are_no_candidates(tokenizer):
    every = candidates_of(neighbours(tokenizer, num_neighbours=1000), [TEXT])
    near = candidates_of(neighbours(tokenizer, num_neighbours=1000, min_similarity=0.2), [TEXT])
    assert 0 < sum(map(len, near.values())) < sum(map(len, every.values()))
    for pieces, ids in near.items():
        nearest = reference(neighbours(tokenizer), pieces, 1000)
        assert ids == set(nearest[: len(ids)]) and len(ids) < len(every[pieces])
    example = examples_of(tokenizer, [TEXT])[0]
    assert neighbours(tokenizer, min_similarity=1.0).variants(example, 2, 0) == [example, example]


def test_candidates_keep_the_inflection_of_their_word(tokenizer):
    pytest.importorskip("lemminflect")
    tags = Vocabulary(tokenizer).tags
    options = {"num_neighbours": 1000, "keep_inflection": True}
    found = candidates_of(neighbours(tokenizer, **options), [TEXT, *SENTENCES])
    single = {pieces[0]: ids for pieces, ids in found.items() if len(pieces) == 1}
    assert sum(map(len, single.values())) > 20
    assert all(keeps_inflection(tags[[old]], tags[list(ids)]).all() for old, ids in single.items())


def test_article_fits_the_neighbour(any_tokenizer):
    augmenter = neighbours(any_tokenizer, num_neighbours=1000)
    after_a = [text.split()[1] for text in augmenter.augment_text("a movie", 50, 0)]
    after_an = [text.split()[1] for text in augmenter.augment_text("an awful", 50, 0)]
    after_the = [text.split()[1] for text in augmenter.augment_text("the movie", 50, 0)]
    assert not any(word[0] in "aeiou" for word in after_a) and len(set(after_a)) > 1
    assert all(word[0] in "aeiou" for word in after_an) and len(set(after_an)) > 1
    assert {word[0] in "aeiou" for word in after_the} == {True, False}


def test_names_stay_where_case_is_kept(tokenizer):
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["normalizer"]["lowercase"] = False
    names = ["Movie", "Film", "Story"]
    state["model"]["vocab"] |= {name: len(tokenizer) + i for i, name in enumerate(names)}
    backend = Tokenizer.from_str(json.dumps(state))
    cased = PreTrainedTokenizerFast(tokenizer_object=backend, **tokenizer.special_tokens_map)
    texts = neighbours(cased, replace_prob=1.0).augment_text("Movie of Movie and movie. Movie", 5, 0)
    for first, _, inside, _, common, last in (text.replace(".", "").split() for text in texts):
        assert {first, last} <= {"Film", "Story"} and inside == "Movie" and common.islower() and common != "movie"


@pytest.fixture
def folder(tokenizer, tmp_path) -> str:
    make_model(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return str(tmp_path)


def test_model_by_name_is_the_model(tokenizer, folder):
    example = examples_of(tokenizer, [TEXT])[0]
    assert neighbours(tokenizer, model=folder).variants(example, 4, 0) == neighbours(tokenizer).variants(example, 4, 0)


def test_model_by_name_is_loaded_at_first_use_and_not_pickled(tokenizer, folder, monkeypatch):
    loads = []
    load = AutoModel.from_pretrained
    monkeypatch.setattr(AutoModel, "from_pretrained", lambda name: loads.append(name) or load(name))
    augmenter, example = neighbours(tokenizer, model=folder), examples_of(tokenizer, [TEXT])[0]
    size = len(pickle.dumps(augmenter))
    assert not loads
    variants = [augmenter.variants(example, 2, seed) for seed in range(3)]
    assert loads == [folder] and len(pickle.dumps(augmenter)) == size
    copy = pickle.loads(pickle.dumps(augmenter))
    assert [copy.variants(example, 2, seed) for seed in range(3)] == variants


def test_model_without_a_name_has_no_description(tokenizer):
    with pytest.raises(ValueError, match="without a name or path"):
        neighbours(tokenizer).to_dict()


def test_model_of_another_vocabulary_is_refused(tokenizer, folder):
    with pytest.raises(ValueError, match="another vocabulary than the tokenizer"):
        EmbeddingNeighbours(make_tokenizer("bpe"), folder, keep_inflection=False)
    with pytest.raises(ValueError, match="another vocabulary than the tokenizer"):
        neighbours(make_tokenizer("bpe"), model=make_model(tokenizer))


def test_more_embeddings_than_words_are_padding(tokenizer):
    model, example = make_model(tokenizer), examples_of(tokenizer, [TEXT])[0]
    variants = neighbours(tokenizer, model=model).variants(example, 4, 0)
    model.resize_token_embeddings(len(tokenizer) + 33)
    assert neighbours(tokenizer, model=model).variants(example, 4, 0) == variants


def test_model_without_a_folder_is_refused_early(tokenizer, tmp_path):
    with pytest.raises(OSError):
        neighbours(tokenizer, model=str(tmp_path / "none"))


@pytest.mark.parametrize("options", [{"num_neighbours": 0}, {"min_similarity": 1.1}, {"min_similarity": float("nan")}])
def test_option_out_of_range_is_refused(tokenizer, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        neighbours(tokenizer, **options)


def test_a_vocabulary_without_whole_words_has_no_neighbours(tokenizer, monkeypatch):
    monkeypatch.setattr(Vocabulary, "_whole_words", lambda self: np.zeros(len(self._group), dtype=bool))
    examples = examples_of(tokenizer)
    variants = neighbours(tokenizer).variants(examples, 1, list(range(len(TEXTS))))
    assert [ids_of(group) for group in variants] == [[example["input_ids"]] for example in examples]
