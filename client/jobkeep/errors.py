"""Everything the client raises, with facts as attributes. Standard library only."""

from __future__ import annotations

from jobkeep.job_errors import InputChanged as InputChanged
from jobkeep.job_errors import JobkeepError as JobkeepError
from jobkeep.job_errors import Permanent as Permanent
from jobkeep.job_errors import StepsChanged as StepsChanged
from jobkeep.job_errors import TooLarge as TooLarge
from jobkeep.job_errors import TooManyFailures as TooManyFailures
from jobkeep.stopping import RunLeaseLost as RunLeaseLost
from jobkeep.stopping import Stopped as Stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobkeep.protocol.jobs import Outcome


class ProtocolError(JobkeepError):
    """The other end does not speak the protocol as we do."""


class MessageTooLarge(ProtocolError):
    """A message is over the limit (bytes)."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a message is larger than {limit} bytes")
        self.limit = limit


class DaemonUnreachable(JobkeepError):
    """No daemon answers on the socket. `waited_s`: for how long one was waited for that had answered before."""

    waited_s: float | None = None

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


class LockHeld(Conflict):
    """Somebody else has the lock: a run of `job`, or the process `pid` of user `uid`."""

    def __init__(
        self, message: str, name: str, since_s: float, kind: str, job: str | None, pid: int | None, uid: int | None
    ) -> None:
        super().__init__(message)
        self.name = name
        self.since_s = since_s
        self.kind = kind
        self.job = job
        self.pid = pid
        self.uid = uid


class LeaseLost(JobkeepError):
    """The lock is not ours any more, or may not be: whatever it protects must stop."""

    def __init__(self, message: str, name: str, token: int) -> None:
        super().__init__(message)
        self.name = name
        self.token = token


class UnknownLock(NotFound):
    """The lock was never held."""


class UnknownSession(NotFound):
    """The session is not configured; `known` lists those there are."""

    def __init__(self, message: str, name: str, known: list[str]) -> None:
        super().__init__(message, name)
        self.name = name
        self.known = known


class SessionInUse(LockHeld):
    """Somebody else has the session: the process `pid` of user `uid`, or a run of `job` that holds its lock."""


class SessionFailed(JobkeepError):
    """The session cannot be had: its process ends, or does not become ready; `reason` says it, `job` is what ran it."""

    def __init__(self, message: str, name: str, reason: str, job: str | None) -> None:
        super().__init__(message)
        self.name = name
        self.reason = reason
        self.job = job
        if job is not None:
            self.hint: str | None = f"jobkeep logs {job} shows what it has written"


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
        self.request_id: str | None = request_id


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
    """The daemon does not take this from us: `role` is ours there, `needed` the lowest that will do."""

    role: str | None = None
    needed: str | None = None


class LimitReached(JobkeepError):
    """This user has as much of the daemon as its configuration allows: try again when there is less."""


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


class EventsGone(JobkeepError):
    """The daemon has pruned what follows `after` in the journal; it is whole from the seq `first` on."""

    def __init__(self, message: str, after: int, first: int) -> None:
        super().__init__(message)
        self.after = after
        self.first = first


class UnknownWorker(JobkeepError):
    """The daemon has no seat for this process: end it."""


class WrongProtocol(JobkeepError):
    """The daemon does not know this worker's version of the protocol, only those from `oldest` to `newest`."""

    def __init__(self, message: str, oldest: int, newest: int) -> None:
        super().__init__(message)
        self.oldest = oldest
        self.newest = newest


class StaleToken(JobkeepError):
    """The run or lease that this process works for has passed to somebody else, or is over: stop working."""


class DaemonError(JobkeepError):
    """A bug of the daemon, or an error this client does not know. `name` is the wire's."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class TimedOut(JobkeepError, TimeoutError):
    """The wait is over, the job is not. `ended` has the ids of those that are, where several were waited for."""

    def __init__(self, message: str, ended: list[str] | None = None) -> None:
        super().__init__(message)
        self.ended: list[str] = ended or []


class JobFailed(JobkeepError):
    """The job ended without success: `state` is failed or cancelled, `reason` says why in a line.

    `outcome` is the wire's Outcome, with exit code or signal, and a function's exception as `outcome.error`.
    """

    def __init__(self, message: str, id: str, state: str, outcome: Outcome | None, reason: str = "") -> None:
        super().__init__(message)
        self.id = id
        self.state = state
        self.outcome = outcome
        self.reason = reason


class NoDaemon(DaemonUnreachable):
    """There is no daemon and none may be started from here; `hint` says how to start one."""


class BadConfiguration(NoDaemon):
    """The daemon that was to be started ended at once: its configuration file, or a JOBKEEP_… variable, is wrong."""
