"""The `augment` that comes with this package, where another module has that name."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType


FILE = Path(__file__).resolve().parents[1] / "augment" / "__init__.py"
OTHER_NAME = f"{__package__}.augment"  # of ours, where another module is called augment


@contextmanager
def own_augment() -> Iterator[None]:
    """
    Makes `augment` the package beside this one while the block runs, even if a script has an `augment.py` or a folder
    `augment` beside it or has already imported another module of that name. After the block, the name belongs to that
    module again.

    Ours is then called `hf_mmel.augment`: objects of its classes can be pickled by that name, also for worker
    processes, and whatever it imports later is found. Modules of this package that are imported after the block are
    executed in a block of their own.

    Raises:
        `ImportError`: if another package was installed in the place of ours.
    """
    if OTHER_NAME not in sys.modules:
        if _found() == FILE:
            _check(import_module("augment"))
            yield
            return
        _load()
    others = _modules_of("augment")
    for name in others:
        del sys.modules[name]
    for name, module in _modules_of(OTHER_NAME).items():
        sys.modules[f"augment{name.removeprefix(OTHER_NAME)}"] = module
    try:
        yield
    finally:
        for name in _modules_of("augment"):
            del sys.modules[name]
        sys.modules.update(others)


def _found() -> Path | None:
    """The file of the module that `import augment` gives here."""
    module = sys.modules.get("augment")
    spec = find_spec("augment") if module is None else None
    file = getattr(module, "__file__", None) if spec is None else spec.origin
    return None if file is None else Path(file).resolve()


def _load() -> None:
    """Imports our package under its other name, with all modules that this one may use."""
    if not FILE.is_file():
        raise ImportError(f"{FILE} is missing, which is a part of hf_mmel. Install hf_mmel again.")
    sys.meta_path.insert(0, _Finder())
    _check(import_module(OTHER_NAME))
    for module in walk_packages([str(FILE.parent)], f"{OTHER_NAME}."):
        if not module.name.endswith(".__main__"):
            import_module(module.name)


class _Finder(MetaPathFinder):
    """Finds our package under its other name, and has modules of this package executed with it as `augment`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == OTHER_NAME:
            return spec_from_file_location(name, FILE)
        if not name.startswith(f"{__package__}.") or name.startswith(f"{OTHER_NAME}."):
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        with own_augment():
            super().exec_module(module)


def _check(module: ModuleType) -> None:
    if not hasattr(module, "GreedySearch"):
        raise ImportError(
            f"{FILE} is of another package named augment, which was installed in the place of the one that hf_mmel "
            "needs. Uninstall that package, and install hf_mmel again."
        )


def _modules_of(package: str) -> dict[str, ModuleType]:
    """The imported modules of a package, itself included, by name."""
    return {name: module for name, module in sys.modules.items() if f"{name}.".startswith(f"{package}.")}
