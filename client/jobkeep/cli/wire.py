"""Requests to the daemon as JSON objects over the blocking transport, and patience while it restarts."""

from __future__ import annotations

import json
import time

from jobkeep.cli.failures import UNREACHABLE, Failure, RemoteFault, UsageError
from jobkeep.client.plain import PlainConnection
from jobkeep.errors import ConnectionLost, DaemonUnreachable, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")

JOBS = "org.jobkeep.Jobs."
LOCKS = "org.jobkeep.Locks."
QUEUES = "org.jobkeep.Queues."
SCHEDULES = "org.jobkeep.Schedules."
RUN = "org.jobkeep.Run."
SESSIONS = "org.jobkeep.Sessions."
ADMIN = "org.jobkeep.Admin."
PROCESSES = "org.jobkeep.Processes."
CALL_PATIENCE = 10.0  # seconds that a restart of the daemon may take before a command gives up
FOLLOW_PATIENCE = 30.0  # and one that stays with a job
PASSING = ("ShuttingDown", "StorageFailed", "SlowReader")  # faults after which another connection goes on
FIRST_PAUSE = 0.05


class Unanswered(ConnectionLost):
    """A daemon is there but stays silent: no use in asking again, nor in starting one."""

    def __init__(self, socket: str, limit: float) -> None:
        hint = "jobkeep doctor says what it does; jobkeep emergency ends one that hangs"
        super().__init__(socket, f"no answer within {limit:g} s", hint)


class Wire:
    """One connection. Parameters and replies are plain JSON objects. `heard` is when the last good reply came."""

    def __init__(self, path: str, timeout: float) -> None:
        self.path = path
        self.heard = 0.0
        self._timeout = timeout
        self._connection = PlainConnection(path, timeout)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One request and its answer. Raises RemoteFault for an error, ConnectionLost when there is none."""
        # A Wait is answered late on purpose.
        limit = self._timeout + (parameters.get("timeout_s") or 0.0)
        self._connection.timeout = limit
        began = time.monotonic()
        try:
            message = self._connection.call(method, encode(parameters))
        except ConnectionLost:
            if time.monotonic() - began >= limit:
                raise Unanswered(self.path, limit) from None
            raise
        reply = _parameters(message)
        self.heard = time.monotonic()
        return reply

    def stream(self, method: str, idle: float | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """A request with a stream of answers, however long they take.

        With `idle` an empty one comes when nothing else did for so many seconds: a connection that holds counts as
        heard of.
        """
        for message in self._connection.stream(method, encode(parameters), idle):
            reply = _parameters(message)
            self.heard = time.monotonic()
            yield reply

    def close(self) -> None:
        self._connection.close()


def encode(parameters: dict[str, Any]) -> bytes:
    """JSON without the parameters that are None. Text that is not UTF-8 is the user's mistake."""
    given = {name: value for name, value in parameters.items() if value is not None}
    try:
        return json.dumps(given, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        why = "the command line holds bytes that are not UTF-8"
        raise UsageError(why, "rename the file, or wrap the command in a script") from None


def _parameters(message: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(message)
    except (ValueError, RecursionError):
        raise ProtocolError("the daemon's answer is not JSON") from None
    if not isinstance(reply, dict) or not isinstance(reply.get("parameters", {}), dict):
        raise ProtocolError("the daemon's answer is not a Varlink reply")
    parameters: dict[str, Any] = reply.get("parameters") or {}
    if reply.get("error"):
        raise RemoteFault(str(reply["error"]), parameters)
    return parameters


class Link:
    """A Wire that is dialled again when it breaks; for requests that may safely be asked twice.

    `dial` is for the first time; `redial` goes back to the same socket.
    """

    def __init__(self, dial: Callable[[], Wire], redial: Callable[[str], Wire]) -> None:
        self._dial = dial
        self._redial = redial
        self._path: str | None = None
        self._wire: Wire | None = None
        self._heard = 0.0
        self.patience = CALL_PATIENCE

    @property
    def path(self) -> str:
        """The socket that is talked to."""
        return self.connect().path

    def connect(self) -> Wire:
        """The connection, dialled if there is none."""
        if self._wire is None:
            self._wire = self._dial() if self._path is None else self._redial(self._path)
            self._path = self._wire.path
        return self._wire

    def close(self) -> None:
        """Drop the connection; the next request dials again."""
        if self._wire is not None:
            self._heard = max(self._heard, self._wire.heard)
            self._wire.close()
            self._wire = None

    def patiently(self, action: Callable[[Wire], T], again: str) -> T:
        """`action`, repeated over new connections for as long as a daemon may take to restart.

        `again` completes the error: what goes on, and how to get back to it.
        """
        if self._path is None:
            self.connect()  # a daemon that never answered is not waited for
        began, pause = 0.0, FIRST_PAUSE
        while True:
            try:
                return action(self.connect())
            except (DaemonUnreachable, RemoteFault) as lost:
                if isinstance(lost, RemoteFault) and lost.name not in PASSING:
                    raise
                self.close()
                now = time.monotonic()
                if not began or self._heard > began:  # one that has answered since begins a new wait
                    began, pause = now, FIRST_PAUSE
                if isinstance(lost, Unanswered) or now + pause > began + self.patience:
                    raise Failure(f"{lost}: {again}", UNREACHABLE, lost.hint) from None
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    def call(self, method: str, *, again: str = "nothing was changed", **parameters: Any) -> dict[str, Any]:
        """One idempotent request."""
        return self.patiently(lambda wire: wire.call(method, **parameters), again)

    def once(self, method: str, *, again: str, **parameters: Any) -> dict[str, Any]:
        """One request that must not be repeated: asked twice it would do twice as much."""
        try:
            return self.connect().call(method, **parameters)
        except ConnectionLost as lost:
            self.close()
            raise Failure(f"{lost}: {again}", UNREACHABLE, lost.hint) from None
