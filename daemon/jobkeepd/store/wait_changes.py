"""The changes about how long jobs wait for their start. Part of the union in changes.py."""

from __future__ import annotations

from msgspec import Struct

from jobkeepd.core.model import Moment


class EndWait(Struct, frozen=True, kw_only=True):
    """A queued job has waited for its start for as long as it wants to: it fails, if that is so. -> whether it did.

    One with an open run goes on waiting: that may still be taken back. Journal: failed.
    """

    job: str
    at: float
    now: Moment


class RedateWaits(Struct, frozen=True, kw_only=True):
    """After another boot deadlines are dated anew, by UTC. -> whether there may be more of them. Journal: none."""

    at: float
    now: Moment
    limit: int = 1000


class SettleParents(Struct, frozen=True):
    """Go on with what the ends of some jobs mean for those that wait for them, where that were too many for one commit.

    The store sees to it by itself. Journal: failed, unblocked.
    """
