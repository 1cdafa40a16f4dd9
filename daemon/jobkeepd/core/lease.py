"""Locks and their leases: who holds what, until when, and who may have it next. Pure.

A lease is dated in CLOCK_MONOTONIC and the boot it belongs to: no setting of a clock makes one older or younger, and
with another boot it is over. The token of a lock rises with every holder and every reset, and never falls.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from jobkeep.protocol.vocabulary import OnMaxHold
from jobkeepd.core.model import Entry, Identity, Moment


class RunHolder(Struct, frozen=True, tag="run"):
    """A run holds its job's lock from its claim to its end."""

    job: str
    run: int


class ClientHolder(Struct, frozen=True, tag="client"):
    """A process holds it under a lease that it has to renew. `lease` is drawn by it: it proves a repeated request."""

    lease: str
    uid: int
    identity: Identity


Holder: TypeAlias = RunHolder | ClientHolder


class Lock(Struct, frozen=True, kw_only=True):
    """A name with its token; without a holder it is free. Times: `acquired_at` UTC seconds, `ttl_s` seconds."""

    name: str
    token: int = 0
    holder: Holder | None = None
    acquired_at: float | None = None
    since: Moment | None = None
    renewed: Moment | None = None
    ttl_s: float = 0.0


def age(lock: Lock, now: Moment) -> float:
    """Seconds that the holder has had it; infinite for one of another boot."""
    return _elapsed(lock.since, now)


def expires_in(lock: Lock, now: Moment) -> float:
    """Seconds that are left of the lease; not positive once it is over."""
    return lock.ttl_s - _elapsed(lock.renewed, now)


def _elapsed(since: Moment | None, now: Moment) -> float:
    if since is None or since.boot_id != now.boot_id:
        return float("inf")
    return now.monotonic - since.monotonic


def is_over(lock: Lock, now: Moment | None) -> bool:
    """Whether nobody holds it any more; without `now` no lease is over.

    A run's lease is not over before the run is: its end takes the lock along, in one commit.
    """
    if lock.holder is None:
        return True
    return isinstance(lock.holder, ClientHolder) and now is not None and expires_in(lock, now) <= 0


def take(lock: Lock, holder: Holder, ttl_s: float, at: float, now: Moment | None) -> Lock | None:
    """The lock with its new holder, or None while another one holds it.

    Who asks again for what it holds gets the same token: its first answer was lost.
    """
    if lock.holder is not None and not is_over(lock, now):
        return replace(lock, renewed=now, ttl_s=ttl_s) if lock.holder == holder else None
    return Lock(
        name=lock.name, token=lock.token + 1, holder=holder, acquired_at=at, since=now, renewed=now, ttl_s=ttl_s
    )


def let_go(lock: Lock) -> Lock:
    """Free, and its token is over with its holder."""
    return Lock(name=lock.name, token=lock.token)


def reset(lock: Lock) -> Lock:
    """Free for certain: whoever still believes to hold it has a token that is too old."""
    return Lock(name=lock.name, token=lock.token + 1)


class Seen(Struct, frozen=True):
    """What the kernel says of a holder's process: `None` where it cannot tell."""

    alive: bool | None


LeaseVerdict = Literal["keep", "release", "report", "end"]


def judge_hold(lock: Lock, seen: Seen, now: Moment, max_hold_s: float, on_max_hold: OnMaxHold) -> LeaseVerdict:
    """What is to be done about a held lock. `end`: end its holder for sure, then it is free.

    Proven death frees it at once, a client's silence after its ttl. After `max_hold_s` whom nobody can verify loses
    it, and who is verified alive is only told of, unless the configuration says to end it.
    """
    if lock.holder is None:
        return "keep"
    if seen.alive is False or is_over(lock, now):
        return "release"
    if age(lock, now) < max_hold_s:
        return "keep"
    if seen.alive is None:
        return "release"
    return "end" if on_max_hold == "end" else "report"


_LOST: Final = {
    "expired": "its lease was not renewed in time",
    "max_hold": "it was held for longer than max_hold",
    "session_died": "the process of the session has ended",
}


def why_lost(entry: Entry) -> str | None:
    """To whoever had a lock until it was released or reset; None where there is nothing to tell."""
    if entry.kind == "lock_reset":
        reason = entry.data.get("reason")
        return "it was reset" + (f": {reason}" if reason else "")
    return _LOST.get(str(entry.data.get("reason")))
