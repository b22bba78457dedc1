"""Why a model or a data set cannot be loaded, said by the options of the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..hub.redaction import without_tokens
from .args import ModelArguments
from .usage import UsageError, reason_of


@contextmanager
def errors_of_loading(kind: str, name: str, model_args: ModelArguments) -> Iterator[None]:
    """
    What cannot be loaded ends the command with one line.

    Args:
        kind (`str`): What is loaded, such as `tokenizer`.
        name (`str`): Its name on the Hub, or its folder.
        model_args ([`ModelArguments`]): Where it comes from.

    Raises:
        `UsageError`: if it is not there, may not be read or is damaged.
    """
    try:
        yield
    except Exception as error:  # damaged files raise all kinds
        reason = refusal(error, model_args.token, model_args.model_revision) or without_tokens(reason_of(error))
        raise UsageError(f"The {kind} of {name!r} cannot be loaded: {reason}") from error


def refusal(error: BaseException, token: str | None, revision: str = "main") -> str | None:
    """
    What the Hub refused and what to do; `None` where an error is not about the Hub.

    Args:
        error (`BaseException`): That of the library, which has the Hub's among its causes.
        token (`str`, *optional*): The token given, which is not shown.
        revision (`str`): Its branch, tag or commit.
    """
    causes = list(_causes(error))

    def is_a(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    statuses = {cause.response.status_code for cause in causes if isinstance(cause, HfHubHTTPError)}
    source = "--token" if token else "HF_TOKEN or `hf auth login`" if get_token() else None
    access = f"the token of {source} may not read it" if source else "needs --token, with a token that may read it"
    if is_a(RevisionNotFoundError):
        return f"it has no revision {revision!r}; name a branch, tag or commit with --model_revision."
    if is_a(GatedRepoError):
        return f"it is gated, and {access}; its page on the Hub says how to get access."
    if is_a(RepositoryNotFoundError) or "doesn't exist on the Hub" in str(error):
        return f"it is neither a folder here nor on {constants.ENDPOINT}, or it is private and {access}."
    if 401 in statuses or 403 in statuses:
        return f"{constants.ENDPOINT} does not take the token of {source}." if source else f"it {access}."
    if is_a(HFValidationError):
        return "there is no such folder, and it cannot be a name on the Hub; check the path."
    if is_a(LocalEntryNotFoundError, OfflineModeIsEnabled):
        why = "HF_HUB_OFFLINE is set" if constants.is_offline_mode() else f"{constants.ENDPOINT} cannot be reached"
        return f"it is neither a folder here nor among what was downloaded before, and {why}; check the name."
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
