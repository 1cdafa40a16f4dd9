"""Errors inside the daemon. Each carries facts as attributes; rpc/faults.py words them for the wire."""

from __future__ import annotations

from typing import Any


class DaemonError(Exception):
    """Base of all errors the daemon raises on purpose."""


class StoreError(DaemonError):
    """The store could not do it."""


class StorageFailed(StoreError):
    """An I/O error: the outcome is unknown and the daemon must stop."""


class Unopenable(StorageFailed):
    """The database cannot be opened where it is: a directory that is missing or read-only, a wish it refuses."""


class StorageFull(StoreError):
    """No space left: nothing was written."""


class Corrupt(StoreError):
    """The database is damaged or not ours; the message says which file and what to do."""


class BackupRefused(DaemonError):
    """No backup was made; the message says of which file, and why."""


class RunsUnknown(DaemonError):
    """Runs live of which a backup knows nothing: it cannot take the place of the database."""

    def __init__(self, runs: list[str]) -> None:
        super().__init__(f"runs that the backup does not know are still alive: {', '.join(runs)}")


class UnreadableJob(StoreError):
    """The row of one job makes no sense: a newer version wrote it, or it is damaged. The others are well."""

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"job {job} cannot be read from the database: {why}")
        self.job = job
        self.why = why


class UnknownJob(StoreError):
    def __init__(self, ref: str) -> None:
        super().__init__(f"no job {ref}")
        self.ref = ref


class AmbiguousJob(StoreError):
    def __init__(self, ref: str, matches: tuple[str, ...]) -> None:
        super().__init__(f"{ref} matches {len(matches)} jobs")
        self.ref = ref
        self.matches = matches


class NotThisRun(DaemonError):
    """A process speaks for a run that is not under way, or does not prove that it belongs to it."""

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run} is not under way, or this process does not belong to it")
        self.run = run


class StaleToken(StoreError):
    """The write names a fence that is no longer the job's: it changed nothing."""

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run} does not hold its job any more")
        self.run = run


class IllegalTransition(DaemonError):
    """The job's state does not allow the action; nothing was changed."""

    def __init__(self, job: str, state: str, action: str, reason: str) -> None:
        super().__init__(f"cannot {action} job {job}: {reason}")
        self.job = job
        self.state = state
        self.action = action
        self.reason = reason


class KeyTaken(StoreError):
    """A live job has the key."""

    def __init__(self, key: str, job: str, state: str, created_at: float) -> None:
        super().__init__(f"job {job} has the key {key}")
        self.key = key
        self.job = job
        self.state = state
        self.created_at = created_at


class LockTaken(StoreError):
    """Somebody holds the lock, and keeps it. `lock` is a core.lease.Lock: this module imports nothing.

    `reset`: it was to be taken from a holder that lives.
    """

    def __init__(self, lock: Any, *, reset: bool = False) -> None:
        super().__init__(f"the lock {lock.name} is held")
        self.lock = lock
        self.reset = reset


class LeaseLost(StoreError):
    """The token is not the lock's (any more), or its lease was over: nothing was changed."""

    def __init__(self, lock: str, token: int, why: str | None = None) -> None:
        super().__init__(f"lock {lock} is not held with token {token} any more" + (f": {why}" if why else ""))
        self.lock = lock
        self.token = token


class PeerUnseen(DaemonError):
    """The process that asks is none that the daemon can see: nobody would notice its death."""

    def __init__(self, pid: int, uid: int) -> None:
        super().__init__(f"process {pid} is gone, or in a namespace of its own: it gets no lock")
        self.uid = uid


class UnknownLock(StoreError):
    def __init__(self, lock: str) -> None:
        super().__init__(f"no lock {lock}")
        self.lock = lock


class UnknownStep(StoreError):
    """The job has no result of that step."""

    def __init__(self, job: str, ordinal: int) -> None:
        super().__init__(f"job {job} has no result of step {ordinal}")
        self.job = job
        self.ordinal = ordinal


class RequestMismatch(StoreError):
    """The request id belongs to another request."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"request id {request_id} was used for something else")
        self.request_id = request_id


class BadQuery(StoreError):
    """A user's SQL was refused, wrong, or too slow."""


class RunnerError(DaemonError):
    """A process could not be started or reached."""


class StartFailed(RunnerError):
    """The run never started: its leader did not pass the gate.

    `stage` is where it stopped (``cwd``, ``output``, ``exec``, ``slot``, ``worker``, ``killed``), `errno` the kernel's
    word for it or None; the message is one sentence for the user.
    """

    def __init__(self, stage: str, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.stage = stage
        self.errno = errno


class BadConfig(DaemonError):
    """The configuration has problems; all of them are listed."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class AlreadyRunning(DaemonError):
    """Another daemon owns the state directory."""

    def __init__(self, state_dir: str, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{state_dir} is in use by {who}")
        self.state_dir = state_dir
        self.pid = pid


class NotAdministrator(DaemonError):
    """Only root, or the user that the daemon runs as, may do this."""


class NobodyThere(DaemonError):
    """No daemon listens on a socket, and it is not that of the configuration either."""

    def __init__(self, socket: str, configured: str) -> None:
        super().__init__(f"no daemon listens on {socket}, and the configuration is that of {configured}")


class UnknownWorker(DaemonError):
    """No such seat, or the wrong cookie."""

    def __init__(self, worker: str) -> None:
        super().__init__(f"no worker {worker} is expected")
        self.worker = worker


class WrongProtocol(DaemonError):
    """The worker speaks a version of the protocol that this daemon does not know."""

    def __init__(self, protocol: int, oldest: int, newest: int) -> None:
        remedy = "upgrade jobkeep there" if protocol < oldest else "upgrade the daemon, or install its version there"
        super().__init__(
            f"its jobkeep speaks version {protocol} of the worker protocol, this daemon {oldest} to {newest}; {remedy}"
        )
        self.protocol = protocol
        self.oldest = oldest
        self.newest = newest


class TooManyParents(StoreError):
    """A submit waits for more jobs than can be settled in one commit."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the jobs of one submit wait for at most {most} others")


class UnknownQueue(DaemonError):
    """The queue is not configured."""

    def __init__(self, queue: str, known: list[str]) -> None:
        super().__init__(f"no queue {queue}")
        self.queue = queue
        self.known = known


class UnknownSession(DaemonError):
    """The session is not configured."""

    def __init__(self, session: str, known: list[str]) -> None:
        super().__init__(f"no session {session}")
        self.session = session
        self.known = known


class SessionInUse(DaemonError):
    """Somebody else has the session. `lock` is its core.lease.Lock."""

    def __init__(self, session: str, lock: Any) -> None:
        super().__init__(f"the session {session} is in use")
        self.session = session
        self.lock = lock


class SessionFailed(DaemonError):
    """The session cannot be had: its process ends, does not become ready, or is held up. `job` is what runs it."""

    def __init__(self, session: str, reason: str, job: str | None) -> None:
        super().__init__(f"the session {session} cannot be had: {reason}")
        self.session = session
        self.reason = reason
        self.job = job


class UnknownSchedule(DaemonError):
    """There is no such schedule."""

    def __init__(self, schedule: str) -> None:
        super().__init__(f"there is no schedule {schedule}")
        self.schedule = schedule


class ScheduleConflict(DaemonError):
    """The schedule cannot be changed like that."""

    def __init__(self, schedule: str, reason: str) -> None:
        super().__init__(f"schedule {schedule}: {reason}")
        self.schedule = schedule
        self.reason = reason


class BadSchedule(DaemonError):
    """A cron expression, or a time zone, that is none."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class ShuttingDown(DaemonError):
    """The daemon takes nothing on any more."""
