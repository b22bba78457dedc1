"""What keeps short training runs short: work of libraries that each of them would repeat."""

import gc
from functools import cache

import pytest
from accelerate.utils import imports


@pytest.fixture(autouse=True, scope="module")
def collect_no_libraries():
    """`Trainer` collects garbage wherever a training begins, and would go through all that is imported each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True, scope="session")
def look_for_packages_once():
    """Accelerate looks through `sys.path` for packages that are not installed in every step of a training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "_is_package_available", cache(imports._is_package_available))
        yield
