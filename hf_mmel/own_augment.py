"""The `augment` that comes with this package, where another module has that name."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


FILE = Path(__file__).resolve().parents[1] / "augment" / "__init__.py"


@contextmanager
def own_augment() -> Iterator[None]:
    """
    Makes `augment` the package beside this one while the block runs, even if a script has an `augment.py` beside it
    or has already imported another module of that name.

    After the block, the name belongs to that module again. The modules of our package remain imported under those of
    their names that the other one does not use.

    Raises:
        `ImportError`: if another package was installed in the place of ours.
    """
    file, folders = _found()
    if file == FILE:
        _check(importlib.import_module("augment"))
        yield
        return
    others = {name: module for name, module in sys.modules.items() if _is_within_augment(name)}
    for name in others:
        del sys.modules[name]
    try:
        _load()
        yield
    finally:
        for name in [name for name in sys.modules if _is_within_augment(name)]:
            _, _, child = name.partition(".")
            child = child.partition(".")[0]
            if not child or PathFinder.find_spec(f"augment.{child}", folders):
                del sys.modules[name]
        sys.modules.update(others)


def _found() -> tuple[Path | None, list[str]]:
    """The file of the module that `import augment` gives here, and the folders of its submodules."""
    module = sys.modules.get("augment")
    if module is not None:
        file, folders = getattr(module, "__file__", None), getattr(module, "__path__", [])
    else:
        spec = find_spec("augment")
        file, folders = (None, []) if spec is None else (spec.origin, spec.submodule_search_locations or [])
    return None if file is None else Path(file).resolve(), list(folders)


def _load() -> None:
    """Imports our package, with the modules that it does not import itself but this package may need later."""
    spec = spec_from_file_location("augment", FILE)
    if spec is None or spec.loader is None or not FILE.is_file():
        raise ImportError(f"{FILE} is missing, which is a part of hf_mmel. Install hf_mmel again.")
    module = sys.modules["augment"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    _check(module)
    for name in ("custom", "registry"):
        importlib.import_module(f"augment.{name}")


def _check(module: ModuleType) -> None:
    if not hasattr(module, "GreedySearch"):
        raise ImportError(
            f"{FILE} is of another package named augment, which was installed in the place of the one that hf_mmel "
            "needs. Uninstall that package, and install hf_mmel again."
        )


def _is_within_augment(name: str) -> bool:
    return name == "augment" or name.startswith("augment.")
