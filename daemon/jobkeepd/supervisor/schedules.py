"""Schedules: their jobs are submitted at the times that they name, each time once, also across crashes and sleep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import anyio
import structlog
from msgspec import Struct
from msgspec.structs import replace

from jobkeepd.core.firing import MOST_MISSED, Firing, Order, Schedule, Terms, decide
from jobkeepd.core.line import Rule
from jobkeepd.core.model import Peer
from jobkeepd.core.queueing import Deed
from jobkeepd.core.schedule import check_schedule, due_between, times_after
from jobkeepd.errors import BadSchedule, StorageFailed, StorageFull, StoreError, UnknownSchedule
from jobkeepd.store.changes import NewJob, Submitted
from jobkeepd.store.schedule_changes import ControlSchedule, FireSchedule, PutSchedule, RemoveSchedule
from jobkeepd.store.schedule_steps import new_job
from jobkeepd.supervisor.workshop import Workshop
from jobkeepd.supervisor.zones import zone

log = structlog.get_logger()

LOOK = 10.0  # seconds; the calendar is UTC's, clocks get set and hosts sleep: look at least this often
SHOWN = 3  # next times
MISSED = "its time was missed"
NOT_CONFIGURED = "the configuration does not have it any more"

Accepted = Callable[[Sequence[NewJob], Submitted], None]


class Configured(Struct, frozen=True):
    """The schedules of the configuration, by name, and what they refer to."""

    by: Peer
    terms: Mapping[str, Terms] = {}
    environments: tuple[tuple[str, bytes], ...] = ()


class Schedules:
    """Implements rpc.services.Schedules."""

    def __init__(
        self, workshop: Workshop, rules: Mapping[str, Rule], queues: Callable[[], Sequence[str]], accepted: Accepted
    ) -> None:
        self._workshop = workshop
        self._rules = rules
        self._queues = queues
        self._accepted = accepted
        self._bell = anyio.Event()
        self._known: dict[str, Schedule] = {}
        self._configured: Configured | None = None  # until it is in the store

    async def recover_once(self, configured: Configured | None = None) -> None:
        """Those of an earlier daemon, and what the configuration says by now."""
        self._known = {schedule.name: schedule for schedule in await self._workshop.store.schedules()}
        self._configured = configured
        try:
            await self._follow_configuration()
        except StorageFull as error:  # nothing is fired until there is room for it
            log.warning("schedules_postponed", error=str(error))

    def configure(self, configured: Configured) -> None:
        """What the configuration says from now on: followed by whoever fires, at once."""
        self._configured = configured
        self._bell.set()

    async def _follow_configuration(self) -> None:
        """What the store has of the configuration is made what it says; those that people have added stay."""
        if self._configured is None:
            return
        at, by = self._workshop.clock.now(), self._configured.by
        for name, terms in self._configured.terms.items():
            known = self._known.get(name)
            if known is not None and not known.terms.configured:
                log.warning("schedule_taken_over", schedule=name, hint="the configuration has one of that name")
            elif known is not None and known.terms.owner.uid == by.uid:
                terms = replace(terms, owner=known.terms.owner)  # it is another process each time
            if known is None or known.terms != terms:
                put = PutSchedule(
                    name=name, terms=terms, by=by, at=at, environments=self._configured.environments, replace=True
                )
                self._keep(await self._workshop.store.apply(put))
        for schedule in self.all():
            if schedule.terms.configured and schedule.name not in self._configured.terms:
                gone = RemoveSchedule(name=schedule.name, by=by, at=at, reason=NOT_CONFIGURED, configured=True)
                await self._workshop.store.apply(gone)
                self._known.pop(schedule.name, None)
        self._configured = None

    # -- people --------------------------------------------------------------------------------------------------

    def all(self) -> Sequence[Schedule]:
        """By name."""
        return [self._known[name] for name in sorted(self._known)]

    def get(self, name: str) -> Schedule:
        """Raises UnknownSchedule."""
        if name not in self._known:
            raise UnknownSchedule(name)
        return self._known[name]

    def upcoming(self, schedule: Schedule) -> list[float]:
        """The next three times; none of one that is paused."""
        return list(islice(self._times(schedule), SHOWN))

    def _times(self, schedule: Schedule) -> Iterator[float]:
        """Those that are still to come, one by one: each costs a search of the calendar."""
        if schedule.paused is not None:
            return iter(())
        after = max(schedule.cursor, self._workshop.clock.now())
        return times_after(schedule.terms.cron, zone(schedule.terms.timezone), after)

    async def add(
        self, name: str, terms: Terms, environments: tuple[tuple[str, bytes], ...], by: Peer, *, replace: bool
    ) -> Schedule:
        """Once this returns it is durable. Raises BadSchedule, ScheduleConflict."""
        for field, check in (("cron", check_schedule), ("timezone", zone)):
            try:
                check(getattr(terms, field))
            except ValueError as error:
                raise BadSchedule(field, str(error)) from None
        at = self._workshop.clock.now()
        change = PutSchedule(name=name, terms=terms, by=by, at=at, environments=environments, replace=replace)
        return self._keep(await self._workshop.store.apply(change))

    async def control(self, name: str, order: Order, by: Peer, reason: str | None) -> Schedule:
        """Pause or resume. Raises UnknownSchedule."""
        deed = Deed(by, self._workshop.clock.now(), reason)
        return self._keep(await self._workshop.store.apply(ControlSchedule(name=name, order=order, deed=deed)))

    async def remove(self, name: str, by: Peer, reason: str | None) -> Schedule:
        """Its jobs stay. Raises UnknownSchedule, ScheduleConflict."""
        change = RemoveSchedule(name=name, by=by, at=self._workshop.clock.now(), reason=reason)
        removed: Schedule = await self._workshop.store.apply(change)
        self._known.pop(name, None)
        return removed

    def job_of(self, schedule: Schedule, id: str) -> NewJob:
        """One for now, beside its times."""
        return new_job(schedule, id)

    def _keep(self, schedule: Schedule) -> Schedule:
        self._known[schedule.name] = schedule
        self._bell.set()
        return schedule

    # -- time ----------------------------------------------------------------------------------------------------

    async def fire_once(self) -> float:
        """Settle what is due; the seconds until it is worth looking again."""
        await self._follow_configuration()
        for schedule in self.all():
            if schedule.paused is None:
                await self._settle(schedule)
        now = self._workshop.clock.now()
        following = [time for schedule in self.all() for time in islice(self._times(schedule), 1)]
        return min(max(min(following, default=now + LOOK) - now, 0.0), LOOK)

    async def _settle(self, schedule: Schedule) -> None:
        now, terms = self._workshop.clock.now(), schedule.terms
        due, earlier = due_between(terms.cron, zone(terms.timezone), schedule.cursor, now, MOST_MISSED)
        for firing in decide(terms.missed, due, earlier, now):
            await self._fire(self._known.get(schedule.name), firing)

    async def _fire(self, schedule: Schedule | None, firing: Firing) -> None:
        if schedule is None or schedule.paused is not None or schedule.cursor >= firing.at:
            return  # somebody has changed it meanwhile
        queue = schedule.terms.spec.queue
        reason = None if firing.fires else MISSED
        if firing.fires and queue not in self._queues():
            reason = f"there is no queue {queue} any more"
        id = self._workshop.new_id() if reason is None else None
        stored, submitted = await self._workshop.store.apply(
            FireSchedule(
                name=schedule.name, cursor=schedule.cursor, nominal=firing.at, at=self._workshop.clock.now(),
                now=self._workshop.moment(), id=id, skipped=firing.skipped, reason=reason, rules=self._rules,
                limits=self._workshop.label_limits,
            )
        )  # fmt: skip
        if stored is not None:
            self._known[schedule.name] = stored
        else:
            self._known.pop(schedule.name, None)
        if submitted is not None and id is not None:
            log.info("schedule_fired", schedule=schedule.name, nominal=firing.at, job=submitted.ids[0])
            self._accepted((new_job(schedule, id),), submitted)

    async def keep_firing(self) -> None:
        while True:
            self._bell = anyio.Event()
            try:
                delay = await self.fire_once()
            except StorageFailed:
                return  # the daemon has been told, and ends
            except (StoreError, ValueError) as error:  # no room on the disk; or the host's time zones are gone
                log.warning("schedules_postponed", error=str(error))
                delay = LOOK
            with anyio.move_on_after(delay):
                await self._bell.wait()
