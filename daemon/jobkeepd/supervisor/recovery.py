"""Recovery while the daemon lives: a look at every open run, now and then and by hand. It blocks nothing."""

from __future__ import annotations

import anyio
import structlog
from msgspec import Struct

from jobkeep.protocol.vocabulary import OnLost
from jobkeepd.core.liveness import Live
from jobkeepd.core.model import Job, Peer
from jobkeepd.core.stuck import Evidence, Finding, Followed, Unfollowed, judge_stuck
from jobkeepd.errors import DaemonError, StaleToken, StorageFailed, StoreError
from jobkeepd.store.changes import Note
from jobkeepd.store.run_steps import has_open_run
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.settings import RecoverySettings
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()


class Row(Struct, frozen=True):
    """One open run, and what recovery does with it (or would)."""

    job: Job
    live: Live | None
    finding: Finding


class Recovery:
    """Implements rpc.services.Recovery."""

    def __init__(self, dispatcher: Dispatcher, workshop: Workshop, settings: RecoverySettings) -> None:
        self._dispatcher = dispatcher
        self._workshop = workshop
        self.settings = settings

    def look(self, job: Job, older_than: float | None = None, then: OnLost | None = None) -> Row:
        """One run, nothing done."""
        task = self._dispatcher.tasks.get(job.id)
        seen = self._evidence(job, task)
        older_than = self.settings.older_than if older_than is None else older_than
        finding = judge_stuck(job, seen, older_than, then, self._workshop.policy())
        return Row(job, None if task is None else task.live(), finding)

    def _evidence(self, job: Job, task: JobTask | None) -> Evidence:
        if task is None:
            broken = self._dispatcher.broken.get(job.id)
            seat_known = broken is not None and broken.place is not None
            return Unfollowed(seat_known, awaited=job.id in self._dispatcher.unsettled)
        live = task.live()
        return Followed(
            started=task.phase not in ("claiming", "waiting", "starting"),
            stopping=task.is_stopping,
            silent_for=None if task.life is None else task.life.silent_for(),
            health="ok" if live is None else live.health,
            stuck_for=None if live is None else live.stuck_for,
            late_after=self._workshop.limits(job.spec).late_after,
        )

    async def recover_once(
        self, *, check: bool = False, older_than: float | None = None, then: OnLost | None = None,
        by: Peer | None = None,
    ) -> list[Row]:  # fmt: skip
        """A row for each open run; unless `check`, what they say is done. A run that makes trouble stops no other."""
        store = self._workshop.store
        found = [store.cached(job.id) or job for job in await store.open_runs()]  # it may have ended since it was read
        rows = [self.look(job, older_than, then) for job in found if has_open_run(job)]
        if not check and rows:
            async with anyio.create_task_group() as acting:
                for row in rows:
                    if row.finding.action != "leave":
                        acting.start_soon(self._act, row, then, by, name=f"recover {row.job.id}")
        if not check:
            self._dispatcher.reread()
        return rows

    async def _act(self, row: Row, then: OnLost | None, by: Peer | None) -> None:
        job, finding = row.job, row.finding
        assert job.run is not None
        said = {"verdict": finding.verdict, "action": finding.action, "why": finding.reason}
        log.warning("run_recovered", job=job.id, run=job.run.number, **said)
        at = self._workshop.clock.now()
        self._workshop.store.send(Note(kind="recovered", at=at, job=job.id, run=job.run.number, by=by, data=said))
        try:
            await self._carry_out(job, finding, then)
        except StorageFailed:
            return  # the daemon has been told, and ends
        except StaleToken:
            return  # it has ended by itself meanwhile
        except DaemonError as error:
            log.error("recovery_failed", job=job.id, error=str(error))

    async def _carry_out(self, job: Job, finding: Finding, then: OnLost | None) -> None:
        task = self._dispatcher.tasks.get(job.id)
        if finding.action == "adopt":
            self._dispatcher.rejoin_broken(job)
        elif task is not None:
            await task.recover(finding.reason, then)

    async def keep_recovering(self) -> None:
        while True:
            await anyio.sleep(self.settings.interval)
            try:
                await self.recover_once()
            except StorageFailed:
                return
            except StoreError as error:
                log.warning("recovery_postponed", error=str(error))
