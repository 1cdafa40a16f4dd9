"""A session as its holder sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobkeep.client import routes
from jobkeep.client.lease import Lease
from jobkeep.client.routes import NOTHING, Request
from jobkeep.protocol import sessions


class Session(Lease):
    """A named long-lived process that is ours for now: `pid`, and `info` as the configuration tells it.

    It is handed out under a lease like a lock's, which is lost when its process dies: who opens it again has another
    process.
    """

    _kind = "session"

    def __init__(self, name: str, ttl_s: float | None) -> None:
        super().__init__(name, ttl_s)
        self.lock: str = f"session:{name}"
        self.pid: int | None = None
        self.info: dict[str, Any] = {}
        self.started_at: datetime | None = None
        self.job: str | None = None  # the one that runs it: its output and history tell more

    # For the client itself

    def request(self, wait_s: float) -> Request[Any]:
        """Open it."""
        return Request(routes.OPEN_SESSION, sessions.OpenParameters(self.name, self.id, self.ttl_s, wait_s))

    def accept(self, reply: Any) -> None:
        """It is open."""
        found: sessions.Session = reply.session
        self.pid, self.info, self.started_at, self.job = found.pid, found.info, found.started_at, found.job
        self.granted(reply.token, reply.ttl_s)


def listed() -> Request[sessions.ListReply]:
    """All sessions."""
    return Request[sessions.ListReply](routes.SESSIONS, NOTHING)


def close(name: str, force: bool, reason: str | None) -> Request[sessions.CloseReply]:
    """End one."""
    return Request(routes.CLOSE_SESSION, sessions.CloseParameters(name, force, reason))
