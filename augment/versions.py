"""Versions of other packages that are too old or too new, named before they fail somewhere else."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet


# As in pyproject.toml. From the oldest that the tests pass with, which may be newer than what transformers declares.
# The methods of Trainer that are overridden are those of one major version.
RANGES = {
    "torch": ">=2.7",
    "transformers": ">=5.19,<6",
    "accelerate": ">=1.5",
    "datasets": ">=4.0",
    "numpy": ">=2.0",
    "tqdm": ">=4.66.3",
}


def check_versions() -> None:
    """
    Raises an `ImportError` of one line if an installed package is outside its range. One that is missing is none's
    business here: what needs it says so.
    """
    for name, supported in RANGES.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue
        if not SpecifierSet(supported).contains(installed, prereleases=True):
            raise ImportError(
                f"{name} {installed} is installed; expected {name}{supported}: pip install '{name}{supported}'"
            )


check_versions()
