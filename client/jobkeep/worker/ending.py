"""How a run has ended: from a value, an exception or a request to stop."""

from __future__ import annotations

import os
from typing import Any, Final

from msgspec import Raw, Struct

from jobkeep.errors import Permanent, Stopped
from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.protocol.values import encode_value
from jobkeep.protocol.vocabulary import ERROR_LIMIT, RESULT_LIMIT
from jobkeep.protocol.worker import Outcome
from jobkeep.sdk.failures import bounded, error_info

_HERE: Final = os.path.dirname(__file__)


class Ending(Struct):
    """Before anybody looked at what the run has left behind."""

    outcome: Outcome
    result: Raw = Raw(b"null")
    error: ErrorInfo | None = None
    reason: str | None = None
    permanent: bool = False


def returned(value: Any) -> Ending:
    """The function has returned `value`, which must be JSON of at most 256 KiB."""
    if value is None:
        return Ending("succeeded")
    try:
        result = encode_value(value, "the result")
    except TypeError as error:
        return refused("TypeError", str(error))
    if len(result) > RESULT_LIMIT:
        limit = f"over the limit of {RESULT_LIMIT}: store it elsewhere, and return where it is"
        message = f"the result is {len(result)} bytes as JSON, {limit}"
        return refused("TooLarge", message)
    return Ending("succeeded", result=Raw(result))


def raised(error: BaseException, stop_reason: str | None) -> Ending:
    """The function has raised; Stopped is the end that was asked for, and sys.exit() without a status a good one."""
    if _means_stop(error):
        return stopped(stop_reason or "cancelled")
    if isinstance(error, SystemExit) and (error.code is None or error.code == 0):
        return Ending("succeeded")
    return Ending("failed", error=error_info(error, ERROR_LIMIT, skip=_HERE), permanent=_is_permanent(error))


def stopped(reason: str) -> Ending:
    """The function did not get to its end."""
    return Ending("cancelled" if reason in ("cancelled", "timeout") else "interrupted", reason=reason)


def refused(kind: str, message: str) -> Ending:
    """The worker itself does not accept the call or its result: a traceback would tell nothing."""
    return Ending("failed", error=bounded(kind, message, None, ERROR_LIMIT))


def _is_permanent(error: BaseException) -> bool:
    """In a group, one that does not pass is enough."""
    if isinstance(error, BaseExceptionGroup):
        return any(_is_permanent(part) for part in error.exceptions)
    return isinstance(error, Permanent)


def _means_stop(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_means_stop(part) for part in error.exceptions)
    return isinstance(error, Stopped)
