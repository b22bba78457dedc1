"""The requirements in pyproject.toml are complete: what a module imports is installed with it."""

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_house import PACKAGES, imported_names, is_within, module_files


ROOT = Path(__file__).parents[1]
# What needs an extra. All other modules work with the requirements of the package alone.
EXTRAS = {
    "augment": "wordnet",
    "hf_mmel.cli": "glue",
    "hf_mmel.attack": "glue",
    "hf_mmel.compare": "report",
    "hf_mmel.hub": "report",
    "hf_mmel.report": "report",
}
NOT_REQUIRED = {"IPython"}  # which every notebook has
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "upath": "universal_pathlib",
    "yaml": "PyYAML",
}  # of modules that have another name


@pytest.fixture(scope="module")
def project():
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def installed_with(project: dict, extra: str | None) -> set[str]:
    """The packages that are required with an extra, and those that these require."""
    lines = [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else [])]
    names: set[str] = set()
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            names |= {name for inner in requirement.extras for name in installed_with(project, inner)}
            continue
        needed = [Requirement(line) for line in requires(requirement.name) or ()]
        needed = [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
        names |= {canonicalize_name(name) for name in (requirement.name, *needed)}
    return names


def test_every_import_is_installed_with_the_package_or_the_extra_of_its_feature(project):
    installed = {extra: installed_with(project, extra) for extra in (None, *EXTRAS.values())}
    missing = []
    for module, path in module_files(ROOT).items():
        extra = next((extra for package, extra in EXTRAS.items() if is_within(module, package)), None)
        for name, line in imported_names(path, module):
            package = name.partition(".")[0]
            if package in {*sys.stdlib_module_names, *PACKAGES, *NOT_REQUIRED}:
                continue
            if canonicalize_name(DISTRIBUTIONS.get(package, package)) not in installed[extra]:
                missing.append(f"{path.relative_to(ROOT)}:{line}: {package} is not installed with {extra or 'none'}")
    assert not missing, "\n".join(missing)


def test_the_extra_for_development_has_all_others(project):
    extras = project["optional-dependencies"]
    (own,) = [one for one in map(Requirement, extras["dev"]) if one.name == project["name"]]
    assert own.extras == set(extras) - {"dev"} == set(EXTRAS.values())


@pytest.mark.integration
@pytest.mark.parametrize("module", ["evaluate", "sklearn"])
def test_a_command_without_its_extra_says_on_one_line_which_to_install(module, tmp_path):
    (tmp_path / "trainer_state.json").touch()
    code = (
        "import sys\n"
        f"sys.modules[{module!r}] = None\n"
        "from hf_mmel.__main__ import main\n"
        f"sys.exit(main(['report', {str(tmp_path)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    needed = f"The commands need {module}, which is not installed"
    assert done.stderr.splitlines()[-1] == f'error: {needed}: pip install "hf_mmel[glue]"'
    assert "Traceback" not in done.stderr
