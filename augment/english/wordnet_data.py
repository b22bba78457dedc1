"""Makes WordNet available to NLTK.

Only `ensure_wordnet` downloads anything. WordNet 3.0 comes from NLTK's own data or from Debian's packages, which
contain the same database except for one file that NLTK's reader needs.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from zipfile import Path as ZipPath
from zlib import crc32

from .corpora import corpora


DEBIAN_FOLDER = Path("/usr/share/wordnet")
DEBIAN_PACKAGES = ("wordnet-base", "wordnet-sense-index")
DOWNLOAD_COMMAND = "python -m augment download"
CONNECT_SECONDS = 10
APT_SECONDS = 180

_SYNTACTIC_CATEGORIES = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}
_LEXICOGRAPHER_FILES = """
    adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition
    noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object noun.person
    noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape noun.state
    noun.substance noun.time verb.body verb.change verb.cognition verb.communication verb.competition
    verb.consumption verb.contact verb.creation verb.emotion verb.motion verb.perception verb.possession verb.social
    verb.stative verb.weather adj.ppl
"""

# The file `lexnames`, which Debian omits: see the manual page lexnames(5WN).
LEXNAMES = "".join(
    f"{number:02d}\t{name}\t{_SYNTACTIC_CATEGORIES[name.partition('.')[0]]}\n"
    for number, name in enumerate(_LEXICOGRAPHER_FILES.split())
)
_COPIED_FILES = (
    *(f"{kind}.{pos}" for kind in ("data", "index") for pos in _SYNTACTIC_CATEGORIES),
    *(f"{pos}.exc" for pos in _SYNTACTIC_CATEGORIES),
    "index.sense",
    "cntlist.rev",
)
_FILES = (*_COPIED_FILES, "lexnames")


def find_wordnet() -> Path | None:
    """
    The folder `corpora/wordnet` or the archive `corpora/wordnet.zip` that NLTK opens: the first in `nltk.data.path`
    that contains every file the reader needs, or `None`.
    """
    pointer = _find_pointer()
    if pointer is None:
        return None
    return Path(pointer.zipfile.filename if hasattr(pointer, "zipfile") else pointer.path)


def wordnet_fingerprint() -> str | None:
    """
    The checksums of the files of the WordNet that NLTK opens, the same in a folder and in an archive, or `None`. It
    takes a few hundredths of a second, and does not import NLTK, which takes more.
    """
    for corpus in corpora("wordnet"):
        try:
            return ":".join(str(_checksum(corpus / name)) for name in _FILES)
        except (OSError, KeyError):  # a file is missing in a folder, or in an archive
            continue
    return None


def _checksum(file: Path | ZipPath) -> int:
    return crc32(file.read_bytes()) if isinstance(file, Path) else file.root.getinfo(file.at).CRC


def load_wordnet():
    """Opens WordNet, without the multilingual extension. Raises a `LookupError` if it is not installed."""
    pointer = _find_pointer()
    if pointer is None:
        raise LookupError(f"WordNet was not found in NLTK's search path. Download it once with: {DOWNLOAD_COMMAND}")
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The multilingual functions are not available")
        return WordNetCorpusReader(pointer, None)


def ensure_wordnet(target: str | os.PathLike | None = None) -> str:
    """
    Makes WordNet available: finds it, else downloads it from NLTK, else takes it from Debian. `target` is the
    `nltk_data` folder to put it into, by default in the virtual environment, or in the home folder outside one; NLTK
    searches both. Returns a sentence that says where WordNet came from. Raises a `RuntimeError` if no source worked,
    with what was tried, why it failed and what to run.
    """
    if (found := find_wordnet()) is not None:
        return f"WordNet is already at {found}."
    target, hint = data_folder(target)
    sources: dict[str, Callable[[Path], None]] = {
        "NLTK's download": lambda target: download_with_nltk("wordnet", target),
        f"the Debian files in {DEBIAN_FOLDER}": lambda target: _install_debian_files(DEBIAN_FOLDER, target),
        "the Debian packages " + " and ".join(DEBIAN_PACKAGES): _install_debian_packages,
    }
    failures = []
    for source, install in sources.items():
        try:
            install(target)
            if (found := find_wordnet()) is None:
                raise OSError("the files are there, but NLTK does not accept them; can other accounts write there?")
            next(iter(load_wordnet().all_synsets("n")))
        except Exception as error:  # whatever the reason, try the next source
            failures.append(f"  {source}: {str(error) or type(error).__name__}")
            continue
        return f"WordNet came from {source} and lies at {found}.{hint}"
    raise RuntimeError(
        f"WordNet could not be put into {target}. Tried in this order:\n" + "\n".join(failures) + "\n"
        "Run one of these where it can reach its source, then try again:\n"
        f"  {sys.executable} -m nltk.downloader -d {target} wordnet\n"
        f"  sudo apt-get install {' '.join(DEBIAN_PACKAGES)}"
    )


def data_folder(target: str | os.PathLike | None) -> tuple[Path, str]:
    """
    The `nltk_data` folder for downloads, see `ensure_wordnet`, added to NLTK's search path. The second value is a hint
    to set `NLTK_DATA`, if it was not in there.
    """
    import nltk.data

    if target is None:
        target = Path(sys.prefix if sys.prefix != sys.base_prefix else Path.home()) / "nltk_data"
    target = Path(target).absolute()
    if str(target) in nltk.data.path:
        return target, ""
    nltk.data.path.insert(0, str(target))  # NLTK reads no file outside its search path
    return target, f" Set NLTK_DATA={target} so that later runs find it."


def _find_pointer():
    """NLTK's path pointer to the first complete WordNet in its search path, or `None`."""
    import nltk.data

    for folder in nltk.data.path:
        for name in ("corpora/wordnet/", "corpora/wordnet.zip/wordnet/"):
            try:
                pointer = nltk.data.find(name, [folder])
                for file in _FILES:
                    pointer.join(file)
            except (LookupError, OSError):
                continue
            return pointer
    return None


def download_with_nltk(package: str, target: Path) -> None:
    """Downloads one of NLTK's packages. Raises an exception if its server cannot be reached."""
    import nltk

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        nltk.download(package, str(target), quiet=True, raise_on_error=True, print_error_to=io.StringIO())
    finally:
        socket.setdefaulttimeout(timeout)


def _install_debian_packages(target: Path) -> None:
    """Downloads and unpacks the packages without root; the system stays unchanged."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise RuntimeError(f"there is no {program} here, so this is not Debian or Ubuntu")
    with tempfile.TemporaryDirectory(prefix="wordnet-") as name:
        folder = Path(name)
        try:
            _run("apt-get", "download", *DEBIAN_PACKAGES, cwd=folder)
        except RuntimeError:
            # The system's package lists may be empty or stale, and updating them needs root: use our own lists.
            for part in ("lists/partial", "cache/archives/partial"):
                (folder / part).mkdir(parents=True)
            options = [f"Dir::State::Lists={folder}/lists", f"Dir::Cache={folder}/cache", "Debug::NoLocking=1"]
            apt = ["apt-get", *(part for option in options for part in ("-o", option))]
            _run(*apt, "update", cwd=folder)
            _run(*apt, "download", *DEBIAN_PACKAGES, cwd=folder)
        for package in sorted(folder.glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(folder / "root"), cwd=folder)
        _install_debian_files(folder / "root" / DEBIAN_FOLDER.relative_to("/"), target)


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=APT_SECONDS, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(f"`{' '.join(command)}` failed: {lines[-1] if lines else f'exit code {done.returncode}'}")


def _install_debian_files(source: Path, target: Path) -> None:
    """Copies the database from `source` to `target/corpora/wordnet` in one atomic step."""
    missing = [file for file in _COPIED_FILES if not (source / file).is_file()]
    if missing:
        raise FileNotFoundError(f"{source} lacks {missing[0]}" + (" and others" if len(missing) > 1 else ""))
    final = target / "corpora" / "wordnet"
    if final.exists():
        raise FileExistsError(f"{final} exists, but NLTK cannot use it; remove it or run `chmod -R go-w {target}`")
    _make_private(final.parent)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".wordnet-") as name:
        staged = Path(name) / "wordnet"
        _make_private(staged)
        for file in _COPIED_FILES:
            shutil.copyfile(source / file, staged / file)
        (staged / "lexnames").write_text(LEXNAMES)
        for path in staged.iterdir():
            path.chmod(0o644)
        staged.rename(final)


def _make_private(folder: Path) -> None:
    """Creates a folder and its parents; NLTK refuses data that a group or the world can write."""
    if not folder.exists():
        _make_private(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
