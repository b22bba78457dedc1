"""What the README shows, run."""

import re
from pathlib import Path

import pytest
from augmenters import make_masked_lm
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset

import augment
from hf_mmel import MMELTrainingArguments


ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def wordnet_of_the_fixtures(monkeypatch, tokenizer):
    """`WordNetSynonyms` with the few words that the tests know, so that no WordNet is needed."""
    monkeypatch.setattr(
        augment, "WordNetSynonyms", lambda tokenizer, **kwargs: augment.LexiconSubstitution(tokenizer, WORDS, **kwargs)
    )


def test_the_diff_from_trainer_trains(wordnet_of_the_fixtures, tokenizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (diff,) = blocks("diff")
    code = "\n".join(line[1:] for line in diff.splitlines() if not line.startswith("-"))
    rows = Dataset.from_list([{**tokenizer(text), "label": i % 2} for i, text in enumerate(SENTENCES)])
    names = {"model": make_model(tokenizer), "tokenizer": tokenizer, "train": rows, "dev": rows}
    exec(code, names)
    assert names["trainer"].state.global_step == names["trainer"].state.max_steps > 0


def test_the_augmenter_snippet_gives_what_its_comments_say(wordnet_of_the_fixtures, tokenizer):
    code, _ = blocks("python")
    names = {"tokenizer": tokenizer}
    exec(code, names)
    augmenter = names["augmenter"]
    variants = augmenter.variants(tokenizer("A wonderful movie."), num_variants=4, seed=0)
    assert len(variants) == 4 and all(set(variant) == set(tokenizer("a")) for variant in variants)


def test_the_masked_lm_snippet_makes_the_candidates_of_the_data_set(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "cache"))
    make_masked_lm(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    _, code = blocks("python")
    rows = Dataset.from_list([dict(tokenizer(text)) for text in SENTENCES])
    names = {"tokenizer": tokenizer, "train_dataset": rows}
    exec(code.replace("google-bert/bert-base-uncased", str(tmp_path)), names)
    assert len(names["augmenter"]._table) == len(SENTENCES)


def test_the_snippets_of_the_guide_to_augmenters_run(wordnet_of_the_fixtures, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "cache"))
    model = make_masked_lm(tokenizer)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    examples = [dict(tokenizer(text)) for text in SENTENCES]
    names = {
        "tokenizer": tokenizer,
        "list_of_examples": examples,
        "list_of_seeds": list(range(len(examples))),
        "flat_ids": [token for example in examples for token in example["input_ids"]],
        "lengths": [len(example["input_ids"]) for example in examples],
        "wordnet": augment.LexiconSubstitution(tokenizer, WORDS),
        "masked_lm": augment.MaskedLMSubstitution(tokenizer, model, keep_inflection=False),
        "model": str(tmp_path),
        "dataset": Dataset.from_list(examples),
        "train_dataset": Dataset.from_list(examples),
    }
    guide = (ROOT / "docs" / "augment.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL)
    assert len(snippets) >= 5
    for code in snippets:
        exec(code.replace("google-bert/bert-base-uncased", str(tmp_path)), names)
    assert len(names["dataset"][0]["variants"]) == 4 and len(names["augmenter"]._table) == len(examples)


def test_the_table_of_arguments_is_that_of_the_class():
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", README, flags=re.MULTILINE))
    own = list(MMELTrainingArguments.__annotations__)
    assert list(rows) == own
    defaults = {name: str(MMELTrainingArguments.__dataclass_fields__[name].default) for name in own}
    assert {name: value.strip('"') for name, value in rows.items()} == defaults


def test_every_file_that_the_pages_name_is_there():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        names = re.findall(r"\]\((?!http)([^)#]+)\)", text)
        names += re.findall(r"(?:hf_mmel|augment|examples|docs|tests)/[\w/]+\.\w+", text)
        for name in names:
            assert (page.parent / name).exists() or (ROOT / name).exists(), f"{page.name} names {name}"
