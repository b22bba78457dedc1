"""
Generated texts on disk: a folder of part files, each written atomically.

The parts depend on the texts alone and not on the number of processes. So a run that resumes, or that has other
processes, makes the same batches.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.atomic_file import write_json
from ..core.shared_folder import open_folder
from .text_generator import Texts


PART_TEXTS = 256


def stored_texts(
    folder: Path,
    originals: Sequence[str],
    manifest: Mapping[str, Any],
    generate: Callable[[Sequence[str]], list[Texts]],
) -> dict[str, Texts]:
    """
    The generated texts of each original, from the folder, after making those that are missing. Distributed processes
    share the work, so all must be able to access the folder, and all get all texts. `manifest` is everything that
    determines the texts, as plain data.
    """
    from tqdm.auto import tqdm

    process, num_processes, gather = open_folder(folder, manifest, "folder of generated texts")
    parts = [originals[begin : begin + PART_TEXTS] for begin in range(0, len(originals), PART_TEXTS)]
    paths = [folder / f"part-{number:05d}.json" for number in range(len(parts))]
    missing = [i for i in range(process, len(parts), num_processes) if _read(paths[i], parts[i]) is None]
    with tqdm(total=sum(len(parts[i]) for i in missing), desc="Texts", disable=True if process else None) as bar:
        for i in missing:
            write_json(paths[i], {"originals": list(parts[i]), "texts": generate(parts[i])})
            bar.update(len(parts[i]))
    gather(None)
    texts: dict[str, Texts] = {}
    for path, part in zip(paths, parts, strict=True):
        groups = _read(path, part)
        if groups is None:
            raise OSError(f"{path} was written and is damaged or gone. Run the same call again to make it again.")
        texts.update(zip(part, groups, strict=True))
    return texts


def _read(path: Path, originals: Sequence[str]) -> list[Texts] | None:
    """The texts of a part; `None` if it is missing, damaged or has other originals."""
    try:
        part = json.loads(path.read_text())
        return part["texts"] if part["originals"] == list(originals) else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
