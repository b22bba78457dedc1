"""What the pages name is there, and the page of arguments has them all."""

import re
from pathlib import Path

import pytest
from pymdownx.slugs import slugify

from hf_mmel import MMELTrainingArguments
from hf_mmel.argument_groups import ObjectiveArguments, SoftLabelArguments, UnlabeledArguments


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_tables_of_arguments_are_those_of_the_class():
    page = (ROOT / "docs" / "arguments.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", page, flags=re.MULTILINE))
    groups = ObjectiveArguments, SoftLabelArguments, UnlabeledArguments
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
