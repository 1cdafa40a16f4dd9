"""Errors inside the daemon. Each carries facts as attributes; rpc/faults.py words them for the wire."""

from __future__ import annotations


class DaemonError(Exception):
    """Base of all errors the daemon raises on purpose."""


class StoreError(DaemonError):
    """The store could not do it."""


class StorageFailed(StoreError):
    """An I/O error: the outcome is unknown and the daemon must stop."""


class StorageFull(StoreError):
    """No space left: nothing was written."""


class Corrupt(StoreError):
    """The database is damaged or not ours; the message says which file and what to do."""


class UnknownJob(StoreError):
    def __init__(self, ref: str) -> None:
        super().__init__(f"no job {ref}")
        self.ref = ref


class AmbiguousJob(StoreError):
    def __init__(self, ref: str, matches: tuple[str, ...]) -> None:
        super().__init__(f"{ref} matches {len(matches)} jobs")
        self.ref = ref
        self.matches = matches


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

    `stage` is where it stopped (``cwd``, ``output``, ``exec``, ``slot``, ``worker``), `errno` the kernel's
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


class UnknownWorker(DaemonError):
    """No such seat, or the wrong cookie."""

    def __init__(self, worker: str) -> None:
        super().__init__(f"no worker {worker} is expected")
        self.worker = worker


class UnknownQueue(DaemonError):
    """The queue is not configured."""

    def __init__(self, queue: str, known: list[str]) -> None:
        super().__init__(f"no queue {queue}")
        self.queue = queue
        self.known = known


class ShuttingDown(DaemonError):
    """The daemon takes nothing on any more."""
