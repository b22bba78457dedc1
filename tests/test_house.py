"""The layout of the packages: which module may import which, and how long a file may be.

All imports count: those inside functions and those for type checkers alone as well. docs/design.md shows the layout.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
PACKAGES = ("hf_mmel", "augment")
MAX_LINES = 350

# The layers of hf_mmel, lowest first. A module may import from its own layer and from those below it.
# A package stands for all of its modules. `hf_mmel` stands for its __init__.py, which exports the layers below it.
LAYERS = (
    {"hf_mmel.functional"},
    {"hf_mmel.argument_groups"},
    {"hf_mmel.training_args", "hf_mmel.distributed", "hf_mmel.version", "hf_mmel.own_augment"},
    {"hf_mmel.data", "hf_mmel.streams"},
    {"hf_mmel.objective"},
    {"hf_mmel.monitoring"},
    {"hf_mmel.step"},
    {"hf_mmel.hub"},
    {"hf_mmel.unlabeled_data"},
    {
        *("hf_mmel.trainer", "hf_mmel.train_data", "hf_mmel.callbacks", "hf_mmel.search", "hf_mmel.validation"),
        "hf_mmel.soft_label_models",
    },
    {"hf_mmel"},
    {"hf_mmel.cli"},
    {"hf_mmel.attack", "hf_mmel.compare", "hf_mmel.report"},
    {"hf_mmel.__main__"},
)
# Who must not import what, and why. The first rule that fits an import is reported.
FORBIDDEN = (
    (PACKAGES, ("run_glue_mmel",), "the script imports the packages, never the other way round"),
    (("augment",), ("hf_mmel",), "augment works without hf_mmel"),
    (("hf_mmel",), ("augment.cli", "augment.__main__"), "hf_mmel uses the augmenters, not their command line"),
    (
        ("hf_mmel.functional", "hf_mmel.data", "hf_mmel.objective", "hf_mmel.step"),
        ("augment.mlm",),
        "the training step knows nothing of how masked-LM variants are made",
    ),
)

ALLOWED = {("hf_mmel.__main__", "augment.__main__")}  # `hf-mmel augment`


def module_files(root: Path) -> dict[str, Path]:
    """Module name -> file, packages under their own name; with the script beside them."""
    paths = [path for package in PACKAGES for path in root.joinpath(package).rglob("*.py")]
    paths.append(root / "run_glue_mmel.py")
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported_names(path: Path, module: str) -> list[tuple[str, int]]:
    """Dotted name and line of every import of a file; `from a import b` is `a.b`, relative imports are resolved."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    return names


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def module_of(name: str, modules: dict[str, Path]) -> str | None:
    """The module of a dotted name, or None for other packages: `hf_mmel.trainer` for `hf_mmel.trainer.MMELTrainer`."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def read_imports(root: Path) -> dict[str, dict[str, str]]:
    """Module -> imported module of ours -> `file:line`."""
    modules = module_files(root)
    imports: dict[str, dict[str, str]] = {}
    for module, path in modules.items():
        imports[module] = {}
        for name, line in imported_names(path, module):
            target = module_of(name, modules)
            if target and target != module:
                imports[module].setdefault(target, f"{path.relative_to(root)}:{line}")
    return imports


def layer_of(module: str) -> int | None:
    """Index of the layer of a module of hf_mmel; None if it is in none."""
    name = ".".join(module.split(".")[:2])
    return next((i for i, layer in enumerate(LAYERS) if name in layer), None)


def wrong_imports(root: Path) -> list[str]:
    """Imports that `FORBIDDEN` or `LAYERS` rule out, and modules that have no layer, a line each."""
    found = []
    imports = read_imports(root)
    for module, targets in imports.items():
        if is_within(module, "hf_mmel") and layer_of(module) is None:
            found.append(f"{module} has no layer: add it to LAYERS in tests/test_house.py, or move it into a package")
        for target, place in targets.items():
            if reason := forbidden(module, target) or upward(module, target):
                found.append(f"{place}: {module} imports {target}: {reason}")
    return sorted(found)


def forbidden(module: str, target: str) -> str | None:
    if (module, target) in ALLOWED:
        return None
    for importers, names, reason in FORBIDDEN:
        if any(is_within(module, name) for name in importers) and any(is_within(target, name) for name in names):
            return reason
    return None


def upward(module: str, target: str) -> str | None:
    own, other = layer_of(module), layer_of(target)
    if own is None or other is None or other <= own:
        return None
    return "its layer is above (see LAYERS in tests/test_house.py)"


def import_circle(root: Path) -> str | None:
    """A circle of imports, `a -> b -> a` where a imports b, if there is one."""
    try:
        TopologicalSorter(read_imports(root)).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return None


def long_files(root: Path) -> list[str]:
    """Modules and files of tests that are too long, a line each."""
    paths = [*module_files(root).values(), *root.joinpath("tests").rglob("*.py")]
    counts = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    return [f"{path.relative_to(root)} has {count} lines" for path, count in counts.items() if count > MAX_LINES]


@pytest.fixture
def write_tree(tmp_path):
    """Writes modules, name -> code, into a new root with a run_glue_mmel.py and both packages."""

    def write(modules: dict[str, str]) -> Path:
        empty = dict.fromkeys(["run_glue_mmel", "hf_mmel.__init__", "augment.__init__"], "")
        for module, code in (empty | modules).items():
            path = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
        return tmp_path

    return write


def test_no_import_goes_against_the_layers():
    found = wrong_imports(ROOT)
    assert not found, "\n".join(["Wrong imports:", *found])


def test_no_imports_form_a_circle():
    circle = import_circle(ROOT)
    assert circle is None, f"A circle of imports: {circle}. Move what both ends need into a module below them."


def test_no_module_and_no_file_of_tests_is_too_long():
    found = long_files(ROOT)
    assert not found, "\n".join([f"More than {MAX_LINES} lines; a file should hold one idea:", *found])


def test_every_layer_is_there():
    missing = sorted(name for layer in LAYERS for name in layer if name not in module_files(ROOT))
    assert not missing, f"LAYERS in tests/test_house.py names modules that do not exist: {missing}"


@pytest.mark.parametrize(
    ("module", "code", "target"),
    [
        ("augment.base", "import hf_mmel.trainer", "hf_mmel.trainer"),
        ("augment.base", "def late():\n    from hf_mmel.trainer import MMELTrainer", "hf_mmel.trainer"),
        ("augment.base", "from hf_mmel import trainer", "hf_mmel.trainer"),
        ("augment.base", "import run_glue_mmel", "run_glue_mmel"),
        ("hf_mmel.cli.run", "from run_glue_mmel import main", "run_glue_mmel"),
        ("hf_mmel.cli.files", "from augment.cli.tables import read", "augment.cli.tables"),
        ("hf_mmel.cli.files", "from augment.__main__ import main", "augment.__main__"),
        ("hf_mmel.functional", "from augment.mlm import fill_mask", "augment.mlm.fill_mask"),
        ("hf_mmel.data.groups", "import augment.mlm.fill_mask as f", "augment.mlm.fill_mask"),
        ("hf_mmel.objective.heads", "from augment.mlm.fill_mask import fast_dtype", "augment.mlm.fill_mask"),
        ("hf_mmel.step.group_step", "from augment.mlm.fill_mask import fast_dtype", "augment.mlm.fill_mask"),
        ("hf_mmel.functional", "from .training_args import MMELTrainingArguments", "hf_mmel.training_args"),
        ("hf_mmel.data.groups", "from ..objective.heads import Head", "hf_mmel.objective.heads"),
        ("hf_mmel.objective.heads", "from .. import step", "hf_mmel.step"),
        (
            "hf_mmel.hub.model_card",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..trainer import MMELTrainer",
            "hf_mmel.trainer",
        ),
        ("hf_mmel.trainer", "from hf_mmel import VERSION", "hf_mmel"),
        ("hf_mmel.__init__", "from .cli.run import main", "hf_mmel.cli.run"),
        ("hf_mmel.cli.hub", "from ..report import FOLDER", "hf_mmel.report"),
        ("hf_mmel.report", "from .__main__ import main", "hf_mmel.__main__"),
    ],
)
def test_a_wrong_import_is_named_with_its_line(write_tree, module, code, target):
    targets = ["trainer", "training_args", "objective.heads", "step.__init__", "report", "__main__", "cli.run"]
    known = [f"hf_mmel.{name}" for name in targets] + [
        "augment.cli.tables",
        "augment.__main__",
        "augment.mlm.fill_mask",
    ]
    (line,) = wrong_imports(write_tree(dict.fromkeys(known, "") | {module: code}))
    place = f"{Path(*module.split('.')).with_suffix('.py')}:{len(code.splitlines())}"
    assert line.startswith(f"{place}: {module.removesuffix('.__init__')} imports {target}: ")


def test_right_imports_are_let_through(write_tree):
    modules = {
        "run_glue_mmel": "from hf_mmel.cli.run import main",
        "augment.base": "import numpy",
        "augment.__main__": "from .cli import commands",
        "augment.cli.commands": "from ..base import Augmenter",
        "hf_mmel.__init__": "from .trainer import MMELTrainer",
        "hf_mmel.functional": "import torch",
        "hf_mmel.data.groups": "from augment.base import Augmenter",
        "hf_mmel.step.group_step": "from ..data import groups\nfrom .. import functional",
        "hf_mmel.trainer": "from .step.group_step import GroupStep\nfrom .validation import check",
        "hf_mmel.validation": "from augment import Augmenter",
        "hf_mmel.cli.run": "from hf_mmel import MMELTrainer",
        "hf_mmel.report": "from .cli.run import main",
        "hf_mmel.__main__": "from augment.__main__ import main",
    }
    root = write_tree(modules)
    assert wrong_imports(root) == []
    assert import_circle(root) is None


def test_a_module_without_a_layer_is_named(write_tree):
    (line,) = wrong_imports(write_tree({"hf_mmel.helpers": ""}))
    assert line.startswith("hf_mmel.helpers has no layer")


def test_a_circle_is_shown_in_the_order_of_its_imports(write_tree):
    root = write_tree(
        {
            "hf_mmel.report.__init__": "def write():\n    from .page import render",
            "hf_mmel.report.page": "from .plots import draw",
            "hf_mmel.report.plots": "import typing\nif typing.TYPE_CHECKING:\n    from . import FOLDER",
        }
    )
    steps = import_circle(root).split(" -> ")
    assert len(steps) == 4 and steps[0] == steps[-1]
    imports = read_imports(root)
    assert all(target in imports[module] for module, target in pairwise(steps))


@pytest.mark.parametrize("module", ["augment.base", "tests.augment.test_base"])
@pytest.mark.parametrize(("lines", "too_long"), [(MAX_LINES, False), (MAX_LINES + 1, True)])
def test_a_file_of_too_many_lines_is_named(write_tree, module, lines, too_long):
    root = write_tree({module: "x = 1\n" * lines})
    assert long_files(root) == ([f"{module.replace('.', '/')}.py has {lines} lines"] if too_long else [])
