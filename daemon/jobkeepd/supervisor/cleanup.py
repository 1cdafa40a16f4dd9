"""Clean-up: ends what is left of ended runs, and orphans of families; now and then, by the calendar, or by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import anyio
import anyio.abc
import structlog
from msgspec import Struct

from jobkeepd.core.families import Families
from jobkeepd.core.model import Job, Peer
from jobkeepd.core.ownership import Finding
from jobkeepd.core.schedule import times_after
from jobkeepd.core.sight import Key
from jobkeepd.core.signalled import of_finding
from jobkeepd.errors import StorageFailed, StoreError
from jobkeepd.runner.base import Ended, Reaper
from jobkeepd.store.changes import Note
from jobkeepd.supervisor.ownership import Owners
from jobkeepd.supervisor.settings import CleanupSettings
from jobkeepd.supervisor.workshop import Workshop
from jobkeepd.supervisor.zones import HOST

log = structlog.get_logger()
Cause = Literal["hand", "interval", "schedule", "threshold", "health"]
Action = Literal["killed", "would_kill", "protected", "left"]
LONGEST_NAP = 10.0  # the calendar is UTC's, and clocks get set
ROUNDS = 5  # what is forked while others are ended shows up in the next one


class Row(Struct, frozen=True):
    """What was found of a process, and what was done about it."""

    finding: Finding
    action: Action
    reason: str


class Cleaned(Struct, frozen=True):
    now: float  # seconds since the boot; the ages of processes count from there
    rows: list[Row]
    survivors: list[Ended]
    active_sessions: int
    dry_run: bool


class Cleanup:
    """Implements rpc.services.Cleanup."""

    def __init__(self, owners: Owners, reaper: Reaper, workshop: Workshop, settings: CleanupSettings) -> None:
        self.owners = owners
        self._reaper = reaper
        self._workshop = workshop
        self._settings = settings
        self._cleaning = anyio.Lock()
        self._crowded: frozenset[str] = frozenset()
        self._bell = anyio.Event()  # there are other settings

    async def look(self) -> Cleaned:
        """Everything as it is."""
        return self._cleaned([_row(finding) for finding in await self.owners.look()], [], dry_run=True)

    async def clean_once(
        self, cause: Cause = "hand", *, dry_run: bool = False, by: Peer | None = None, reason: str | None = None
    ) -> Cleaned:
        """End what nobody owns; `dry_run` says what the same call without it would do."""
        if dry_run:
            return await self.look()
        async with self._cleaning:
            return await self._clean(cause, by, reason)

    async def _clean(self, cause: Cause, by: Peer | None, reason: str | None) -> Cleaned:
        ended: dict[Key, tuple[Finding, Ended]] = {}
        findings: list[Finding] = []
        for _ in range(ROUNDS):
            findings = await self.owners.look()
            doomed = {each.sight.key: each for each in findings if each.fate == "end" and each.sight.key not in ended}
            if not doomed:
                break
            sights = [finding.sight for finding in doomed.values()]
            for each in await self._reaper.end(sights, self._settings.grace):
                finding = doomed[each.sight.key]
                ended[each.sight.key] = finding, each
                self._put_on_record(finding, each, cause, by, reason)
        rows = [_row_of_ended(finding, each) for finding, each in ended.values()]
        rows += [_row(finding) for finding in findings if finding.sight.key not in ended]
        cleaned = self._cleaned(rows, [each for _, each in ended.values() if not each.gone], dry_run=False)
        if ended or cause == "hand":
            self._tell(cleaned, cause, by, reason)
        return cleaned

    def _cleaned(self, rows: list[Row], survivors: list[Ended], *, dry_run: bool) -> Cleaned:
        return Cleaned(self.owners.now, rows, survivors, len(self.owners.protected), dry_run)

    # -- what is told ------------------------------------------------------------------------------------------------

    def _put_on_record(
        self, finding: Finding, ended: Ended, cause: Cause, by: Peer | None, reason: str | None
    ) -> None:
        if ended.who is None or not ended.sent:
            return
        why = finding.reason if reason is None else f"{finding.reason}: {reason}"
        self._workshop.audit(of_finding(finding, ended.who, ended.sent, why, cause, by))
        log.warning("orphan_ended", pid=finding.sight.pid, run=finding.run, family=finding.family, gone=ended.gone)

    def _tell(self, cleaned: Cleaned, cause: Cause, by: Peer | None, reason: str | None) -> None:
        actions = Counter(row.action for row in cleaned.rows)
        data: dict[str, Any] = {"cause": cause, "killed": actions["killed"], "survivors": len(cleaned.survivors)}
        if reason is not None:
            data["reason"] = reason
        self._workshop.store.send(Note(kind="cleaned_up", at=self._workshop.clock.now(), by=by, data=data))

    # -- by itself ---------------------------------------------------------------------------------------------------

    def configure(self, settings: CleanupSettings, families: Families) -> None:
        """Other settings, from now on."""
        self._settings = settings
        self.owners.configure(families, settings.orphaned_for)
        self._bell.set()

    async def keep_cleaning(self) -> None:
        clock = self._workshop.clock
        looked = cleaned = clock.monotonic()
        settings, date = self._settings, self._next_date()
        while True:
            if settings is not self._settings:
                settings, date = self._settings, self._next_date()
            self._bell = anyio.Event()
            due = min(looked + settings.look_interval, cleaned + settings.interval) - clock.monotonic()
            until_date = LONGEST_NAP if date is None else date - clock.now()
            with anyio.move_on_after(min(max(min(due, until_date), 0.0), LONGEST_NAP)):
                await self._bell.wait()
            now = clock.monotonic()
            if date is not None and clock.now() >= date:
                cause: Cause | None = "schedule"
                date = self._next_date()
            elif now >= cleaned + settings.interval:
                cause = "interval"
            elif now >= looked + settings.look_interval:
                cause = None
            else:
                continue
            try:
                cause = await self.tick_once(cause)
            except StorageFailed:
                return
            except (StoreError, OSError) as error:
                log.warning("cleanup_postponed", error=str(error))
            looked = clock.monotonic()
            cleaned = looked if cause is not None else cleaned

    async def tick_once(self, cause: Cause | None) -> Cause | None:
        """Look, and clean up if it is time or a family has grown too large; why it was cleaned up."""
        if cause is None:
            crowded = self._too_many(await self.owners.look())
            if not crowded:
                self._crowded = frozenset()
                return None
            cause = "threshold"
        done = await self.clean_once(cause)
        crowded = self._too_many([row.finding for row in done.rows if row.action != "killed"])
        if crowded.keys() - self._crowded:
            log.warning("family_too_large", families=crowded, hint="what belongs to a live process is left alone")
        self._crowded = frozenset(crowded)
        return cause

    def _too_many(self, findings: Sequence[Finding]) -> dict[str, int]:
        """Family -> how many it has, of those that have more than they may."""
        counts = Counter(finding.family for finding in findings)
        families = self.owners.families.all
        return {
            family.name: counts[family.name]
            for family in families
            if family.max_processes is not None and counts[family.name] > family.max_processes
        }

    def _next_date(self) -> float | None:
        """UTC. The calendar is that of this host's time zone."""
        if not self._settings.schedule:
            return None
        return next(times_after(self._settings.schedule, HOST, self._workshop.clock.now()), None)


class AfterSessions:
    """Cleans up after the process of a session that was dead. Implements session_ports.Orphans."""

    def __init__(self, cleanup: Cleanup, group: anyio.abc.TaskGroup) -> None:
        self._cleanup = cleanup
        self._group = group

    async def clean_after(self, session: str, job: Job) -> None:
        """Goes on when nobody waits for it any more: what it signals is to be put on record."""
        done = anyio.Event()
        self._group.start_soon(self._clean, session, done, name=f"clean-up after {session}")
        await done.wait()

    async def _clean(self, session: str, done: anyio.Event) -> None:
        try:
            await self._cleanup.clean_once("health", reason=f"the session {session} was dead")
        except (StoreError, OSError) as error:
            log.warning("cleanup_failed", session=session, error=str(error))
        finally:
            done.set()


def _row(finding: Finding) -> Row:
    actions: dict[str, Action] = {"protect": "protected", "end": "would_kill", "leave": "left"}
    return Row(finding, actions[finding.fate], finding.reason)


def _row_of_ended(finding: Finding, ended: Ended) -> Row:
    killed = ended.gone and ended.sent
    return Row(finding, "killed" if killed else "left", finding.reason if killed else ended.why)
