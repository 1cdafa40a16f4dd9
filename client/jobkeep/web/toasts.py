"""What an action has come to, in a sentence: for a toast, and as a status of HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from jobkeep import errors
from jobkeep.wording import escape


@dataclass(frozen=True, slots=True)
class Toast:
    """`tone`: good, or bad. `hint`: what to do about it."""

    text: str
    tone: str = "good"
    hint: str = ""


# The nearest class counts.
STATUS: dict[type[BaseException], int] = {
    errors.NotFound: 404, errors.Conflict: 409, errors.InvalidRequest: 422, errors.TooLarge: 413,
    errors.NotPermitted: 403, errors.StorageFull: 507, errors.DaemonUnreachable: 503, errors.ShuttingDown: 503,
    errors.OutcomeUnknown: 503, errors.SessionFailed: 409, errors.JobkeepError: 502,
}  # fmt: skip


def status(error: errors.JobkeepError) -> int:
    """The status of HTTP that says the same."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def refusal(error: errors.JobkeepError) -> Toast:
    """Why it was not done, and what may help."""
    return Toast(escape(_sentence(str(error))), "bad", escape(error.hint or _hint(error)))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _hint(error: errors.JobkeepError) -> str:
    if isinstance(error, errors.ActionRefused):
        return f"It is {error.state} by now; the page shows what is possible."
    if isinstance(error, errors.OutcomeUnknown | errors.ConnectionLost):
        return "Whether it took effect is unknown; look at the page before you ask again."
    if isinstance(error, errors.DaemonUnreachable | errors.ShuttingDown):
        return "Nothing was changed. The pages go on as soon as a daemon answers."
    if isinstance(error, errors.NotPermitted):
        return "The daemon's configuration says who may: [access]."
    if isinstance(error, errors.UnknownQueue):
        return "There are: " + ", ".join(error.known)
    return ""
