"""Files of NLTK's data folder, in folders or in archives, read without NLTK."""

from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile
from zipfile import Path as ZipPath

from ..english.wordnet_data import search_path


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
