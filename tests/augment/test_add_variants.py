"""The class that adds variants to batches, without a cluster."""

import numpy as np
import pyarrow as pa
import pytest
from augmenters import make_masked_lm
from conftest import SENTENCES, WORDS

from augment import InTurn, LexiconSubstitution, MaskedLMSubstitution, RandomDelete, variants_of_shard
from augment.ray_data import AddVariants, _ray_errors, write_parts


ROWS = {"text": SENTENCES, "text_b": SENTENCES[::-1], "id": list(range(10, 10 + len(SENTENCES)))}


@pytest.fixture
def augmenter(tokenizer):
    return LexiconSubstitution(tokenizer, WORDS)


@pytest.fixture
def options(augmenter, tokenizer):
    return {"augmenter": augmenter.to_dict(), "tokenizer": tokenizer, "index_column": "id", "seed": 7}


def as_arrays(rows):
    return {name: np.array(column) for name, column in rows.items()}


@pytest.mark.parametrize("make_batch", [as_arrays, pa.table])
@pytest.mark.parametrize(("columns", "kind"), [("text", 1), (["text"], 1), (["text", "text_b"], 2)])
def test_a_batch_gains_the_variants_of_its_shard(augmenter, options, make_batch, columns, kind):
    batch = make_batch(ROWS)
    made = AddVariants(**options, columns=columns, num_variants=3, new_column="new")(batch)
    expected = variants_of_shard(ROWS, ROWS["id"], 7, augmenter=augmenter, columns=columns, num_variants=3)["variants"]
    assert any(expected) and made["new"].to_pylist() == expected
    assert isinstance(made, type(batch)) and list(made if isinstance(made, dict) else made.column_names) == [
        *ROWS,
        "new",
    ]
    assert all(made[name] is batch[name] or made[name].equals(batch[name]) for name in ROWS)
    texts = pa.list_(pa.string())
    assert made["new"].type == (texts if kind == 1 else pa.list_(texts))


@pytest.mark.parametrize("make_batch", [as_arrays, pa.table])
def test_a_batch_without_variants_has_the_same_type(options, make_batch):
    made = AddVariants(**options)(make_batch({"text": ["no word is known"], "id": [3]}))["variants"]
    assert made.to_pylist() == [[]] and made.type == pa.list_(pa.string())
    kept = AddVariants(**options, keep_copies=True, num_variants=2)(make_batch({"text": ["unknown"], "id": [3]}))
    assert kept["variants"].to_pylist() == [["unknown"] * 2]


def test_a_name_and_arguments_build_what_make_augmenter_builds(tokenizer):
    made = AddVariants("delete", tokenizer, replace_prob=0.5).augmenter
    assert made.to_dict() == RandomDelete(tokenizer, replace_prob=0.5).to_dict()


def test_your_own_class_is_found_by_its_path(tokenizer):
    assert type(AddVariants("ray_augmenters:Unlucky", tokenizer).augmenter).__name__ == "Unlucky"


@pytest.mark.parametrize(("given", "expected"), [(None, "bfloat16"), ("float16", "float16")])
def test_a_masked_lm_computes_in_the_fastest_dtype_unless_one_is_given(
    tokenizer, tmp_path, monkeypatch, given, expected
):
    make_masked_lm(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    in_turn = InTurn([RandomDelete(tokenizer), MaskedLMSubstitution(tokenizer, str(tmp_path), dtype=given)])
    monkeypatch.setattr("augment.parts.job.fast_dtype", {"cpu": "bfloat16"}.get)
    made = AddVariants(in_turn.to_dict(), str(tmp_path)).augmenter
    assert made.parts[1].dtype == expected


@pytest.mark.parametrize(
    ("changed", "batch", "error", "message"),
    [
        (
            {"augmenter": 3},
            None,
            TypeError,
            r"augmenter is 3 of type int; expected a name, or .* augmenter\.to_dict\(\)",
        ),
        ({"model": "bert"}, None, ValueError, r"^The configuration of a LexiconSubstitution .*; received model\.$"),
        ({"replace_prob": 1}, None, ValueError, r"received replace_prob\.$"),
        ({"augmenter": "synonym"}, None, ValueError, r"^The augmenter is 'synonym'; expected one of "),
        ({"augmenter": "no_module:It"}, None, ValueError, r"the module no_module cannot be imported"),
        ({"index_column": "row"}, ROWS, ValueError, r"^The rows have no column 'row' .* 'text', 'text_b', 'id'\.$"),
        ({"columns": "words"}, ROWS, ValueError, r"^The rows have no column 'words'"),
        ({"new_column": "id"}, ROWS, ValueError, r"^The rows already have a column 'id'"),
        ({"index_column": "text"}, ROWS, TypeError, "str"),
        ({}, [1], TypeError, r"^The batch is a list; expected batch_format='pyarrow' or 'numpy' in map_batches\.$"),
    ],
)
def test_what_cannot_be_done_is_an_error(options, changed, batch, error, message):
    with pytest.raises(error, match=message):
        AddVariants(**{**options, **changed})(batch)


def test_errors_of_ray_become_a_sentence():
    exceptions = pytest.importorskip("ray", reason="the errors of Ray need the extra `ray`").exceptions
    for error, reason in (
        (exceptions.RuntimeEnvSetupError("no disk"), "no disk"),
        (exceptions.WorkerCrashedError(), "worker died"),
        (exceptions.OutOfMemoryError("first line\nNode is out of memory.\n"), r"Node is out of memory\."),
    ):
        with (
            pytest.raises(RuntimeError, match=rf"^Ray failed: .*{reason}.* run the same command again") as caught,
            _ray_errors(),
        ):
            raise error
        assert "\n" not in str(caught.value)
    with pytest.raises(KeyError), _ray_errors():
        raise KeyError("not of Ray")


def test_no_parts_need_no_cluster_and_no_workers_are_refused():
    pytest.importorskip("ray", reason="the engine needs the extra `ray`")
    assert list(write_parts(None, [])) == []
    with pytest.raises(ValueError, match=r"^num_workers is 0; expected a whole number >= 1\.$"):
        list(write_parts(None, [1], 0))
