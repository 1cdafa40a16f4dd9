"""The changes about schedules. Part of the union in changes.py.

Journal, with the name as `schedule`: schedule_added, schedule_changed, schedule_removed, schedule_paused,
schedule_resumed (reason); schedule_fired (nominal_at, skipped; with its job); schedule_skipped (nominal_at, skipped,
reason).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from jobkeepd.core.firing import Order, Terms
from jobkeepd.core.line import Rule
from jobkeepd.core.model import Moment, Peer
from jobkeepd.core.queueing import Deed


class PutSchedule(Struct, frozen=True, kw_only=True):
    """Add one; with `replace` also in place of another's terms. -> Schedule. Raises ScheduleConflict."""

    name: str
    terms: Terms
    by: Peer
    at: float
    environments: tuple[tuple[str, bytes], ...] = ()
    replace: bool = False


class ControlSchedule(Struct, frozen=True, kw_only=True):
    """Pause or resume one. -> Schedule. Raises UnknownSchedule."""

    name: str
    order: Order
    deed: Deed


class RemoveSchedule(Struct, frozen=True, kw_only=True):
    """Its jobs stay. -> Schedule. Raises UnknownSchedule, ScheduleConflict for one of the configuration.

    `configured`: the configuration does not have it any more; of others' schedules nothing is removed then.
    """

    name: str
    by: Peer
    at: float
    reason: str | None = None
    configured: bool = False


class FireSchedule(Struct, frozen=True, kw_only=True):
    """Settle the times after `cursor` up to `nominal`, and submit its job `id` for that one. -> the Schedule
    as it is then, or None if it is gone, and Submitted, or None if nothing was submitted.

    Does nothing unless the schedule's cursor is still that one: so each time is settled once, by whomever. Without `id`
    nothing is submitted, for `reason`; a job that is refused for its key or lock is not, either, and that is on record.
    """

    name: str
    cursor: float
    nominal: float
    at: float
    now: Moment
    id: str | None = None
    skipped: int = 0
    reason: str | None = None
    rules: Mapping[str, Rule] = {}
    limits: Mapping[str, int] = {}
