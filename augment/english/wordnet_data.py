"""Make WordNet available to NLTK.

Nothing here runs on import, and nothing but `ensure_wordnet` fetches anything. WordNet 3.0 comes from NLTK's own data
or from Debian's packages, which hold the same database, less one file that NLTK's reader wants.
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

# The file `lexnames`, which Debian leaves out: see its manual page lexnames(5WN).
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


def find_wordnet() -> Path | None:
    """Find the WordNet that NLTK would open.

    Returns:
        `pathlib.Path` or `None`: The folder `corpora/wordnet` or the archive `corpora/wordnet.zip` in the first place
        of `nltk.data.path` that holds every file the reader needs; `None` where there is none.
    """
    pointer = _find_pointer()
    if pointer is None:
        return None
    return Path(pointer.zipfile.filename if hasattr(pointer, "zipfile") else pointer.path)


def load_wordnet():
    """Open WordNet with NLTK's reader.

    Returns:
        `nltk.corpus.reader.WordNetCorpusReader`: The reader, without the multilingual extension.

    Raises:
        LookupError: If WordNet is not there; the message names the command that fetches it.
    """
    pointer = _find_pointer()
    if pointer is None:
        raise LookupError(f"WordNet was not found in NLTK's search path. Fetch it once with: {DOWNLOAD_COMMAND}")
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The multilingual functions are not available")
        return WordNetCorpusReader(pointer, None)


def ensure_wordnet(target: str | os.PathLike | None = None) -> str:
    """Make WordNet available: find it, else fetch it from NLTK, else take it from Debian.

    Args:
        target (`str` or `os.PathLike`, *optional*): The `nltk_data` folder to put WordNet into. Default: `nltk_data`
            in the virtual environment, or in the home folder outside one; NLTK searches both by itself.

    Returns:
        `str`: One sentence that says where WordNet came from and where it lies.

    Raises:
        RuntimeError: If no source worked; the message says what was tried, why it failed and what to run.
    """
    found = find_wordnet()
    if found is not None:
        return f"WordNet is already at {found}."

    target = default_target() if target is None else Path(target).absolute()
    known = _search_also(target)
    sources: dict[str, Callable[[Path], None]] = {
        "NLTK's download": _download_with_nltk,
        f"the Debian files in {DEBIAN_FOLDER}": lambda target: _install_debian_files(DEBIAN_FOLDER, target),
        "the Debian packages " + " and ".join(DEBIAN_PACKAGES): _install_debian_packages,
    }
    failures = []
    for source, fetch in sources.items():
        try:
            fetch(target)
            _check_readable()
        # Each source fails in its own ways, and none of them is a reason not to try the next.
        except Exception as error:
            failures.append(f"  {source}: {str(error) or type(error).__name__}")
            continue
        hint = "" if known else f" Set NLTK_DATA={target} so that later runs find it."
        return f"WordNet came from {source} and lies at {find_wordnet()}.{hint}"
    raise RuntimeError(
        f"WordNet could not be put into {target}. Tried in this order:\n" + "\n".join(failures) + "\n"
        "Run one of these where it can reach its source, then try again:\n"
        f"  {sys.executable} -m nltk.downloader -d {target} wordnet\n"
        f"  sudo apt-get install {' '.join(DEBIAN_PACKAGES)}"
    )


def default_target() -> Path:
    """The `nltk_data` folder of the virtual environment, or of the home folder where there is no environment."""
    in_environment = sys.prefix != sys.base_prefix
    return Path(sys.prefix if in_environment else Path.home()) / "nltk_data"


def _find_pointer():
    """NLTK's path pointer to the first complete WordNet in its search path, or `None`."""
    import nltk.data

    for folder in nltk.data.path:
        for name in ("corpora/wordnet/", "corpora/wordnet.zip/wordnet/"):
            try:
                pointer = nltk.data.find(name, [folder])
                for file in (*_COPIED_FILES, "lexnames"):
                    pointer.join(file)
            except (LookupError, OSError):
                continue
            return pointer
    return None


def _search_also(target: Path) -> bool:
    """Put `target` into NLTK's search path, for NLTK reads no file outside it; `True` if it was there already."""
    import nltk.data

    if str(target) in nltk.data.path:
        return True
    nltk.data.path.insert(0, str(target))
    return False


def _check_readable() -> None:
    if find_wordnet() is None:
        raise OSError("the files are there, but NLTK does not accept them; can other accounts write there?")
    next(iter(load_wordnet().all_synsets("n")))


def _download_with_nltk(target: Path) -> None:
    import nltk

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        nltk.download("wordnet", str(target), quiet=True, raise_on_error=True, print_error_to=io.StringIO())
    finally:
        socket.setdefaulttimeout(timeout)


def _install_debian_packages(target: Path) -> None:
    """Fetch and unpack the packages without root; nothing on the system changes."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise RuntimeError(f"there is no {program} here, so this is not Debian or Ubuntu")
    with tempfile.TemporaryDirectory(prefix="wordnet-") as name:
        folder = Path(name)
        try:
            _run("apt-get", "download", *DEBIAN_PACKAGES, cwd=folder)
        except RuntimeError:
            # The system's package lists may be empty or stale, and updating them takes root: use lists of our own.
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
    """Copy the database from `source` to `target/corpora/wordnet` in one atomic step."""
    missing = [file for file in _COPIED_FILES if not (source / file).is_file()]
    if missing:
        raise FileNotFoundError(f"{source} lacks {missing[0]}" + (" and others" if len(missing) > 1 else ""))
    final = target / "corpora" / "wordnet"
    if final.exists():
        raise FileExistsError(f"{final} is there, but NLTK cannot use it; remove it or run `chmod -R go-w {target}`")

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
    """Make `folder` and its parents; NLTK refuses data in folders and files that a group or the world can write."""
    if not folder.exists():
        _make_private(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
