"""Supported versions of other packages, checked at import so that an unsupported one fails with a clear message."""

from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet
from packaging.version import Version


# As in pyproject.toml. The lower bounds are the oldest versions that pass the tests. transformers has an upper bound
# because the overridden methods of Trainer change between major versions.
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
    Raises an `ImportError` of one line if an installed package is outside its range. Missing packages are ignored;
    local builds and pre-releases count as the release that they belong to.
    """
    for name in names:
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue
        supported = RANGES[name]
        if Version(installed).base_version not in SpecifierSet(supported):
            raise ImportError(
                f"{name} {installed} is installed; expected {name}{supported}: pip install '{name}{supported}'"
            )


check_versions("transformers", "numpy", "tqdm")
