"""Everything the client raises, with facts as attributes. Standard library only."""

from __future__ import annotations


class JobkeepError(Exception):
    """Base of all. `hint` says what to do about it, if anything can be done."""

    hint: str | None = None


class ProtocolError(JobkeepError):
    """The other end does not speak the protocol as we do."""


class MessageTooLarge(ProtocolError):
    """A message is over the limit (bytes)."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a message is larger than {limit} bytes")
        self.limit = limit


class DaemonUnreachable(JobkeepError):
    """No daemon answers on the socket."""

    def __init__(self, socket: str, why: str, hint: str | None = None) -> None:
        super().__init__(f"no daemon answers on {socket}: {why}")
        self.socket = socket
        self.why = why
        self.hint = hint


class ConnectionLost(DaemonUnreachable):
    """The connection ended before the answer: whether a write took effect is unknown."""


class NotFound(JobkeepError):
    """No job has this id."""

    def __init__(self, message: str, id: str) -> None:
        super().__init__(message)
        self.id = id


class Ambiguous(NotFound):
    """Several jobs begin with this id."""

    def __init__(self, message: str, id: str, matches: list[str]) -> None:
        super().__init__(message, id)
        self.matches = matches


class Conflict(JobkeepError):
    """The state of things does not allow it."""


class KeyConflict(Conflict):
    """A live job has the same key."""

    def __init__(self, message: str, key: str, id: str, state: str, since_s: float) -> None:
        super().__init__(message)
        self.key = key
        self.id = id
        self.state = state
        self.since_s = since_s


class ActionRefused(Conflict):
    """The job's state does not allow the action; `reason` says why."""

    def __init__(self, message: str, id: str, action: str, reason: str, state: str) -> None:
        super().__init__(message)
        self.id = id
        self.action = action
        self.reason = reason
        self.state = state


class NoRun(NotFound):
    """The job has no run of this number (yet)."""

    def __init__(self, message: str, id: str, run: int | None) -> None:
        super().__init__(message, id)
        self.run = run


class NoResult(Conflict):
    """The job has not succeeded, so there is no result."""

    def __init__(self, message: str, id: str, state: str) -> None:
        super().__init__(message)
        self.id = id
        self.state = state


class RequestMismatch(Conflict):
    """The request id was used before, for something else."""

    def __init__(self, message: str, request_id: str) -> None:
        super().__init__(message)
        self.request_id = request_id


class InvalidRequest(JobkeepError):
    """The daemon refused a value; `field` names it."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnknownQueue(InvalidRequest):
    """There is no such queue; `known` lists those there are."""

    def __init__(self, message: str, queue: str, known: list[str]) -> None:
        super().__init__(message, "queue")
        self.queue = queue
        self.known = known


class NotPermitted(JobkeepError):
    """The daemon does not take this from us."""


class StorageFull(JobkeepError):
    """The daemon has no room to accept more; nothing was accepted."""


class OutcomeUnknown(JobkeepError):
    """The daemon's store failed: whether the request took effect shows when it is asked again by its request id."""


class ShuttingDown(JobkeepError):
    """The daemon is about to end and took nothing of it; the next one will."""


class StreamDropped(JobkeepError):
    """The daemon gave up on a reader that was too slow; ask again for what follows `after`."""

    def __init__(self, message: str, after: int) -> None:
        super().__init__(message)
        self.after = after


class UnknownWorker(JobkeepError):
    """The daemon has no seat for this process: end it."""


class StaleToken(JobkeepError):
    """The lease has passed to somebody else: stop working."""


class DaemonError(JobkeepError):
    """A bug of the daemon, or an error this client does not know. `name` is the wire's."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class TimedOut(JobkeepError, TimeoutError):
    """The wait is over, the job is not. `ended` has the ids of those that are, where several were waited for."""

    def __init__(self, message: str, ended: list[str] | None = None) -> None:
        super().__init__(message)
        self.ended = ended or []


class JobFailed(JobkeepError):
    """The job ended without success: `state` is failed or cancelled, `outcome` is the wire's Outcome."""

    def __init__(self, message: str, id: str, state: str, outcome: object) -> None:
        super().__init__(message)
        self.id = id
        self.state = state
        self.outcome = outcome


class NoDaemon(DaemonUnreachable):
    """There is no daemon and none may be started from here; `hint` says how to start one."""


class InputChanged(JobkeepError):
    """The source of a batch is not what it was at the checkpoint; the checkpoint is kept."""


class TooManyFailures(JobkeepError):
    """More items failed than max_failures allows; the checkpoint is kept."""

    def __init__(self, message: str, failed: int) -> None:
        super().__init__(message)
        self.failed = failed


class TooLarge(JobkeepError):
    """A value is over its limit (bytes); the message names it."""


class Stopped(BaseException):
    """The run was asked to stop. Not an Exception, so that a job's own handlers let it pass; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
