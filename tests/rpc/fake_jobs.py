"""People's verbs, straight to the store."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from jobkeep.protocol.vocabulary import ENDED_STATES, OnConflict
from jobkeepd.core.bulk import Answer, Verb
from jobkeepd.core.lifecycle import may_remove
from jobkeepd.core.liveness import Live
from jobkeepd.core.model import Job, Peer
from jobkeepd.errors import IllegalTransition
from jobkeepd.latch import Latch
from jobkeepd.store.base import Store
from jobkeepd.store.changes import (
    NewJob,
    RequestStop,
    ResumeJob,
    SubmitJobs,
    Submitted,
)
from jobkeepd.store.removal_changes import Removed, RemoveJobs
from jobkeepd.supervisor.bulk import Bulk
from rpc.fake_locks import FakeClock


class FakeJobs:
    """Verbs straight to the store: nothing ever runs unless a test says so."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.signs: dict[str, Live] = {}
        self.wakes = anyio.Event()
        self.waiting = 0
        self.pages: list[int] = []

    def submit(
        self,
        jobs: tuple[NewJob, ...],
        environments: tuple[tuple[str, bytes], ...],
        by: Peer,
        *,
        request: str | None,
        digest: str,
        on_conflict: OnConflict | None,
        others: bool = True,
    ) -> Latch[Submitted | Exception]:
        change = SubmitJobs(
            jobs=jobs,
            environments=environments,
            by=by,
            at=self.clock.now(),
            request=request,
            digest=digest,
            on_conflict=on_conflict,
            others=others,
        )
        answer: Latch[Submitted | Exception] = Latch()
        self.store.post(change, answer.set)
        return answer

    async def cancel(self, job: str, by: Peer, *, force: bool, reason: str | None) -> Job:
        return await self._stop(job, "cancelled", by, reason)

    async def restart(self, job: str, by: Peer, *, from_start: bool, reason: str | None) -> Job:
        return await self._stop(job, "restart_from_start" if from_start else "restart", by, reason)

    async def _stop(self, ref: str, stop: str, by: Peer, reason: str | None) -> Job:
        job = await self.store.get(ref)
        return await self.store.apply(
            RequestStop(job=job.id, stop=stop, by=by, at=self.clock.now(), reason=reason)
        )

    async def resume(self, job: str, by: Peer, *, failed_items: bool, reason: str | None) -> Job:
        found = await self.store.get(job)
        return await self.store.apply(
            ResumeJob(job=found.id, by=by, at=self.clock.now(), failed_items=failed_items, reason=reason)
        )

    async def remove(self, job: str, by: Peer, *, reason: str | None) -> str:
        found = await self.store.get(job)
        removed = await self._remove([found.id], by, reason)
        if removed.live:
            raise IllegalTransition(found.id, found.state, "remove", may_remove(found.state).reason or "")
        return found.id

    async def act(
        self, verb: Verb, jobs: Sequence[Job], by: Peer, reason: str | None, as_of: float | None
    ) -> list[Answer]:
        self.pages.append(len(jobs))
        return await Bulk(self._stop_one, self._resume_one, self._remove).act(verb, jobs, by, reason, as_of)

    async def _stop_one(self, id: str, stop: str, by: Peer | None, force: bool, reason: str | None) -> Job:
        assert by is not None
        return await self._stop(id, stop, by, reason)

    async def _resume_one(self, id: str, by: Peer, failed_items: bool, reason: str | None) -> Job:
        return await self.resume(id, by, failed_items=failed_items, reason=reason)

    async def _remove(self, ids: Sequence[str], by: Peer | None, reason: str | None) -> Removed:
        return await self.store.apply(RemoveJobs(jobs=tuple(ids), by=by, at=self.clock.now(), reason=reason))

    async def wait(self, ids: Sequence[str], any: bool, timeout: float | None) -> list[Job]:
        self.waiting += 1
        try:
            with anyio.move_on_after(timeout):
                while True:
                    jobs = [await self.store.get(id) for id in ids]
                    ended = [job for job in jobs if job.state in ENDED_STATES]
                    if len(ended) == len(jobs) or (any and ended):
                        return ended
                    await self.wakes.wait()
                    self.wakes = anyio.Event()
            return [job for job in [await self.store.get(id) for id in ids] if job.state in ENDED_STATES]
        finally:
            self.waiting -= 1

    def live(self, job: Job) -> Live | None:
        return self.signs.get(job.id)
