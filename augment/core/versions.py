"""Versions of other packages that are too old or too new, named before they fail somewhere else."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet
from packaging.version import Version


# As in pyproject.toml. From the oldest that the tests pass with, which may be newer than what transformers declares.
# The methods of Trainer that are overridden are those of one major version.
RANGES = {
    "torch": ">=2.8",
    "transformers": ">=5.20,<6",
    "accelerate": ">=1.12",
    "datasets": ">=4.8",
    "numpy": ">=2.0",
    "tqdm": ">=4.67",
}


def check_versions(*names: str) -> None:
    """
    Raises an `ImportError` of one line if an installed package is outside its range. One that is missing is left to
    what needs it. Builds of one's own and previews count as the release that they are of.
    """
    for name in names:
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue
        supported = RANGES[name]
        if not SpecifierSet(supported).contains(Version(installed).base_version):
            raise ImportError(
                f"{name} {installed} is installed; expected {name}{supported}: pip install '{name}{supported}'"
            )


check_versions("transformers", "numpy", "tqdm")
