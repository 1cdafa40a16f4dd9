"""The changes about locks of clients. Part of the union in changes.py."""

from __future__ import annotations

from msgspec import Struct

from jobkeepd.core.lease import ClientHolder
from jobkeepd.core.model import Moment, Peer


class AcquireLock(Struct, frozen=True, kw_only=True):
    """Take a lock for a client. -> Lock; the same one for the same lease. Raises LockTaken. Journal: lock_acquired."""

    name: str
    holder: ClientHolder
    ttl_s: float
    by: Peer
    at: float
    now: Moment


class RenewLocks(Struct, frozen=True, kw_only=True):
    """Extend leases, named by (lock, token). -> the names of those that are lost. Journal: none.

    With `pid` only those that this process holds. `revive` those, too, that are over and that nobody else has taken:
    there was no daemon to renew them.
    """

    leases: tuple[tuple[str, int], ...]
    now: Moment
    revive: bool = False
    pid: int | None = None


class ReleaseLock(Struct, frozen=True, kw_only=True):
    """Give a client's lock back. -> Lock. Raises LeaseLost unless `token` is the lock's, and it is held: by the
    process `by`, where it is given. With `over` nothing is done unless the lease is over by then.

    Of those that wait for it, the first of each queue may be claimed. Journal: lock_released, unblocked.
    """

    name: str
    token: int
    at: float
    reason: str = "released"
    by: Peer | None = None
    over: Moment | None = None


class ResetLock(Struct, frozen=True, kw_only=True):
    """Take a lock away from a client: its token rises. -> Lock. Raises UnknownLock, LeaseLost (another token),
    LockTaken (an open run holds it: it goes with the end of that; unless that will never be on record, since the job
    cannot be read, and nothing is `left` of the run).

    Journal: lock_reset, unblocked.
    """

    name: str
    token: int
    by: Peer
    at: float
    reason: str | None = None
    left: bool = True
