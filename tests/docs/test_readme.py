"""What the README shows, run."""

import re
from pathlib import Path

import pytest
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from pymdownx.slugs import slugify

import augment
from hf_mmel import MMELTrainingArguments
from hf_mmel.argument_groups import SoftLabelArguments, UnlabeledArguments


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


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
    groups = MMELTrainingArguments, SoftLabelArguments, UnlabeledArguments
    own = [name for group in groups for name in group.__annotations__]
    assert list(rows) == own
    defaults = {name: str(MMELTrainingArguments.__dataclass_fields__[name].default) for name in own}
    assert {name: value.strip('"') for name, value in rows.items()} == defaults


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    names = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    names += re.findall(r"(?:hf_mmel|augment|benchmarks|examples|docs|tests)/[\w/]+\.\w+", text)
    missing = [name for name in names if not (page.parent / name).exists() and not (ROOT / name).exists()]
    assert not missing, f"{page.name} names files that do not exist: {missing}"


@pytest.mark.parametrize("page", PAGES[:3], ids=lambda page: page.name)  # mkdocs checks those of docs/
def test_every_anchor_that_a_page_names_is_there(page):
    slug = slugify(case="lower")
    for name, anchor in re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        target = page.parent / name if name else page
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert anchor in {slug(heading, "-") for heading in headings}, f"{page.name} links to {name}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_is_there(page):
    rules = re.findall(r"^([\w -]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    commands = re.findall(r"(?:`|^)make ([a-z -]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {target for command in commands for target in command.split()} <= targets
