"""Emergency: nothing starts any more, all runs end, then all processes that are ours or of a family; locks are free."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import structlog
from msgspec import Struct

from jobkeepd.core.emergency import Turn, turn_of
from jobkeepd.core.lease import ClientHolder
from jobkeepd.core.model import Peer
from jobkeepd.core.ownership import Finding
from jobkeepd.core.sessions import QUEUE as SESSIONS
from jobkeepd.core.sight import Key
from jobkeepd.core.signalled import of_finding
from jobkeepd.errors import DaemonError, StorageFailed, StorageFull, StoreError
from jobkeepd.runner.base import Ended, Reaper
from jobkeepd.store.changes import Note
from jobkeepd.store.lock_changes import ResetLock
from jobkeepd.supervisor.ownership import Owners
from jobkeepd.supervisor.supervisor import Supervisor
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()
RUNS_END_WITHIN = 5.0  # seconds; what is left of them then is ended as any other process
ROUNDS = 10  # what is forked while others are ended shows up in the next one
GRACE = 1.0  # seconds between TERM and KILL


class Fate(Struct, frozen=True):
    """What was found of a process and, unless it was only looked for, what became of it."""

    finding: Finding
    ended: Ended | None = None


class Toll(Struct):
    """What it came to. `fates` has all who were to end at any look, the first one before anything had ended."""

    fates: dict[Key, Fate] = {}
    spared: list[Finding] = []
    runs: int = 0  # of jobs that are no session's
    sessions: int = 0
    locks: int = 0
    queues: int = 0
    now: float = 0.0  # seconds since the boot; the ages of processes count from there
    unrecorded: str | None = None  # why some of it is not on record

    @property
    def survivors(self) -> list[Ended]:
        return [fate.ended for fate in self.fates.values() if fate.ended is not None and not fate.ended.gone]


class Sweep:
    """Ends all processes that an emergency ends."""

    def __init__(self, owners: Owners, reaper: Reaper, uid: int) -> None:
        self._owners = owners
        self._reaper = reaper
        self._uid = uid

    async def look(self, toll: Toll) -> dict[Key, tuple[Turn, Finding]]:
        """Who is to end now; all of them are in the toll from then on."""
        findings = await self._owners.look(closely=True)
        turns = [(turn_of(finding, self._uid), finding) for finding in findings]
        doomed = {finding.sight.key: (turn, finding) for turn, finding in turns if turn is not None}
        for key, (_, finding) in doomed.items():
            toll.fates.setdefault(key, Fate(finding))
        toll.now = self._owners.now
        toll.spared = [finding for turn, finding in turns if turn is None and finding.verdict != "foreign"]
        return doomed

    async def end(self, toll: Toll) -> list[Fate]:
        """Everything that is to end, slots last; those that got a signal."""
        told = await self._end_all(toll, ("first",), GRACE) + await self._end_all(toll, ("first", "last"), 0.0)
        left = await self.look(toll)
        for key, fate in toll.fates.items():
            if fate.ended is None and key not in left:  # its run, or its slot, has ended it
                toll.fates[key] = Fate(fate.finding, Ended(fate.finding.sight, None))
        return told

    async def _end_all(self, toll: Toll, turns: Sequence[Turn], grace: float) -> list[Fate]:
        """Those whose turn it is, until none is left but who lives on; those that got a signal."""
        told: list[Fate] = []
        for _ in range(ROUNDS):
            doomed = await self.look(toll)
            due = [key for key, (turn, _) in doomed.items() if turn in turns and not _is_stuck(toll.fates[key])]
            if not due:
                break
            for ended in await self._reaper.end([doomed[key][1].sight for key in due], grace):
                fate = toll.fates[ended.sight.key] = Fate(toll.fates[ended.sight.key].finding, ended)
                if ended.sent:
                    told.append(fate)
        return told


def _is_stuck(fate: Fate) -> bool:
    return fate.ended is not None and not fate.ended.gone


class Emergency:
    """What is done with a store; in the order in which it can do the least harm if it is cut short."""

    def __init__(self, supervisor: Supervisor, sweep: Sweep, workshop: Workshop, by: Peer, reason: str | None) -> None:
        self._supervisor = supervisor
        self._sweep = sweep
        self._workshop = workshop
        self._by = by
        self._reason = "emergency" if reason is None else f"emergency: {reason}"

    async def end_once(self) -> Toll:
        toll = Toll()
        self._supervisor.dispatcher.hold_all()
        try:
            await self._pause_queues(toll)  # from here on nothing starts, whoever starts a daemon
            await self._sweep.look(toll)
            await self._end_runs(toll)
        except StoreError as error:
            self._not_recorded(toll, error)
        for fate in await self._sweep.end(toll):
            self._put_on_record(fate)
        try:
            await self._free_locks(toll)
            await self._tell(toll)
        except StoreError as error:
            self._not_recorded(toll, error)
        return toll

    def _not_recorded(self, toll: Toll, error: StoreError) -> None:
        toll.unrecorded = str(error)
        log.error("emergency_not_recorded", error=str(error))

    async def _pause_queues(self, toll: Toll) -> None:
        for queue in self._supervisor.queues.all():
            await self._supervisor.queues.control(queue.name, "pause", self._by, limit=None, reason=self._reason)
            toll.queues += 1

    async def _end_runs(self, toll: Toll) -> None:
        """By their slots, which see their true ends; a job that was to go on is cancelled."""
        tasks = self._supervisor.dispatcher.tasks
        running = [job for job, task in tasks.items() if not task.is_withdrawn]  # those are queued again
        async with anyio.create_task_group() as group:
            for job in running:
                group.start_soon(self._end_run, job, toll, name=f"end {job}")
        ended = await self._supervisor.wait(running, False, RUNS_END_WITHIN)
        toll.sessions = sum(job.spec.queue == SESSIONS for job in ended)
        toll.runs = len(ended) - toll.sessions

    async def _end_run(self, job: str, toll: Toll) -> None:
        try:
            await self._supervisor.cancel(job, self._by, force=True, reason=self._reason)
        except (StorageFull, StorageFailed) as error:
            self._not_recorded(toll, error)
        except DaemonError as error:  # it has just ended
            log.info("run_not_cancelled", job=job, error=str(error))

    async def _free_locks(self, toll: Toll) -> None:
        """Clients' leases; those of runs have gone with their runs."""
        for lock in await self._workshop.store.locks():
            if isinstance(lock.holder, ClientHolder):
                change = ResetLock(
                    name=lock.name, token=lock.token, by=self._by, at=self._workshop.clock.now(), reason=self._reason
                )
                try:
                    await self._workshop.store.apply(change)
                except DaemonError as error:
                    log.warning("lock_not_freed", lock=lock.name, error=str(error))
                    continue
                toll.locks += 1

    def _put_on_record(self, fate: Fate) -> None:
        ended, finding = fate.ended, fate.finding
        if ended is not None and ended.who is not None:
            self._workshop.audit(of_finding(finding, ended.who, ended.sent, self._reason, "emergency", self._by))

    async def _tell(self, toll: Toll) -> None:
        data = {
            "reason": self._reason, "runs": toll.runs, "sessions": toll.sessions, "locks": toll.locks,
            "processes": len(toll.fates), "survivors": len(toll.survivors),
        }  # fmt: skip
        self._workshop.store.send(Note(kind="emergency", at=self._workshop.clock.now(), by=self._by, data=data))
