"""What the processes of a command say of their run: each proves with the run's cookie that it belongs to it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from msgspec import Raw
from msgspec.structs import replace

from jobkeepd.clock import Clock
from jobkeepd.core.liveness import Signs
from jobkeepd.core.model import Job, SavedCheckpoint
from jobkeepd.errors import IllegalTransition, NotThisRun, UnknownJob
from jobkeepd.store.base import Store
from jobkeepd.store.changes import SaveCheckpoint, SaveProgress
from jobkeepd.store.run_steps import has_open_run
from jobkeepd.supervisor.job_task import JobTask


class CommandReports:
    """Implements rpc.services.Commands. `tasks` are the dispatcher's."""

    def __init__(self, store: Store, tasks: Mapping[str, JobTask], clock: Clock) -> None:
        self._store = store
        self._tasks = tasks
        self._clock = clock

    async def progress(self, run: str, cookie: str, done: int, total: int | None, note: str | None) -> None:
        job = await self._find(run, cookie)
        signs = self._signs(job)
        before = job.progress if signs is None else signs.progress
        total = before.total if total is None else total
        note = before.note if note is None else note
        if signs is not None:
            signs.tell(replace(before, done=done, total=total, note=note), self._clock.monotonic())
        else:  # it is not followed yet
            said = SaveProgress(run=job.ref, done=done, total=total, note=note, tallies=None, at=self._clock.now())
            await self._store.apply(said)

    async def load(self, run: str, cookie: str) -> SavedCheckpoint:
        job = await self._find(run, cookie)
        return await self._store.checkpoint(job.id) if job.checkpoint_seq else SavedCheckpoint()

    async def save(self, run: str, cookie: str, state: Raw) -> None:
        job = await self._find(run, cookie)
        signs = self._signs(job)
        progress = job.progress if signs is None else signs.progress
        change = SaveCheckpoint(
            run=job.ref, seq=None, cursor=Raw(b"null"), state=state,
            done=progress.done, total=progress.total, note=progress.note, tallies=progress.tallies,
            failed=(), resolved=(), at=self._clock.now(),
        )  # fmt: skip
        await self._store.apply(change)
        if signs is not None:
            stored = self._store.cached(job.id) or await self._store.get(job.id)
            signs.reach(stored.checkpoint_seq, signs.progress, self._clock.monotonic())

    def _signs(self, job: Job) -> Signs | None:
        task = self._tasks.get(job.id)
        life = None if task is None else task.life
        return None if life is None else life.signs

    async def _find(self, run: str, cookie: str) -> Job:
        """The job, if that is its run and under way. Raises NotThisRun, and IllegalTransition of a function."""
        id, _, number = run.partition(".")
        try:
            job = self._store.cached(id) or await self._store.get(id)
        except UnknownJob:
            raise NotThisRun(run) from None
        open_run = job.run if has_open_run(job) else None
        if job.id != id or open_run is None or str(open_run.number) != number or open_run.fenced is not None:
            raise NotThisRun(run)
        if not hmac.compare_digest(open_run.cookie.encode(), cookie.encode()):
            raise NotThisRun(run)
        if job.spec.function is not None:
            raise IllegalTransition(job.id, job.state, "report", "functions report through their JobContext")
        return job
