"""Files of NLTK's data folder, in folders or in archives, read without NLTK."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile
from zipfile import Path as ZipPath


def search_path() -> list[str]:
    """`nltk.data.path`, where NLTK searches, from the same rules if NLTK is not imported."""
    if "nltk.data" in sys.modules:
        return list(sys.modules["nltk.data"].path)
    own = [folder for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    parents = [os.path.join(sys.prefix, folder) for folder in ("", "share", "lib")]
    if sys.platform == "win32":
        parents += [os.environ.get("APPDATA", "C:\\"), "C:\\", "D:\\", "E:\\"]
    else:
        parents += ["/usr/share", "/usr/local/share", "/usr/lib", "/usr/local/lib"]
    return [os.path.expanduser(folder) for folder in (*own, *(os.path.join(p, "nltk_data") for p in ("~", *parents)))]


def corpora(package: str) -> Iterator[Path | ZipPath]:
    """The copies of a package in NLTK's search path, each a folder or the inside of an archive."""
    for folder in search_path():
        path = Path(folder, "corpora", package)
        if path.is_dir():
            yield path
        try:
            inside = ZipPath(path.with_name(f"{package}.zip")) / package
        except (OSError, BadZipFile):
            continue
        if inside.is_dir():
            yield inside


def read_corpus(name: str) -> bytes | None:
    """A file such as `stopwords/german` from the first place that has it, or `None`."""
    package, _, inside = name.partition("/")
    for corpus in corpora(package):
        if (file := corpus / inside).is_file():
            return file.read_bytes()
    return None
