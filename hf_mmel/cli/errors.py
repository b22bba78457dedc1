"""Errors that end the command with one line: errors of the user's input, of the file system, and of the Hub."""

import errno
import logging
import multiprocessing
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from huggingface_hub import constants, get_token
from huggingface_hub import errors as hub_errors

from augment.core.running import one_line, tolerate_encodings


logger = logging.getLogger(__name__)


class UsageError(ValueError):
    """An error that the user can fix. It ends the command with one line, which fits a screen, and no traceback."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


@contextmanager
def usage_errors(*errors: type[Exception]) -> Iterator[None]:
    """Turns these errors into a `UsageError` with a message of one line."""
    try:
        yield
    except errors as error:
        raise UsageError(str(error).strip() or type(error).__name__) from error


@contextmanager
def file_errors() -> Iterator[None]:
    """Turns errors of the file system into a `UsageError` with a message of one line."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UsageError) or (number := errno_of(error)) is None:
            raise
        logger.debug("The file system refused.", exc_info=True)
        remedy = ""
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = " Free some space; the same command then resumes from the last checkpoint."
        elif number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            remedy = " Choose writable folders: --output_dir, --cache_dir, and HOME or HF_HOME."
        raise UsageError(f"{file_error_text(error, number)}{remedy}") from error


def errno_of(error: BaseException) -> int | None:
    """The number of a file system error; `None` for others. Libraries that write models report it in words only."""
    if isinstance(error, OSError):
        return error.errno
    if found := re.search(r"os error (\d+)", str(error)):  # safetensors
        return int(found[1])
    return errno.ENOSPC if re.search(r"PytorchStreamWriter|inline_container\.cc", str(error)) else None


def file_error_text(error: BaseException, number: int) -> str:
    """The reason of a file system error and the file, if known, as a sentence."""
    file = getattr(error, "filename", None)
    where = "" if file is None else f": {os.fsdecode(file) if isinstance(file, bytes | str) else file}"
    return f"{os.strerror(number)}{where}."


def hub_error_reason(error: BaseException, token: str | None, revision: str = "main") -> str | None:
    """Why the Hub refused a model or dataset, and what to do; `None` if the error and its causes are not the Hub's."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)

    def is_a(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    statuses = {cause.response.status_code for cause in causes if isinstance(cause, hub_errors.HfHubHTTPError)}
    source = "--token" if token else "HF_TOKEN or `hf auth login`" if get_token() else None
    access = f"the token of {source} may not read it" if source else "needs --token, with a token that may read it"
    if is_a(hub_errors.RevisionNotFoundError):
        return f"it has no revision {revision!r}; name a branch, tag or commit with --model_revision."
    if is_a(hub_errors.GatedRepoError):
        return f"it is gated, and {access}; its page on the Hub says how to get access."
    if is_a(hub_errors.RepositoryNotFoundError) or "doesn't exist on the Hub" in str(error):
        return f"it is neither a local folder nor on {constants.ENDPOINT}, or it is private and {access}."
    if 401 in statuses or 403 in statuses:
        return f"{constants.ENDPOINT} rejects the token of {source}." if source else f"it {access}."
    if is_a(hub_errors.HFValidationError):
        return "there is no such folder, and it is not a valid name on the Hub; check the path."
    if is_a(hub_errors.LocalEntryNotFoundError, hub_errors.OfflineModeIsEnabled):
        why = "HF_HUB_OFFLINE is set" if constants.is_offline_mode() else f"{constants.ENDPOINT} cannot be reached"
        return f"it is neither a local folder nor in the cache of downloads, and {why}; check the name."
    return None


def reason_of(error: BaseException) -> str:
    """The message of an error and of its cause, except that of an HTTP error, which may hold what was sent."""
    parts = [error] if error.__cause__ is None or isinstance(error, hub_errors.HTTPError) else [error, error.__cause__]
    texts = [str(part) if str(part) and not isinstance(part, LookupError) else repr(part) for part in parts]
    return ". ".join(one_line(text).rstrip(".") for text in texts) + "."


def run_program(main: Callable[[], object], name: str) -> None:
    """Runs `main`; exits with one line, and with 1 after a `UsageError` or 130 after an interruption."""
    tolerate_encodings()
    quiet_workers()
    try:
        main()
    except UsageError as error:
        sys.exit(f"{name}: error: {error}")
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted; the same command resumes from the last checkpoint, if there is one\n")
        sys.exit(130)


def quiet_workers() -> None:
    """Silences the traceback of a forked data-loading worker whose transfer of a batch an interruption cuts off."""
    shown = sys.excepthook

    def show_unless_cut_off(kind, error, traceback):
        if multiprocessing.parent_process() is None or not issubclass(kind, (ConnectionError, EOFError)):
            shown(kind, error, traceback)

    sys.excepthook = show_unless_cut_off
