"""What the README shows, run."""

import re
from pathlib import Path

import pytest
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset

import augment
from hf_mmel import MMELTrainingArguments


ROOT = Path(__file__).parents[2]
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


def test_the_table_of_arguments_is_that_of_the_class():
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", README, flags=re.MULTILINE))
    own = list(MMELTrainingArguments.__annotations__)
    assert list(rows) == own
    defaults = {name: str(MMELTrainingArguments.__dataclass_fields__[name].default) for name in own}
    assert {name: value.strip('"') for name, value in rows.items()} == defaults


def test_every_file_that_the_pages_name_is_there():
    found = 0
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        names = re.findall(r"\]\((?!http)([^)#]+)\)", text)
        names += re.findall(r"(?:hf_mmel|augment|examples|docs|tests)/[\w/]+\.\w+", text)
        found += len(names)
        for name in names:
            assert (page.parent / name).exists() or (ROOT / name).exists(), f"{page.name} names {name}"
    assert found > 50
