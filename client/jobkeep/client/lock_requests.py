"""Every request about locks as a pure function of its arguments; both clients share them."""

from __future__ import annotations

from jobkeep.client import routes
from jobkeep.client.lease import Lease
from jobkeep.client.routes import NOTHING, Request
from jobkeep.protocol import locks
from jobkeep.protocol.interface import Done


def renew(lease: Lease, linger_s: float) -> Request[Done]:
    """Extend it at once; answered after `linger_s`, or as soon as it is lost."""
    return Request(routes.RENEW, locks.RenewParameters(lease.lock, lease.token, min(linger_s, locks.LONGEST_LINGER)))


def release(lease: Lease) -> Request[Done]:
    """Give the lock back."""
    return Request(routes.RELEASE, locks.ReleaseParameters(lease.lock, lease.token))


def give_up(lease: Lease) -> Request[Done]:
    """Whatever became of the requests before: it is not held, and not waited for."""
    return Request(routes.GIVE_UP, locks.GiveUpParameters(lease.lock, lease.id))


def held() -> Request[locks.ListReply]:
    """The locks that somebody has."""
    return Request[locks.ListReply](routes.LOCKS, NOTHING)


def show(name: str) -> Request[locks.LockReply]:
    """One lock."""
    return Request(routes.LOCK, locks.LockParameters(name))


def reset(name: str, force: bool, reason: str | None) -> Request[locks.ResetReply]:
    """Take it from its holder."""
    return Request(routes.RESET, locks.ResetParameters(name, force, reason))
