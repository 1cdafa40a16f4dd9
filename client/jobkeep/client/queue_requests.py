"""Every request about queues as a pure function of its arguments; both clients share them."""

from __future__ import annotations

from jobkeep.client import routes
from jobkeep.client.routes import NOTHING, Request
from jobkeep.protocol import queues


def listed() -> Request[queues.ListReply]:
    """All queues."""
    return Request[queues.ListReply](routes.QUEUES, NOTHING)


def show(name: str) -> Request[queues.QueueReply]:
    """One queue."""
    return Request(routes.QUEUE, queues.QueueParameters(name))


def pause(name: str, reason: str | None) -> Request[queues.QueueReply]:
    """Start none of its jobs."""
    return Request(routes.PAUSE, queues.ControlParameters(name, reason))


def resume(name: str, reason: str | None) -> Request[queues.QueueReply]:
    """Start its jobs again."""
    return Request(routes.UNPAUSE, queues.ControlParameters(name, reason))


def limit(name: str, limit: int | None, reason: str | None) -> Request[queues.QueueReply]:
    """How many of its jobs run at once."""
    return Request(routes.LIMIT, queues.LimitParameters(name, limit, reason))
