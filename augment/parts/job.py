"""The work of `python -m augment write` into a folder of parts, as an object that any process can take a part of."""

import errno
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..base import Augmenter
from ..core.devices import default_device, fast_dtype
from ..core.lazy import Lazy
from ..core.lexicon import tokenizer_fingerprint
from ..core.parquet_rows import table_of
from ..core.storage import is_on_disk
from ..registry import import_class, load_augmenter, models_in
from ..shards import CHUNK
from .folder import PartFolder, digest_of
from .rows import VariantRows
from .source import Source


_FORMAT = 1  # of the folder; raise it when other rows come of the same settings

_WEIGHTS = (".safetensors", ".bin")
_FULL = (errno.ENOSPC, errno.EDQUOT)


class PartJob(Lazy):
    """
    The parts of a folder, which any processes write in any order: a part depends only on the input and the settings.

    A job is made once, which checks the input and the settings and begins the folder. Its pickle is small. Each
    process loads the augmenter when it writes its first part, on its own device.

    Args:
        source (`Source`): The input.
        folder (`str`): The folder to write, on disk or a URL.
        rows (`VariantRows`): Which rows are written for those of the input.
        config (`Mapping`): Configuration of the augmenter, see `augmenter_config`.
        tokenizer (`str`, *optional*): Name or folder of the tokenizer, see `load_augmenter`.
        own_class (`str`, *optional*): The `MODULE:CLASS` of the augmenter, if it is one of the user's own.
        rows_per_part (`int`): Rows of the input that a part covers.

    Raises:
        `ValueError`: if the folder has other settings, or the augmenter cannot be loaded.
    """

    def __init__(
        self,
        source: Source,
        folder: str,
        rows: VariantRows,
        config: Mapping[str, Any],
        tokenizer: str | None = None,
        own_class: str | None = None,
        rows_per_part: int = 10_000,
    ):
        rows.check_columns(source.columns, source.name)
        self.source = source
        self.rows = rows
        self.config = config
        self.tokenizer = tokenizer
        self.own_class = own_class
        self.schema = rows.schema(source.schema)
        self.columns = [*source.columns, *rows.added]
        settings = {
            "format": _FORMAT,
            "input": [file.identity for file in source.files],
            "rows": source.num_rows,
            "rows_per_part": rows_per_part,
            "rows_per_call": CHUNK,
            "augmenter": self._loaded.to_dict(),
            "models": {name: _version(name) for name in models_in(config)},
            "tokenizer": tokenizer_fingerprint(self._loaded.tokenizer),
            **vars(rows),
        }
        self.folder = PartFolder(folder, settings)
        self.folder.begin()

    @property
    def num_parts(self) -> int:
        return self.folder.num_parts

    @property
    def has_model(self) -> bool:
        """Whether the augmenter has a model that runs much faster on a GPU."""
        return self._loaded.precomputes

    def missing(self, numbers: Sequence[int] | None = None) -> list[int]:
        """The numbers of the parts, all or some, that are not there or not whole."""
        written = self.folder.written(numbers)
        return [number for number in (range(self.num_parts) if numbers is None else numbers) if number not in written]

    def write(self, number: int, progress: Callable[[int], object] = lambda num_rows: None) -> dict[str, Any]:
        """
        Writes a part, whether it is there or not. `progress` is called with each number of rows that are done. Returns
        the counts of the part.
        """
        counts = Counter[str](rows=0, copies=0)
        try:
            return self.folder.write(number, self._tables(number, counts, progress), counts)
        except (OSError, MemoryError, RuntimeError) as error:
            if message := self._advice(error, number):
                raise RuntimeError(message) from error
            raise

    def finish(self) -> dict[str, int]:
        """Writes the manifest, once all parts are there. Returns the counts of all parts."""
        return self.folder.finish()

    def _tables(self, number: int, counts: Counter[str], progress: Callable[[int], object]) -> Iterator[Any]:
        part = self.folder.rows_of(number)
        for first in range(part.start, part.stop, CHUNK):
            rows = list(self.source.rows(first, min(first + CHUNK, part.stop)))
            new_rows, new_counts = self.rows.of(rows, first, self._augmenter)
            counts.update(new_counts)
            yield table_of(new_rows, self.columns, self.schema)
            progress(len(rows))

    def _advice(self, error: Exception, number: int) -> str | None:
        """What to do if a disk or the memory is full; `None` for other errors."""
        path = self.folder.path
        if isinstance(error, OSError) and error.errno in _FULL:
            disk = path if is_on_disk(path) else f"{tempfile.gettempdir()}, where a part is before it goes to {path}"
            done = len(self.folder.written())
            return (
                f"The disk of {disk} is full. {done} of {self.num_parts} parts are done. Make room, and run the same "
                "command again to write the others."
            )
        if isinstance(error, MemoryError):
            return (
                f"Part {number} of {path} does not fit into memory. Run fewer workers on each machine (--num_workers, "
                "or fewer shares at a time), and run the same command again."
            )
        if type(error).__name__ == "OutOfMemoryError":  # of torch, which may not be imported
            return (
                f"The GPU is out of memory in part {number} of {path}. Run fewer processes on each GPU, or give the "
                "augmenter a smaller batch_tokens in a JSON file, and run the same command again."
            )
        return None

    @cached_property
    def _loaded(self) -> Augmenter:
        """The augmenter as it is described, the same on every machine."""
        if self.own_class is not None:
            import_class(self.own_class)
        return load_augmenter(self.config, self.tokenizer)

    @cached_property
    def _augmenter(self) -> Augmenter:
        """The augmenter as it runs on this machine."""
        if self._loaded.precomputes:
            choose_dtype(self._loaded)
        return self._loaded


def _version(model: str) -> str | None:
    """What shows that a model has changed: its commit on the Hub, or a digest of the files of a folder."""
    folder = Path(model)
    if not folder.is_dir():
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(model)._commit_hash
    files = [path for path in folder.iterdir() if path.suffix in _WEIGHTS or path.name == "config.json"]
    return sha256("".join(f"{path.name} {digest_of(path)}\n" for path in sorted(files)).encode()).hexdigest()


def choose_dtype(augmenter: Augmenter) -> None:
    """Has masked LMs compute in the fast type of this machine, as `precompute` does, unless they have a type."""
    from ..mlm.source import MaskedLMSource

    if isinstance(augmenter, MaskedLMSource) and augmenter.dtype is None:
        augmenter.dtype = fast_dtype(augmenter.device or default_device())
    for part in augmenter.parts:
        choose_dtype(part)
