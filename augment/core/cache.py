"""Where lexicons and candidate tables are kept."""

import os
from pathlib import Path


def cache_folder(folder: str | os.PathLike | None = None) -> Path:
    """The folder given, else `$HF_MMEL_CACHE`, else `hf_mmel` in the user's cache folder."""
    if folder is not None:
        return Path(folder)
    if os.environ.get("HF_MMEL_CACHE"):
        return Path(os.environ["HF_MMEL_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hf_mmel"
