"""Tables of a masked LM's candidates."""

import pickle

import pytest
import torch
from augmenters import make_masked_lm, masked_lm
from candidate_tables import count_made, draws, in_processes, spoil, table
from conftest import SENTENCES, make_tokenizer
from datasets import Dataset

from augment import MaskedLMSubstitution
from augment.mlm.fill_mask import FillMask
from examples import TEXTS, examples_of


SEEDS = list(range(len(TEXTS)))


@pytest.fixture
def examples(tokenizer, monkeypatch):
    """Rows for a table of one part."""
    monkeypatch.setattr("augment.mlm.candidate_table.LEAST_TOKENS", 1 << 20)
    return examples_of(tokenizer)


@pytest.fixture
def sentences(tokenizer, monkeypatch):
    """Rows for a table of five parts, the model being asked about each."""
    monkeypatch.setattr("augment.mlm.candidate_table.PART_TOKENS", 22)
    return examples_of(tokenizer, SENTENCES)


@pytest.fixture
def made(monkeypatch):
    """The numbers of sequences that models are asked about, one for each part of a table."""
    return count_made(monkeypatch)


def test_draws_from_the_table_equal_those_without(any_tokenizer, tmp_path, made):
    examples = examples_of(any_tokenizer)
    expected = draws(masked_lm(any_tokenizer), examples)
    augmenter = table(any_tokenizer, examples, tmp_path)
    made.clear()
    assert draws(augmenter, examples) == expected
    assert [augmenter.variants(example, 4, i) for i, example in enumerate(examples)] == expected
    assert not made


def test_temperature_and_constraints_act_on_a_table_of_others(tokenizer, examples, tmp_path, made):
    table(tokenizer, examples, tmp_path)
    made.clear()
    options = {"temperature": 0.1, "replace_prob": 1.0, "keep_words": ["movie"]}
    augmenter = table(tokenizer, examples, tmp_path, **options)
    drawn = draws(augmenter, examples)
    assert not made
    assert drawn == draws(masked_lm(tokenizer, **options), examples) != draws(masked_lm(tokenizer), examples)


def test_rows_that_are_not_in_the_table_get_candidates_on_demand(tokenizer, examples, tmp_path, made):
    augmenter = table(tokenizer, examples[::2], tmp_path)
    made.clear()
    assert draws(augmenter, examples) == draws(masked_lm(tokenizer), examples)
    assert len(made) == 2
    without = sum(made[1:])
    assert 0 < made[0] < without


def test_table_is_opened_and_not_made_twice(tokenizer, examples, tmp_path, made, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path))
    first = masked_lm(tokenizer).precompute(examples)
    assert len(made) == 1
    dataset = Dataset.from_list(examples[::-1] * 2).with_format("torch")
    second = masked_lm(tokenizer).precompute(dataset)
    assert len(made) == 1
    assert draws(second, examples) == draws(first, examples)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("masked-lm-")] == [
        first._table.folder.name
    ]
    masked_lm(tokenizer, top_m=3).precompute(examples)
    assert len(made) == 2


def test_repeated_rows_are_computed_once(tokenizer, examples, tmp_path, made):
    table(tokenizer, examples, tmp_path / "once")
    assert len(table(tokenizer, examples * 3, tmp_path / "thrice")._table) == len(
        {tuple(example["input_ids"]) for example in examples}
    )
    assert made[0] == made[1]


def test_interrupted_table_resumes_where_it_stopped(tokenizer, sentences, tmp_path, made, monkeypatch):
    best = FillMask.best

    def interrupted(self, *arguments):
        if len(made) == 2:
            raise KeyboardInterrupt
        return best(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(FillMask, "best", interrupted)
        with pytest.raises(KeyboardInterrupt):
            table(tokenizer, sentences, tmp_path)
    assert len(list(tmp_path.glob("part-*.npz"))) == 2 and not list(tmp_path.glob("*.tmp"))
    augmenter = table(tokenizer, sentences, tmp_path)
    assert len(made) == 5
    assert not list(tmp_path.glob("part-*"))
    assert draws(augmenter, sentences) == draws(masked_lm(tokenizer), sentences)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damaged_part_is_made_again(tokenizer, sentences, tmp_path, made, monkeypatch, damage):
    with monkeypatch.context() as patch:
        patch.setattr("augment.mlm.candidate_table._join", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            table(tokenizer, sentences, tmp_path)
    assert len(made) == 5
    spoil(sorted(tmp_path.glob("part-*.npz"))[1], damage)
    augmenter = table(tokenizer, sentences, tmp_path)
    assert len(made) == 6
    assert draws(augmenter, sentences) == draws(masked_lm(tokenizer), sentences)


@pytest.mark.parametrize("content", ["[3]", "null", "{", "", "[" * 100_000])
def test_a_damaged_manifest_is_named(tokenizer, examples, tmp_path, made, content):
    table(tokenizer, examples, tmp_path)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged\. Delete the folder"):
        table(tokenizer, examples, tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
@pytest.mark.parametrize("name", ["keys.npy", "first.npy", "entries.npy", "checksums.json"])
def test_damaged_table_is_made_again(tokenizer, examples, tmp_path, made, name, damage):
    expected = draws(table(tokenizer, examples, tmp_path), examples)
    spoil(tmp_path / name, damage)
    assert draws(table(tokenizer, examples, tmp_path), examples) == expected
    assert len(made) == 2


@pytest.mark.parametrize("differing", ["data", "tokenizer", "model", "options"])
def test_table_of_other_settings_is_refused_with_the_reason(tokenizer, examples, tmp_path, differing):
    table(tokenizer, examples, tmp_path)
    model, options = make_masked_lm(tokenizer), {"top_m": 4}
    if differing == "data":
        examples = examples[1:]
    elif differing == "tokenizer":
        tokenizer = make_tokenizer("wordpiece")
        tokenizer.backend_tokenizer.normalizer = None
    elif differing == "model":
        with torch.no_grad():
            model.get_input_embeddings().weight[3] += 1
    else:
        options = {"top_m": 5}
    augmenter = masked_lm(tokenizer, dtype="float32", **options)
    augmenter.model = model
    with pytest.raises(ValueError, match=rf"made with a different [a-z, ]*{differing}.*another path.*delete"):
        augmenter.precompute(examples, tmp_path)


def test_pickle_carries_the_path_and_not_the_table(tokenizer, examples, tmp_path, made):
    augmenter = table(tokenizer, examples, tmp_path)
    assert len(pickle.dumps(augmenter._table)) < 300
    copy = pickle.loads(pickle.dumps(augmenter))
    made.clear()
    assert draws(copy, examples) == draws(augmenter, examples)
    assert not made


@pytest.mark.parametrize(("part_tokens", "num_parts"), [(22, 5), (1 << 17, 2)], ids=["many parts", "few rows"])
def test_processes_share_the_parts_that_one_process_makes(
    tokenizer, sentences, tmp_path, made, monkeypatch, part_tokens, num_parts
):
    """The model is asked about the same batches, since rounding may depend on them."""
    monkeypatch.setattr("augment.mlm.candidate_table.PART_TOKENS", part_tokens)
    expected = draws(table(tokenizer, sentences, tmp_path / "alone"), sentences)
    alone = sorted(made)
    assert len(alone) == num_parts
    made.clear()
    augmenters = in_processes(monkeypatch, tokenizer, sentences, *[tmp_path / "shared"] * 2)
    assert sorted(made) == alone
    assert [draws(augmenter, sentences) for augmenter in augmenters] == [expected, expected]
    assert sorted(made) == alone


def test_a_table_that_one_process_began_is_finished_by_two(tokenizer, sentences, tmp_path, made, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("augment.mlm.candidate_table._join", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            table(tokenizer, sentences, tmp_path)
    assert len(list(tmp_path.glob("part-*.npz"))) == 5
    made.clear()
    augmenters = in_processes(monkeypatch, tokenizer, sentences, tmp_path, tmp_path)
    assert not made and not list(tmp_path.glob("part-*"))
    expected = draws(masked_lm(tokenizer), sentences)
    assert [draws(augmenter, sentences) for augmenter in augmenters] == [expected, expected]


def test_a_folder_that_not_all_processes_see_is_refused_by_all(tokenizer, sentences, tmp_path, made, monkeypatch):
    errors = in_processes(monkeypatch, tokenizer, sentences, tmp_path / "machine 0", tmp_path / "machine 1")
    assert all("not there for the processes [1]" in str(error) for error in errors)
    assert "file system that all machines share" in str(errors[0])
    assert not made


@pytest.mark.parametrize("texts", [[], ["", "the 12 !"]], ids=["no rows", "no words"])
def test_data_without_words_has_an_empty_table(tokenizer, tmp_path, texts):
    examples = examples_of(tokenizer, texts) if texts else []
    augmenter = table(tokenizer, examples, tmp_path)
    assert draws(augmenter, examples) == [[example] * 4 for example in examples]
    assert draws(augmenter, examples_of(tokenizer, ["the movie"]))[0][0] != examples_of(tokenizer, ["the movie"])[0]


def test_rows_without_tokens_are_no_obstacle(tokenizer, tmp_path):
    examples = [{"input_ids": []}, *examples_of(tokenizer, SENTENCES), {"input_ids": []}]
    augmenter = table(tokenizer, examples, tmp_path)
    assert draws(augmenter, examples) == draws(masked_lm(tokenizer), examples)


def test_datasets_without_length_or_input_ids_are_refused(tokenizer, examples, tmp_path):
    with pytest.raises(TypeError, match=r"IterableDataset.*known length"):
        table(tokenizer, Dataset.from_list(examples).to_iterable_dataset(), tmp_path)
    with pytest.raises(ValueError, match="input_ids"):
        table(tokenizer, Dataset.from_dict({"text": TEXTS}), tmp_path)
    with pytest.raises(ValueError, match="input_ids"):
        table(tokenizer, [{"text": "movie"}], tmp_path)
    assert not list(tmp_path.iterdir())


def test_bfloat16_table_gives_the_same_variants_in_any_batch(tokenizer, examples, tmp_path):
    augmenter = masked_lm(tokenizer, dtype="bfloat16").precompute(examples, tmp_path)
    together = draws(augmenter, examples)
    assert together == [augmenter.variants(example, 4, i) for i, example in enumerate(examples)]


def test_table_in_a_folder_of_its_own_is_kept(tokenizer, examples, tmp_path, made):
    augmenter = masked_lm(tokenizer, cache_dir=tmp_path / "cache").precompute(examples, tmp_path / "own")
    num_made = len(made)
    augmenter.precompute(examples)
    assert augmenter._table.folder == tmp_path / "own" and len(made) == num_made
    assert not (tmp_path / "cache").exists()


def test_tables_of_other_numbers_or_settings_are_others(tokenizer, examples, tmp_path):
    folders = set()
    for dtype, heads in (("float32", 2), ("bfloat16", 2), ("float32", 4)):
        model = make_masked_lm(tokenizer)
        model.config.num_attention_heads = heads
        augmenter = MaskedLMSubstitution(
            tokenizer, model, keep_inflection=False, dtype=dtype, cache_dir=tmp_path
        ).precompute(examples)
        folders.add(augmenter._table.folder)
    assert len(folders) == 3
